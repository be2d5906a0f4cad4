"""A pool on Ray: the only file that imports it.

Jobs are tasks without Ray's own retries, which would rerun them unseen and uncharged. The pool keeps its own books of
what is free where and hands Ray a task only once its machine has room, so order and placement are known. Each task
streams two values, first that it has begun, then its outcome; deadlines are kept from here, by force if need be.
A Ray that was there before is used and left as it was; one that the pool started ends with it.
"""

from __future__ import annotations

import importlib
import math
import os
import pickle
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

import ray
import ray.util.client
from ray.exceptions import OutOfMemoryError, RayError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.afield import facts, live, live_unheard, load, tail
from cluster.interrupts import interrupts_held
from cluster.ledger import Held, Ledger
from cluster.pool import Job, Node, Outcome, Ref, Status
from cluster.reach import grow, join, knock
from cluster.rows import node_of, told_of
from cluster.sent import UNHEARD_S, Others, QueuedOnRay, Running
from cluster.task import pack, unpack

NAMESPACE = "automl"
_MB = 1024.0**2
_LOOK_S = 2.0  # between two looks at which machines there are
_SLICE_S = 1.0  # of a wait, after which deadlines and machines are looked at again
_LOG_S = 2.0  # to get them
_LAST_S = 0.2  # for what has just ended to arrive before a job is killed


