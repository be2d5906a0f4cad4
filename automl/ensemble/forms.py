"""Cheaper forms of candidates: a bag whose members are each fitted once on all rows, and a student of a blend.

A bag is scored by its folds' models, each alone on the rows that it did not see. That is the score of one model, too,
so it is promised for the model that is fitted once; what averaging the folds adds to the bag is not in any score. Where
rows were dealt anew a row's prediction is the mean of two models: the form as one model is judged by the first deal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import search_spaces
from automl.ensemble.candidates import BLEND, HeldOutComparison, alone, mixture
from automl.ensemble.frontier import error
from automl.records import Candidate, Fold, Score, Trial
from automl.scoring.folds import Folds
from search_spaces.spec import BASELINE

ONCE = "one model"  # of a bag
EACH = "one model each"  # of a blend
BEST = 2  # single models whose form as one model is listed, whatever they cost


def is_bag(trial: Trial, dealt: Folds) -> bool:
    """Whether its folds together are used as they are; any other trial is fitted once on all rows anyway."""
    is_network = search_spaces.get(trial.plan.family).is_coursed
    is_whole = all(k in trial.folds for k in range(dealt.each)) or (is_network and len(trial.folds) > 1)
    return dealt.kind != "forward" and is_whole


def fitted_once(
    field: Sequence[Candidate], comparison: HeldOutComparison, trials: Sequence[Trial], dealt: Folds, *, is_timed: bool
) -> list[Candidate]:
    """The form as one model of each bag that is worth a look: the best, the blends, and the fastest of the others.

    Where trials are counted the smallest, since runs repeat.
    """
    folds = {t.plan.number: list(t.folds.values()) for t in trials}
    whole = {t.plan.number for t in trials if is_bag(t, dealt) and len(t.folds) > 1}
    bags = [one for one in field if one.name != BASELINE and whole & set(one.weights)]
    singles = sorted(
        (one for one in bags if len(one.weights) == 1 and not one.name.startswith(BLEND)),
        key=lambda one: error(one.score),
    )

    def cost(one: Candidate) -> float:
        """Of one fold of each member."""
        return sum(folds[n][0].row_s if is_timed else folds[n][0].size_mb for n in one.weights)

    listed, least = singles[:BEST], min(map(cost, singles[:BEST]), default=0.0)
    for one in singles[BEST:]:
        if cost(one) < least:
            least = cost(one)
            listed.append(one)
    wanted = [one for one in bags if len(one.weights) > 1 or one in listed]  # a blend of one is listed
    return [replace(_once(one, trials), score=_score_of_one(one, comparison)) for one in wanted]


def student(trial: Trial, teacher: Candidate, comparison: HeldOutComparison, until: float) -> Candidate:
    """One model that learned from a blend's answers: scored on the rows that neither it nor its teacher had seen.

    `comparison` has its predictions beside those of the trials.
    """
    fold = next(iter(trial.folds.values()))
    readout, score = alone(comparison, trial, until)
    name = f"{trial.plan.family} taught by {teacher.name}"
    spent_s = trial.spent.cpu_s + teacher.fit_s
    return Candidate(
        name=name, weights={trial.plan.number: 1.0}, score=score, fit_s=spent_s, row_ms=1e3 * fold.row_s,
        batch_ms=1e3 * fold.batch_s, size_mb=fold.size_mb, lean_ms=1e3 * fold.row_s, lean_mb=fold.size_mb,
        readout=readout, made_from=teacher.name,
    )  # fmt: skip


def _score_of_one(one: Candidate, comparison: HeldOutComparison) -> Score:
    """The score without later deals of the rows: worse by what their mean adds, where it adds something."""
    members = [t for t in comparison.trials if t.plan.number in one.weights]
    if not any(k in t.folds for t in members for k in comparison.later):
        return one.score
    first = {t.plan.number: np.concatenate([t.folds[k].predictions for k in comparison.folds]) for t in members}
    alone = replace(comparison, predictions={**comparison.predictions, **first})
    metric, y, weight = comparison.metric, comparison.y, comparison.weight
    errors = [metric.error(y, mixture(one, each), weight) for each in (comparison, alone)]
    if not all(map(math.isfinite, errors)):
        return one.score
    more = metric.to_score(max(errors)) - metric.to_score(errors[0])
    return replace(one.score, value=one.score.value + more, low=one.score.low + more, high=one.score.high + more)


def _once(one: Candidate, trials: Sequence[Trial]) -> Candidate:
    """Each member as one model: what a fold of it costs, and to fit it what one fit takes."""
    members = [t for t in trials if t.plan.number in one.weights]
    firsts = [_first(t) for t in members]
    row_ms, size_mb = 1e3 * sum(f.row_s for f in firsts), sum(f.size_mb for f in firsts)
    return replace(
        one, name=f"{one.name}, {ONCE if len(members) == 1 else EACH}", row_ms=row_ms, lean_ms=row_ms,
        batch_ms=1e3 * sum(f.batch_s for f in firsts), size_mb=size_mb, lean_mb=size_mb,
        fit_s=sum(t.spent.cpu_s / len(t.folds) for t in members),
        kept={t.plan.number: 1 for t in members if len(t.folds) > 1}, made_from=one.name,
    )  # fmt: skip


def _first(trial: Trial) -> Fold:
    return next(iter(trial.folds.values()))
