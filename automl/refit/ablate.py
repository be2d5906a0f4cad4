"""What a model loses without one part of a table: the same configuration learned again on one fold, without that part.

Shuffling a column tells what a fitted model rests on; this tells what the column adds to a model that could do without
it. Parts are the decoded columns, and all that is the table's own together. Runs in a worker.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from automl.data.prepare import Shared
from automl.explain.permutation import ErrorJudge, Ground
from automl.modalities.mixture import Raw, without
from automl.scoring import metrics
from automl.search.trial import FoldJob, run_fold
from cluster.pool import Grant, Partial

OWN = "the table's own columns"
SLACK = 1.5  # times as long as the first fit that one without a part may take


@dataclass(frozen=True)
class AblationRequest:
    """Which configuration, on which fold, and how its answers are scored."""

    job: FoldJob
    metric: str
    positive: int = 1


@dataclass(frozen=True)
class Added:
    """What a part adds: how much worse the metric is without it, on rows that no fit has seen."""

    part: str
    without: float  # the error without it
    added: float
    low: float
    high: float  # of the 95 % interval over these rows


@dataclass(frozen=True)
class Ablated:
    """The parts that there was time for, the error with all of them, and on how many rows it was measured."""

    parts: tuple[Added, ...]
    whole: float
    rows: int


def parts(raw: Raw) -> tuple[str, ...]:
    """The parts of a table, its own columns last."""
    has_own = raw.own.shape[1] + raw.codes.shape[1] + len(raw.texts) > 0
    return (*raw.blocks, *((OWN,) if has_own else ()))


def lacking(shared: Shared, part: str) -> Shared:
    """The same rows without one part."""
    raw = shared.raw
    if part == OWN and part not in raw.blocks:
        described = raw.numbers[:, raw.numbers.shape[1] - sum(raw.described.values()) :]
        less = replace(raw, numbers=described, codes=raw.codes[:, :0], texts=(), unseen=())
        return replace(shared, raw=less, labels=(), key=f"{shared.key} without its own")
    blocks = {name: block for name, block in raw.blocks.items() if name != part}
    return replace(shared, raw=replace(without(raw, (part,)), blocks=blocks), key=f"{shared.key} without {part}")


def without_each(grant: Grant, ask: AblationRequest, shared: Shared) -> Ablated:
    """Learn with all parts, then without each in turn, as long as there is time for another."""
    started = time.monotonic()
    metric = metrics.get(ask.metric, shared.levels, ask.positive)
    rows = shared.folds.held(ask.job.fold)
    weight = None if shared.weight is None else shared.weight[rows]
    ground = Ground(shared.raw.take(rows), shared.y[rows], weight, shared.folds.of_row[rows])
    said = _said(grant, ask.job, replace(shared, key=f"{shared.key} whole"))  # encoded anew, to see how long it takes
    took_s = time.monotonic() - started
    judge, found = ErrorJudge(metric, ground, said, repeats=1), []
    whole = float(metric.errors(ground.y, said)(ground.weights))
    for at, part in enumerate(parts(shared.raw)):
        if time.monotonic() + SLACK * took_s > grant.until:
            break
        told = judge.weighed(part, [_said(grant, ask.job, lacking(shared, part))], np.random.default_rng((2, at)))
        found.append(Added(part, whole + told.importance, told.importance, told.low, told.high))
    return Ablated(tuple(found), whole, len(rows))


def _said(grant: Grant, job: FoldJob, shared: Shared) -> np.ndarray:
    """What the configuration says of the rows held out."""
    result = run_fold(grant, job, shared)
    return (result.value if isinstance(result, Partial) else result).predictions
