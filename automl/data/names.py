"""Names of columns: text, none twice, whatever a file or a frame calls them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from automl.messages import shown

NAMELESS = "Unnamed: "  # what pandas calls a column without a name, followed by its place


def unlike(raw: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Unique text names, as pandas spells them: a, a.1 for repeated ones, Unnamed: 3 for none; and notes."""
    notes: list[str] = []
    names = spelled(raw)
    unique: list[str] = []
    taken, copies = set(names), dict.fromkeys(names, 0)
    for name in names:
        own = name
        while copies[name] and own in taken:
            own = f"{name}.{copies[name]}"
            copies[name] += 1
        copies[name] = copies[name] or 1
        taken.add(own)
        unique.append(own)
    if other := [name for name in raw if not isinstance(name, str | int | np.integer)]:
        notes.append(f"{len(other)} column names were not text, for instance {shown(other[0])}")
    if repeated := [(a, b) for a, b in zip(names, unique, strict=True) if a != b]:
        first, new = repeated[0]
        notes.append(
            f"{len(repeated)} repeated column names were numbered, for instance {shown(first)} is {shown(new)}"
        )
    return unique, notes


def spelled(raw: Sequence[Any]) -> list[str]:
    """Column names as text without blanks around them; the levels of a tuple are joined."""
    names = []
    for at, name in enumerate(raw):
        parts = [_part(part) for part in (name if isinstance(name, tuple) else (name,))]
        names.append("_".join(part for part in parts if part) or f"{NAMELESS}{at}")
    return names


def _part(part: Any) -> str:
    is_nothing = part is None or (isinstance(part, float) and math.isnan(part))
    return "" if is_nothing else str(part).strip()
