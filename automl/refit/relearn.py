"""The same configuration learned again without a column, or without some rows: what it then says of a fold's rows.

Runs in a worker. A column to do without is made to say the same in every row, so that nothing can be learned from it;
rows to do without are only kept out of what is learned: all held-out rows are answered.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from automl.data.prepare import Shared
from automl.explain.cells import Place
from automl.modalities.mixture import Raw
from automl.search.trial import FoldJob, FoldResult, run_fold
from cluster.pool import Grant, Partial


@dataclass(frozen=True)
class Omission:
    """What is to be done without."""

    name: str
    places: tuple[Place, ...] = ()
    rows: np.ndarray | None = None  # of the data set


@dataclass(frozen=True)
class RelearnRequest:
    """Which configuration, on which fold, without what."""

    job: FoldJob
    change: Omission


def relearn(grant: Grant, ask: RelearnRequest, shared: Shared) -> np.ndarray:
    """What the configuration says of the rows that the fold holds out."""
    given = changed(shared, ask.change, ask.job.fold)
    result = run_fold(grant, ask.job, given)
    found: FoldResult = result.value if isinstance(result, Partial) else result
    return found.predictions


def changed(shared: Shared, change: Omission, fold: int) -> Shared:
    """The same folds without a column, or without some rows among those that the fold learns from."""
    if change.places:
        shared = replace(shared, raw=silenced(shared.raw, change.places))
    if change.rows is not None and len(change.rows):
        is_kept = np.ones(len(shared.y), dtype=bool)
        is_kept[change.rows] = False
        is_kept[shared.folds.held(fold)] = True
        shared = taken(shared, np.flatnonzero(is_kept))
    told = b"" if change.rows is None else change.rows.tobytes()
    return replace(shared, key=f"{shared.key} without {change.name} {zlib.crc32(told):08x}")


def taken(shared: Shared, rows: np.ndarray) -> Shared:
    """Some rows, in the folds in which they were."""
    folds = shared.folds
    blocks = None if folds.blocks is None else folds.blocks[rows]
    again = tuple(deal[rows] for deal in folds.again)
    return replace(
        shared,
        raw=shared.raw.take(rows),
        y=shared.y[rows],
        weight=None if shared.weight is None else shared.weight[rows],
        folds=replace(folds, of_row=folds.of_row[rows], blocks=blocks, again=again),
        same_rows=None if shared.same_rows is None else shared.same_rows[rows],
    )


def silenced(raw: Raw, places: Sequence[Place]) -> Raw:
    """The rows with these columns saying the same in each."""
    numbers, codes, texts, unseen, blocks = raw.numbers, raw.codes, list(raw.texts), raw.unseen, dict(raw.blocks)
    for place in places:
        if place.numbers or place.is_block:
            numbers = numbers.copy()
            numbers[:, list(raw.describing(place.name) if place.is_block else place.numbers)] = 0.0
        if place.code is not None:
            codes = codes.copy()
            codes[:, place.code] = 0
            unseen = tuple(one for one in unseen if one.column != place.code)
        if place.text is not None:
            texts[place.text] = np.full(len(raw), "", dtype=object)
        if place.is_block:
            blocks[place.name] = blocks[place.name].take(np.zeros(len(raw), dtype=np.int64))
    return replace(raw, numbers=numbers, codes=codes, texts=tuple(texts), unseen=unseen, blocks=blocks)
