"""Words of the pages: how long ago, how large, in which state; the numbers are the report's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from automl.messages import counted
from automl.report import words

STATES: Mapping[str, str] = {
    "queued": "waits", "working": "works", "stopping": "is ending", "done": "done", "stopped": "stopped",
    "failed": "failed",
}  # fmt: skip
MINUTE, HOUR, DAY = 60, 3600, 86_400
LEAST_MONEY = 0.001
UNITS = ("kB", "MB", "GB", "TB")


def ago(at: float | str | None) -> str:
    """How long since: just now, 5 minutes ago, 3 hours ago, 2026-11-30."""
    when = _seconds(at)
    if when is None:
        return words.DASH
    past = time.time() - when
    if abs(past) < MINUTE:
        return "just now"
    if past < 0:
        return f"in {_span(-past)}"
    return f"{_span(past)} ago" if past < 14 * DAY else iso_day(when)


def iso_day(at: float | str | None) -> str:
    """The day, in UTC."""
    when = _seconds(at)
    return words.DASH if when is None else datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d")


def moment(at: float | str | None) -> str:
    """To the second, in UTC."""
    when = _seconds(at)
    return words.DASH if when is None else datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def size(size_bytes: Any) -> str:
    """So many bytes: 812 bytes, 3.4 kB, 2.1 GB."""
    amount = words.finite(size_bytes)
    if amount is None:
        return words.DASH
    if amount < 1000:
        return counted(round(amount), "byte")
    for unit in UNITS:
        amount /= 1000
        if amount < 999.5 or unit == UNITS[-1]:
            break
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:,.0f} {unit}"


def money(amount: Any) -> str:
    """An amount of a currency; what is less than a tenth of a cent is said to be that."""
    given = words.finite(amount)
    return "<0.001" if given is not None and 0 < given < LEAST_MONEY else words.number(given, 2)


def state(name: Any) -> str:
    """The state of a run, as one says it."""
    return STATES.get(str(name), str(name))


def plain(value: Any) -> str:
    """A cell of somebody's table as text; whole numbers without their point."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def first(text: Any) -> str:
    """With a capital, without touching the rest; names of options stay as they are typed."""
    said = str(text)
    return said if {"_", "="} & set(said.partition(" ")[0]) else said[:1].upper() + said[1:]


def _seconds(at: float | str | None) -> float | None:
    if isinstance(at, str):
        try:
            return datetime.fromisoformat(at).timestamp()
        except ValueError:
            return None
    return at


def _span(past_s: float) -> str:
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if past_s >= unit:
            return counted(int(past_s // unit), name)
    return counted(int(past_s), "second")


FILTERS: Mapping[str, Callable[..., Any]] = {
    "ago": ago, "moment": moment, "iso_day": iso_day, "size": size, "state": state, "plain": plain, "first_up": first,
    "score_text": words.score_text, "money": money, "short": words.short,
}  # fmt: skip
