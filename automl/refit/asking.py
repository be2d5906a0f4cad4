"""What a run's end asks of a worker: one job at a time, with what its worker needs to answer.

A worker may stand on a machine that sees no folder of the driver's. There a saved model and the files that cells name
travel with the question, through the pool's own store; where workers read the driver's disk, a path is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from automl.modalities import mixture
from automl.model import artifact
from automl.model.predictor import Model
from automl.runtime.context import RunContext
from cluster.pool import Job, Outcome, Pool, Ref, Status

if TYPE_CHECKING:
    import pandas as pd

TICK_S = 0.1
PORTION_MB = 64.0  # of files that travel with one question

Packed = Mapping[str, bytes]  # the files of a saved model, by their place in its folder


def ask(job: Job, context: RunContext) -> Outcome:
    """How a job ended; what else ends meanwhile no one asks for any more. Lost, where no machine is left to do it."""
    pool = context.pool
    pool.submit(job)
    while True:
        for outcome in pool.wait(TICK_S):
            if outcome.job_id == job.id:
                return outcome
        context.look_around()
        if context.is_deserted:
            pool.cancel(job.id)
            return Outcome(job.id, Status.LOST, error=context.deserted)


@contextmanager
def reached(model: Path, pool: Pool) -> Iterator[tuple[Ref, ...]]:
    """What a job carries as its data so that `opened` finds the model in its worker; nothing where a path will do."""
    if pool.shares_disk:
        yield ()
        return
    ref = pool.put(artifact.pack(model))
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
