"""Would more help? Errors on a few rising shares of the rows, or of the seconds, extrapolated: pure functions.

error(n) = level * (floor + (1 - floor) * (n / last)^-power), weighed on a grid of floors and powers. On each the level
follows by least squares, with its error, so that nothing is drawn by chance; what a few points leave open stays open.
No curve of the grid rises or goes below zero, so neither does their mean nor any of their quantiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

TIMES = 10.0  # as many rows, or seconds, as there are: how far the question "would more help?" looks
POWERS = np.geomspace(0.02, 2.5, 25)
FLOORS = np.linspace(0.0, 1.0, 21)
LEVELS = np.array([NormalDist().inv_cdf((k + 0.5) / 11) for k in range(11)])  # equally likely parts of a normal
LOW, HIGH = 0.1, 0.9  # ends of the interval that is told
MOST_POINTS = 12  # of an anytime trace, spread evenly over the logarithm of its seconds
SMALLEST = 1e-12  # error below which there is nothing to divide by


@dataclass(frozen=True)
class _Habit:
    """What is thought of a kind of curves before one is seen."""

    power: float
    spread: float  # of the logarithm of the power
    close: float  # of the error: no curve follows its law more closely, whatever the errors that its points come with


# Powers of learning curves are mostly between 0.1 and 1, about the 0.5 of statistical estimates (Viering and Loog, The
# Shape of Learning Curves, 2022). Of seconds: from the first 3 or 6 s of the 137 forced runs that quoted.json rests on
# to their end at 12 s, the interval then held the best error there in 79 % of them; where not, more was found.
OF_ROWS, OF_SECONDS = _Habit(0.4, 0.8, 0.02), _Habit(0.05, 2.0, 0.07)


@dataclass(frozen=True)
class CurvePoint:
    """An error that was measured."""

    amount: float  # rows learned from, or seconds
    error: float  # lower is better, zero at best
    sd: float = 0.0  # its standard error; beside another curve on the same folds, without what is hard about the folds


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What the error would be with another amount of rows or seconds; ends of 10 and 90 %."""

    amount: float
    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class CurveAhead:
    """Both routes with more rows than there are."""

    rows: float
    classical: Outlook
    neural: Outlook
    network_wins: float  # the probability that the network has the smaller error there
    gain: float  # the mean of log(error of the network / error of the classical model) there
    gain_sd: float


@dataclass(frozen=True)
class _Grid:
    """Curves with their weights, and the parts of the level of each where it was last seen: (curves, parts)."""

    floors: np.ndarray
    powers: np.ndarray
    weights: np.ndarray
    levels: np.ndarray
    last: float

    def at(self, amount: float) -> tuple[np.ndarray, np.ndarray]:
        """Errors of all curves at an amount, and the weight of each; flat."""
        drawn = self.levels * _shape(self.floors, self.powers, amount / self.last)[:, None]
        return drawn.ravel(), np.repeat(self.weights / self.levels.shape[1], self.levels.shape[1])


def outlook(points: Sequence[CurvePoint], amount: float) -> Outlook | None:
    """The error with `amount` rows or seconds; None without a point that can be used."""
    grid = _weighed(points)
    return None if grid is None else _told(grid, amount, math.inf)


def ahead(classical: Sequence[CurvePoint], neural: Sequence[CurvePoint], rows: float) -> CurveAhead | None:
    """Both routes with `rows` rows; None where one of them has no point.

    The points of both should be of the same folds, and their errors those of the comparison.
    """
    one, other = _weighed(classical), _weighed(neural)
    if one is None or other is None:
        return None
    (a, of_a), (b, of_b) = one.at(rows), other.at(rows)
    log_a, log_b = (np.log(np.maximum(values, SMALLEST)) for values in (a, b))
    means = [float(np.average(logs, weights=weights)) for logs, weights in ((log_a, of_a), (log_b, of_b))]
    spread = sum(
        float(np.average((logs - mean) ** 2, weights=weights))
        for logs, weights, mean in ((log_a, of_a, means[0]), (log_b, of_b, means[1]))
    )
    return CurveAhead(
        rows=rows,
        classical=_told(one, rows, math.inf),
        neural=_told(other, rows, math.inf),
        network_wins=_below(b, of_b, a, of_a),
        gain=means[1] - means[0],
        gain_sd=math.sqrt(spread),
    )


