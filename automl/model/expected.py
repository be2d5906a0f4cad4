"""What score to expect of rows whose answers are not known yet: by the model's own probabilities, or by its residuals.

Answers are drawn as the model itself says they fall: of classes by the calibrated probabilities, of numbers by the
residuals that held-out rows with such a prediction had. The error on them, against the same on the rows that were held
out, says by how much the promise is to be raised or lowered. Blind to what changed between features and answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from automl.model.reference import Promise
from automl.records import Calibration
from automl.scoring.metrics import Metric
from automl.scoring.readout import decided

DRAWS = 24
MOST_CELLS = 60_000  # rows times outputs that answers are drawn for
BINS, RANKS = 8, 24
LEAST_OF_BIN = 30  # rows
FARTHEST = 50.0  # times that an error may seem larger or smaller
SURE = 2.576  # deviations that an alarm takes: one in two hundred to this side


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """An error as drawn answers show it: its mean, and how far one sample's may be from that."""

    error: float
    spread: float


@dataclass(frozen=True)
class Residuals:
    """Means of equally many residuals in rising order, for each bin of the prediction."""

    table: np.ndarray  # (bins, ranks)
    edges: np.ndarray  # inner ones

    @classmethod
    def of(cls, predictions: np.ndarray, y: np.ndarray) -> Residuals:
        """As held-out rows have them."""
        bins = max(1, min(BINS, len(y) // LEAST_OF_BIN))
        edges = np.unique(np.quantile(predictions, np.arange(1, bins) / bins)).astype(np.float32).astype(np.float64)
        place, rows = np.searchsorted(edges, predictions, side="right"), []
        for one in range(len(edges) + 1):
            ranked = np.sort((y - predictions)[place == one])
            rows.append([part.mean() if len(part) else math.nan for part in np.array_split(ranked, RANKS)])
        table = np.array(rows)
        whole = np.array([part.mean() for part in np.array_split(np.sort(y - predictions), min(RANKS, len(y)))])
        for row in table:  # a bin with fewer rows than ranks borrows from all
            lost = ~np.isfinite(row)
            row[lost] = np.interp(np.flatnonzero(lost) / RANKS, np.arange(len(whole)) / len(whole), whole)
        return cls(table, edges)

    def draw(self, predictions: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Answers to these predictions."""
        place = np.searchsorted(self.edges, predictions, side="right")
        return np.asarray(predictions + self.table[place, random.integers(0, self.table.shape[1], len(predictions))])


def expect(
    metric: Metric, outputs: np.ndarray, readout: Calibration, residuals: Residuals | None = None
) -> Expectation | None:
    """The error that the model leads to expect of rows like these; None where it cannot be told."""
    random, width = np.random.default_rng(0), outputs.shape[1] if outputs.ndim == 2 else 1
    rows = np.arange(len(outputs))
    most = max(500, MOST_CELLS // width)
    errors = []
    for _ in range(DRAWS):
        some = outputs[random.choice(rows, size=min(most, len(rows)), replace=True)]
        if metric.is_of_classes:
            sums = np.cumsum(some, axis=1)
            y = np.minimum((random.random((len(some), 1)) * sums[:, -1:] > sums).sum(axis=1), width - 1)
            told = decided(some, readout) if metric.needs == "label" else some
        elif residuals is None:
            return None
        else:
            y, told = residuals.draw(middle(some), random), some
        errors.append(metric.error(y, told))
    found = np.array([one for one in errors if math.isfinite(one)])
    if len(found) < DRAWS // 2:  # of few rows a draw may lack a class
        return None
    return Expectation(error=float(found.mean()), spread=float(found.std(ddof=1)))


def middle(outputs: np.ndarray) -> np.ndarray:
    """The prediction itself, of quantiles the middle one."""
    return outputs if outputs.ndim == 1 else np.asarray(outputs[:, outputs.shape[1] // 2])


@dataclass(frozen=True, kw_only=True)
class LikelyScore:
    """The score to expect of some rows now."""

    value: float
    low: float
    high: float
    worse: float  # times the error that was promised
    is_worse: bool  # more than chance and by a tenth at least


WORSE = 1.1  # times the error, from which it counts as worse


def likely(metric: Metric, promise: Promise, before: float, now: Expectation, rows: int) -> LikelyScore | None:
    """The promise, raised or lowered as the model's own expectations are; None where these say nothing."""
    error, ends = errors_of(metric, promise)
    if not (before > 0 and error > 0 and math.isfinite(now.error)):
        return None
    ratio = float(np.clip(now.error / before, 1 / FARTHEST, FARTHEST))
    stretch = spread_for(promise, rows)
    low, high = (error * ratio * (end / error) ** stretch for end in ends)
    value, *bounds = (metric.to_score(min(metric.worst, one)) for one in (error * ratio, low, high))
    chance = SURE * now.spread / before * math.sqrt(1 + rows / promise.rows)
    is_worse = ratio > WORSE and ratio - chance > 1
    return LikelyScore(value=value, low=min(bounds), high=max(bounds), worse=ratio, is_worse=is_worse)


def errors_of(metric: Metric, promise: Promise) -> tuple[float, tuple[float, float]]:
    """The promised error and its bounds, the lower one first; none of them quite nothing."""
    sign, perfect = (-1.0, metric.to_score(0.0)) if metric.higher_is_better else (1.0, metric.to_score(0.0))
    error = sign * (promise.value - perfect)
    ends = sorted(sign * (end - perfect) for end in (promise.low, promise.high))
    least = 0.02 * abs(error)
    return error, (max(least, min(ends[0], error)), max(ends[1], error))


def spread_for(promise: Promise, rows: int) -> float:
    """How many times as wide the interval is for so many rows: chance is on both sides."""
    return math.sqrt((1 + promise.rows / max(1, rows)) / 2)


def is_below(metric: Metric, promise: Promise, score: float, rows: int) -> bool:
    """Whether a measured score is worse than the promise allows, with one in two hundred by chance."""
    error, (_, worst) = errors_of(metric, promise)
    sign, perfect = (-1.0 if metric.higher_is_better else 1.0), metric.to_score(0.0)
    if error <= 0:
        return bool(sign * (score - perfect) > worst)
    allowed = error * (worst / error) ** (SURE / 1.96 * spread_for(promise, rows))
    return bool(sign * (score - perfect) > allowed)
