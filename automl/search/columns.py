"""Which of several decoded columns a network reads: each is tried, then the one that served its family best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from automl.search.steps import Attempt, Start


def column_for(start: Start, able: Sequence[str], attempts: Mapping[int, Attempt]) -> dict[str, str]:
    """The column of a trial that begins, as its plan's features hold it; nothing where there is no choice."""
    if len(able) < 2:
        return {}
    if start.parent is not None and (column := _column(attempts[start.parent])):
        return {"column": column}
    mine = [attempt for attempt in attempts.values() if attempt.plan.family == start.family.name]
    asked = {_column(attempt) for attempt in mine}
    unseen = [column for column in able if column not in asked]
    if unseen:
        return {"column": unseen[0]}
    return {"column": min(able, key=lambda column: _best(a for a in mine if _column(a) == column))}


def _column(attempt: Attempt) -> str:
    return str(attempt.plan.features.get("column", ""))


def _best(attempts: Iterable[Attempt]) -> float:
    return min((attempt.error for attempt in attempts), default=math.inf)
