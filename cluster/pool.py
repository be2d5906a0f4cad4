"""The one way to run code elsewhere: jobs go in, outcomes come out, whatever runs them.

Backends: cluster.local (processes of this machine) and cluster.on_ray (a Ray cluster). The caller owns retries, order
and meaning; a pool owns placement, threads, meters and the hard deadline. No job is ever lost without an outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Status(StrEnum):
    """How a job ended."""

    DONE = "done"
    PARTIAL = "partial"  # stopped by its own deadline, with a usable value
    FAILED = "failed"  # raised
    LATE = "late"  # killed at its hard deadline, or cancelled
    LOST = "lost"  # its worker died, alone or with its machine


@dataclass(frozen=True)
class Partial:
    """What a job's function returns to say: usable, but cut short."""

    value: Any


@dataclass(frozen=True)
class Ref:
    """A handle on a value given to `Pool.put`; passed to a job in `data`, it arrives there as the value."""

    key: str


@dataclass(frozen=True)
class Grant:
    """What a running job may use; the first argument of its function."""

    threads: int
    until: float  # time.monotonic() of the worker at which the function should return what it has
    gpus: float = 0.0  # below one: a share of one, whose memory is limited to it


@dataclass(frozen=True)
class Job:
    """A call of `function` ("module:name") as function(grant, payload, *data) in a worker."""

    id: str
    function: str
    payload: Any = None
    data: tuple[Ref, ...] = ()
    threads: int = 1
    gpus: float = 0.0  # whole ones, or a share of one
    memory_mb: float = 0.0  # that it is expected to need; zero: unknown
    soft_s: float = float("inf")  # the function is asked to return after this many seconds
    hard_s: float = float("inf")  # and its worker is killed after this many
    needs: tuple[str, ...] = ()  # modules that it will import; a local pool that is just importing them waits for that


@dataclass(frozen=True)
class Cost:
    """What a job used. Start-up of the worker is not in it."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_mb: float = 0.0  # largest resident memory of the worker while the job ran
    gpu_s: float = 0.0  # wall seconds times the GPUs granted


@dataclass(frozen=True)
class Outcome:
    """The end of a job."""

    job_id: str
    status: Status
    value: Any = None
    error: str = ""  # one line
    trace: str = ""  # the traceback, for the log
    cost: Cost = field(default_factory=Cost)
    worker: str = ""
    is_memory: bool = False  # whether, as far as can be told, memory ran out


@dataclass(frozen=True)
class Node:
    """A machine that runs jobs."""

    name: str
    cpus: int
    memory_mb: float = 0.0  # that jobs may use together; zero: unknown
    gpus: float = 0.0
    gpu_type: str = ""
    is_spot: bool = False
    busy_cpus: int = 0  # by our own jobs
    busy_gpus: float = 0.0


class Pool(Protocol):
    """Workers that run jobs."""

    goodbye_s: float  # that `close` may take
    shares_disk: bool  # whether a path that its caller knows means the same file to every worker

    @property
    def slots(self) -> int:
        """One-thread jobs that can run side by side; it may change while machines come and go."""

    def nodes(self) -> Sequence[Node]:
        """The machines there are now. A job gets at most the threads of the largest."""

    def put(self, value: Any) -> Ref:
        """Place a value where every worker can read it without a copy of its arrays; they arrive read-only."""

    def forget(self, ref: Ref) -> None:
        """Free a value of `put` that no job asks for any more. Safe to call twice."""

    def submit(self, job: Job) -> None:
        """Queue a job; it starts when its threads are free."""

    def wait(self, timeout_s: float) -> list[Outcome]:
        """The outcomes since the last call, as soon as there is one; empty when time or jobs run out."""

    def cancel(self, job_id: str) -> None:
        """End a queued or running job now; its outcome (LATE) comes through `wait`. Unknown ids are ignored."""

    def close(self) -> None:
        """End every worker at once and free what `put` holds. Safe to call twice."""
