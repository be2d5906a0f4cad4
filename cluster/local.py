"""A pool of processes on this machine: LocalPool keeps the books, crew.py holds the processes.

One thread and no locks: everything happens inside the caller's calls. So deadlines are kept while somebody waits, and a
job that ended in time but is heard late has ended in time. Jobs start in the order of their submission, so a job that
wants many threads is never overtaken for ever.
"""

from __future__ import annotations

import math
import pickle
import socket
import time
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from cluster.crew import BIRTH_S, Crew, Worker
from cluster.devices import Gpu, working_gpus
from cluster.interrupts import interrupts_held
from cluster.memory import free_mb, kills
from cluster.meter import used_by
from cluster.nursery import Born, Errand
from cluster.pool import Cost, Job, Node, Outcome, Ref, Status
from cluster.task import Begun, Task, pack, unpack

_EAGER_BYTES = 32 * 1024  # a task of this size is sent before the worker is born: sending it cannot block


class LocalPool:
    """Runs jobs in `workers` processes; `preload` names the modules they are born with, the most needed first.

    Returns at once: workers come up meanwhile. Functions must be importable by name; the caller's main module is
    never run again. `gpus`: those to hand out, by default all of this machine on which torch computes. A job sees only
    its own, in a worker of its own: one that computed on a GPU would keep its memory, and one that found none in sight
    would find none again. Use it as a context manager, from one thread.
    """

    def __init__(
        self,
        workers: int,
        preload: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        gpus: Sequence[Gpu] | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be 1 or more, got {workers!r}. Use for instance workers=os.cpu_count().")
        self.slots = workers
        self.goodbye_s = 0.1
        self._given = None if gpus is None else tuple(gpus)
        self.shares_disk = True
        self._queue: deque[_Queued] = deque()
        self._outcomes: list[Outcome] = []
        self._kills = kills()  # of processes, for want of memory, as far as they were told
        self._crew = Crew(workers, preload, env or {})
        self._finalizer = weakref.finalize(self, self._crew.close)  # also at the end of the interpreter

    @property
    def running(self) -> int:
        """Jobs that were handed to a worker."""
        return sum(worker.job is not None for worker in self._crew.workers)

    @property
    def _gpus(self) -> tuple[Gpu, ...]:
        """Asked for when they are first needed: meanwhile workers come up."""
        return working_gpus().gpus if self._given is None else self._given

    @property
    def queued(self) -> int:
        """Jobs that wait for their threads."""
        return len(self._queue)

    def nodes(self) -> list[Node]:
        """The one machine, as it is now."""
        given = [share for worker in self._crew.workers for share in worker.gpus.values()]
        threads = sum(worker.job.threads for worker in self._crew.workers if worker.job is not None)
        model = self._gpus[0].model if self._gpus else ""
        return [
            Node(socket.gethostname(), self.slots, free_mb(), len(self._gpus), model, busy_cpus=threads,
                 busy_gpus=sum(given))
        ]  # fmt: skip

    def put(self, value: Any) -> Ref:
        """Place a value where every worker can read it without a copy of its arrays; they arrive read-only."""
        self._check_open()
        return self._crew.shelf.put(value)

    def forget(self, ref: Ref) -> None:
        """Free a value of `put`; workers that read it keep what they have mapped."""
        self._crew.shelf.forget(ref)

    def submit(self, job: Job) -> None:
        """Queue a job; it starts now if its threads are free, else within `submit` or `wait` once they are."""
        self._check_open()
        with interrupts_held():
            job = replace(job, threads=max(1, min(job.threads, self.slots)))
            if job.gpus > len(self._gpus):
                self._end(job, Status.FAILED, f"asked for {job.gpus:g} GPUs, but this machine has {len(self._gpus)}")
                return
            try:
                self._queue.append(_Queued(job, pack(job)))
            except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError) as problem:
                self._end(job, Status.FAILED, f"the payload cannot be sent to a worker: {problem}")
            self._turn()

    def wait(self, timeout_s: float) -> list[Outcome]:
        """The outcomes since the last call, as soon as there is one; empty when the time runs out or no job is left."""
        ends_s = time.monotonic() + timeout_s
        while True:
            with interrupts_held():
                self._turn()
            left_s = ends_s - time.monotonic()
            if self._outcomes or left_s <= 0 or not (self._queue or self.running):
                break
            self._crew.listen(min(left_s, self._next_deadline_s()))
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def cancel(self, job_id: str) -> None:
        """End a queued or running job now; its outcome (LATE) comes through `wait`. Unknown ids are ignored."""
        with interrupts_held():
            for queued in [queued for queued in self._queue if queued.job.id == job_id]:
                self._queue.remove(queued)
                self._end(queued.job, Status.LATE, "cancelled before it started")
            self._hear_all()  # it may just have ended by itself
            for worker in self._crew.workers:
                if worker.job is not None and worker.job.id == job_id:
                    self._kill(worker, "cancelled")
            self._turn()

    def close(self) -> None:
        """End every worker at once and free what `put` holds. Safe to call twice."""
        with interrupts_held():
            self._queue.clear()
            self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- books: every method below runs with interrupts held and never blocks for long ---

    def _turn(self) -> None:
        """Hear what has arrived, keep the deadlines, hand out what fits."""
        if not self._finalizer.alive:
            return
        self._hear_all()
        now_s = time.monotonic()
        for worker in self._crew.workers:
            if worker.job is not None and worker.deadline_s <= now_s:
                self._kill(worker, self._why_late(worker, worker.job))
        self._hand_out()

    @staticmethod
    def _why_late(worker: Worker, job: Job) -> str:
        if worker.begun is None:
            return f"its worker was not there {BIRTH_S + job.hard_s:g} s after it was asked for"
        return f"killed {job.hard_s:g} s after its start, its hard deadline"

    def _hear_all(self) -> None:
        for worker in self._crew.workers:
            try:
                while worker.pipe.poll():
                    self._hear(worker, worker.pipe.recv())
                    if worker.job is None and (worker.gpus or worker.is_starved):
                        self._crew.replace(worker)
                        break
            except (EOFError, OSError):
                if not worker.pid:  # dead before it was born: so would the next one be
                    self._outlive_nursery()
                    return
                self._bury(worker)
        if not self._crew.read_news():
            self._outlive_nursery()
        for worker in self._crew.workers:
            if worker.job is None and self._crew.is_warm and worker.loaded < self._crew.loaded:
                self._crew.replace(worker)  # born before the last import; a fork now costs less than importing later

    def _hear(self, worker: Worker, message: Born | Begun | Outcome) -> None:
        if isinstance(message, Born):
            worker.pid = message.pid
        elif isinstance(message, Begun):
            worker.begun = message
        elif worker.job is not None:
            self._outcomes.append(unpack(message, worker.name))
            worker.job = worker.begun = None
            worker.is_starved = message.is_memory

    def _hand_out(self) -> None:
        """Start what fits, in order; a job that only waits for a GPU holds up none behind it."""
        for queued in list(self._queue):
            gpus = self._free_gpus(queued.job.gpus)
            if gpus is None:
                continue
            taken = sum(worker.job.threads for worker in self._crew.workers if worker.job is not None)
            if taken + queued.job.threads > self.slots or not self._send(queued, gpus):
                return

    def _send(self, queued: _Queued, gpus: dict[str, float]) -> bool:
        """Give a job to a worker; False if none can take it now."""
        message = _message(queued, gpus)
        idle = [worker for worker in self._crew.workers if worker.job is None]
        is_small = len(message) <= _EAGER_BYTES
        able = [one for one in self._knowing(idle, queued.job.needs if is_small else ()) if one.pid or is_small]
        if not able:
            return False
        worker = max(able, key=lambda worker: (not (gpus and worker.is_used), worker.pid > 0))  # one that is there
        if gpus and worker.is_used:
            if any(not other.is_used for other in idle):
                return False  # once that is born
            worker = self._crew.replace(worker)
            if not is_small:
                return False
        try:
            worker.pipe.send_bytes(message)
        except OSError:
            return False  # dead while idle: the next turn hears of it, and finds the job still in the queue
        self._queue.remove(queued)
        worker.job, worker.given_s, worker.gpus, worker.is_used = queued.job, time.monotonic(), gpus, True
        return True

    def _knowing(self, idle: Sequence[Worker], modules: Sequence[str]) -> list[Worker]:
        """Idle workers that are born with these modules: two that import the same at once take twice as long."""
        needed = self._crew.needed(modules)
        knowing = [worker for worker in idle if worker.loaded >= needed]
        return knowing or [self._crew.replace(worker, needed) for worker in idle[:1]]

    def _free_gpus(self, wanted: float) -> dict[str, float] | None:
        """Whole GPUs, or a share of the fullest one that has room; None when there is none now."""
        free = {gpu.key: 1.0 for gpu in self._gpus}
        for worker in self._crew.workers:
            for key, share in worker.gpus.items():
                free[key] -= share
        count, least = (1, wanted) if wanted < 1 else (math.ceil(wanted), 1.0)
        able = sorted((room, key) for key, room in free.items() if room >= least - 1e-9)
        if wanted <= 0:
            return {}
        return {key: least for _, key in able[:count]} if len(able) >= count else None

    def _kill(self, worker: Worker, why: str) -> None:
        cpu_s, peak_mb = used_by(worker.pid)
        self._end_in(worker, Status.LATE, why, (cpu_s, peak_mb))
        self._crew.replace(worker)

    def _bury(self, worker: Worker) -> None:
        """A worker died by itself."""
        if worker.job is not None:
            death = self._crew.death_of(worker.pid)
            is_memory = death.is_killed and self._memory_ran_out()
            used = death.cpu_s, death.peak_mb
            self._end_in(worker, Status.LOST, f"{worker.name} {death.how}", used, is_memory=is_memory)
        self._crew.replace(worker)

    def _memory_ran_out(self) -> bool:
        """Whether the system has killed for want of memory since that was last asked, and once more than was told."""
        if kills() <= self._kills:
            return False
        self._kills += 1
        return True

    def _outlive_nursery(self) -> None:
        """Without the nursery there are no workers: end what is left, start over once, then give up."""
        why = "the process that starts workers failed"
        for worker in self._crew.workers:
            self._end_in(worker, Status.LOST, why, used_by(worker.pid))
        if self._crew.restart():
            return
        while self._queue:
            self._end(self._queue.popleft().job, Status.LOST, f"{why} twice; its last words are on stderr")

    def _end_in(
        self, worker: Worker, status: Status, error: str, used: tuple[float, float], *, is_memory: bool = False
    ) -> None:
        """End a worker's job, if it has one, charging it what its worker used since it began."""
        if worker.job is None:
            return
        cost = Cost()
        if worker.begun is not None:
            cpu_s = max(0.0, used[0] - worker.begun.cpu_s)
            cost = Cost(cpu_s, time.monotonic() - worker.begun.at_s, used[1])
        self._outcomes.append(
            Outcome(worker.job.id, status, error=error, cost=cost, worker=worker.name, is_memory=is_memory)
        )
        worker.job = worker.begun = None

    def _end(self, job: Job, status: Status, error: str) -> None:
        """End a job that never had a worker."""
        self._outcomes.append(Outcome(job.id, status, error=error))

    def _next_deadline_s(self) -> float:
        deadlines = [worker.deadline_s for worker in self._crew.workers if worker.job is not None]
        return max(0.0, min(deadlines, default=math.inf) - time.monotonic())

    def _check_open(self) -> None:
        if not self._finalizer.alive:
            raise RuntimeError("this pool is closed. Open another one with LocalPool(workers).")


@dataclass(frozen=True, eq=False)
class _Queued:
    job: Job
    task: Task


def _message(queued: _Queued, gpus: Mapping[str, float]) -> bytes:
    keys = tuple(ref.key for ref in queued.job.data)
    return pickle.dumps(Errand(queued.task, keys, ",".join(gpus), time.monotonic()), protocol=5)
