"""What a model says as one column moves: asked of its fitted folds, each about rows that it held out.

Of numbers and dates each step between two values is asked of the rows that lie there (accumulated local effects): no
row is moved far from where it is, so columns that go together lend it no impossible ones. Categories have no between:
all rows are given each in turn. A value is set as permutation.py shuffles: all that is made of a cell moves with it.
Runs in a worker, where libraries are warm.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl.data.prepare import Shared
from automl.explain.cells import Place, shuffled
from automl.explain.permutation import ImportanceRequest, Parts, PermutationPanel, parts_of
from automl.modalities.mixture import Raw
from automl.runtime.folder import RunFolder
from automl.scoring.chance import LEVEL
from automl.scoring.metrics import student
from cluster.pool import Grant

SAFE = 0.8  # of the time that is left is planned with
STACKED_CELLS = 20_000_000  # of copies that are predicted together


@dataclass(frozen=True)
class Sweep:
    """The values that a column is given, as rows that have them, and which rows are asked about each step."""

    place: Place
    donors: tuple[int, ...]  # among the rows asked, in the order of their values
    steps: np.ndarray | None  # of numbers: the step that each row lies in, -1 in none; None: every value for all rows


@dataclass(frozen=True)
class ShapeRequest:
    """Of which models, on which rows, and what is swept."""

    asked: ImportanceRequest  # its readout without a rule for labels: chances are shown
    sweeps: tuple[Sweep, ...]


@dataclass(frozen=True)
class Swept:
    """What was said."""

    told: np.ndarray  # (rows, outputs) of the rows as they are
    moved: tuple[np.ndarray, ...]  # of each sweep that there was time for: (rows, outputs) or (values, rows, outputs)


def of_run(grant: Grant, ask: ShapeRequest, shared: Shared, parts: Parts | None = None) -> Swept:
    """The sweeps in turn, as far as the grant's time goes; `parts`: the fitted folds, where the folder is far."""
    from pathlib import Path

    asked = ask.asked
    files = parts_of(asked, RunFolder(Path(asked.path))) if parts is None else parts
    return sweep(PermutationPanel(asked, grant.threads, files), shared.raw.take(asked.rows), ask, grant.until)


def sweep(panel: PermutationPanel, raw: Raw, ask: ShapeRequest, until: float) -> Swept:
    """Predicted with each column moved, the others as they are."""
    fold, started = ask.asked.fold, time.monotonic()
    told = _wide(panel.predict(raw, fold))
    row_s, moved = (time.monotonic() - started) / max(1, len(raw)), []
    for one in ask.sweeps:
        asks = 2 if one.steps is not None else len(one.donors)
        left_s = until - time.monotonic()
        if not math.isinf(left_s) and asks * len(raw) * row_s > SAFE * left_s:
            break
        moved.append(_of_steps(panel, raw, fold, one) if one.steps is not None else _of_each(panel, raw, fold, one))
    return Swept(told, tuple(moved))


def _of_steps(panel: PermutationPanel, raw: Raw, fold: np.ndarray, one: Sweep) -> np.ndarray:
    """Of each row how much more is said at the end of its step than at the beginning; NaN in none."""
    assert one.steps is not None
    everyone, inside, donors = np.arange(len(raw)), one.steps >= 0, np.array(one.donors)
    ends = [np.where(inside, donors[np.maximum(one.steps, 0) + k], everyone) for k in (0, 1)]
    before, after = _set(panel, raw, fold, one.place, ends)
    return np.where(inside[:, None], after - before, np.nan)


def _of_each(panel: PermutationPanel, raw: Raw, fold: np.ndarray, one: Sweep) -> np.ndarray:
    return np.stack(_set(panel, raw, fold, one.place, [np.full(len(raw), k) for k in one.donors]))


def _set(
    panel: PermutationPanel, raw: Raw, fold: np.ndarray, place: Place, donors: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """What is said where each row's cell is that of another row, for several such choices, a few at once."""
    rows = len(raw)
    at_once = max(1, STACKED_CELLS // max(1, rows * (raw.numbers.shape[1] + 1)))
    said: list[np.ndarray] = []
    for start in range(0, len(donors), at_once):
        some = donors[start : start + at_once]
        copies = raw.take(np.tile(np.arange(rows), len(some)))  # the first of them lends the cells
        said += np.split(_wide(panel.predict(shuffled(copies, place, np.concatenate(some)), np.tile(fold, len(some)))),
                         len(some))  # fmt: skip
    return said


def _wide(told: np.ndarray) -> np.ndarray:
    return told[:, None] if told.ndim == 1 else told


# --- from rows to a curve --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ShapeCurve:
    """The mean answer at each value, and where it may lie: what other training rows and other rows would show."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    change: float  # from the lowest point to the highest
    change_low: float
    change_high: float


def of_steps(moved: np.ndarray, steps: np.ndarray, fold: np.ndarray, weight: np.ndarray, middle: float) -> ShapeCurve:
    """Steps added up, so that the curve's mean over the rows is `middle`; `moved`: one number per row."""
    count = int(steps.max()) + 1
    pooled = np.nan_to_num(_means(moved, steps, weight, count))
    share = np.bincount(steps[steps >= 0], weight[steps >= 0], minlength=count)

    def accumulated(means: np.ndarray) -> np.ndarray:
        curve = np.concatenate([[0.0], np.cumsum(means)])
        return curve - float(share @ (curve[:-1] + curve[1:])) / 2 / float(share.sum())

    each = []
    for k in np.unique(fold).tolist():
        means = _means(np.where(fold == k, moved, np.nan), steps, weight, count)
        each.append(accumulated(np.where(np.isnan(means), pooled, means)))
    return _curve(middle + accumulated(pooled), np.stack(each), _sizes(fold, weight))


def of_each(moved: np.ndarray, fold: np.ndarray, weight: np.ndarray) -> ShapeCurve:
    """The means of (values, rows), and how they differ between folds, apart from how folds differ in all of them."""
    value = np.average(moved, axis=1, weights=weight)
    each = []
    for k in np.unique(fold).tolist():
        own = np.average(moved[:, fold == k], axis=1, weights=weight[fold == k])
        each.append(own - own.mean())
    return _curve(value, np.stack(each), _sizes(fold, weight))


def _curve(value: np.ndarray, each: np.ndarray, sizes: np.ndarray) -> ShapeCurve:
    half = _half(each, sizes)
    top, bottom = int(value.argmax()), int(value.argmin())
    change = float(value[top] - value[bottom])
    wide = float(_half(each[:, [top]] - each[:, [bottom]], sizes)[0])
    return ShapeCurve(value, value - half, value + half, change, max(0.0, change - wide), change + wide)


def _half(each: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Half an interval, by how folds differ: their training rows overlap, which hides a part (Nadeau and Bengio)."""
    folds = len(each)
    if folds < 2:
        return np.full(each.shape[1], np.nan)
    share = sizes / sizes.sum()
    off = each - share @ each
    spread = np.sqrt((share @ np.square(off)) * folds / (folds - 1))
    return np.asarray(student(LEVEL, folds - 1) * spread * math.sqrt(1 / folds + 1 / (folds - 1)))


def _sizes(fold: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.bincount(np.unique(fold, return_inverse=True)[1], weight)


def _means(moved: np.ndarray, steps: np.ndarray, weight: np.ndarray, count: int) -> np.ndarray:
    """Of each step; NaN where no row lies in it."""
    inside = (steps >= 0) & ~np.isnan(moved)
    sums = np.bincount(steps[inside], (weight * moved)[inside], minlength=count)
    sizes = np.bincount(steps[inside], weight[inside], minlength=count)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / sizes)