class RayPool:
    """Runs jobs as Ray tasks on every machine of a cluster.

    `address`: of a cluster ("host:6379", "ray://host:10001"); without it the one this process is connected to, then
    RAY_ADDRESS, then a Ray of our own on this machine with `cpus`. `workers`: CPUs to use at most. `preload` names
    modules that workers import at once. A cluster that can grow is asked for `want` CPUs, and has `patience_s` for it.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        cpus: int | None = None,
        workers: int | None = None,
        preload: Sequence[str] = (),
        want: int = 0,
        patience_s: float = 60.0,
    ) -> None:
        self.notes: list[str] = []  # for the user
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            _connect(address, cpus)
        self._is_client = bool(ray.util.client.ray.is_connected())  # through "ray://", where tasks cannot stream
        self.goodbye_s = 1.5 if self._is_ours else 0.2
        self.shares_disk = False  # its machines have disks of their own
        self._is_closed = False
        self._ledger = Ledger(workers)
        self._names: dict[str, str] = {}  # of machines, by Ray's id
        self._queue: deque[QueuedOnRay] = deque()
        self._running: dict[str, Running] = {}
        self._outcomes: list[Outcome] = []
        self._values: dict[str, Any] = {}
        self._looked_s = self._counted_s = -math.inf
        self._others, self._held_by_others = Others(), dict[str, Held]()
        self._warming: dict[Any, str] = {}  # imports under way, and on which machine
        self._await_machines(want, patience_s)
        self._warm_up(preload)

    @property
    def slots(self) -> int:
        """One-thread jobs that can run side by side now."""
        return self._ledger.slots

    def nodes(self) -> list[Node]:
        """The machines there are now, with what our jobs hold of them."""
        return self._ledger.nodes()

    def survey(self, path: str | None = None, patience_s: float = 30.0) -> list[dict[str, Any]]:
        """What each machine says of itself, with what Ray says of it, and how far its clock is from ours."""
        found = []
        for row in ray.nodes():
            if not row["Alive"]:
                continue
            there = NodeAffinitySchedulingStrategy(row["NodeID"], soft=False)
            errand = _facts_there.options(num_cpus=0, scheduling_strategy=there)
            told = told_of(row)
            try:
                ray.get(errand.remote(None), timeout=patience_s)  # its worker has started: the next one is quick
                before_s = time.time()
                told |= ray.get(errand.remote(path), timeout=patience_s)
                told["skew_s"] = told["at_s"] - (before_s + time.time()) / 2
            except RayError as problem:
                told["trouble"] = " ".join(f"{type(problem).__name__}: {problem}".split())[:200]
            found.append(told)
        return found

    def put(self, value: Any) -> Ref:
        """Place a value in the object store; its arrays will be read-only where they arrive, and not copied."""
        self._check_open()
        ref = ray.put(value)
        self._values[ref.hex()] = ref
        return Ref(ref.hex())

    def forget(self, ref: Ref) -> None:
        """Free a value of `put`; the object store keeps it for jobs that have it already."""
        self._values.pop(ref.key, None)

    def submit(self, job: Job) -> None:
        """Queue a job; Ray gets it once a machine has room."""
        self._check_open()
        with interrupts_held():
            self._look(is_urgent=False)
            if why := self._ledger.why_never(job):
                self._end(job, Status.FAILED, why)
                return
            fitted = self._ledger.fitted(job)
            try:
                self._queue.append(QueuedOnRay(job, fitted, pack(fitted)))
            except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError) as problem:
                self._end(job, Status.FAILED, f"the payload cannot be sent to a worker: {problem}")
            self._hand_out()

    def wait(self, timeout_s: float) -> list[Outcome]:
        """The outcomes since the last call, as soon as there is one; empty when the time runs out or no job is left."""
        ends_s = time.monotonic() + timeout_s
        while True:
            with interrupts_held():
                self._turn()
            left_s = ends_s - time.monotonic()
            if self._outcomes or left_s <= 0 or not (self._queue or self._running):
                break
            nap_s = max(0.0, min(left_s, _SLICE_S, self._next_deadline_s()))
            streams = [running.stream for running in self._running.values()]
            if streams:
                ray.wait(streams, num_returns=1, timeout=nap_s, fetch_local=False)
            else:
                time.sleep(nap_s)
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def cancel(self, job_id: str) -> None:
        """End a queued or running job now; its outcome (LATE) comes through `wait`. Unknown ids are ignored."""
        with interrupts_held():
            for queued in [queued for queued in self._queue if queued.job.id == job_id]:
                self._queue.remove(queued)
                self._end(queued.job, Status.LATE, "cancelled before it started")
            self._hear_all()  # it may just have ended by itself
            if running := self._running.get(job_id):
                self._kill(running, "cancelled")

    def close(self) -> None:
        """End every job at once and free what `put` holds; a Ray of our own ends, any other goes on."""
        with interrupts_held():
            if self._is_closed:
                return
            self._is_closed = True
            self._queue.clear()
            if ray.is_initialized():  # else someone has shut it down under us
                for work in [*(running.stream for running in self._running.values()), *self._warming]:
                    _cancel(work)
            self._running.clear()
            self._values.clear()
            with suppress(Exception):  # a cluster that is gone needs no word
                if self._has_asked:
                    _ask_for(0)  # Ray would keep what was asked for, and the bill would go on
            if self._is_ours:
                ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look(self, *, is_urgent: bool) -> None:
        """See which machines there are."""
        if not is_urgent and time.monotonic() - self._looked_s < _LOOK_S:
            return
        self._looked_s = time.monotonic()
        alive = {row["NodeID"]: node_of(row) for row in ray.nodes() if row["Alive"]}
        able = {key: node for key, node in alive.items() if node.cpus}
        self._names.update({key: node.name for key, node in able.items()})
        if time.monotonic() - self._counted_s >= _LOOK_S:
            self._counted_s = time.monotonic()
            self._held_by_others = self._others.look(able, _free(), self._ours())
        others = {key: held for key, held in self._held_by_others.items() if key in able}
        if self._ledger.update(able, others):
            self._fit_queue()

    def _ours(self) -> dict[str, Held]:
        """What our jobs hold of each machine, and workers that still import what they will need."""
        if work := list(self._warming):
            left = ray.wait(work, num_returns=len(work), timeout=0, fetch_local=False)[1]
            self._warming = {ref: self._warming[ref] for ref in left}
        return self._ledger.held(Counter(self._warming.values()))

    def _fit_queue(self) -> None:
        """After machines came or went: jobs that wait get what there is; those that none could run any more end."""
        queued, self._queue = list(self._queue), deque()
        for one in queued:
            if why := self._ledger.why_never(one.asked):
                self._end(one.job, Status.LOST, f"its machines are gone: {why}")
            else:
                self._queue.append(one.fitted(self._ledger.fitted(one.asked)))

    def _slots_now(self) -> int:
        self._look(is_urgent=True)
        return self.slots

    def _await_machines(self, want: int, patience_s: float) -> None:
        """Have a cluster that grows bring the CPUs wanted, but go on with what is there."""
        self._has_asked, note = grow(self._slots_now, _ask_for, want, patience_s)
        self.notes += [note] if note else []
        if not self.slots:
            self.close()
            raise RuntimeError(
                f"the Ray cluster has no CPUs after {patience_s:g} s. "
                "Add a worker node, or give its nodes CPUs (ray start --num-cpus)."
            )

    def _warm_up(self, preload: Sequence[str]) -> None:
        """Have a worker for each CPU that we may use import what jobs will need."""
        alive = [row for row in ray.nodes() if row["Alive"]] if preload else []
        places = [row["NodeID"] for row in alive for _ in range(int(row["Resources"].get("CPU", 0)))]
        for node in places[: self.slots]:
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            self._warming[_load_there.options(num_cpus=1, scheduling_strategy=there).remote(list(preload))] = node

    # --- books: every method below runs with interrupts held and never blocks for long --------------------------------

    def _turn(self) -> None:
        """Hear what has arrived, keep the deadlines, hand out what fits."""
        if self._is_closed:
            return
        self._hear_all()
        now_s = time.monotonic()
        for running in [r for r in self._running.values() if r.at_s + r.job.hard_s <= now_s]:
            self._hear(running, patience_s=_LAST_S)
            if running.job.id in self._running:
                self._kill(running, f"killed {running.job.hard_s:g} s after its start, its hard deadline")
        self._look(is_urgent=False)
        self._hand_out()

    def _hand_out(self) -> None:
        """Start what fits, in order; a job that only waits for a GPU holds up none behind it."""
        refused = set()  # what there is no room for: of many alike one is asked about
        for queued in list(self._queue):
            wanted = queued.job.threads, queued.job.gpus, queued.job.memory_mb
            node = None if wanted in refused else self._ledger.take(queued.job)
            if node is None:
                refused.add(wanted)
                if queued.job.gpus:
                    continue
                return
            self._queue.remove(queued)
            at_s = time.monotonic() + UNHEARD_S if self._is_client else math.inf
            self._running[queued.job.id] = Running(queued.job, node, self._start(queued, node), at_s)

    def _start(self, queued: QueuedOnRay, node: str) -> Any:
        job = queued.job
        asked = {
            "name": f"automl {job.id}",
            "num_cpus": job.threads,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False),
            **({"num_gpus": job.gpus} if job.gpus else {}),
            **({"memory": int(job.memory_mb * _MB)} if job.memory_mb else {}),
        }
        values = [self._values[ref.key] for ref in job.data]
        heard, unheard = (_run_fresh, _unheard_fresh) if job.gpus else (_run, _unheard)
        return (unheard if self._is_client else heard).options(**asked).remote(queued.task, *values)

    def _hear_all(self) -> None:
        if streams := {running.stream: running for running in self._running.values()}:
            ready, _ = ray.wait(list(streams), num_returns=len(streams), timeout=0, fetch_local=False)
            for stream in ready:
                self._hear(streams[stream])

    def _hear(self, running: Running, patience_s: float = 0.0) -> None:
        """Take in all that a task has said so far."""
        while ray.wait([running.stream], num_returns=1, timeout=patience_s, fetch_local=False)[0]:
            try:
                said = ray.get(running.stream if self._is_client else next(running.stream))
            except (RayError, StopIteration) as problem:
                self._bury(running, problem)
                return
            if isinstance(said, Outcome):
                self._forget(running)
                self._outcomes.append(unpack(said, self._names.get(running.node, running.node)))
                return
            running.where, running.at_s = said, time.monotonic()

    def _bury(self, running: Running, problem: Exception) -> None:
        """A worker died, alone or with its machine; or the task could not start."""
        self._forget(running)
        self._look(is_urgent=True)
        name = self._names.get(running.node, running.node)
        is_alone = any(row["NodeID"] == running.node and row["Alive"] for row in ray.nodes())
        is_memory = isinstance(problem, OutOfMemoryError)
        how = "ran out of memory" if is_memory else "died" if is_alone else "is gone"
        self._outcomes.append(
            Outcome(
                running.job.id, Status.LOST, error=f"{'a worker on ' if is_alone else ''}{name} {how}",
                trace=f"{type(problem).__name__}: {problem}\n{self._last_words(running) if is_alone else ''}",
                cost=running.cost, worker=name, is_memory=is_memory,
            )
        )  # fmt: skip

    def _last_words(self, running: Running) -> str:
        """The end of a dead worker's log, fetched from its machine."""
        if running.where is None or not running.where.log:
            return ""
        there = NodeAffinitySchedulingStrategy(running.node, soft=False)
        with suppress(RayError):
            asked = _tail_there.options(num_cpus=0, scheduling_strategy=there).remote(running.where.log)
            return str(ray.get(asked, timeout=_LOG_S))
        return ""

    def _kill(self, running: Running, why: str) -> None:
        _cancel(running.stream)
        self._forget(running)
        name = self._names.get(running.node, running.node)
        self._outcomes.append(Outcome(running.job.id, Status.LATE, error=why, cost=running.cost, worker=name))

    def _forget(self, running: Running) -> None:
        self._running.pop(running.job.id, None)
        self._ledger.give_back(running.job.id)

    def _end(self, job: Job, status: Status, error: str) -> None:
        """End a job that never had a worker."""
        self._outcomes.append(Outcome(job.id, status, error=error))

    def _next_deadline_s(self) -> float:
        deadlines = [running.at_s + running.job.hard_s for running in self._running.values()]
        return max(0.0, min(deadlines, default=math.inf) - time.monotonic())

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("this pool is closed. Open another one with RayPool().")


