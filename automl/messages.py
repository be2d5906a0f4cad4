"""The wording of messages: values, names and amounts as one short piece of a line."""

from __future__ import annotations

import difflib
from typing import Any


def shown(value: object, limit: int = 60) -> str:
    """A value as one short line for a message."""
    text = repr(value if not isinstance(value, str) or len(value) <= limit else value[:limit] + "…")
    return text if len(text) <= limit * 2 else text[: limit * 2] + "…"


def one_line(error: object, limit: int = 160) -> str:
    """Another library's message, cut to one short line."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= limit else text[:limit] + "…"


def percent(share: float) -> str:
    """A share for people: 0.2 %, 61 %, 99.9 %."""
    if 0.999 < share < 1:
        return "over 99.9 %"
    return "under 0.01 %" if 0 < share < 1e-4 else f"{100 * share:.{3 if share > 0.99 else 2}g} %"


def near(name: Any, known: Any) -> str:
    """A hint at the closest known name, or nothing."""
    close = difflib.get_close_matches(str(name), [str(item) for item in known], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def counted(count: int, noun: str) -> str:
    """For instance: 1 file, 2,000 files"""
    return f"{count:,} {noun}{'s' * (count != 1)}"
