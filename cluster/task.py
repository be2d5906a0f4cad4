"""A job where it runs, whichever backend brought it there: call its function within its grant, measure, catch.

Whatever the function raises is an outcome; so is a value that cannot travel back.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import pickle
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from cluster.memory import is_out_of_memory
from cluster.meter import Meter
from cluster.pool import Grant, Job, Outcome, Partial, Status


@dataclass(frozen=True)
class Task:
    """A job as it travels to a worker."""

    job_id: str
    function: str
    payload: bytes
    threads: int
    gpus: float
    soft_s: float


@dataclass(frozen=True)
class Begun:
    """A worker has its task in hand."""

    at_s: float  # of the worker's monotonic clock, which is one for all processes of a machine
    cpu_s: float  # what the worker had used before
    log: str = ""  # the file its errors go to, on its machine


def pack(job: Job) -> Task:
    """The job as its worker reads it. Pickled now: what the caller changes later does not reach the job."""
    payload = pickle.dumps(job.payload, protocol=5)
    return Task(job.id, job.function, payload, job.threads, job.gpus, job.soft_s)


def perform(task: Task, meter: Meter, fetch: Callable[[], Sequence[Any]]) -> Outcome:
    """The outcome of a task, its value pickled; `fetch` gives the shared values that the function reads."""
    try:
        value = _call(task, meter.started_s + task.soft_s, fetch)
        status = Status.PARTIAL if isinstance(value, Partial) else Status.DONE
        body = pickle.dumps(value.value if isinstance(value, Partial) else value, protocol=5)
        outcome = Outcome(task.job_id, status, body)
    except BaseException as problem:  # noqa: BLE001 - the edge of the job: whatever it raises is its outcome
        error = " ".join(f"{type(problem).__name__}: {problem}".split())
        is_memory = is_out_of_memory(problem)
        body = pickle.dumps(None)
        outcome = Outcome(task.job_id, Status.FAILED, body, error, traceback.format_exc(), is_memory=is_memory)
    cost = meter.read()
    return replace(outcome, cost=replace(cost, gpu_s=task.gpus * cost.wall_s))


def unpack(outcome: Outcome, worker: str) -> Outcome:
    """The outcome as the driver's caller reads it."""
    try:
        return replace(outcome, value=pickle.loads(outcome.value), worker=worker)  # noqa: S301 - our worker's
    except Exception as problem:  # noqa: BLE001 - unpickling runs the value's own code
        error = f"the value cannot be read here: {type(problem).__name__}: {problem}"
        return replace(outcome, status=Status.FAILED, value=None, error=error, worker=worker)


def _call(task: Task, until_s: float, fetch: Callable[[], Sequence[Any]]) -> Any:
    module, _, name = task.function.partition(":")
    function = getattr(importlib.import_module(module), name)
    payload = pickle.loads(task.payload)  # noqa: S301 - pickled by the driver in submit
    values = fetch()
    with _threads(task.threads):
        _share_gpu(task.gpus)
        return function(Grant(task.threads, until_s, task.gpus), payload, *values)


def _threads(count: int) -> AbstractContextManager[Any]:
    """Native libraries that are loaded by now use so many threads; those loaded later start with one."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    if importlib.util.find_spec("threadpoolctl") is None:
        return contextlib.nullcontext()
    limits: AbstractContextManager[Any] = importlib.import_module("threadpoolctl").threadpool_limits(count)
    return limits


def _share_gpu(share: float) -> None:
    """Keep a job that was granted part of a GPU from taking the memory of the others on it."""
    if 0.0 < share < 1.0 and importlib.util.find_spec("torch") is not None:
        torch = importlib.import_module("torch")
        if torch.cuda.is_available():
            torch.cuda.set_per_process_memory_fraction(share)