# --- what runs on the cluster ----------------------------------------------------------------------------------------


_run = ray.remote(max_retries=0, num_returns="streaming")(live)
_run_fresh = ray.remote(max_retries=0, num_returns="streaming", max_calls=1)(live)  # it would keep the GPU's memory
_unheard, _unheard_fresh = (ray.remote(max_retries=0, max_calls=calls)(live_unheard) for calls in (0, 1))
_load_there, _tail_there, _facts_there = (ray.remote(max_retries=0)(errand) for errand in (load, tail, facts))


# --- Ray itself ------------------------------------------------------------------------------------------------------


def _connect(address: str | None, cpus: int | None) -> None:
    """Join a cluster, or start a Ray of our own on this machine."""
    quiet: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": "ERROR"}
    address = address or os.environ.get("RAY_ADDRESS") or None
    try:
        if address:
            knock(address)
            join(lambda: ray.init(address=address, **quiet), times=4 if address.startswith("ray://") else 1)
        else:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a Ray of our own tells nobody that it runs
            ray.init(address="local", num_cpus=cpus, include_dashboard=False, **quiet)
    except (OSError, RuntimeError, ValueError, RayError) as problem:
        told = " ".join(str(problem).split())[:300]
        if address is None:
            raise RuntimeError(f"Ray does not start on this machine: {told}") from problem
        raise RuntimeError(
            f"no Ray cluster answers at {address!r}: {told}. "
            "Check the address, and that RAY_AUTH_TOKEN is the one of the cluster."
        ) from problem


def _free() -> dict[str, dict[str, float]]:
    """What is free on each machine, as Ray sees it; nothing where that cannot be asked, as through its client."""
    with suppress(Exception):
        return dict(importlib.import_module("ray._private.state").available_resources_per_node())
    return {}


def _ask_for(cpus: int) -> None:
    """Have a cluster that can grow bring so many CPUs, and keep them until another number is asked for."""
    importlib.import_module("ray.autoscaler.sdk").request_resources(num_cpus=cpus)


def _cancel(stream: Any) -> None:
    with suppress(RayError, TaskCancelledError):
        ray.cancel(stream, force=True)
