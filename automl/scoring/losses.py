"""What the metrics count: for each a rule that prepares what no weight changes and gives the error under any weights.

NumPy alone, since these run thousands of times in the driver; nothing here knows names, tasks or directions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Errors = Callable[[np.ndarray], float]  # one weight per row -> error
Rule = Callable[[np.ndarray, np.ndarray], Errors]  # answers, predictions -> errors

FLOOR = 1e-15  # least probability that log loss believes in


# --- losses per row -------------------------------------------------------------------------------------------------


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """Not `a @ b`: that wakes the threads of BLAS, which on a busy machine wait for each other many times longer."""
    return float((a * b).sum())


def mean_of(losses: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Rule:
    """The mean of a loss per row."""

    def rule(y: np.ndarray, p: np.ndarray) -> Errors:
        loss = losses(y, p)
        return lambda w: _dot(w, loss) / float(w.sum())

    return rule


def root_of(losses: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Rule:
    """The root of the mean of a loss per row."""

    def rule(y: np.ndarray, p: np.ndarray) -> Errors:
        mean = mean_of(losses)(y, p)
        return lambda w: math.sqrt(mean(w))

    return rule


def log_loss(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Rows are brought to a sum of one after the floor."""
    p = np.maximum(p, FLOOR)
    loss: np.ndarray = np.log(p.sum(axis=1, dtype=np.float64)) - np.log(p[np.arange(len(y)), y], dtype=np.float64)
    return loss


