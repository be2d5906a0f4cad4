"""Scores by name, their direction, the default per task, and the intervals that chance leaves round them.

NumPy alone: these run thousands of times in the driver, and importing scikit-learn would cost seconds of every budget.
Each metric is a rule (losses.py) that prepares what no weight changes and returns the error as a function of the
weights; a bootstrap round is then only new weights. A user's function becomes such a metric in own_metric.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Literal

import numpy as np

from automl import losses
from automl.errors import OptionError
from automl.losses import Errors, Rule
from automl.options import near
from search_spaces.spec import Task

BOOTSTRAP_ROWS = 20_000  # of larger data a sample is redrawn and the width scaled to all rows
OWN_ROWS = 1_000  # the same where the metric is the user's function, which may take milliseconds


@dataclass(frozen=True)
class Own:
    """What holds for a metric that is the user's function."""

    perfect: float  # its score of the answers themselves, which counts as an error of zero
    proxy: Metric  # the named one that the weights of a blend are chosen by, since that takes thousands of looks
    rounds: int  # times that rows are redrawn for an interval, at most
    wait_s: float  # what comparing the candidates takes, about


@dataclass(frozen=True)
class Metric:
    """A score with its direction.

    Predictions are (rows, classes) probabilities for classification, where label metrics take the likeliest class (the
    first among equals), (rows,) numbers for regression, (rows, levels) numbers for quantiles. Predictions that are not
    all finite have an infinite error; weights that are all zero count as equal. No result is NaN and nothing warns.
    """

    name: str
    tasks: tuple[Task, ...]
    higher_is_better: bool  # then one is perfect
    needs: Literal["probability", "label", "value", "quantiles"]
    rule: Rule = field(repr=False)
    own: Own | None = None

    @property
    def is_of_classes(self) -> bool:
        """Whether it scores classes, not numbers."""
        return self.needs in ("probability", "label")

    @property
    def wait_s(self) -> float:
        """What comparing the candidates takes, where it is worth counting."""
        return self.own.wait_s if self.own else 0.0

    def score(self, y: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None = None) -> float:
        """The value as users read it."""
        return self.to_score(self.error(y, predictions, weight))

    def error(self, y: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None = None) -> float:
        """The value as something to minimise; zero is perfect."""
        return self.errors(y, predictions)(np.ones(len(y)) if weight is None else weight)

    def to_score(self, error: float) -> float:
        """The score that an error stands for."""
        perfect = self.own.perfect if self.own else float(self.higher_is_better)
        return perfect - error if self.higher_is_better else perfect + error

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
            of_weights = self.rule(y.astype(np.int64 if self.is_of_classes else np.float64, copy=False), predictions)

        def error(weight: np.ndarray) -> float:
            with np.errstate(all="ignore"):
                value = float(of_weights(weight if weight.any() else np.ones(len(weight))))
            return value if math.isfinite(value) else math.inf

        return error


# --- the registry ----------------------------------------------------------------------------------------------------

_BINARY: tuple[Task, ...] = ("binary",)
_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
_NUMBER: tuple[Task, ...] = ("regression",)
_QUANTILES: tuple[Task, ...] = ("quantile",)

_ALL = (
    Metric("roc_auc", _CLASSES, True, "probability", losses.misranked),
    Metric("log_loss", _CLASSES, False, "probability", losses.mean_of(losses.log_loss)),
    Metric("accuracy", _CLASSES, True, "label", losses.table_of(lambda t: float(np.trace(t)))),
    Metric("balanced_accuracy", _CLASSES, True, "label", losses.table_of(losses.balanced)),
    Metric("f1", _BINARY, True, "label", losses.table_of(lambda t: float(losses.f1s(t)[1]))),
    Metric("f1_macro", _CLASSES, True, "label", losses.table_of(losses.f1_macro)),
    Metric("f1_weighted", _CLASSES, True, "label", losses.table_of(lambda t: float(losses.f1s(t) @ t.sum(axis=1)))),
    Metric("average_precision", _BINARY, True, "probability", losses.imprecision),
    Metric("mcc", _CLASSES, True, "label", losses.table_of(losses.mcc)),
    Metric("brier", _CLASSES, False, "probability", losses.mean_of(losses.brier)),
    Metric("rmse", _NUMBER, False, "value", losses.root_of(losses.squared)),
    Metric("mae", _NUMBER, False, "value", losses.mean_of(losses.absolute)),
    Metric("r2", _NUMBER, True, "value", losses.unexplained),
    Metric("mape", _NUMBER, False, "value", losses.mape),
    Metric("medae", _NUMBER, False, "value", losses.median_absolute),
    Metric("rmsle", _NUMBER, False, "value", losses.root_of(losses.squared_log)),
    Metric("pinball", _QUANTILES, False, "quantiles", losses.mean_of(losses.pinball_of((0.5,)))),  # see `get`
)
_BY_NAME = {metric.name: metric for metric in _ALL}

