"""Scores by name, their direction, the default per task, and the intervals that chance leaves round them.

NumPy alone: these run thousands of times in the driver, and importing scikit-learn would cost seconds of every budget.
Each metric is a rule that prepares what no weight changes (a sort, a loss per row) and returns the error as a function
of the weights; a bootstrap round is then only new weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from automl.errors import OptionError
from automl.options import near
from search_spaces.spec import Task

Errors = Callable[[np.ndarray], float]  # one weight per row -> error
Rule = Callable[[np.ndarray, np.ndarray], Errors]  # answers, predictions -> errors

FLOOR = 1e-15  # least probability that log loss believes in
BOOTSTRAP_ROWS = 20_000  # of larger data a sample is redrawn and the width scaled to all rows


@dataclass(frozen=True)
class Metric:
    """A score with its direction.

    Predictions are (rows, classes) probabilities for classification, where label metrics take the likeliest class (the
    first among equals), and (rows,) numbers for regression. Predictions that are not all finite have an infinite error;
    weights that are all zero count as equal. No result is NaN and nothing warns.
    """

    name: str
    tasks: tuple[Task, ...]
    higher_is_better: bool  # then one is perfect
    needs: Literal["probability", "label", "value"]
    rule: Rule = field(repr=False)

    def score(self, y: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None = None) -> float:
        """The value as users read it."""
        return self.to_score(self.error(y, predictions, weight))

    def error(self, y: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None = None) -> float:
        """The value as something to minimise; zero is perfect."""
        return self.errors(y, predictions)(np.ones(len(y)) if weight is None else weight)

    def to_score(self, error: float) -> float:
        """The score that an error stands for."""
        return 1.0 - error if self.higher_is_better else error

    def errors(self, y: np.ndarray, predictions: np.ndarray) -> Errors:
        """The error under any weights; what does not depend on them is computed once."""
        y, predictions = np.asarray(y), np.asarray(predictions)
        columns = 1 if self.needs == "value" else 2
        if not len(y) or len(y) != len(predictions) or predictions.ndim != columns:
            raise ValueError(
                f"{self.name} needs predictions with {columns} axes and one row per answer, "
                f"got shape {predictions.shape} for {len(y)} answers."
            )
        if not np.isfinite(predictions).all():
            return lambda _: math.inf
        with np.errstate(all="ignore"):
            of_weights = self.rule(y.astype(np.float64 if columns == 1 else np.int64, copy=False), predictions)

        def error(weight: np.ndarray) -> float:
            with np.errstate(all="ignore"):
                value = float(of_weights(weight if weight.any() else np.ones(len(weight))))
            return value if math.isfinite(value) else math.inf

        return error


# --- rules: losses per row -------------------------------------------------------------------------------------------


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """Not `a @ b`: that wakes the threads of BLAS, which on a busy machine wait for each other many times longer."""
    return float((a * b).sum())


def _mean_of(losses: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Rule:
    """The mean of a loss per row."""

    def rule(y: np.ndarray, p: np.ndarray) -> Errors:
        loss = losses(y, p)
        return lambda w: _dot(w, loss) / float(w.sum())

    return rule


def _root_of(losses: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Rule:
    """The root of the mean of a loss per row."""

    def rule(y: np.ndarray, p: np.ndarray) -> Errors:
        mean = _mean_of(losses)(y, p)
        return lambda w: math.sqrt(mean(w))

    return rule


def _log_loss(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Rows are brought to a sum of one after the floor."""
    p = np.maximum(p, FLOOR)
    loss: np.ndarray = np.log(p.sum(axis=1, dtype=np.float64)) - np.log(p[np.arange(len(y)), y], dtype=np.float64)
    return loss


