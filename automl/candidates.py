"""Trials to candidates: what the run could return, each scored on the same held-out rows.

Trials compete on the folds that all contenders finished; a partial trial never wins on fewer folds than its rivals.
The blend's score is cross-fitted: weights are chosen on some rows and scored on others, so searching cannot flatter it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from automl import metrics
from automl.ensemble import blend, honest_error
from automl.metrics import Metric
from automl.records import Candidate, Score, Trial
from automl.split import Folds

BASELINE = "constant"
LISTED = 12  # single trials on the leaderboard
CLOSE = 1.01  # a set of folds is refused when it shuts out a trial that is this much better on what both finished
BLEND = "blend"


@dataclass(frozen=True)
class Arena:
    """The rows on which trials compete, and who takes part."""

    trials: tuple[Trial, ...]
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


def enter(trials: Sequence[Trial], folds: Folds, y: np.ndarray, weight: np.ndarray | None) -> Arena:
    """Choose the folds to compete on, and line up the predictions of the trials that finished them."""
    chosen = _common_folds([t for t in trials if t.folds and t.plan.family != BASELINE], folds.count)
    entered = tuple(t for t in trials if t.folds and all(k in t.folds for k in chosen))
    rows = np.concatenate([folds.held(k) for k in chosen])
    predictions = {t.plan.number: np.concatenate([t.folds[k].predictions for k in chosen]) for t in entered}
    return Arena(entered, chosen, y[rows], None if weight is None else weight[rows], predictions)


def _common_folds(rivals: Sequence[Trial], count: int) -> tuple[int, ...]:
    """The largest set of folds that shuts out no clearly better trial."""
    if not rivals:
        return tuple(range(count))
    sets = sorted({tuple(sorted(t.folds)) for t in rivals}, key=lambda s: (-len(s), s))
    for wanted in sets:
        inside = [t for t in rivals if set(wanted) <= set(t.folds)]
        outside = [t for t in rivals if t not in inside]
        if not any(_beats_all(t, inside, wanted) for t in outside):
            return wanted
    return sets[0]


def _beats_all(trial: Trial, inside: Sequence[Trial], folds: Sequence[int]) -> bool:
    both = [k for k in folds if k in trial.folds]
    return bool(both) and _mean_error(trial, both) * CLOSE < min(_mean_error(t, both) for t in inside)


def candidates(arena: Arena, metric_name: str, until: float) -> list[Candidate]:
    """The baseline, the best single trials and their blend, each with its score and its costs."""
    metric = metrics.get(metric_name)
    made = []
    rivals = arena.rivals
    for trial in [t for t in arena.trials if t.plan.family == BASELINE] + rivals[:LISTED]:
        score = _score(metric, arena, arena.predictions[trial.plan.number])
        name = BASELINE if trial.plan.family == BASELINE else f"{trial.plan.family} #{trial.plan.number}"
        made.append(_candidate(name, {trial.plan.number: 1.0}, arena, score))
    if len(rivals) > 1:
        made.append(_blend(metric, arena, rivals, until))
    return made


def _blend(metric: Metric, arena: Arena, rivals: Sequence[Trial], until: float) -> Candidate:
    predictions = [arena.predictions[t.plan.number] for t in rivals]
    weights = blend(metric, arena.y, predictions, weight=arena.weight, until=until)
    honest = honest_error(metric, arena.y, predictions, weight=arena.weight, until=until)
    mixed = sum(w * p for w, p in zip(weights, predictions, strict=True))
    naive = metric.error(arena.y, mixed, arena.weight)
    score = _score(metric, arena, honest.predictions, optimism=max(0.0, honest.error - naive))
    members = {t.plan.number: float(w) for t, w in zip(rivals, weights, strict=True) if w > 0}
    return _candidate(BLEND, members, arena, score)


def _score(metric: Metric, arena: Arena, predictions: np.ndarray, optimism: float = 0.0) -> Score:
    value = metric.score(arena.y, predictions, arena.weight)
    low, high = metrics.interval(metric, arena.y, predictions, weight=arena.weight)
    return Score(metric.name, value, low, high, metric.higher_is_better, optimism=optimism)


def _candidate(name: str, weights: Mapping[int, float], arena: Arena, score: Score) -> Candidate:
    members = [t for t in arena.trials if t.plan.number in weights]
    folds = [t.folds[k] for t in members for k in arena.folds]
    return Candidate(
        name, weights, score,
        fit_s=sum(t.spent.cpu_s for t in members),
        row_ms=1e3 * sum(fold.row_s for fold in folds),
        batch_ms=1e3 * sum(fold.batch_s for fold in folds),
        size_mb=sum(fold.size_mb for fold in folds),
    )  # fmt: skip


def mixture(candidate: Candidate, arena: Arena) -> np.ndarray:
    """A candidate's held-out predictions on the arena's rows."""
    return np.asarray(sum(w * arena.predictions[number] for number, w in candidate.weights.items()))