_DEFAULTS: dict[Task, tuple[str, str]] = {
    "binary": ("roc_auc", "metric= not given, two classes: how well rows are ranked, whatever the threshold"),
    "multiclass": ("log_loss", "metric= not given, several classes: how good the probabilities are"),
    "regression": ("rmse", "metric= not given, a number: large misses count most"),
    "quantile": ("pinball", "quantiles= was given: the mean over the levels of the loss that a quantile makes least"),
}


def get(name: str, levels: tuple[float, ...] = ()) -> Metric:
    """The metric of this name; that of quantiles scores these levels."""
    if name not in _BY_NAME:
        raise OptionError(f"metric={name!r} is not known.{near(name, _BY_NAME)} Choose from {', '.join(_BY_NAME)}.")
    found = _BY_NAME[name]
    return replace(found, rule=losses.mean_of(losses.pinball_of(levels))) if levels else found


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
    most_rows: int = BOOTSTRAP_ROWS,
) -> tuple[float, float]:
    """Where the score may lie on other rows of the same kind, (low, high): percentile bootstrap over rows.

    Squared errors with a heavy tail are held somewhat less often than `level` says while rows are few. A user's
    function is asked less often, and the spread of what it says is read as that of a normal distribution. Of more rows
    than `most_rows` so many are redrawn.
    """
    error = metric.error(y, predictions, weight)
    if math.isinf(error):
        return metric.to_score(error), metric.to_score(error)
    moves = _moves(metric, y, [predictions], weight, rounds, seed, most_rows=most_rows)[:, 0]
    low, high = (metric.to_score(max(min(0.0, error), end)) for end in _ends(metric, error, moves, level))
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
    return _ends(metric, first - second, moves[:, 0] - moves[:, 1], level)


def sample_rows(y: np.ndarray, most: int, seed: int = 0) -> np.ndarray:
    """At most this many row numbers, rising, spread evenly over the sorted answers: classes keep their shares."""
    if len(y) <= most:
        return np.arange(len(y))
    shuffled = np.random.default_rng(seed).permutation(len(y))
    order = shuffled[np.argsort(y[shuffled], kind="stable")]
    return np.sort(order[((np.arange(most) + 0.5) * len(y) / most).astype(np.int64)])


def _moves(
    metric: Metric,
    y: np.ndarray,
    several: Sequence[np.ndarray],
    weight: np.ndarray | None,
    rounds: int,
    seed: int,
    *,
    most_rows: int = BOOTSTRAP_ROWS,
) -> np.ndarray:
    """(rounds, several): how far each error moves when rows are redrawn, scaled to the number of all rows."""
    rows = sample_rows(y, OWN_ROWS if metric.own else most_rows, seed)
    rounds = min(rounds, metric.own.rounds) if metric.own else rounds
    base = np.ones(len(rows)) if weight is None else np.asarray(weight, dtype=np.float64)[rows]
    each = [metric.errors(y[rows], predictions[rows]) for predictions in several]
    random = np.random.default_rng(seed)
    moves = np.empty((rounds, len(each)))
    for drawn in moves:
        weights = base * np.bincount(random.integers(0, len(rows), len(rows)), minlength=len(rows))
        drawn[:] = [errors(weights) for errors in each]
    with np.errstate(invalid="ignore"):  # a user's function may fail on some redrawn rows
        return np.asarray((moves - [errors(base) for errors in each]) * math.sqrt(len(rows) / len(y)))


def _ends(metric: Metric, middle: float, moves: np.ndarray, level: float) -> tuple[float, float]:
    """The interval, stretched where the bootstrap's own bias would leave the middle outside."""
    if metric.own:
        known = moves[np.isfinite(moves)]
        wide = NormalDist().inv_cdf((1 + level) / 2) * float(known.std(ddof=1)) if len(known) > 1 else math.inf
        return middle - wide, middle + wide
    low, high = np.quantile(moves, [(1 - level) / 2, (1 + level) / 2])
    return middle + min(0.0, float(low)), middle + max(0.0, float(high))
