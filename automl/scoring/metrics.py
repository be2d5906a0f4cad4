"""Scores by name, their direction, the default per task, and the intervals that chance leaves round them.

NumPy alone: these run thousands of times in the driver, and importing scikit-learn would cost seconds of every budget.
Each metric is a rule (losses.py) that prepares what no weight changes and returns the error as a function of the
weights; a bootstrap round is then only new weights. A user's function becomes such a metric in own_metric.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import NormalDist
from typing import Literal

import numpy as np

from automl.errors import OptionError
from automl.messages import near
from automl.scoring import losses
from automl.scoring.losses import Errors, Rule
from search_spaces.spec import Task

BOOTSTRAP_ROWS = 20_000  # of larger data a sample is redrawn and the width scaled to all rows
OWN_ROWS = 1_000  # the same where the metric is the user's function, which may take milliseconds
LEAST_BLOCKS = 200  # of larger data as many blocks at least are redrawn, with fewer rows of each
ROUND_CELLS = 40_000  # numbers that redrawing once may look at: of many classes fewer rows are redrawn
INTERVAL_CELLS = 8_000_000  # numbers that all rounds together may look at
FEWEST_ROWS, FEWEST_ROUNDS = 1_000, 12  # however many the classes are, and once time is over
MANY_ROUNDS = 100  # from here on their quantiles are the interval; fewer tell only a spread


@dataclass(frozen=True)
class Own:
    """What holds for a metric that is the user's function."""

    perfect: float  # its score of the answers themselves, which counts as an error of zero
    proxy: Metric  # the named one that the weights of a blend are chosen by, since that takes thousands of looks
    rounds: int  # times that rows are redrawn for an interval, at most
    wait_s: float  # what comparing the candidates takes, about
    is_quick: bool = True  # whether every fold can afford some more looks


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
    def worst(self) -> float:
        """The largest error there is."""
        if not (self.higher_is_better and self.is_of_classes) or self.own:
            return math.inf
        return 2.0 if self.name == "mcc" else 1.0

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
    Metric("accuracy", _CLASSES, True, "label", losses.TableRule(lambda t: float(np.trace(t)))),
    Metric("balanced_accuracy", _CLASSES, True, "label", losses.TableRule(losses.balanced)),
    Metric("f1", _BINARY, True, "label", losses.f1_of(1)),
    Metric("f1_macro", _CLASSES, True, "label", losses.TableRule(losses.f1_macro)),
    Metric("f1_weighted", _CLASSES, True, "label", losses.TableRule(lambda t: float(losses.f1s(t) @ t.sum(axis=1)))),
    Metric("average_precision", _BINARY, True, "probability", losses.imprecision_of(1)),
    Metric("mcc", _CLASSES, True, "label", losses.TableRule(losses.mcc)),
    Metric("brier", _CLASSES, False, "probability", losses.mean_of(losses.brier)),
    Metric("rmse", _NUMBER, False, "value", losses.root_of(losses.squared)),
    Metric("mae", _NUMBER, False, "value", losses.mean_of(losses.absolute)),
    Metric("r2", _NUMBER, True, "value", losses.unexplained),
    Metric("mape", _NUMBER, False, "value", losses.mape),
    Metric("medae", _NUMBER, False, "value", losses.median_absolute),
    Metric("rmsle", _NUMBER, False, "value", losses.root_of(losses.squared_log)),
    Metric("mase", _NUMBER, False, "value", losses.scaled_absolute),
    Metric("rmsse", _NUMBER, False, "value", losses.scaled_squared),
    Metric("wape", _NUMBER, False, "value", losses.wape),
    Metric("smape", _NUMBER, False, "value", losses.mean_of(losses.symmetric)),
    Metric("pinball", _QUANTILES, False, "quantiles", losses.mean_of(losses.pinball_of((0.5,)))),  # see `get`
)
_BY_NAME = {metric.name: metric for metric in _ALL}
# Whose rows are weighed by what their series usually change in a season: the error means nothing without these weights.
SCALED = {"mase": 1, "rmsse": 2}  # the power of the scale
# What forecasts are searched for; others bend answers or are of tables, and are told by evaluate only.
FORECASTS = ("mase", "rmsse", "wape", "smape", "mae", "rmse")
OF_SERIES = ("mase", "metric= not given, a forecast: misses count by what a series usually changes in a season")
OF_POSITIVE: Mapping[str, Callable[[int], Rule]] = {"f1": losses.f1_of, "average_precision": losses.imprecision_of}