def _brier(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Of two classes the positive one alone; of more, the sum over all."""
    missed = p.astype(np.float64)
    missed[np.arange(len(y)), y] -= 1.0
    loss: np.ndarray = np.square(missed[:, 1] if p.shape[1] == 2 else missed).reshape(len(y), -1).sum(axis=1)
    return loss


def _squared(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    loss: np.ndarray = np.square(y - p)
    return loss


def _absolute(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    loss: np.ndarray = np.abs(y - p)
    return loss


def _squared_log(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Numbers below zero count as zero."""
    return _squared(np.log1p(np.maximum(y, 0.0)), np.log1p(np.maximum(p, 0.0, dtype=np.float64)))


def _mape(y: np.ndarray, p: np.ndarray) -> Errors:
    """Rows whose answer is zero have no percentage and are left out; if no other is left, their mean absolute error."""
    known = y != 0
    loss = np.abs(y - p) / np.where(known, np.abs(y), 1.0)

    def error(w: np.ndarray) -> float:
        w = w * known if (w * known).any() else w
        return _dot(w, loss) / float(w.sum())

    return error


def _median_absolute(y: np.ndarray, p: np.ndarray) -> Errors:
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


def _unexplained(y: np.ndarray, p: np.ndarray) -> Errors:
    """1 - r2. Equal answers have nothing to explain: zero if all are met, else one."""
    residual = np.square(y - p)
    y = y - y[0]  # equal answers become exact zeros

    def error(w: np.ndarray) -> float:
        left, spread = _dot(w, residual), _dot(w, np.square(y - _dot(w, y) / float(w.sum())))
        if spread <= 1e-24 * _dot(w, np.square(y)):  # what rounding leaves of equal answers
            return float(left > 0)
        return left / spread

    return error


# --- rules: labels ---------------------------------------------------------------------------------------------------


def _table_of(formula: Callable[[np.ndarray], float]) -> Rule:
    """A score of the weighted shares of true (rows) by predicted (columns) classes; 0 / 0 counts as 0 in it."""

    def rule(y: np.ndarray, p: np.ndarray) -> Errors:
        classes = p.shape[1]
        cell = y * classes + p.argmax(axis=1)

        def error(w: np.ndarray) -> float:
            table = np.bincount(cell, w, minlength=classes**2).reshape(classes, classes)
            return 1.0 - formula(table / table.sum())

        return error

    return rule


def _f1s(table: np.ndarray) -> np.ndarray:
    each: np.ndarray = 2 * np.diag(table) / np.maximum(table.sum(axis=0) + table.sum(axis=1), 1e-300)
    return each


def _f1_macro(table: np.ndarray) -> float:
    """The mean over the classes that occur among answers or predictions."""
    return float(_f1s(table)[(table.sum(axis=0) + table.sum(axis=1)) > 0].mean())


def _balanced(table: np.ndarray) -> float:
    """The mean recall of the classes that occur among the answers."""
    true = table.sum(axis=1)
    return float((np.diag(table)[true > 0] / true[true > 0]).mean())


def _mcc(table: np.ndarray) -> float:
    """Zero where answers or predictions are all of one class."""
    true, told = table.sum(axis=1), table.sum(axis=0)
    scale = math.sqrt(max(0.0, (1 - true @ true) * (1 - told @ told)))
    return min(1.0, max(-1.0, float(np.trace(table) - true @ told) / scale)) if scale > 1e-12 else 0.0


# --- rules: rankings -------------------------------------------------------------------------------------------------


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


def _misranked(y: np.ndarray, p: np.ndarray) -> Errors:
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


def _imprecision(y: np.ndarray, p: np.ndarray) -> Errors:
    """1 - average precision; without a positive row nothing can be found: one."""
    counts = _counts_of(y == 1, p[:, 1])

    def error(w: np.ndarray) -> float:
        hits, misses = counts(w)
        precision = hits / np.maximum(hits + misses, 1e-300)
        return max(0.0, 1.0 - _dot(np.diff(hits, prepend=0.0), precision) / hits[-1]) if hits[-1] > 0 else 1.0

    return error


# --- the registry ----------------------------------------------------------------------------------------------------

_BINARY: tuple[Task, ...] = ("binary",)
_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
_NUMBER: tuple[Task, ...] = ("regression",)

_ALL = (
    Metric("roc_auc", _CLASSES, True, "probability", _misranked),
    Metric("log_loss", _CLASSES, False, "probability", _mean_of(_log_loss)),
    Metric("accuracy", _CLASSES, True, "label", _table_of(lambda t: float(np.trace(t)))),
    Metric("balanced_accuracy", _CLASSES, True, "label", _table_of(_balanced)),
    Metric("f1", _BINARY, True, "label", _table_of(lambda t: float(_f1s(t)[1]))),
    Metric("f1_macro", _CLASSES, True, "label", _table_of(_f1_macro)),
    Metric("f1_weighted", _CLASSES, True, "label", _table_of(lambda t: float(_f1s(t) @ t.sum(axis=1)))),
    Metric("average_precision", _BINARY, True, "probability", _imprecision),
    Metric("mcc", _CLASSES, True, "label", _table_of(_mcc)),
    Metric("brier", _CLASSES, False, "probability", _mean_of(_brier)),
    Metric("rmse", _NUMBER, False, "value", _root_of(_squared)),
    Metric("mae", _NUMBER, False, "value", _mean_of(_absolute)),
    Metric("r2", _NUMBER, True, "value", _unexplained),
    Metric("mape", _NUMBER, False, "value", _mape),
    Metric("medae", _NUMBER, False, "value", _median_absolute),
    Metric("rmsle", _NUMBER, False, "value", _root_of(_squared_log)),
)
_BY_NAME = {metric.name: metric for metric in _ALL}

_DEFAULTS: dict[Task, tuple[str, str]] = {
    "binary": ("roc_auc", "metric= not given, two classes: how well rows are ranked, whatever the threshold"),
    "multiclass": ("log_loss", "metric= not given, several classes: how good the probabilities are"),
    "regression": ("rmse", "metric= not given, a number: large misses count most"),
}


def get(name: str) -> Metric:
    """The metric of this name."""
    if name not in _BY_NAME:
        raise OptionError(f"metric={name!r} is not known.{near(name, _BY_NAME)} Choose from {', '.join(_BY_NAME)}.")
    return _BY_NAME[name]


def names(task: Task) -> list[str]:
    """The metrics that score a task."""
    return [metric.name for metric in _ALL if task in metric.tasks]


def default(task: Task) -> tuple[str, str]:
    """The metric for a task when none was asked for, and why it is this one."""
    return _DEFAULTS[task]


# --- intervals -------------------------------------------------------------------------------------------------------


def interval(
    metric: Metric,
    y: np.ndarray,
    predictions: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    level: float = 0.95,
    rounds: int = 200,
    seed: int = 0,
) -> tuple[float, float]:
    """Where the score may lie on other rows of the same kind, (low, high): percentile bootstrap over rows.

    Squared errors with a heavy tail are held somewhat less often than `level` says while rows are few.
    """
    error = metric.error(y, predictions, weight)
    if math.isinf(error):
        return metric.to_score(error), metric.to_score(error)
    moves = _moves(metric, y, [predictions], weight, rounds, seed)[:, 0]
    low, high = (metric.to_score(max(0.0, end)) for end in _ends(error, moves, level))
    return min(low, high), max(low, high)


def paired_interval(
    metric: Metric,
    y: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    level: float = 0.95,
    rounds: int = 200,
    seed: int = 0,
) -> tuple[float, float]:
    """Where error(a) - error(b) may lie, both on the same redrawn rows: (low, high); all above zero: b is better."""
    first, second = metric.error(y, a, weight), metric.error(y, b, weight)
    if math.isinf(first) or math.isinf(second):
        return (-math.inf, math.inf) if first == second else (first - second, first - second)
    moves = _moves(metric, y, [a, b], weight, rounds, seed)
    return _ends(first - second, moves[:, 0] - moves[:, 1], level)


def sample_rows(y: np.ndarray, most: int, seed: int = 0) -> np.ndarray:
    """At most this many row numbers, rising, spread evenly over the sorted answers: classes keep their shares."""
    if len(y) <= most:
        return np.arange(len(y))
    shuffled = np.random.default_rng(seed).permutation(len(y))
    order = shuffled[np.argsort(y[shuffled], kind="stable")]
    return np.sort(order[((np.arange(most) + 0.5) * len(y) / most).astype(np.int64)])


def _moves(
    metric: Metric, y: np.ndarray, several: Sequence[np.ndarray], weight: np.ndarray | None, rounds: int, seed: int
) -> np.ndarray:
    """(rounds, several): how far each error moves when rows are redrawn, scaled to the number of all rows."""
    rows = sample_rows(y, BOOTSTRAP_ROWS, seed)
    base = np.ones(len(rows)) if weight is None else np.asarray(weight, dtype=np.float64)[rows]
    each = [metric.errors(y[rows], predictions[rows]) for predictions in several]
    random = np.random.default_rng(seed)
    moves = np.empty((rounds, len(each)))
    for drawn in moves:
        weights = base * np.bincount(random.integers(0, len(rows), len(rows)), minlength=len(rows))
        drawn[:] = [errors(weights) for errors in each]
    return (moves - [errors(base) for errors in each]) * math.sqrt(len(rows) / len(y))


def _ends(middle: float, moves: np.ndarray, level: float) -> tuple[float, float]:
    """The interval, stretched where the bootstrap's own bias would leave the middle outside."""
    low, high = np.quantile(moves, [(1 - level) / 2, (1 + level) / 2])
    return middle + min(0.0, float(low)), middle + max(0.0, float(high))
