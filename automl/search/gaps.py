"""How far trials are behind the best on the same folds, as far as luck on the rows held out does not explain it.

An error near nothing makes any other many times as large, and on some dozen rows neither is known: times an error alone
would end a search of few rows with the first lucky fold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from automl.search.steps import Attempt, Load


def times_behind(attempts: Sequence[Attempt], leaders: Iterable[Attempt], load: Load) -> dict[int, float]:
    """By number: how many times the best error of the leaders on the same folds each has, luck apart.

    Leaders are of the attempts, or number 0, which knows the error without a model. What no leader did tells nothing.
    """
    leaders = list(leaders)
    best = _least([a for a in leaders if a.plan.number])
    worst = _least([a for a in leaders if not a.plan.number])
    found = {}
    for attempt in attempts:
        if attempt.folds and attempt.folds.keys() <= best.keys():
            at = [k for k in attempt.folds if worst.get(k, math.inf) < math.inf]
            least, most = _mean([best[k] for k in attempt.folds]), _mean([worst[k] for k in at])
            found[attempt.plan.number] = _times(attempt.error, least, most, load, len(attempt.folds))
    return found


def _times(error: float, least: float, most: float, load: Load, folds: int) -> float:
    rows = max(1, load.held) * folds
    row = most / rows  # what one row told wrong adds
    wrong = max(0.0, error) / row if row > 0 else 0.0
    luck = error / math.sqrt(rows) if load.is_number else row * (1 + math.sqrt(wrong)) / 2  # both err on the same rows
    return (max(error - luck, 0.0) + row) / max(least + row, 1e-12)


def _least(attempts: Iterable[Attempt]) -> dict[int, float]:
    found: dict[int, float] = {}
    for attempt in attempts:
        for k, fold in attempt.folds.items():
            found[k] = min(found.get(k, math.inf), fold.error)
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def levelled(attempt: Attempt, others: Iterable[Attempt]) -> float:
    """An error on some folds as if on all that the best of the others with most folds did: some folds are easier."""
    able = [a for a in others if a.plan.number and a is not attempt and a.folds.keys() > attempt.folds.keys()]
    if not attempt.folds or not able:
        return attempt.error
    leader = min(able, key=lambda a: (-len(a.folds), a.error))
    return attempt.error + leader.error - _mean([leader.folds[k].error for k in attempt.folds])
