"""Several models as one: weights chosen greedily, with replacement, on predictions of rows that were held out.

Small tables are guarded: few candidates, and a blend must beat the best single model by more than noise in the last
digits. `honest_error` scores the choosing itself: weights from some rows, scored on the others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl.metrics import Metric

Weight = np.ndarray | None

STEPS = 25
CANDIDATES = 25  # at most; fewer on small tables, where many look good by chance
SELECT_ROWS = 20_000  # rows on which steps are compared; the result is checked on all
WORTH = 1e-9  # relative gain below which a further step is noise


@dataclass(frozen=True)
class Honest:
    """What blends chosen without seeing the rows they predict make of them."""

    error: float
    predictions: np.ndarray


def blend(
    metric: Metric,
    y: np.ndarray,
    predictions: Sequence[np.ndarray],
    *,
    weight: Weight = None,
    steps: int = STEPS,
    until: float = float("inf"),
) -> np.ndarray:
    """Weights that sum to one. Never worse than the best single model on these rows."""
    rows = _sample(len(y))
    seen = [p[rows] for p in predictions]
    some = None if weight is None else weight[rows]
    counts = _greedy(metric, y[rows], seen, some, steps, until)
    weights = counts / counts.sum()
    errors = [metric.error(y, p, weight) for p in predictions]
    single = np.eye(len(predictions))[int(np.argmin(errors))]
    mixed = metric.error(y, mix(weights, predictions), weight)
    return np.asarray(weights if mixed < min(errors) * (1 - WORTH) else single)


def mix(weights: np.ndarray, predictions: Sequence[np.ndarray]) -> np.ndarray:
    """The weighted sum of predictions."""
    return np.asarray(sum(w * p for w, p in zip(weights, predictions, strict=True) if w > 0))


def honest_error(
    metric: Metric,
    y: np.ndarray,
    predictions: Sequence[np.ndarray],
    *,
    weight: Weight = None,
    parts: int = 5,
    seed: int = 0,
    until: float = float("inf"),
) -> Honest:
    """Cross-fitted blending: weights from parts - 1 parts of the rows predict the rest. Two parts at the least."""
    part = np.random.default_rng(seed).permutation(len(y)) % max(2, min(parts, len(y)))
    pooled = np.zeros_like(np.asarray(predictions[0], dtype=np.float64))
    for k in range(int(part.max()) + 1):
        inside = part != k
        chosen = blend(
            metric, y[inside], [p[inside] for p in predictions],
            weight=None if weight is None else weight[inside], until=until,
        )  # fmt: skip
        pooled[~inside] = mix(chosen, [p[~inside] for p in predictions])
    return Honest(metric.error(y, pooled, weight), pooled)


def most_candidates(rows: int) -> int:
    """How many models may compete for a place: four on a hundred rows, all from some ten thousand on."""
    return int(np.clip(round(4 * (rows / 100) ** 0.4), 3, CANDIDATES))


def _sample(rows: int) -> np.ndarray:
    if rows <= SELECT_ROWS:
        return np.arange(rows)
    return np.random.default_rng(rows).choice(rows, SELECT_ROWS, replace=False)


def _greedy(
    metric: Metric, y: np.ndarray, predictions: Sequence[np.ndarray], weight: Weight, steps: int, until: float
) -> np.ndarray:
    """How often each model was taken, up to the step with the least error."""
    errors = np.array([metric.error(y, p, weight) for p in predictions])
    able = np.argsort(errors, kind="stable")[: most_candidates(len(y))]
    counts = np.zeros(len(predictions))
    best = int(able[0])
    counts[best] = 1
    total = np.array(predictions[best], dtype=np.float64)
    record, least = counts.copy(), float(errors[best])
    for step in range(2, steps + 1):
        if time.monotonic() >= until:
            break
        tried = np.array([metric.error(y, (total + predictions[k]) / step, weight) for k in able])
        is_in = counts[able] > 0
        best = int(able[np.lexsort((~is_in, np.round(tried, 12)))[0]])  # a tie goes to a model already in
        total += predictions[best]
        counts[best] += 1
        reached = float(tried.min())
        if reached < least * (1 - WORTH):
            record, least = counts.copy(), reached
    return record