_DEFAULTS: dict[Task, tuple[str, str]] = {
    "binary": ("roc_auc", "metric= not given, two classes: how well rows are ranked, whatever the threshold"),
    "multiclass": ("log_loss", "metric= not given, several classes: how good the probabilities are"),
    "regression": ("rmse", "metric= not given, a number: large misses count most"),
    "quantile": ("pinball", "quantiles= was given: the mean over the levels of the loss that a quantile makes least"),
}


def get(name: str, levels: tuple[float, ...] = (), positive: int = 1) -> Metric:
    """The metric of this name; that of quantiles scores these levels, one that looks for a class looks for this one."""
    if name not in _BY_NAME:
        raise OptionError(f"metric={name!r} is not known.{near(name, _BY_NAME)} Choose from {', '.join(_BY_NAME)}.")
    found = _BY_NAME[name]
    if name in OF_POSITIVE:
        return replace(found, rule=OF_POSITIVE[name](positive))
    return replace(found, rule=losses.mean_of(losses.pinball_of(levels))) if levels else found


def names(task: Task, *, is_of_series: bool = False) -> list[str]:
    """The metrics that score a task; some mean something of series over time only."""
    return [metric.name for metric in _ALL if task in metric.tasks and (is_of_series or metric.name not in SCALED)]


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
    blocks: np.ndarray | None = None,
    until: float = math.inf,
) -> tuple[float, float]:
    """Where the score may lie on other rows of the same kind, (low, high): percentile bootstrap over rows.

    `blocks`: an id per row, equal for rows that err alike (a group, a stretch of time): they are redrawn as a whole.
    At `until` (time.monotonic()) few rounds must do. Squared errors with a heavy tail are held somewhat less often than
    `level` says while rows are few. Where rounds are few the interval is that of a normal distribution. Of more rows
    than `most_rows` so many are redrawn.
    """
    error = metric.error(y, predictions, weight)
    if math.isinf(error):
        return metric.to_score(error), metric.to_score(error)
    redrawn = Redrawing(y, weight, blocks, rounds, seed, until, most_rows)
    moves = redrawn.moves(metric, [predictions])[:, 0]
    low, high = (metric.to_score(max(min(0.0, error), end)) for end in redrawn.ends(metric, error, moves, level))
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
    blocks: np.ndarray | None = None,
    until: float = math.inf,
    known: float | None = None,
) -> tuple[float, float]:
    """Where error(a) - error(b) may lie, both on the same redrawn rows: (low, high); all above zero: b is better.

    `known`: the error of b, where it was asked for before.
    """
    first, second = metric.error(y, a, weight), metric.error(y, b, weight) if known is None else known
    if math.isinf(first) or math.isinf(second):
        return (-math.inf, math.inf) if first == second else (first - second, first - second)
    redrawn = Redrawing(y, weight, blocks, rounds, seed, until)
    moves = redrawn.moves(metric, [a, b])
    return redrawn.ends(metric, first - second, moves[:, 0] - moves[:, 1], level)


def sample_rows(y: np.ndarray, most: int, seed: int = 0) -> np.ndarray:
    """At most this many row numbers, rising, spread evenly over the sorted answers: classes keep their shares."""
    if len(y) <= most:
        return np.arange(len(y))
    shuffled = np.random.default_rng(seed).permutation(len(y))
    order = shuffled[np.argsort(y[shuffled], kind="stable")]
    return np.sort(order[((np.arange(most) + 0.5) * len(y) / most).astype(np.int64)])