def brier(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Of two classes the positive one alone; of more, the sum over all."""
    missed = p.astype(np.float64)
    missed[np.arange(len(y)), y] -= 1.0
    loss: np.ndarray = np.square(missed[:, 1] if p.shape[1] == 2 else missed).reshape(len(y), -1).sum(axis=1)
    return loss


def squared(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The square of the miss."""
    loss: np.ndarray = np.square(y - p)
    return loss


def absolute(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The size of the miss."""
    loss: np.ndarray = np.abs(y - p)
    return loss


def pinball_of(levels: tuple[float, ...]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The pinball loss of (rows, levels) quantiles, averaged over the levels."""
    at = np.array(levels)

    def pinball(y: np.ndarray, p: np.ndarray) -> np.ndarray:
        short = y[:, None] - p  # an answer above its quantile costs the level, one below it the rest
        loss: np.ndarray = np.maximum(at * short, (at - 1.0) * short).mean(axis=1)
        return loss

    return pinball


def squared_log(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Numbers below zero count as zero."""
    return squared(np.log1p(np.maximum(y, 0.0)), np.log1p(np.maximum(p, 0.0, dtype=np.float64)))


def mape(y: np.ndarray, p: np.ndarray) -> Errors:
    """Rows whose answer is zero have no percentage and are left out; if no other is left, their mean absolute error."""
    known = y != 0
    loss = np.abs(y - p) / np.where(known, np.abs(y), 1.0)

    def error(w: np.ndarray) -> float:
        w = w * known if (w * known).any() else w
        return _dot(w, loss) / float(w.sum())

    return error


def wape(y: np.ndarray, p: np.ndarray) -> Errors:
    """All misses together, as a share of all answers together; where these are all zero, the mean miss."""
    miss, size = np.abs(y - p), np.abs(y)

    def error(w: np.ndarray) -> float:
        whole = _dot(w, size)
        return _dot(w, miss) / (whole if whole > 0 else float(w.sum()))

    return error


def symmetric(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The miss as a share of the mean of both sizes, up to two; where both are zero there is none."""
    size = (np.abs(y) + np.abs(p)) / 2
    loss: np.ndarray = np.where(size > 0, np.abs(y - p) / np.where(size > 0, size, 1.0), 0.0)
    return loss


def scaled_absolute(y: np.ndarray, p: np.ndarray) -> Errors:
    """The mean of misses that weights scale: a weight is one over what the row's series usually changes."""
    loss = absolute(y, p)
    return lambda w: _dot(w, loss) / len(loss)


def scaled_squared(y: np.ndarray, p: np.ndarray) -> Errors:
    """The root of the mean of squares that weights scale."""
    loss = squared(y, p)
    return lambda w: math.sqrt(_dot(w, loss) / len(loss))


def median_absolute(y: np.ndarray, p: np.ndarray) -> Errors:
    """Where exactly half of the weight lies below, the middle of the two neighbours."""
    loss = np.abs(y - p)
    order = np.argsort(loss)
    loss = loss[order]

    def error(w: np.ndarray) -> float:
        w = w[order]
        has_weight = w > 0
        below, seen = np.cumsum(w[has_weight]), loss[has_weight]
        half = below[-1] / 2
        return float(seen[np.searchsorted(below, half, "left")] + seen[np.searchsorted(below, half, "right")]) / 2

    return error


def unexplained(y: np.ndarray, p: np.ndarray) -> Errors:
    """1 - r2. Equal answers have nothing to explain: zero if all are met, else one."""
    residual = np.square(y - p)
    y = y - y[0]  # equal answers become exact zeros

    def error(w: np.ndarray) -> float:
        left, spread = _dot(w, residual), _dot(w, np.square(y - _dot(w, y) / float(w.sum())))
        if spread <= 1e-24 * _dot(w, np.square(y)):  # what rounding leaves of equal answers
            return float(left > 0)
        return left / spread

    return error


# --- labels ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TableRule:
    """A score of the weighted shares of true (rows) by predicted (columns) classes; 0 / 0 counts as 0 in it."""

    formula: Callable[[np.ndarray], float]

    def __call__(self, y: np.ndarray, p: np.ndarray) -> Errors:
        """The error of predictions."""
        classes = p.shape[1]
        cell = y * classes + p.argmax(axis=1)

        def error(w: np.ndarray) -> float:
            return self.error_of(np.bincount(cell, w, minlength=classes**2).reshape(classes, classes))

        return error

    def error_of(self, table: np.ndarray) -> float:
        """The error that a table of weights makes."""
        return 1.0 - self.formula(table / table.sum())


def f1s(table: np.ndarray) -> np.ndarray:
    """F1 of each class."""
    each: np.ndarray = 2 * np.diag(table) / np.maximum(table.sum(axis=0) + table.sum(axis=1), 1e-300)
    return each


def f1_of(positive: int) -> Rule:
    """1 - F1 of this class."""
    return TableRule(lambda table: float(f1s(table)[positive]))


def f1_macro(table: np.ndarray) -> float:
    """The mean over the classes that occur among answers or predictions."""
    return float(f1s(table)[(table.sum(axis=0) + table.sum(axis=1)) > 0].mean())


def balanced(table: np.ndarray) -> float:
    """The mean recall of the classes that occur among the answers."""
    true = table.sum(axis=1)
    return float((np.diag(table)[true > 0] / true[true > 0]).mean())


def mcc(table: np.ndarray) -> float:
    """Zero where answers or predictions are all of one class."""
    true, told = table.sum(axis=1), table.sum(axis=0)
    scale = math.sqrt(max(0.0, (1 - true @ true) * (1 - told @ told)))
    return min(1.0, max(-1.0, float(np.trace(table) - true @ told) / scale)) if scale > 1e-12 else 0.0


# --- rankings -------------------------------------------------------------------------------------------------------


def _counts_of(is_positive: np.ndarray, p: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Weights of positive and of negative rows at or above each distinct prediction, from the highest down."""
    order = np.argsort(-p)
    ranked, positive = p[order], is_positive[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(p) - 1)

    def counts(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w = w[order]
        hits, rows = np.cumsum(w * positive)[ends], np.cumsum(w)[ends]
        return hits, np.maximum(rows - hits, 0.0)

    return counts


def misranked(y: np.ndarray, p: np.ndarray) -> Errors:
    """1 - area under the ROC curve, of more than two classes the mean of each against the rest.

    A class without rows, or with all of them, is left out; if none is left, nothing is ranked: 0.5.
    """
    classes = (1,) if p.shape[1] == 2 else range(p.shape[1])
    each = [_counts_of(y == k, p[:, k]) for k in classes]

    def error(w: np.ndarray) -> float:
        areas = []
        for counts in each:
            hits, misses = counts(w)
            if min(hits[-1], misses[-1]) > 1e-12 * w.sum():  # what rounding leaves of nothing
                above = np.append(0.0, hits[:-1]) + hits  # twice the positives above a negative, ties by half
                areas.append(_dot(above, np.diff(misses, prepend=0.0)) / (2 * hits[-1] * misses[-1]))
        return max(0.0, 1.0 - sum(areas) / len(areas)) if areas else 0.5

    return error


def imprecision_of(positive: int) -> Rule:
    """1 - average precision of this class; without a row of it nothing can be found: one."""

    def rule(y: np.ndarray, p: np.ndarray) -> Errors:
        counts = _counts_of(y == positive, p[:, positive])

        def error(w: np.ndarray) -> float:
            hits, misses = counts(w)
            precision = hits / np.maximum(hits + misses, 1e-300)
            return max(0.0, 1.0 - _dot(np.diff(hits, prepend=0.0), precision) / hits[-1]) if hits[-1] > 0 else 1.0

        return error

    return rule
