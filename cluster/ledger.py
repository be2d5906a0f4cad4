"""Which machine has room for which job: the books of a pool that spans several, without a word about how they are run.

Jobs without a GPU go where there is none, as long as there is room, so that networks find CPUs beside theirs. What is
held of a machine is counted as it is booked, and machines with as much room stand on one shelf: a thousand of them take
no longer to ask than a few.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from cluster.pool import Job, Node

_EPSILON = 1e-9  # shares of a GPU are added up
_Room = tuple[bool, int, float]  # of machines on one shelf: whether they have GPUs, CPUs that are free, GPUs


@dataclass
class Held:
    """Of one machine: what our jobs hold of it, or others."""

    cpus: float = 0.0
    gpus: float = 0.0
    memory_mb: float = 0.0

    def add(self, job: Job, sign: int = 1) -> None:
        """Count a job in, or out."""
        self.cpus += sign * job.threads
        self.gpus += sign * job.gpus
        self.memory_mb += sign * job.memory_mb

    def least(self, other: Held) -> Held:
        """What is in both."""
        return Held(min(self.cpus, other.cpus), min(self.gpus, other.gpus), min(self.memory_mb, other.memory_mb))


@dataclass
class Ledger:
    """Machines by key, what our jobs hold of each, and what others do; together our jobs have at most `limit` CPUs."""

    limit: int | None = None
    slots: int = 0  # CPUs that our jobs may use together
    looked_at: int = 0  # machines that were weighed for jobs, ever
    _nodes: dict[str, Node] = field(default_factory=dict)
    _others: Mapping[str, Held] = field(default_factory=dict)
    _jobs: dict[str, tuple[str, Job]] = field(default_factory=dict)
    _ours: dict[str, Held] = field(default_factory=dict)
    _taken: int = 0
    _shelves: dict[_Room, dict[str, None]] = field(default_factory=dict)
    _rooms: dict[str, _Room] = field(default_factory=dict)
    _widest: list[tuple[int, Node]] = field(
        default_factory=list
    )  # machines by the CPUs that are ours to use, most first
    _shown: dict[str, Node] = field(default_factory=dict)

    def update(self, nodes: Mapping[str, Node], others: Mapping[str, Held] | None = None) -> bool:
        """The machines there are now, and what others hold of them; whether anything is new.

        What our jobs hold of a machine that is gone goes with it.
        """
        others = {} if others is None else {key: held for key, held in others.items() if held != Held()}
        if nodes == self._nodes and others == self._others:
            return False
        self._nodes, self._others = dict(nodes), others
        self._ours = {key: Held() for key in nodes}
        for key, job in self._jobs.values():
            if key in self._ours:
                self._ours[key].add(job)
        self._taken = sum(job.threads for key, job in self._jobs.values() if key in nodes)
        left = {key: max(0, node.cpus - self._by_others(key)) for key, node in nodes.items()}
        cpus = max(sum(left.values()), min(1, sum(node.cpus for node in nodes.values())))  # one can always wait
        self.slots = cpus if self.limit is None else min(cpus, self.limit)
        self._widest = [(left[key], nodes[key]) for key in sorted(left, key=lambda key: -left[key])]
        self._shelves, self._rooms, self._shown = {}, {}, {}
        for key in nodes:
            self._put_up(key)
        return True

    def nodes(self) -> list[Node]:
        """The machines, with what our jobs hold of them."""
        for key in self._nodes.keys() - self._shown.keys():
            held = self._ours[key]
            self._shown[key] = replace(self._nodes[key], busy_cpus=int(held.cpus), busy_gpus=held.gpus)
        return [self._shown[key] for key in self._nodes]

    def held(self, more: Mapping[str, int]) -> dict[str, Held]:
        """What our jobs hold of each machine, and so many CPUs `more` of some."""
        return {key: replace(held, cpus=held.cpus + more.get(key, 0)) for key, held in self._ours.items()}

    def fitted(self, job: Job) -> Job:
        """The job with no more threads than a machine has for us that could run it."""
        widest = self._widest[0][0] if self._widest else 1
        cpus = next((cpus for cpus, node in self._widest if _could(node, job)), widest)
        return replace(job, threads=max(1, min(job.threads, self.slots, cpus)))

    def why_never(self, job: Job) -> str:
        """Why no machine could ever run it; empty if one could, or if there is none to judge by."""
        if not self._nodes or any(_could(node, job) for _, node in self._widest):
            return ""
        gpus, memory_mb = (max(getattr(n, what) for n in self._nodes.values()) for what in ("gpus", "memory_mb"))
        if job.gpus > gpus:
            return f"asked for {job.gpus:g} GPUs, but no machine has more than {gpus:g}"
        return f"needs {job.memory_mb:,.0f} MB, but no machine has more than {memory_mb:,.0f}"

    def take(self, job: Job) -> str | None:
        """Book a job on a machine with room and name it; None if none has."""
        if self._taken + job.threads > self.slots:
            return None
        key = next((key for key in self._with_room(job) if self._has_memory(key, job)), None)
        if key is not None:
            self._jobs[job.id] = key, job
            self._taken += job.threads
            self._book(key, job, 1)
        return key

    def give_back(self, job_id: str) -> None:
        """Free what a job holds."""
        key, job = self._jobs.pop(job_id, ("", None))
        if job is not None and key in self._nodes:
            self._taken -= job.threads
            self._book(key, job, -1)

    def _with_room(self, job: Job) -> Iterator[str]:
        """Machines with the CPUs and GPUs for a job: those without GPUs first if it needs none, then the emptiest."""
        able = [room for room in self._shelves if room[1] >= job.threads and room[2] + _EPSILON >= job.gpus]
        for room in sorted(able, key=lambda room: (room[0] and not job.gpus, -room[1])):
            for key in self._shelves[room]:
                self.looked_at += 1
                yield key

    def _has_memory(self, key: str, job: Job) -> bool:
        node, others = self._nodes[key], self._others.get(key, Held())
        taken_mb = self._ours[key].memory_mb + others.memory_mb + job.memory_mb
        return not node.memory_mb or taken_mb <= node.memory_mb

    def _book(self, key: str, job: Job, sign: int) -> None:
        self._ours[key].add(job, sign)
        self._shown.pop(key, None)
        shelf = self._shelves[self._rooms[key]]
        del shelf[key]
        if not shelf:
            del self._shelves[self._rooms[key]]
        self._put_up(key)

    def _put_up(self, key: str) -> None:
        """Place a machine on the shelf of those with as much room."""
        node, ours, others = self._nodes[key], self._ours[key], self._others.get(key, Held())
        cpus = node.cpus - int(ours.cpus) - self._by_others(key)
        gpus = round(node.gpus - ours.gpus - others.gpus, 6)
        self._rooms[key] = room = node.gpus > 0, cpus, gpus
        self._shelves.setdefault(room, {})[key] = None

    def _by_others(self, key: str) -> int:
        return math.ceil(self._others[key].cpus - _EPSILON) if key in self._others else 0


def _could(node: Node, job: Job) -> bool:
    """Whether a machine could run a job if it were empty."""
    return node.cpus >= 1 and job.gpus <= node.gpus and (not node.memory_mb or job.memory_mb <= node.memory_mb)
