"""The routes as arms: the best of each on the folds that both did, and how far the returned model is behind them.

A route that did not finish the bag is compared on the folds that it did finish. What a route alone would have returned
is a blend of its own trials, chosen on some rows and judged on the others, as the returned model is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from automl.data.prepare import Prepared
from automl.decision.foreseen import SEED_NOISE
from automl.decision.probes import share_of
from automl.ensemble.blend import Choose, blend, by_rank, honest_error
from automl.ensemble.calibrate import Chosen, tuned
from automl.ensemble.candidates import HeldOutComparison
from automl.ensemble.frontier import EVERYDAY, Limits
from automl.records import Candidate, Trial
from automl.records.verdict import Change, Difference, MeasuredRegret
from automl.scoring import metrics
from automl.scoring.metrics import Metric, Redrawing
from search_spaces.spec import BASELINE

NEAR_MOST = 0.5  # of the folds that the one with most shares with ours: with fewer a lucky fold would win
LEVEL = 0.95
RUN_NOISE = SEED_NOISE  # of the error: by so much a run of another seed differs
NOTHING: Mapping[str, Change] = {}

RouteOf = Callable[[Trial], str]


@dataclass(frozen=True, kw_only=True)
class ArmGround:
    """Rows on which two or more are compared."""

    metric: Metric
    y: np.ndarray
    weight: np.ndarray | None
    blocks: np.ndarray | None
    until: float = math.inf

    def told(self, predictions: np.ndarray) -> np.ndarray:
        """Predictions as they are judged: labels by a rule that other rows teach."""
        late = time.monotonic() >= self.until
        return predictions if late else tuned(self.metric, self.y, predictions, self.weight)

    def error(self, predictions: np.ndarray) -> float:
        """Of all these rows."""
        return self.metric.error(self.y, predictions, self.weight)


def by_route(trials: Sequence[Trial], route_of: RouteOf) -> dict[str, list[Trial]]:
    """The trials that finished a fold and still are there, without the baseline; best first.

    What learned from a part of the rows alone counts only where a route has nothing else.
    """
    found: dict[str, list[Trial]] = {}
    for trial in sorted(trials, key=lambda t: t.error):
        if trial.folds and not trial.is_gone and trial.plan.family != BASELINE:
            found.setdefault(route_of(trial), []).append(trial)
    return {name: [t for t in own if share_of(t) == 1] or own for name, own in found.items()}


def pair(ours: Sequence[Trial], theirs: Sequence[Trial]) -> tuple[Trial, Trial, tuple[int, ...]] | None:
    """Our first that shares a fold with any of theirs, and the best of those on the folds that both did."""
    for mine in ours:
        shared = {t.plan.number: sorted(set(mine.folds) & set(t.folds)) for t in theirs}
        most = max(map(len, shared.values()), default=0)
        if not most:
            continue
        able = [t for t in theirs if len(shared[t.plan.number]) >= max(1.0, NEAR_MOST * most)]

        def behind(other: Trial, mine: Trial = mine, shared: Mapping[int, list[int]] = shared) -> float:
            both = shared[other.plan.number]
            return sum(other.folds[k].error - mine.folds[k].error for k in both) / len(both)

        best = min(able, key=lambda t: (behind(t), -len(shared[t.plan.number])))
        return mine, best, tuple(shared[best.plan.number])
    return None


def differ(
    route: str, both: tuple[Trial, Trial, tuple[int, ...]], ready: Prepared, until: float = math.inf
) -> Difference:
    """The paired difference of two trials on the folds that both did; of several deals of the rows, each row once."""
    ours, theirs, folds = both
    ground, firsts = _ground(folds, ready, until)
    ours_said, theirs_said = (ground.told(_pooled(trial, folds, firsts, ready)) for trial in (ours, theirs))
    low, high = metrics.paired_interval(
        ground.metric, ground.y, theirs_said, ours_said, weight=ground.weight, blocks=ground.blocks, until=until
    )
    names = [f"{trial.plan.family} #{trial.plan.number}" for trial in (ours, theirs)]
    return Difference(
        route=route, ours=names[0], theirs=names[1], our_error=ground.error(ours_said),
        their_error=ground.error(theirs_said), low=low, high=high, folds=len(folds),
        of=max(ready.fold_plan.goal, len(folds)), rows=len(ground.y), share=share_of(theirs),
    )  # fmt: skip


def _ground(folds: Sequence[int], ready: Prepared, until: float) -> tuple[ArmGround, list[int]]:
    """The rows that these folds hold out, and the folds of one deal that hold each of them once."""
    shared = ready.shared
    deal = min(folds) // shared.folds.each
    firsts = [k for k in folds if k // shared.folds.each == deal]
    rows = np.concatenate([shared.folds.held(k) for k in firsts])
    weight = None if shared.weight is None else shared.weight[rows]
    blocks = None if shared.folds.blocks is None else shared.folds.blocks[rows]
    return ArmGround(metric=ready.metric, y=shared.y[rows], weight=weight, blocks=blocks, until=until), firsts


def _pooled(trial: Trial, folds: Sequence[int], firsts: Sequence[int], ready: Prepared) -> np.ndarray:
    return ready.shared.folds.pooled(firsts, {k: trial.folds[k].predictions for k in folds})


def regret(
    chosen: Candidate,
    comparison: HeldOutComparison,
    route_of: RouteOf,
    limits: Limits,
    had: Mapping[str, Change] = NOTHING,
    until: float = math.inf,
) -> MeasuredRegret | None:
    """How far the returned model is behind the best route alone; None where no route has a model to compare.

    All are judged on rows that did not choose them. The best of several routes looks better than it is, too: by how
    much, redrawn rows tell, and it is taken off. A route whose models all break the limits is no alternative.
    `had`: what a route's error would have changed by, had all seconds of the run been its own. It is not measured, so
    only the upper end of the interval takes it in.
    """
    rivals = comparison.rivals
    allowed = [t for t in rivals if _fits(t, limits)] or rivals
    routes = by_route(allowed, route_of)
    if not routes:
        return None
    ground = ArmGround(
        metric=comparison.metric, y=comparison.y, weight=comparison.weight, blocks=comparison.blocks, until=until
    )
    within = limits.tightened(EVERYDAY)
    now = time.monotonic()
    half = until if math.isinf(until) else now + (until - now) / 2  # the rest is for redrawing rows
    said = [_returned(chosen, comparison, limits, half)]
    said += [_alone([t for t in rivals if t in own], comparison, within, half) for own in routes.values()]
    return told(ground, [ground.told(one) for one in said], tuple(routes), had)


def told(
    ground: ArmGround, said: Sequence[np.ndarray], routes: tuple[str, ...], had: Mapping[str, Change] = NOTHING
) -> MeasuredRegret | None:
    """The regret from predictions: of the returned model, then of each route alone; None where errors are endless."""
    changes = [had.get(route, Change(0.0, 0.0)) for route in routes]
    errors = np.array([ground.error(one) for one in said])
    if not np.isfinite(errors[0]) or not np.isfinite(errors[1:]).any():
        return None  # of a user's function: it failed on these rows
    redrawn = Redrawing(ground.y, ground.weight, ground.blocks, until=ground.until)
    drawn = errors + redrawn.moves(ground.metric, said)
    drawn[~np.isfinite(drawn)] = np.nan  # such a function may fail on some redrawn rows only
    at = int(np.argmin(errors[1:]))
    least = drawn[:, 1:].min(axis=1)
    flattered = float(np.nanmean(least)) - errors[1 + at]  # below zero: the least of several is least by luck, too
    flattered = min(0.0, flattered) if math.isfinite(flattered) else 0.0
    behind = float(errors[0] - errors[1 + at] + flattered)
    moves = drawn[:, 0] - least
    moves -= float(np.nanmean(moves))
    # A run that goes one way alone tries other models than this one did.
    moves += errors[1 + at] * math.hypot(RUN_NOISE, changes[at].sd) * _normal(len(moves))
    low, high = redrawn.ends(ground.metric, behind, moves, LEVEL)
    gained = max(float(errors[1 + at] - e * math.exp(c.mean)) for e, c in zip(errors[1:], changes, strict=True))
    return MeasuredRegret(
        value=max(0.0, behind), low=max(0.0, low), high=max(0.0, high + max(0.0, gained)),
        gain=-behind, gain_low=-high, gain_high=-low,
        error=float(errors[1 + at]), against=routes[at], routes=routes, rows=len(ground.y),
    )  # fmt: skip


def _normal(count: int) -> np.ndarray:
    """So many numbers spread as a normal distribution is, in an order that has nothing to do with anything."""
    return np.random.default_rng(0).standard_normal(count)


def _fits(trial: Trial, limits: Limits) -> bool:
    """Whether one fold of it is within the limits."""
    fold = next(iter(trial.folds.values()))
    return 1e3 * fold.row_s <= limits.row_ms and fold.size_mb <= limits.size_mb


def _returned(chosen: Candidate, comparison: HeldOutComparison, limits: Limits, until: float) -> np.ndarray:
    """What the returned model says of each row, had it been chosen without that row."""
    rivals = comparison.rivals
    numbers = [t.plan.number for t in rivals]
    if len(chosen.weights) > 1:
        return _alone(rivals, comparison, limits.tightened(Limits(chosen.within_ms)), until)
    number = next(iter(chosen.weights))
    predictions = [comparison.predictions[n] for n in numbers]
    if number not in numbers or len(numbers) == 1:
        return comparison.predictions[number]
    places = by_rank(
        comparison.metric, comparison.y, predictions, weight=comparison.weight, blocks=comparison.blocks, until=until
    )
    at = numbers.index(number)
    alone = np.zeros(len(numbers))
    alone[at] = 1.0
    return Chosen(predictions, alone, places[at]).pooled()


def _alone(trials: Sequence[Trial], comparison: HeldOutComparison, limits: Limits, until: float) -> np.ndarray:
    """What these trials alone would have come to, each row told by weights that were chosen without it."""
    predictions = [comparison.predictions[t.plan.number] for t in trials]
    if len(predictions) == 1:
        return predictions[0]
    folds = [next(iter(t.folds.values())) for t in trials]
    costs = np.array([[1e3 * f.row_s / limits.row_ms, f.size_mb / limits.size_mb] for f in folds])
    choose: Choose = partial(blend, costs=costs)
    return honest_error(
        comparison.metric, comparison.y, predictions, weight=comparison.weight, blocks=comparison.blocks,
        until=until, choose=choose,
    ).predictions  # fmt: skip
