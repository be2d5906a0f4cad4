"""What the drawings of several sections share: their two widths, bars of seconds, small intervals, what a score means.

Each is drawn from the report's JSON at the width asked for: the page holds a wide and a narrow one, so that their text
can be read on a phone too. Nothing to draw gives an empty string.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automl.report import axes, words
from automl.report.axes import Scale

if TYPE_CHECKING:
    from markupsafe import Markup

WIDE, NARROW = 900, 380  # pixels of a picture on a desk and on a phone
PHONE = 500  # pixels; narrower pictures say less, and nothing on hover
MOST_MARKS = 150  # more would hide each other and fatten the page
LOST = ("failed", "late", "lost")  # trials that gave nothing


def both(draw_one: Callable[[int], str]) -> tuple[Markup, Markup]:
    """A picture for the page: wide and narrow."""
    from markupsafe import Markup

    return Markup(draw_one(WIDE)), Markup(draw_one(NARROW))  # noqa: S704 - pictures escape what they show


@dataclass(frozen=True)
class Bar:
    """One bar: its length, and how much of it was in vain."""

    label: str
    length: float
    lost: float = 0.0
    note: str = ""


def bars(rows: Sequence[Bar], width: int, name: str, title: str) -> str:
    """Horizontal bars of seconds."""
    longest = max((row.length for row in rows), default=0.0)
    if longest <= 0:
        return ""
    gap, left = 30, 170 if width > PHONE else 112
    room = 230 if width > PHONE else 112  # for the words behind the longest bar
    scale = Scale(0.0, longest, left, width - room)
    body = []
    for index, row in enumerate(rows):
        top, end = index * gap + 4, scale(row.length)
        label = words.short(row.label, int((left - 10) / axes.NAME_PX))
        body.append(axes.text(left - 10, top + 15, label, "name", "end"))
        body.append(f'<rect class="bar" x="{left}" y="{top}" width="{max(1.0, end - left):.1f}" height="20" rx="2"/>')
        if row.lost > 0:
            start = scale(row.length - row.lost)
            body.append(f'<rect class="lost" x="{start:.1f}" y="{top}" width="{end - start:.1f}" height="20" rx="2"/>')
        note = f", {row.note}" if row.note and width > PHONE else ""
        body.append(axes.text(end + 8, top + 15, words.seconds(row.length) + note, "value"))
    described = "; ".join(f"{words.short(row.label)} {words.seconds(row.length)}" for row in rows)
    return axes.canvas(body, (width, len(rows) * gap + 4), f"{name}-{width}", (title, described))


def strips(rows: Any) -> Callable[[Any, str], Markup]:
    """Draws the small interval of a row's score; those of all the rows given here are on one scale."""
    from markupsafe import Markup

    scale = interval_scale([words.part(row, "score") for row in words.each(rows)])
    return lambda score, kind: Markup(interval(score, scale, kind))  # noqa: S704 - made of numbers


def interval_scale(scores: Sequence[Any]) -> Scale | None:
    """The one scale on which the small intervals of a table can be compared; None where there is nothing to compare."""
    values = [value for value in map(words.value_of, scores) if value is not None]
    if not values:
        return None
    ends = [end for score in scores for end in words.ends(score)]
    ranked = sorted(values)
    quarter = len(ranked) // 4  # a few very bad models, at either end, must not set the scale
    low, high = axes.span(
        ranked[quarter : len(ranked) - quarter], [*values, *(end for end in ends if end is not None)], 2.0
    )
    return Scale(low, high, 3, 93)


def interval(score: Any, scale: Scale | None, kind: str = "") -> str:
    """A score and its interval in one line of a table; the number beside it says the same."""
    value = words.value_of(score)
    if value is None or scale is None:
        return ""
    low, high = words.ends(score)
    bar = "" if low is None or high is None else axes.line(scale(low), 7, scale(high), 7, "whisker")
    mark = axes.dot(scale(value), 7, "dot", 3)
    return f'<svg class="strip {kind}" viewBox="0 0 96 14" aria-hidden="true">{bar}{mark}</svg>'


def rows_of(report: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The rows under a key; what is no row is left out."""
    found = report.get(key)
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def metric(report: Mapping[str, Any]) -> str:
    """The name of what is measured."""
    return words.short(words.part(report, "verdict", "score", "metric") or "score", 30)


def is_higher(report: Mapping[str, Any]) -> bool:
    """Whether a higher score is a better one."""
    score = words.part(report, "verdict", "score")
    if not isinstance(score, Mapping):
        score = next((row.get("score") for row in rows_of(report, "leaderboard")), None)
    return words.part(score, "higher_is_better") is not False
