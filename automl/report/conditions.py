"""Conditions on a column as JSON and in words: age below 42, city is Rome or Oslo, income missing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypedDict

from automl.report import words

DAY_S = 86_400
MOST_LABELS = 4  # told by name


class ConditionJson(TypedDict, total=False):
    """Rows whose cell lies from `low` to below `high`, is one of the labels, or is missing."""

    column: str
    low: float | None
    high: float | None  # null: no bound
    labels: list[str] | None  # of categories
    is_date: bool  # then bounds are seconds since 1970
    is_missing: bool  # missing cells belong to it


def told(condition: Any, length: int = 40) -> str:
    """The condition in words; a dash where it says nothing."""
    name = words.short(words.part(condition, "column"), length)
    missing = words.part(condition, "is_missing") is True
    labels = words.part(condition, "labels")
    if isinstance(labels, list) and labels:
        told_ = f"{name} is {_among([words.short(label, length) for label in labels])}"
    else:
        told_ = _between(name, condition)
    if not told_:
        return f"{name} is missing" if missing else words.DASH
    return f"{told_} or missing" if missing else told_


def _between(name: str, condition: Any) -> str:
    low, high = (words.finite(words.part(condition, end)) for end in ("low", "high"))
    is_date = words.part(condition, "is_date") is True
    if low is not None and high is not None:
        return f"{name} from {value(low, is_date)} to below {value(high, is_date)}"
    if low is not None:
        return f"{name} from {value(low, is_date)} on" if is_date else f"{name} at least {value(low)}"
    return f"{name} {'before' if is_date else 'below'} {value(high, is_date)}" if high is not None else ""


def value(number: float | None, is_date: bool = False) -> str:
    """A number, or the day that it stands for."""
    if not is_date or number is None:
        return words.number(number)
    try:
        return datetime.fromtimestamp(number, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):  # no year that a calendar has
        return words.DASH


def _among(labels: list[str]) -> str:
    if len(labels) == 1:
        return labels[0]
    if len(labels) <= MOST_LABELS:
        return f"{', '.join(labels[:-1])} or {labels[-1]}"
    return f"{', '.join(labels[: MOST_LABELS - 1])} or one of {len(labels) - MOST_LABELS + 1} others"
