"""Trials to candidates: what the run could return, each scored on the same held-out rows.

Trials compete on the folds that all contenders finished; a partial trial never wins on fewer folds than its rivals.
The blend's score is cross-fitted: weights are chosen on some rows and scored on others, so searching cannot flatter it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from automl import metrics
from automl.ensemble import blend, honest_error, single_best
from automl.metrics import Metric
from automl.prepare import Prepared
from automl.records import Candidate, Score, Trial

BASELINE = "constant"
LISTED = 12  # single trials on the leaderboard
FAR = 1.1  # an error so many times smaller on the same folds is no luck: then finished bags do not decide alone
BLEND, FAST_BLEND = "blend", "fast blend"
FAST_MS = 4.0  # to predict a row with one fold: what a member of the fast blend may take


@dataclass(frozen=True)
class Arena:
    """The rows on which trials compete, and who takes part."""

    trials: tuple[Trial, ...]
    metric: Metric
    folds: tuple[int, ...]
    y: np.ndarray
    weight: np.ndarray | None
    predictions: Mapping[int, np.ndarray]  # trial number -> held-out predictions of all rows here

    @property
    def rivals(self) -> list[Trial]:
        """The trials without the baseline, best first."""
        return sorted((t for t in self.trials if t.plan.family != BASELINE), key=self.error)

    def error(self, trial: Trial) -> float:
        """Mean error over the folds all have finished."""
        return _mean_error(trial, self.folds)


def _mean_error(trial: Trial, folds: Sequence[int]) -> float:
    return sum(trial.folds[k].error for k in folds) / len(folds)


def enter(trials: Sequence[Trial], ready: Prepared) -> Arena:
    """Choose the folds to compete on, and line up the predictions of the trials that finished them."""
    shared = ready.shared
    chosen = _common_folds([t for t in trials if t.folds and t.plan.family != BASELINE], ready)
    entered = tuple(t for t in trials if t.folds and all(k in t.folds for k in chosen))
    rows = np.concatenate([shared.folds.held(k) for k in chosen])
    predictions = {t.plan.number: np.concatenate([t.folds[k].predictions for k in chosen]) for t in entered}
    weight = None if shared.weight is None else shared.weight[rows]
    return Arena(entered, metrics.get(shared.metric), chosen, shared.y[rows], weight, predictions)


def _common_folds(rivals: Sequence[Trial], ready: Prepared) -> tuple[int, ...]:
    """Those of a finished bag, unless that shuts out a trial far better on what it did; else the most that any has."""
    if not rivals:
        return tuple(range(ready.shared.folds.count))
    goal = tuple(range(ready.bags.goal))
    sets = {tuple(k for k in goal if k in t.folds) for t in rivals} - {()}
    for wanted in sorted(sets, key=lambda s: (-len(s), s)):
        inside = [t for t in rivals if set(wanted) <= set(t.folds)]
        outside = [t for t in rivals if t not in inside]
        if ready.is_careful or not any(_is_far_ahead(t, inside, wanted) for t in outside):
            return wanted
    return tuple(rivals[0].folds)


def _is_far_ahead(trial: Trial, inside: Sequence[Trial], folds: Sequence[int]) -> bool:
    both = [k for k in folds if k in trial.folds]
    return bool(both) and _mean_error(trial, both) * FAR < min(_mean_error(t, both) for t in inside)


def candidates(arena: Arena, until: float) -> list[Candidate]:
    """The baseline, the best single trials and their blend, each with its score and its costs."""
    made = []
    rivals = arena.rivals
    for trial in [t for t in arena.trials if t.plan.family == BASELINE] + rivals[:LISTED]:
        score = _score(arena, arena.predictions[trial.plan.number])
        if len(rivals) > 1 and trial is rivals[0]:  # the best of many looks better than it is
            score = _honest_single(arena, rivals, until)
        name = BASELINE if trial.plan.family == BASELINE else f"{trial.plan.family} #{trial.plan.number}"
        made.append(_candidate(name, {trial.plan.number: 1.0}, arena, score))
    for name, members in ((BLEND, rivals), (FAST_BLEND, [t for t in rivals if _row_ms(t) <= FAST_MS])):
        if len(members) > 1 and (name == BLEND or len(members) < len(rivals)):
            made.append(_blend(name, arena, members, until))
    return made


def _honest_single(arena: Arena, rivals: Sequence[Trial], until: float) -> Score:
    """The score of choosing the best trial on some rows, on the others."""
    predictions = [arena.predictions[t.plan.number] for t in rivals]
    honest = honest_error(arena.metric, arena.y, predictions, weight=arena.weight, until=until, choose=single_best)
    naive = arena.metric.error(arena.y, predictions[0], arena.weight)
    return _score(arena, honest.predictions, optimism=max(0.0, honest.error - naive))


def _row_ms(trial: Trial) -> float:
    return 1e3 * next(iter(trial.folds.values())).row_s


def _blend(name: str, arena: Arena, rivals: Sequence[Trial], until: float) -> Candidate:
    metric = arena.metric
    predictions = [arena.predictions[t.plan.number] for t in rivals]
    weights = blend(metric, arena.y, predictions, weight=arena.weight, until=until)
    honest = honest_error(metric, arena.y, predictions, weight=arena.weight, until=until)
    mixed = sum(w * p for w, p in zip(weights, predictions, strict=True))
    naive = metric.error(arena.y, mixed, arena.weight)
    score = _score(arena, honest.predictions, optimism=max(0.0, honest.error - naive))
    members = {t.plan.number: float(w) for t, w in zip(rivals, weights, strict=True) if w > 0}
    return _candidate(name, members, arena, score)


def _score(arena: Arena, predictions: np.ndarray, optimism: float = 0.0) -> Score:
    metric = arena.metric
    value = metric.score(arena.y, predictions, arena.weight)
    low, high = metrics.interval(metric, arena.y, predictions, weight=arena.weight)
    return Score(metric.name, value, low, high, metric.higher_is_better, optimism=optimism)


def _candidate(name: str, weights: Mapping[int, float], arena: Arena, score: Score) -> Candidate:
    members = [t for t in arena.trials if t.plan.number in weights]
    folds = [fold for t in members for fold in t.folds.values()]
    firsts = [next(iter(t.folds.values())) for t in members]
    return Candidate(
        name, weights, score,
        fit_s=sum(t.spent.cpu_s for t in members),
        row_ms=1e3 * sum(fold.row_s for fold in folds),
        batch_ms=1e3 * sum(fold.batch_s for fold in folds),
        size_mb=sum(fold.size_mb for fold in folds),
        lean_ms=1e3 * sum(fold.row_s for fold in firsts),
        lean_mb=sum(fold.size_mb for fold in firsts),
    )  # fmt: skip


def mixture(candidate: Candidate, arena: Arena) -> np.ndarray:
    """A candidate's held-out predictions on the arena's rows."""
    return np.asarray(sum(w * arena.predictions[number] for number, w in candidate.weights.items()))