@dataclass(frozen=True)
class Redrawing:
    """How rows are redrawn: one by one, or in blocks; the fewer, the more each round has to look at.

    What it costs follows from sizes alone as long as `until` is infinite; once that is over, few rounds must do.
    """

    y: np.ndarray
    weight: np.ndarray | None = None
    blocks: np.ndarray | None = None
    rounds: int = 200
    seed: int = 0
    until: float = math.inf
    most_rows: int = BOOTSTRAP_ROWS

    def moves(self, metric: Metric, several: Sequence[np.ndarray]) -> np.ndarray:
        """(rounds, several): how far each error moves when rows are redrawn, scaled to the number of all rows."""
        wide = several[0].shape[1] if several[0].ndim > 1 else 1
        sample = self.sample(metric, wide)
        return self.moves_of(metric, [predictions[sample[0]] for predictions in several], sample)

    def sample(self, metric: Metric, wide: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Which rows are redrawn of predictions of so many columns: their numbers, their blocks, and their scale."""
        is_late = time.monotonic() >= self.until
        return self._sample(min(self.most_rows, _most_rows(metric, wide, is_late=is_late)))

    def moves_of(
        self, metric: Metric, several: Sequence[np.ndarray], sample: tuple[np.ndarray, np.ndarray, float]
    ) -> np.ndarray:
        """`moves` of predictions that are those of the sample's rows alone."""
        rows, block_of, scale = sample
        wide = several[0].shape[1] if several[0].ndim > 1 else 1
        most = INTERVAL_CELLS // _cells(metric, len(rows), wide)
        rounds = min(self.rounds, metric.own.rounds if metric.own else max(FEWEST_ROUNDS, most))
        base = np.ones(len(rows)) if self.weight is None else np.asarray(self.weight, dtype=np.float64)[rows]
        each = [metric.errors(self.y[rows], predictions) for predictions in several]
        random, count = np.random.default_rng(self.seed), int(block_of.max()) + 1
        moves = np.empty((rounds, len(each)))
        for done, drawn in enumerate(moves):
            if done >= min(FEWEST_ROUNDS, rounds) and time.monotonic() >= self.until:
                moves = moves[:done]
                break
            times = np.bincount(random.integers(0, count, count), minlength=count)
            drawn[:] = [errors(base * times[block_of]) for errors in each]
        with np.errstate(invalid="ignore"):  # a user's function may fail on some redrawn rows
            return np.asarray((moves - [errors(base) for errors in each]) * scale)

    def ends(self, metric: Metric, middle: float, moves: np.ndarray, level: float) -> tuple[float, float]:
        """The interval, stretched where the bootstrap's own bias would leave the middle outside."""
        wider = self.wider(level)
        if metric.own or len(moves) < MANY_ROUNDS:
            known = moves[np.isfinite(moves)]
            wide = student(level, len(known) - 1) * float(known.std(ddof=1)) if len(known) > 1 else math.inf
            return middle - wider * wide, middle + wider * wide
        low, high = wider * np.quantile(moves, [(1 - level) / 2, (1 + level) / 2])
        return middle + min(0.0, float(low)), middle + max(0.0, float(high))

    def _sample(self, most: int) -> tuple[np.ndarray, np.ndarray, float]:
        """The rows to redraw, the block of each, and what brings their moves to the size of all rows.

        Whole blocks are left out as long as many remain; then rows inside of them, which makes moves no smaller.
        """
        rows, blocks = len(self.y), self._blocks
        if blocks is None:
            some = sample_rows(self.y, most, self.seed)
            return some, np.arange(len(some)), math.sqrt(len(some) / rows)
        count = int(blocks.max()) + 1
        if rows <= most:
            return np.arange(rows), blocks, 1.0
        means = np.bincount(blocks, self.y) / np.bincount(blocks)
        left = sample_rows(means, max(min(count, LEAST_BLOCKS), most * count // rows), self.seed)
        inside = np.flatnonzero(np.isin(blocks, left))
        inside = inside[sample_rows(self.y[inside], most, self.seed)]
        return inside, np.unique(blocks[inside], return_inverse=True)[1], math.sqrt(len(left) / count)

    @cached_property
    def _blocks(self) -> np.ndarray | None:
        """The blocks by number; none where there is but one, which cannot be redrawn."""
        if self.blocks is None:
            return None
        found, number = np.unique(self.blocks, return_inverse=True)
        return number if len(found) > 1 else None

    def wider(self, level: float) -> float:
        """How much wider the interval must be where a few blocks tell the spread between all that there might be."""
        numbers = self._blocks
        if numbers is None:
            return 1.0
        count = int(numbers.max()) + 1
        return math.sqrt(count / (count - 1)) * student(level, count - 1) / NormalDist().inv_cdf((1 + level) / 2)


def _most_rows(metric: Metric, wide: int, *, is_late: bool) -> int:
    """How many rows are redrawn at most."""
    if metric.own:
        return OWN_ROWS
    if is_late:
        return FEWEST_ROWS
    return max(FEWEST_ROWS, min(BOOTSTRAP_ROWS, ROUND_CELLS * BOOTSTRAP_ROWS // _cells(metric, BOOTSTRAP_ROWS, wide)))


def _cells(metric: Metric, rows: int, wide: int) -> int:
    """Numbers that redrawing once looks at: rankings of several classes rank each, labels are counted in a table."""
    if metric.name == "roc_auc" and wide > 2:
        return rows * wide
    return rows + wide**2 if metric.needs == "label" else rows


def student(level: float, freedom: int) -> float:
    """The quantile of Student's t distribution, by its expansion round the normal one: a thin sample spreads more."""
    z, n = NormalDist().inv_cdf((1 + level) / 2), float(freedom)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / n + second / n**2 + third / n**3
