"""Which machine has room for which job: the books of a pool that spans several, without a word about how they are run.

Jobs without a GPU go where there is none, as long as there is room, so that networks find CPUs beside theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cluster.pool import Job, Node

_EPSILON = 1e-9  # shares of a GPU are added up


@dataclass
class Ledger:
    """Machines by key, and what our jobs hold of each; together at most `limit` CPUs."""

    limit: int | None = None
    _nodes: dict[str, Node] = field(default_factory=dict)
    _held: dict[str, tuple[str, Job]] = field(default_factory=dict)

    def update(self, nodes: Mapping[str, Node]) -> None:
        """The machines there are now; what jobs hold of one that is gone goes with it."""
        self._nodes = dict(nodes)

    @property
    def slots(self) -> int:
        """CPUs that our jobs may use together."""
        cpus = sum(node.cpus for node in self._nodes.values())
        return cpus if self.limit is None else min(cpus, self.limit)

    def nodes(self) -> list[Node]:
        """The machines, with what our jobs hold of them."""
        return [
            replace(node, busy_cpus=sum(job.threads for job in self._on(key)),
                    busy_gpus=sum(job.gpus for job in self._on(key)))
            for key, node in self._nodes.items()
        ]  # fmt: skip

    def fitted(self, job: Job) -> Job:
        """The job with no more threads than a machine has that could run it."""
        able = [node for node in self._nodes.values() if _could(node, job)] or list(self._nodes.values())
        return replace(job, threads=max(1, min(job.threads, self.slots, max((node.cpus for node in able), default=1))))

    def why_never(self, job: Job) -> str:
        """Why no machine could ever run it; empty if one could, or if there is none to judge by."""
        if not self._nodes or any(_could(node, job) for node in self._nodes.values()):
            return ""
        gpus, memory_mb = (max(getattr(n, what) for n in self._nodes.values()) for what in ("gpus", "memory_mb"))
        if job.gpus > gpus:
            return f"asked for {job.gpus:g} GPUs, but no machine has more than {gpus:g}"
        return f"needs {job.memory_mb:,.0f} MB, but no machine has more than {memory_mb:,.0f}"

    def take(self, job: Job) -> str | None:
        """Book a job on a machine with room and name it; None if none has."""
        taken = sum(other.threads for _, other in self._held.values())
        able = [key for key, node in self._nodes.items() if _could(node, job) and self._has_room(key, node, job)]
        if not able or taken + job.threads > self.slots:
            return None
        key = min(able, key=lambda key: (self._nodes[key].gpus > 0 and not job.gpus, -self._free_cpus(key)))
        self._held[job.id] = key, job
        return key

    def give_back(self, job_id: str) -> None:
        """Free what a job holds."""
        self._held.pop(job_id, None)

    def _on(self, key: str) -> list[Job]:
        return [job for where, job in self._held.values() if where == key]

    def _free_cpus(self, key: str) -> int:
        return self._nodes[key].cpus - sum(job.threads for job in self._on(key))

    def _has_room(self, key: str, node: Node, job: Job) -> bool:
        mine = self._on(key)
        memory_mb = sum(other.memory_mb for other in mine) + job.memory_mb
        gpus = sum(other.gpus for other in mine) + job.gpus
        has_memory = not node.memory_mb or memory_mb <= node.memory_mb
        return self._free_cpus(key) >= job.threads and gpus <= node.gpus + _EPSILON and has_memory


def _could(node: Node, job: Job) -> bool:
    """Whether a machine could run a job if it were empty."""
    return node.cpus >= 1 and job.gpus <= node.gpus and (not node.memory_mb or job.memory_mb <= node.memory_mb)