def more_time(trace: Iterable[tuple[float, float]], seconds: float) -> Outlook | None:
    """The best error so far after `seconds`, from the (second, error) of all that was measured; None without any.

    It is never above the best there is: what was found stays found.
    """
    points = _steps(trace)
    grid = _weighed(points, OF_SECONDS)
    return None if grid is None else _told(grid, max(seconds, grid.last), points[-1].error)


def _steps(trace: Iterable[tuple[float, float]]) -> list[CurvePoint]:
    """The best so far at moments spread over the logarithm of the seconds."""
    found = sorted((at, error) for at, error in trace if _is_usable(at, error))
    if not found:
        return []
    at = np.array([moment for moment, _ in found])
    best = np.minimum.accumulate([error for _, error in found])
    asked = np.geomspace(at[0], at[-1], MOST_POINTS) if at[-1] > at[0] else at[-1:]
    asked[-1] = at[-1]
    place = np.maximum(0, np.searchsorted(at, asked, side="right") - 1)
    loose = OF_SECONDS.close * (1 + np.log(asked[-1] / asked))  # the first are those of other models: they weigh less
    told = zip(asked, best[place], loose, strict=True)
    return [CurvePoint(float(second), float(error), float(share * error)) for second, error, share in told]


def _is_usable(amount: float, error: float) -> bool:
    return math.isfinite(amount) and amount > 0 and math.isfinite(error) and error >= 0


def _shape(floors: np.ndarray, powers: np.ndarray, times: float) -> np.ndarray:
    """Errors relative to that at the last point, `times` further on."""
    relative: np.ndarray = floors + (1 - floors) * np.exp(-powers * math.log(times))
    return relative


def _weighed(points: Sequence[CurvePoint], habit: _Habit = OF_ROWS) -> _Grid | None:
    """Every curve of the grid with its probability, and its level with that one's error."""
    kept = [one for one in points if _is_usable(one.amount, one.error)]
    if not kept:
        return None
    last, scale = max(one.amount for one in kept), max(*(one.error for one in kept), SMALLEST)
    floors, powers = (grid.ravel() for grid in np.meshgrid(FLOORS, POWERS))
    errors = np.array([one.error for one in kept]) / scale
    given = np.array([one.sd if math.isfinite(one.sd) else one.error for one in kept]) / scale
    sds = np.hypot(given, habit.close * np.maximum(errors, habit.close))
    shapes = np.stack([_shape(floors, powers, one.amount / last) for one in kept], axis=1) / sds
    wanted = errors / sds
    known = (shapes**2).sum(axis=1)
    level = shapes @ wanted / known
    missed = ((wanted - level[:, None] * shapes) ** 2).sum(axis=1)
    usual = ((np.log(powers) - math.log(habit.power)) / habit.spread) ** 2
    odds = -0.5 * (missed + usual + np.log(known))
    weights = np.exp(odds - odds.max())
    levels = np.maximum(0.0, level[:, None] + LEVELS / np.sqrt(known)[:, None])
    return _Grid(floors, powers, weights / weights.sum(), scale * levels, last)


def _told(grid: _Grid, amount: float, most: float) -> Outlook:
    """Mean, spread and ends; no curve counts as above `most`."""
    values, weights = grid.at(amount)
    values = np.minimum(values, most)
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    ends = np.searchsorted(reached, [LOW, HIGH]).clip(0, len(values) - 1)
    mean = float(np.average(values, weights=weights))
    sd = math.sqrt(float(np.average((values - mean) ** 2, weights=weights)))
    low, high = (float(values[order[end]]) for end in ends)
    return Outlook(amount=amount, mean=mean, sd=sd, low=low, high=high)


def _below(values: np.ndarray, weights: np.ndarray, others: np.ndarray, of_others: np.ndarray) -> float:
    """The probability that a value is below another one; of equal ones half are."""
    order = np.argsort(others)
    summed = np.concatenate([[0.0], np.cumsum(of_others[order])])
    at_most = summed[np.searchsorted(others[order], values, side="left")]
    up_to = summed[np.searchsorted(others[order], values, side="right")]
    beaten = 1.0 - (at_most + up_to) / 2
    return min(1.0, max(0.0, float(np.average(beaten, weights=weights))))
