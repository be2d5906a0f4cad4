"""Several models as one: weights chosen greedily, with replacement, on predictions of rows that were held out.

Small data flatters whoever tries much, so few candidates compete there, and `honest_error` scores the choosing itself:
weights are chosen on some rows and judged on others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from automl.metrics import Metric, sample_rows
from automl.split import make_folds

STEPS = 25  # more steps only fine-tune the weights
MOST = 25  # candidates, however large the data
CANDIDATES = ((100, 4), (500, 8), (2_500, 15), (10_000, MOST))  # rows -> candidates, even on a log-log scale in between
SELECT_ROWS = 20_000  # the steps compare on so many rows, fewer where there are many classes; the result on all
LEAST_ROWS, SELECT_CELLS = 2_000, 400_000
NOISE = 1e-6  # relative; a smaller gain is none


class Choose(Protocol):
    """A way to choose weights that sum to one, ended by `until` with the best so far."""

    def __call__(
        self,
        metric: Metric,
        y: np.ndarray,
        predictions: Sequence[np.ndarray],
        *,
        weight: np.ndarray | None,
        until: float,
    ) -> np.ndarray:
        """One weight per model."""


@dataclass(frozen=True)
class Honest:
    """What a way to choose is worth on rows that it did not see."""

    error: float
    predictions: np.ndarray  # of each row, by the weights chosen without it


def blend(
    metric: Metric,
    y: np.ndarray,
    predictions: Sequence[np.ndarray],
    *,
    weight: np.ndarray | None = None,
    until: float = math.inf,
    steps: int = STEPS,
) -> np.ndarray:
    """Weights that sum to one: the single best model, or a blend that beats it on these rows by more than noise.

    From the best model on, each step adds the one, again or anew, that leaves the least error; the best prefix counts.
    At `until` (time.monotonic()) the best so far is returned; so put the models best first when time may be short.
    """
    errors = _errors(metric, y, predictions, weight, until)
    single = _only(errors)
    able = [int(k) for k in np.argsort(errors, kind="stable")[: most_candidates(len(y))] if math.isfinite(errors[k])]
    if len(able) < 2 or steps < 2:
        return single
    wide = predictions[0].shape[1] if predictions[0].ndim > 1 else 1
    rows = sample_rows(y, min(SELECT_ROWS, max(LEAST_ROWS, SELECT_CELLS // wide)))
    exact = np.float32 if wide > 1 else np.float64  # probabilities sort twice as fast with half the digits
    members = [np.asarray(predictions[k][rows], dtype=exact) for k in able]
    weights = np.zeros(len(errors))
    weights[able] = _greedy(metric, y[rows], members, None if weight is None else weight[rows], steps, until)
    if metric.error(y, mix(weights, predictions), weight) < errors.min() * (1 - NOISE):
        return weights
    return single


def single_best(
    metric: Metric,
    y: np.ndarray,
    predictions: Sequence[np.ndarray],
    *,
    weight: np.ndarray | None = None,
    until: float = math.inf,
) -> np.ndarray:
    """All weight on the model with the least error; the first of equals."""
    return _only(_errors(metric, y, predictions, weight, until))


def mix(weights: np.ndarray, predictions: Sequence[np.ndarray]) -> np.ndarray:
    """The weighted sum of predictions; models without weight are not looked at."""
    total = np.zeros(predictions[0].shape)
    for share, prediction in zip(weights, predictions, strict=True):
        if share > 0:
            total += share * prediction
    return total


def honest_error(
    metric: Metric,
    y: np.ndarray,
    predictions: Sequence[np.ndarray],
    *,
    weight: np.ndarray | None = None,
    parts: int = 5,
    seed: int = 0,
    until: float = math.inf,
    choose: Choose = blend,
) -> Honest:
    """The error of choosing as such: each part of the rows is predicted by weights chosen on the other parts.

    All rows' predictions are then scored at once. The time until `until` is shared out between the parts. A model that
    is not finite everywhere takes no part: the rows that choose might not show it.
    """
    predictions = [p for p in predictions if np.isfinite(p).all()] or predictions[:1]
    if len(predictions) == 1 or len(y) < 2:
        alone = mix(choose(metric, y, predictions, weight=weight, until=until), predictions)
        return Honest(metric.error(y, alone, weight), alone)
    folds = make_folds(y, "regression" if predictions[0].ndim == 1 else "multiclass", count=parts, seed=seed)
    pooled = np.empty(predictions[0].shape)
    for k in range(folds.count):
        seen, held = folds.train(k), folds.held(k)
        now = time.monotonic()
        share = math.inf if until == math.inf else now + (until - now) / (folds.count - k)
        some = None if weight is None else weight[seen]
        weights = choose(metric, y[seen], [p[seen] for p in predictions], weight=some, until=share)
        pooled[held] = mix(weights, [p[held] for p in predictions])
    return Honest(metric.error(y, pooled, weight), pooled)


def most_candidates(rows: int) -> int:
    """How many models may compete for a place: the fewer rows, the more of many models look good by chance."""
    known, allowed = np.log(np.array(CANDIDATES)).T
    return round(float(np.exp(np.interp(np.log(max(1, rows)), known, allowed))))


def _errors(
    metric: Metric, y: np.ndarray, predictions: Sequence[np.ndarray], weight: np.ndarray | None, until: float
) -> np.ndarray:
    """Each model's error; infinite where time was over before it, the first always measured."""
    errors = np.full(len(predictions), math.inf)
    for k, prediction in enumerate(predictions):
        if k and time.monotonic() >= until:
            break
        errors[k] = metric.error(y, prediction, weight)
    return errors


def _only(errors: np.ndarray) -> np.ndarray:
    """All weight on the least error, the first of equals."""
    weights = np.zeros(len(errors))
    weights[np.argmin(errors)] = 1.0
    return weights


def _greedy(
    metric: Metric,
    y: np.ndarray,
    members: Sequence[np.ndarray],
    weight: np.ndarray | None,
    steps: int,
    until: float,
) -> np.ndarray:
    """Weights of the best prefix; `members` come best first."""
    counts = np.zeros(len(members))
    counts[0] = 1
    total = members[0].copy()
    kept, least = counts.copy(), metric.error(y, total, weight)
    for size in range(2, steps + 1):
        errors = np.empty(len(members))
        for k, member in enumerate(members):
            if time.monotonic() >= until:
                return np.asarray(kept / kept.sum())
            errors[k] = metric.error(y, (total + member) / size, weight)
        is_tied = errors <= errors.min() * (1 + NOISE)
        taken = int(np.argmax(is_tied * (1 + (counts > 0))))  # of equals, one already in; else the better single
        counts[taken] += 1
        total += members[taken]
        if errors[taken] < least * (1 - NOISE):
            kept, least = counts.copy(), errors[taken]
    return np.asarray(kept / kept.sum())
