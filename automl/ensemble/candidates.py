"""Trials to candidates: what the run could return, each scored on the same held-out rows.

Trials compete on the folds that all contenders finished; a partial trial never wins on fewer folds than its rivals.
Scores are cross-fitted: weights, calibration and threshold are learned on some rows and scored on others, so that
searching cannot flatter them. Blends come as a ladder, each rung within a quarter of the cost of the one above.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

import search_spaces
from automl.data.prepare import Prepared
from automl.ensemble.blend import Choose, blend, by_rank, deal, honest_error
from automl.ensemble.calibrate import Chosen, tune, tuned, tuned_error
from automl.ensemble.frontier import EVERYDAY, Limits, trim
from automl.records import Calibration, Candidate, Score, Trial
from automl.scoring import promise
from automl.scoring.metrics import Metric, Redrawing
from automl.scoring.promise import in_order
from automl.scoring.readout import calibrated, decided
from search_spaces.spec import BASELINE

LISTED = 12  # single trials on the leaderboard
FAR = 1.1  # an error so many times smaller on the same folds is no luck: then finished bags do not decide alone
BLEND = "blend"
RUNGS = 3  # blends below the unlimited one, each within a quarter of the milliseconds of the one before
NO_LIMITS = Limits()
BEHIND = 0.5  # of the error of the others, by which a network that lacks one fold of many may be worse and still decide
FOLDS_KEPT = 3  # of each member: what a rung's limit must leave room for


@dataclass(frozen=True, kw_only=True)
class HeldOutComparison:
    """The rows on which trials compete, and who takes part."""

    trials: tuple[Trial, ...]
    metric: Metric
    folds: tuple[int, ...]
    rows: np.ndarray  # of the data set, in the order of the predictions
    y: np.ndarray
    weight: np.ndarray | None
    predictions: Mapping[int, np.ndarray]  # trial number -> held-out predictions of all rows here
    blocks: np.ndarray | None = None  # an id per row, equal for rows that are redrawn together; None: each by itself
    later: tuple[int, ...] = ()  # folds of later deals of the same rows, which some have done as well
    is_forward: bool = False  # whether each fold learned from what was before it, the first one from most

    @property
    def rivals(self) -> list[Trial]:
        """The trials without the baseline, best first."""
        return sorted((t for t in self.trials if t.plan.family != BASELINE), key=self.error)

    def error(self, trial: Trial) -> float:
        """Mean error over the folds all have finished, and over other deals of the same rows."""
        return _mean_error(trial, [*self.folds, *(k for k in self.later if k in trial.folds)])


def _mean_error(trial: Trial, folds: Sequence[int]) -> float:
    return sum(trial.folds[k].error for k in folds) / len(folds)


def enter(trials: Sequence[Trial], ready: Prepared) -> HeldOutComparison:
    """Choose the folds to compete on, and line up the predictions of the trials that finished them."""
    shared, trials = ready.shared, [t for t in trials if not t.is_gone]
    chosen = _common_folds([t for t in trials if t.folds and t.plan.family != BASELINE], ready)
    entered = tuple(t for t in trials if t.folds and all(k in t.folds for k in chosen))
    rows = np.concatenate([shared.folds.held(k) for k in chosen])
    predictions = {t.plan.number: shared.folds.pooled(chosen, _predictions(t)) for t in entered}
    weight = None if shared.weight is None else shared.weight[rows]
    blocks = None if shared.folds.blocks is None else shared.folds.blocks[rows]
    is_whole = len(chosen) == shared.folds.each
    later = tuple(range(shared.folds.each, shared.folds.count)) if is_whole else ()
    return HeldOutComparison(
        trials=entered,
        metric=ready.metric,
        folds=chosen,
        rows=rows,
        y=shared.y[rows],
        weight=weight,
        predictions=predictions,
        blocks=blocks,
        later=later,
        is_forward=shared.folds.kind == "forward",
    )


def _predictions(trial: Trial) -> dict[int, np.ndarray]:
    return {k: fold.predictions for k, fold in trial.folds.items()}


def _common_folds(rivals: Sequence[Trial], ready: Prepared) -> tuple[int, ...]:
    """Those of a finished bag, unless that shuts out a trial far better on what it did; else the most that any has."""
    if not rivals:
        return tuple(range(ready.shared.folds.each))
    goal = tuple(range(min(ready.fold_plan.goal, ready.shared.folds.each)))  # later deals are of the same rows
    if ready.prior.is_coursed:
        return (_folds_of_leaders(rivals) if ready.fold_plan.goal == 1 else _folds_of_both(rivals, goal)) or goal
    if ready.is_rough and (shared := _folds_of_best(rivals)):
        return shared
    sets = {tuple(k for k in goal if k in t.folds) for t in rivals} - {()}
    for wanted in sorted(sets, key=lambda s: (-len(s), s)):
        inside = [t for t in rivals if set(wanted) <= set(t.folds)]
        least = len(wanted) / 2 if ready.is_careful else 1  # where a fold says little, being ahead on a few is luck
        outside = [t for t in rivals if t not in inside and sum(k in t.folds for k in wanted) >= least]
        if not any(_is_far_ahead(t, inside, wanted) for t in outside):
            return wanted
    return tuple(rivals[0].folds)


def _folds_of_leaders(rivals: Sequence[Trial]) -> tuple[int, ...]:
    """Folds that the best network and the best other model both did: where one tells little, they were given more."""
    looked = sorted((t for t in rivals if 0 in t.folds), key=lambda t: t.folds[0].error)
    leaders: dict[str, Trial] = {}
    for trial in looked:
        leaders.setdefault(search_spaces.get(trial.plan.family).route, trial)
    shared = set.intersection(*(set(trial.folds) for trial in leaders.values())) if leaders else set()
    return tuple(sorted(shared))


def _folds_of_best(rivals: Sequence[Trial]) -> tuple[int, ...]:
    """More folds than one that the best by the first of them all did, of three or else of two; none without."""
    looked = sorted((t for t in rivals if 0 in t.folds), key=lambda t: t.folds[0].error)
    for count in (3, 2):
        folds = set.intersection(*(set(t.folds) for t in looked[:count])) if len(looked) >= count else set()
        if len(folds) > 1:
            return tuple(sorted(folds))
    return ()


def _folds_of_both(rivals: Sequence[Trial], goal: Sequence[int]) -> tuple[int, ...]:
    """Folds that the networks with most of them and the other models with most of them both did.

    A network had as many as there was time for. One that is behind on them does not decide: the others keep all theirs.
    The fewer it had, the less may it be behind: with one alone not at all, for all others would be judged on that one.
    """
    mine = {t.plan.number: {k for k in goal if k in t.folds} for t in rivals}
    looked = sorted((t for t in rivals if mine[t.plan.number]), key=lambda t: (-len(mine[t.plan.number]), t.error))
    leaders: dict[bool, Trial] = {}
    for trial in looked:
        leaders.setdefault(not search_spaces.get(trial.plan.family).is_coursed, trial)
    if len(leaders) < 2:
        return tuple(sorted(mine[looked[0].plan.number])) if looked else ()
    network, other = leaders[False], leaders[True]
    both = sorted(mine[network.plan.number] & mine[other.plan.number])
    theirs = mine[other.plan.number]
    allowed = 1 + BEHIND * (len(both) - 1) / max(1, len(theirs) - 1)
    if both and len(both) < len(theirs) and _mean_error(network, both) > allowed * _mean_error(other, both):
        return tuple(sorted(theirs))
    return tuple(both) or tuple(sorted(mine[looked[0].plan.number]))


def _is_far_ahead(trial: Trial, inside: Sequence[Trial], folds: Sequence[int]) -> bool:
    both = [k for k in folds if k in trial.folds]
    return bool(both) and _mean_error(trial, both) * FAR < min(_mean_error(t, both) for t in inside)


def candidates(comparison: HeldOutComparison, limits: Limits, until: float) -> list[Candidate]:
    """The baseline, the best single trials and blends of them, each with its score and its costs."""
    baselines = [trial for trial in comparison.trials if trial.plan.family == BASELINE]
    made = [_candidate(BASELINE, {t.plan.number: 1.0}, comparison, *alone(comparison, t, until)) for t in baselines]
    rivals = comparison.rivals
    return made + _singles(comparison, rivals, until) + _ladder(comparison, rivals, limits, until)


def given(
    comparison: HeldOutComparison, name: str, weights: Mapping[int, float], readout: Calibration, until: float
) -> list[Candidate]:
    """The baseline and one blend whose weights and readout were chosen before: nothing of it flatters."""
    baselines = [trial for trial in comparison.trials if trial.plan.family == BASELINE]
    made = [
        _candidate(BASELINE, {t.plan.number: 1.0}, comparison, *_read(comparison, _alone(comparison, t), until))
        for t in baselines
    ]
    mixed = np.asarray(sum(w * comparison.predictions[number] for number, w in weights.items()))
    told = decided(calibrated(mixed, readout), readout)
    error = comparison.metric.error(comparison.y, told, comparison.weight)
    return [*made, _candidate(name, weights, comparison, readout, _score(comparison, told, error, 0.0, until))]


def _singles(comparison: HeldOutComparison, rivals: Sequence[Trial], until: float) -> list[Candidate]:
    """The best single trials, each scored as choosing the one with its rank on some rows shows it on the others."""
    listed = _listed(rivals, is_timed=math.isfinite(until))
    if not listed:
        return []
    predictions = [comparison.predictions[t.plan.number] for t in rivals]
    told = list(predictions)  # compared as their folds were: each by its own rule for labels
    for k in range(min(LISTED, len(told))):
        if time.monotonic() < until:
            told[k] = tuned(comparison.metric, comparison.y, told[k], comparison.weight)
    places = by_rank(
        comparison.metric, comparison.y, told, weight=comparison.weight, blocks=comparison.blocks, until=until
    )
    read: list[tuple[Calibration, np.ndarray, float]] = []
    for trial in listed:
        place = rivals.index(trial)
        alone = np.zeros(len(rivals))
        alone[place] = 1.0
        read.append(_tuned(comparison, Chosen(predictions, alone, places[place]), until))
    errors = in_order([comparison.metric.error(comparison.y, pooled, comparison.weight) for _, pooled, _ in read])
    made = []
    for trial, (readout, pooled, optimism), error in zip(listed, read, errors, strict=True):
        name, weights = f"{trial.plan.family} #{trial.plan.number}", {trial.plan.number: 1.0}
        made.append(_candidate(name, weights, comparison, readout, _score(comparison, pooled, error, optimism, until)))
    return made


def _listed(rivals: Sequence[Trial], *, is_timed: bool) -> list[Trial]:
    """The best, and after them those that are faster than every better one: they are on the frontier too.

    Where trials are counted those that are smaller, since runs repeat.
    """
    listed, axis = list(rivals[:LISTED]), 0 if is_timed else 1
    least = min((_cost(t)[axis] for t in listed), default=math.inf)
    for trial in rivals[LISTED:]:
        if _cost(trial)[axis] < least and len(listed) < 2 * LISTED:
            least = _cost(trial)[axis]
            listed.append(trial)
    return listed


def alone(comparison: HeldOutComparison, trial: Trial, until: float) -> tuple[Calibration, Score]:
    """The readout and the score of a trial that was not chosen by looking at the rows."""
    return _read(comparison, _alone(comparison, trial), until)


def _alone(comparison: HeldOutComparison, trial: Trial) -> Chosen:
    """A trial that was not chosen by looking at the rows."""
    parts = deal(comparison.metric, comparison.y, np.ones(1), blocks=comparison.blocks)
    return Chosen([comparison.predictions[trial.plan.number]], np.ones(1), parts)


def _ladder(comparison: HeldOutComparison, rivals: Sequence[Trial], limits: Limits, until: float) -> list[Candidate]:
    """The blend of all, and below it blends of what is within ever tighter limits, as far as these change anything."""
    top = limits.tightened(EVERYDAY)
    rungs = [NO_LIMITS, *(Limits(top.row_ms / 4**k, top.size_mb) for k in range(RUNGS))]
    made: list[Candidate] = []
    prices = np.array([_cost(t, 1 if comparison.is_forward else FOLDS_KEPT) for t in rivals]).reshape(-1, 2)
    spent = None  # by the blend above
    for rung in rungs:
        limit = np.array([rung.row_ms, rung.size_mb])
        if spent is not None and (spent <= limit).all():
            continue
        costs = prices / limit
        if (costs <= 1).all(axis=1).sum() < 2:
            break
        predictions = [comparison.predictions[t.plan.number] for t in rivals]
        choose: Choose = partial(blend, costs=costs)
        weights = choose(comparison.metric, comparison.y, predictions, weight=comparison.weight, until=until)
        members = {t.plan.number: float(w) for t, w in zip(rivals, weights, strict=True) if w > 0}
        spent = prices[weights > 0].sum(axis=0)
        if made and (len(members) == 1 or members == made[-1].weights):
            continue
        honest = honest_error(
            comparison.metric,
            comparison.y,
            predictions,
            weight=comparison.weight,
            blocks=comparison.blocks,
            until=until,
            choose=choose,
        )
        parts = honest.parts or deal(comparison.metric, comparison.y, weights, blocks=comparison.blocks)
        name = BLEND if math.isinf(rung.row_ms) else f"{BLEND} under {rung.row_ms:.3g} ms"
        readout, score = _read(comparison, Chosen(predictions, weights, parts), until)
        made.append(_candidate(name, members, comparison, readout, score, rung))
    return made


def _cost(trial: Trial, most: int = FOLDS_KEPT) -> tuple[float, float]:
    """Milliseconds for a row and megabytes, with the folds that a rung is to leave room for."""
    folds = list(trial.folds.values())[:most]
    return 1e3 * sum(fold.row_s for fold in folds), sum(fold.size_mb for fold in folds)


def _read(comparison: HeldOutComparison, chosen: Chosen, until: float) -> tuple[Calibration, Score]:
    """The readout that pays, and the score with it."""
    readout, told, optimism = _tuned(comparison, chosen, until)
    return readout, _score(
        comparison, told, comparison.metric.error(comparison.y, told, comparison.weight), optimism, until
    )


def _tuned(comparison: HeldOutComparison, chosen: Chosen, until: float) -> tuple[Calibration, np.ndarray, float]:
    """The readout that pays, predictions to score, and by how much choosing on the same rows would flatter."""
    metric, y, weight = comparison.metric, comparison.y, comparison.weight
    naive = tuned_error(metric, y, chosen.on(np.arange(len(y))), weight)
    optimism = max(0.0, tuned_error(metric, y, chosen.pooled(), weight) - naive)
    if time.monotonic() >= until:
        return Calibration(), chosen.pooled(), optimism
    return *tune(metric, y, chosen, weight), optimism


def _score(
    comparison: HeldOutComparison, predictions: np.ndarray, error: float, optimism: float, until: float
) -> Score:
    """What is promised; `error` may be known better than from these predictions alone."""
    metric = comparison.metric
    low, high = promise.interval(
        metric, predictions, Redrawing(comparison.y, comparison.weight, comparison.blocks, until=until), error=error
    )
    return Score(
        metric=metric.name,
        value=metric.to_score(error),
        low=low,
        high=high,
        higher_is_better=metric.higher_is_better,
        optimism=optimism,
    )


def _candidate(
    name: str,
    weights: Mapping[int, float],
    comparison: HeldOutComparison,
    readout: Calibration,
    score: Score,
    rung: Limits = NO_LIMITS,
) -> Candidate:
    members = [t for t in comparison.trials if t.plan.number in weights]
    most = 1 if comparison.is_forward else None  # of models that learned up to some moment the newest one alone
    fold_plan = [list(t.folds.values())[:most] for t in members]
    count = trim(fold_plan, [weights[t.plan.number] for t in members], rung)
    kept = [fold for bag, most in zip(fold_plan, count, strict=True) for fold in bag[:most]]
    firsts = [bag[0] for bag in fold_plan]
    return Candidate(
        name=name, weights=weights, score=score,
        fit_s=sum(t.spent.cpu_s for t in members),
        row_ms=1e3 * sum(fold.row_s for fold in kept),
        batch_ms=1e3 * sum(fold.batch_s for fold in kept),
        size_mb=sum(fold.size_mb for fold in kept),
        lean_ms=1e3 * sum(fold.row_s for fold in firsts),
        lean_mb=sum(fold.size_mb for fold in firsts),
        within_ms=rung.row_ms,
        kept={t.plan.number: n for t, n in zip(members, count, strict=True) if n < len(t.folds)},
        readout=readout,
    )  # fmt: skip


def mixture(candidate: Candidate, comparison: HeldOutComparison, rows: np.ndarray | None = None) -> np.ndarray:
    """A candidate's held-out predictions on the arena's rows, or on some of them, as they are scored."""
    some = slice(None) if rows is None else rows
    mixed = np.asarray(sum(w * comparison.predictions[number][some] for number, w in candidate.weights.items()))
    return decided(calibrated(mixed, candidate.readout), candidate.readout)
