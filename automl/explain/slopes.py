"""How steep a line is in each column, in spreads of the column, and how much that differs from fold to fold.

A line may bend, and a category has a slope for each label. So a column's coefficient is how far its additions spread
over rows: of a straight slope that is the slope times the column's own spread, which is the standardised coefficient.
Its sign is that of rising with the column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl.explain.cells import Place
from automl.explain.paths import AskedPart, PathQuestion, by_place, by_source, known
from automl.modalities.mixture import Raw
from automl.records import Calibration

STRAIGHT = 0.5  # correlation of additions with the column's ranks from which a line is said to rise or fall


@dataclass(frozen=True)
class Slope:
    """A column, and how far the line moves with it."""

    column: str
    coefficient: float  # mean over folds; below zero where it falls as the column rises
    low: float
    high: float  # of the folds
    output: int  # which of the model's raw outputs it is of: that which it moves most


def slopes(raw: Raw, usual: Raw, places: Sequence[Place], folds: Sequence[AskedPart]) -> tuple[Slope, ...]:
    """Of each column, the steepest first; none where a fold is no line."""
    found = []
    for fold in folds:
        question = PathQuestion(raw, usual, np.zeros(len(raw), dtype=np.int64), Calibration(), is_numeric=True)
        told = known(question, [fold])
        if told is None:
            return ()
        added = told[0].added.values
        outputs = [by_place(added[:, :, k], told[0].sources, by_source(places)) for k in range(added.shape[2])]
        found.append(np.stack(outputs))  # (outputs, rows, columns)
    spread = np.stack([one.std(axis=1) for one in found])  # (folds, outputs, columns)
    steepest = spread.mean(axis=0).argmax(axis=0)
    told_of = []
    for at, place in enumerate(places):
        output = int(steepest[at])
        signed = [_sign(raw, place, one[output, :, at]) * float(one[output, :, at].std()) for one in found]
        told_of.append(Slope(place.name, float(np.mean(signed)), min(signed), max(signed), output))
    return tuple(sorted(told_of, key=lambda one: -abs(one.coefficient)))


def _sign(raw: Raw, place: Place, added: np.ndarray) -> float:
    """-1 where additions fall as the column's number rises, else 1; a category has no direction."""
    if not place.numbers or added.std() <= 0:
        return 1.0
    values = raw.numbers[:, place.numbers[0]].astype(np.float64)
    is_known = np.isfinite(values)
    if is_known.sum() < 2 or values[is_known].std() <= 0 or added[is_known].std() <= 0:
        return 1.0
    ranks = np.argsort(np.argsort(values[is_known], kind="stable"), kind="stable")
    return -1.0 if np.corrcoef(ranks, added[is_known])[0, 1] < -STRAIGHT else 1.0
