"""What a run's end asks of a worker: one job at a time, with what its worker needs to answer.

A worker may stand on a machine that sees no folder of the driver's. There a saved model and the files that cells name
travel with the question, through the pool's own store; where workers read the driver's disk, a path is enough.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.modalities import mixture
from automl.model import artifact
from automl.model.predictor import Model
from automl.runtime.context import RunContext
from cluster.pool import Job, Outcome, Pool, Ref, Status

if TYPE_CHECKING:
    import pandas as pd

TICK_S = 0.1
LIVES = 3  # of the job that tries a saved model, should its worker die
PORTION_MB = 64.0  # of files that travel with one question

Packed = Mapping[str, bytes]  # the files of a saved model, by their place in its folder


def ask(job: Job, context: RunContext) -> Outcome:
    """How a job ended; what else ends meanwhile no one asks for any more. Lost, where no machine is left to do it."""
    return ask_each((job,), context)[0]


def ask_each(jobs: Sequence[Job], context: RunContext, until: float = math.inf) -> list[Outcome]:
    """How jobs ended that run side by side, in their order; those that are not done by `until` are late."""
    pool, ended = context.pool, dict[str, Outcome]()
    for job in jobs:
        pool.submit(job)
    open_ids = {job.id for job in jobs}
    while open_ids:
        for outcome in pool.wait(min(TICK_S, max(0.0, until - time.monotonic()))):
            if outcome.job_id in open_ids:
                ended[outcome.job_id] = outcome
                open_ids.discard(outcome.job_id)
        context.look_around()
        if context.is_deserted or time.monotonic() >= until:
            status, why = (Status.LOST, context.deserted) if context.is_deserted else (Status.LATE, "")
            for one in open_ids:
                pool.cancel(one)
                ended[one] = Outcome(one, status, error=why)
            break
    return [ended[job.id] for job in jobs]


def ask_lastingly(job: Job, context: RunContext) -> Outcome:
    """How a job ended that tries the saved model; again where its worker died or memory ran out."""
    for _ in range(LIVES):
        outcome = ask(job, context)
        if outcome.status in (Status.DONE, Status.LATE) or context.is_deserted:
            break
        if outcome.status is Status.FAILED and not outcome.is_memory:  # what others held may be free by now
            break
    return outcome


def ask_with(parts: Callable[[], Any], job: Job, context: RunContext) -> Outcome:
    """How a job ended that reads parts of the run's folder: they travel with it where its worker sees none."""
    with _carried(parts, context.pool) as data:
        return ask(replace(job, data=(*job.data, *data)), context)


@contextmanager
def reached(model: Path, pool: Pool) -> Iterator[tuple[Ref, ...]]:
    """What a job carries as its data so that `opened` finds the model in its worker; nothing where a path will do."""
    with _carried(lambda: artifact.pack(model), pool) as data:
        yield data


@contextmanager
def _carried(pack: Callable[[], Any], pool: Pool) -> Iterator[tuple[Ref, ...]]:
    if pool.shares_disk:
        yield ()
        return
    ref = pool.put(pack())
    try:
        yield (ref,)
    finally:
        pool.forget(ref)


def opened(path: str, packed: Packed | None) -> Model:
    """The model, in a worker: the one that travelled with the job, else the one at its place."""
    return artifact.load(path) if packed is None else artifact.unpack(packed)


def portions(rows: pd.DataFrame, claims: Mapping[str, str], pool: Pool) -> Iterator[pd.DataFrame]:
    """Rows as a worker can read them: as they are, or in parts with the files that their cells name."""
    if pool.shares_disk or not claims or not len(rows):
        yield rows
    else:
        yield from mixture.portions(rows, claims, PORTION_MB)
