"""Several models as one: weights chosen greedily, with replacement, on predictions of rows that were held out.

Small data flatters whoever tries much, so few candidates compete there, and `honest_error` scores the choosing itself:
weights are chosen on some rows and judged on others. Where labels are scored the choice watches the log loss instead:
it sees every row, not only those near the threshold, and chose better labels on eight tables out of ten.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from automl.scoring import metrics
from automl.scoring.folds import Folds, make_folds
from automl.scoring.losses import FLOOR
from automl.scoring.metrics import Metric, sample_rows

STEPS = 25  # more steps only fine-tune the weights
FINALISTS = 3  # models that are compared on all rows to find the best single one
PATIENCE = 6  # steps without a gain after which none is to be expected
MOST = 25  # candidates, however large the data
CANDIDATES = ((100, 4), (500, 8), (2_500, 15), (10_000, MOST))  # rows -> candidates, even on a log-log scale in between
SELECT_ROWS = 6_000  # the steps compare on so many rows, fewer where there are many classes; the result on all
LEAST_ROWS, SELECT_CELLS = 2_000, 120_000
PARTS = 5  # of the rows, each predicted by what was chosen on the others
HALF = 0.5
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
class BlendPart:
    """Some rows, and the weights that were chosen without them."""

    held: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Honest:
    """What a way to choose is worth on rows that it did not see."""

    error: float
    predictions: np.ndarray  # of each row, by the weights chosen without it
    parts: tuple[BlendPart, ...]  # none where there was nothing to choose from


def blend(
    metric: Metric,
    y: np.ndarray,
    predictions: Sequence[np.ndarray],
    *,
    weight: np.ndarray | None = None,
    until: float = math.inf,
    steps: int = STEPS,
    costs: np.ndarray | None = None,
) -> np.ndarray:
    """Weights that sum to one: the single best model, or a blend that beats it on these rows by more than noise.

    From the best model on, each step adds the one, again or anew, that leaves the least error; the best prefix counts.
    At `until` (time.monotonic()) the best so far is returned; so put the models best first when time may be short.
    `costs`, a row per model: the shares that it takes of all that a blend may cost; no column of its members exceeds 1.
    """
    metric = watched(metric)
    rows = sample_rows(y, _select_rows(predictions))
    order, best = _rank(metric, y, predictions, weight=weight, rows=rows, until=until, costs=costs)
    single = _only(best, len(predictions))
    able = order[: most_candidates(len(y))]
    if len(able) < 2 or steps < 2:
        return single
    some = None if weight is None else weight[rows]
    members, judge = _comparison(metric, y[rows], [predictions[k][rows] for k in able], some)
    prices = np.zeros((len(able), 1)) if costs is None else costs[able]
    cheap = np.flatnonzero((prices <= HALF).all(axis=1))[:1]  # the best may leave no room for others
    weights, least = np.zeros(len(predictions)), math.inf
    for start in sorted({0, *cheap.tolist()}):
        found, error = _greedy(members, judge, prices, start=start, steps=steps, until=until)
        if error < least * (1 - NOISE):
            least = error
            weights[able] = found
    if metric.error(y, mix(weights, predictions), weight) < metric.error(y, predictions[best], weight) * (1 - NOISE):
        return weights
    return single


def watched(metric: Metric) -> Metric:
    """What a choice of weights is to lower for this metric to end well."""
    if metric.own:
        return metric.own.proxy
    return metrics.get("log_loss") if metric.needs == "label" else metric


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
    seed: int = 0,
    until: float = math.inf,
    choose: Choose = blend,
    blocks: np.ndarray | None = None,
) -> Honest:
    """The error of choosing as such: each part of the rows is predicted by weights chosen on the other parts.

    `blocks`: an id per row; rows of one block (a group, a stretch of time) are in one part.
    All rows' predictions are then scored at once. The time until `until` is shared out between the parts. A model that
    is not finite everywhere takes no part: the rows that choose might not show it.
    """
    predictions = [p if np.isfinite(p).all() else np.full(p.shape, np.nan) for p in predictions]
    if len(predictions) == 1 or len(y) < 2:
        alone = mix(choose(metric, y, predictions, weight=weight, until=until), predictions)
        return Honest(metric.error(y, alone, weight), alone, ())
    pooled, parts = np.empty(predictions[0].shape), []
    folds = _parts(metric, y, seed, blocks)
    for k in range(folds.count):
        seen, held = folds.train(k), folds.held(k)
        now = time.monotonic()
        share = math.inf if until == math.inf else now + (until - now) / (folds.count - k)
        some = None if weight is None else weight[seen]
        weights = choose(metric, y[seen], [p[seen] for p in predictions], weight=some, until=share)
        pooled[held] = mix(weights, [p[held] for p in predictions])
        parts.append(BlendPart(held, weights))
    return Honest(metric.error(y, pooled, weight), pooled, tuple(parts))


def by_rank(
    metric: Metric,
    y: np.ndarray,
    predictions: Sequence[np.ndarray],
    *,
    weight: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
    until: float = math.inf,
    seed: int = 0,
) -> list[tuple[BlendPart, ...]]:
    """For each place in a ranking of the models: of each part of the rows, the one that has it on all other rows.

    The second and the twelfth of many look better than they are, too; so whoever may be chosen is scored like this.
    Where time is over a model is not looked at, and has the place that it was given in.
    """
    predictions = [p if np.isfinite(p).all() else np.full(p.shape, np.nan) for p in predictions]
    count = len(predictions)
    folds = _parts(metric, y, seed, blocks)
    places: list[list[BlendPart]] = [[] for _ in predictions]
    for k in range(folds.count):
        seen, held = folds.train(k), folds.held(k)
        rows = sample_rows(y[seen], _select_rows(predictions))
        some = None if weight is None else weight[seen]
        order, best = _rank(metric, y[seen], [p[seen] for p in predictions], weight=some, rows=rows, until=until)
        order = [best, *(k for k in order if k != best)]
        order += [k for k in range(count) if k not in order]
        for place, number in zip(places, order, strict=True):
            place.append(BlendPart(held, _only(number, count)))
    return [tuple(place) for place in places]


def most_candidates(rows: int) -> int:
    """How many models may compete for a place: the fewer rows, the more of many models look good by chance."""
    known, allowed = np.log(np.array(CANDIDATES)).T
    return round(float(np.exp(np.interp(np.log(max(1, rows)), known, allowed))))


def deal(
    metric: Metric, y: np.ndarray, weights: np.ndarray, seed: int = 0, blocks: np.ndarray | None = None
) -> tuple[BlendPart, ...]:
    """The parts of the rows with the same weights for each: for what was not chosen by looking at the rows."""
    folds = _parts(metric, y, seed, blocks)
    return tuple(BlendPart(folds.held(k), weights) for k in range(folds.count))


def _parts(metric: Metric, y: np.ndarray, seed: int, blocks: np.ndarray | None) -> Folds:
    """The parts as folds; one block alone has to be torn."""
    groups = None if blocks is None or (blocks == blocks[0]).all() else blocks
    return make_folds(y, "multiclass" if metric.is_of_classes else "regression", count=PARTS, seed=seed, groups=groups)


def _select_rows(predictions: Sequence[np.ndarray]) -> int:
    wide = predictions[0].shape[1] if predictions[0].ndim > 1 else 1
    return min(SELECT_ROWS, max(LEAST_ROWS, SELECT_CELLS // wide))


def _rank(
    metric: Metric,
    y: np.ndarray,
    predictions: Sequence[np.ndarray],
    *,
    weight: np.ndarray | None,
    rows: np.ndarray,
    until: float,
    costs: np.ndarray | None = None,
) -> tuple[list[int], int]:
    """The models that can be compared on these rows, best first, and the best: of the first few the one on all rows.

    Those not looked at before time was over, not finite, or too costly alone do not take part; the first always does.
    """
    errors = np.full(len(predictions), math.inf)
    some = None if weight is None else weight[rows]
    for k, prediction in enumerate(predictions):
        if costs is None or (costs[k] <= 1).all():
            if time.monotonic() >= until and np.isfinite(errors).any():
                break
            errors[k] = metric.error(y[rows], prediction[rows], some)
    order = [int(k) for k in np.argsort(errors, kind="stable") if math.isfinite(errors[k])]
    if not order:
        return [], 0
    if len(rows) == len(y) or time.monotonic() >= until:
        return order, order[0]
    finalists = {k: metric.error(y, predictions[k], weight) for k in order[:FINALISTS]}
    return order, min(finalists, key=lambda k: finalists[k])


def _only(best: int, count: int) -> np.ndarray:
    """All weight on one of so many."""
    weights = np.zeros(count)
    weights[best] = 1.0
    return weights


def _comparison(
    metric: Metric, y: np.ndarray, members: Sequence[np.ndarray], weight: np.ndarray | None
) -> tuple[list[np.ndarray], Callable[[np.ndarray], float]]:
    """Members in the least form in which their sums can be judged, and the judge."""
    if metric.name == "log_loss":  # of a row only the probability of its answer counts
        given = np.ones(len(y)) if weight is None or not weight.any() else weight
        share, rows = given / given.sum(), np.arange(len(y))
        return [
            np.asarray(p[rows, y], dtype=np.float64) for p in members
        ], lambda p: -float((share * np.log(np.maximum(p, FLOOR))).sum())
    exact = np.float32 if metric.is_of_classes else np.float64  # probabilities sort twice as fast with half the digits
    return [p.astype(exact) for p in members], lambda p: metric.error(y, p, weight)


def _greedy(
    members: Sequence[np.ndarray],
    judge: Callable[[np.ndarray], float],
    prices: np.ndarray,
    *,
    start: int,
    steps: int,
    until: float,
) -> tuple[np.ndarray, float]:
    """Weights of the best prefix, and its error; `members` come best first, and what is in costs no more."""
    counts = np.zeros(len(members))
    counts[start] = 1
    total = members[start].copy()
    kept, least, idle = counts.copy(), judge(total), 0
    for size in range(2, steps + 1):
        errors = np.full(len(members), math.inf)
        spent = prices[counts > 0].sum(axis=0)
        for k, member in enumerate(members):
            if time.monotonic() >= until:
                return kept / kept.sum(), least
            if counts[k] > 0 or (spent + prices[k] <= 1).all():
                errors[k] = judge((total + member) / size)
        is_tied = errors <= errors.min() * (1 + NOISE)
        taken = int(np.argmax(is_tied * (1 + (counts > 0))))  # of equals, one already in; else the better single
        counts[taken] += 1
        total += members[taken]
        idle += 1
        if errors[taken] < least * (1 - NOISE):
            kept, least, idle = counts.copy(), float(errors[taken]), 0
        if idle == PATIENCE:
            break
    return kept / kept.sum(), least
