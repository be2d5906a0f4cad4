"""The one way to run code elsewhere: jobs go in, outcomes come out, whatever runs them.

Backends: cluster.local (processes of this machine); a Ray backend fits the same protocol. The caller owns retries,
order and meaning; a pool owns placement, threads, meters and the hard deadline. No job is ever lost without an outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Status(StrEnum):
    """How a job ended."""

    DONE = "done"
    PARTIAL = "partial"  # stopped by its own deadline, with a usable value
    FAILED = "failed"  # raised
    LATE = "late"  # killed at its hard deadline, or cancelled
    LOST = "lost"  # its worker died


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


@dataclass(frozen=True)
class Job:
    """A call of `function` ("module:name") as function(grant, payload, *data) in a worker."""

    id: str
    function: str
    payload: Any = None
    data: tuple[Ref, ...] = ()
    threads: int = 1
    soft_s: float = float("inf")  # the function is asked to return after this many seconds
    hard_s: float = float("inf")  # and its worker is killed after this many


@dataclass(frozen=True)
class Cost:
    """What a job used. Start-up of the worker is not in it."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_mb: float = 0.0  # largest resident memory of the worker while the job ran


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


class Pool(Protocol):
    """Workers that run jobs."""

    slots: int  # one-thread jobs that can run side by side

    def put(self, value: Any) -> Ref:
        """Place a value where every worker can read it without a copy of its arrays; they arrive read-only."""

    def submit(self, job: Job) -> None:
        """Queue a job; it starts when its threads are free."""

    def wait(self, timeout_s: float) -> list[Outcome]:
        """The outcomes since the last call, as soon as there is one; empty when time or jobs run out."""

    def cancel(self, job_id: str) -> None:
        """End a queued or running job now; its outcome (LATE) comes through `wait`. Unknown ids are ignored."""

    def close(self) -> None:
        """End every worker at once and free what `put` holds. Safe to call twice."""
