"""The columns that the chosen model rests on, as bars with their intervals.

Drawn from the report's JSON, whatever it holds, at the width asked for. Nothing to draw gives an empty string.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automl.report import axes, words
from automl.report.axes import Scale

MOST_BARS = 20
PHONE = 500  # pixels; narrower pictures have less room for names
STEP = 26  # pixels from bar to bar


@dataclass(frozen=True)
class _Column:
    """A column that can be drawn."""

    name: str
    value: float
    low: float
    high: float


def bars(report: Mapping[str, Any], width: int) -> str:
    """A bar for each of the columns that count most, with its interval; zero is where shuffling changes nothing."""
    rows = _columns(report)
    if not rows:
        return ""
    ends = [end for row in rows for end in (row.value, row.low, row.high)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    if high - low <= 0:
        return ""
    left, room = (200, 120) if width > PHONE else (120, 74)
    edge = 0.02 * (high - low)
    scale = Scale(low - edge if low < 0 else 0.0, high + edge, left, width - room)
    body = []
    for index, row in enumerate(rows):
        body += _bar(row, scale, index * STEP + 4)
    bottom = len(rows) * STEP + 6
    body.append(axes.line(scale(0.0), 0, scale(0.0), bottom, "axis"))
    for value, label in scale.ticks(5 if width > PHONE else 3):
        body.append(axes.line(scale(value), bottom, scale(value), bottom + 5, "axis"))
        body.append(axes.text(scale(value), bottom + 19, label, "tick", "middle"))
    told = "; ".join(f"{words.short(row.name)} {words.number(row.value, 2)}" for row in rows)
    return axes.canvas(body, (width, bottom + 28), f"columns-{width}", ("What the model rests on", told))


def _bar(row: _Column, scale: Scale, top: int) -> list[str]:
    zero, end, middle = scale(0.0), scale(row.value), top + 9.0
    label = words.short(row.name, int((scale.start - 10) / axes.CHAR_PX))
    start, length = min(zero, end), max(1.0, abs(end - zero))
    return [
        axes.text(scale.start - 10, top + 14, label, "name", "end"),
        f'<rect class="bar" x="{start:.1f}" y="{top}" width="{length:.1f}" height="18" rx="2"/>',
        axes.line(scale(row.low), middle, scale(row.high), middle, "error"),
        *(axes.line(scale(at), middle - 4, scale(at), middle + 4, "error") for at in (row.low, row.high)),
        axes.text(max(scale(row.high), end, zero) + 8, top + 14, words.number(row.value, 2), "value"),
    ]


def _columns(report: Mapping[str, Any]) -> list[_Column]:
    """The first ones, which count most; what is no number is left out."""
    given = words.part(report, "importance", "columns")
    found = []
    for one in given if isinstance(given, list) else []:
        value, (low, high) = words.finite(words.part(one, "importance")), words.ends(one)
        if value is not None:
            low, high = value if low is None else low, value if high is None else high
            found.append(_Column(words.short(words.part(one, "column"), 80), value, low, high))
    return found[:MOST_BARS]
