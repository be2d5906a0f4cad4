"""Scales, ticks and marks from which the pictures are put together.

Plain text out, no plotting library: an SVG of a few kilobytes that follows the page's colours, light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from automl.report import words

CHAR_PX = 7.2  # a wide guess at one character of 12 px text, so that labels do not touch
EDGE = 10  # pixels from the end of an axis within which a label is drawn inwards
NAME_PX = 8.4  # the same of a bold name
LEAST = 1e-3  # of its values, that an axis is wide: of less the labels would be all digits


@dataclass(frozen=True)
class Scale:
    """Values to pixels; what lies outside is held at the edge."""

    low: float
    high: float
    start: float  # pixel of `low`
    end: float  # pixel of `high`
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high = self.low, self.high
        value = min(max(value, low), high)
        if self.is_log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether the value lies inside."""
        return self.low <= value <= self.high

    def ticks(self, wanted: int = 5) -> list[tuple[float, str]]:
        """About so many round values inside, with their labels."""
        if self.is_log:
            return [(value, words.number(value, 3)) for value in _log_ticks(self.low, self.high, wanted)]
        step = _round_step((self.high - self.low) / wanted)
        places = max(0, -math.floor(math.log10(step) + 1e-9))
        first = math.ceil(self.low / step)
        values = [index * step for index in range(first, math.floor(self.high / step) + 1)]
        return [(value, words.fixed(value + 0.0, places)) for value in values]  # + 0.0: no minus zero


def span(core: Sequence[float], others: Sequence[float] = (), reach: float = 0.6) -> tuple[float, float]:
    """Bounds that hold the core, and of the others those within `reach` times its width.

    One very bad model must not press all the good ones into a line.
    """
    low, high = min(core), max(core)
    least = max(abs(low), abs(high)) * LEAST or LEAST
    width = max(high - low, least)
    near = [value for value in others if low - reach * width <= value <= high + reach * width]
    low, high = min([low, *near]), max([high, *near])
    edge = max(0.07 * (high - low), least / 2)
    return low - edge, high + edge


def text(x: float, y: float, words_: str, kind: str = "", anchor: str = "start") -> str:
    """A line of text; whatever it holds is escaped."""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{where}{style}>{escape(words_)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<path class="{kind}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """A line through points."""
    return f'<path class="{kind}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>'


def dot(x: float, y: float, kind: str, radius: float = 4.5) -> str:
    """A round mark."""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'


def diamond(x: float, y: float, kind: str, radius: float = 7.5) -> str:
    """A mark that differs in shape, not only in colour."""
    r = radius
    return f'<path class="{kind}" d="M{x:.1f} {y - r:.1f}l{r:g} {r:g}l-{r:g} {r:g}l-{r:g} -{r:g}z"/>'


def arrow(x: float, y: float, is_up: bool, kind: str) -> str:
    """A mark at the edge for a value beyond it."""
    tip = -6 if is_up else 6
    return f'<path class="{kind}" d="M{x - 4.5:.1f} {y:.1f}h9l-4.5 {tip}z"/>'


def canvas(body: Sequence[str], size: tuple[float, float], name: str, told: tuple[str, str], role: str = "img") -> str:
    """The picture, with a title and a description for those who do not see it; a "group" has parts of its own.

    Without a name it has no ids: it may stand in a page with others like it.
    """
    (width, height), (title, described) = size, (escape(part) for part in told)
    if not name:
        head = f'<svg viewBox="0 0 {width:g} {height:g}" role="{role}" aria-label="{title}. {described}">'
        return f"{head}{''.join(body)}</svg>"
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="{role}" aria-labelledby="{name}-t {name}-d">'
    return f'{head}<title id="{name}-t">{title}</title><desc id="{name}-d">{described}</desc>{"".join(body)}</svg>'


def grid(x: Scale, y: Scale, wanted: tuple[int, int] = (6, 5)) -> list[str]:
    """Thin lines and the numbers of both axes."""
    left, right, bottom = min(x.start, x.end), max(x.start, x.end), max(y.start, y.end)
    marks = []
    for value, label in y.ticks(wanted[1]):
        marks += [line(left, y(value), right, y(value), "grid"), text(left - 8, y(value) + 4, label, "tick", "end")]
    for value, label in x.ticks(wanted[0]):
        marks.append(line(x(value), bottom, x(value), bottom + 5, "axis"))
        is_last = x(value) > right - EDGE  # its label must not be cut off at the edge of the picture
        marks.append(text(x(value) + 6 * is_last, bottom + 19, label, "tick", "end" if is_last else "middle"))
    return [*marks, line(left, bottom, right, bottom, "axis")]


@dataclass(frozen=True)
class Box:
    """A rectangle that a label or a mark takes."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: Box) -> float:
        """The area that both cover."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return across * down if across > 0 and down > 0 else 0.0


def place(at: tuple[float, float], size: tuple[float, float], taken: Sequence[Box], frame: Box) -> Box:
    """Where beside a point its label covers the least of what is taken, inside the frame."""
    (x, y), (width, height) = at, size
    rights_and_lefts = (x + 11, x - 11 - width, x - width / 2)
    heights = (y - height - 8, y + 8, y - height / 2, y - 2.2 * height, y + 1.4 * height)
    spots = [Box(left, top, width, height) for top in heights for left in rights_and_lefts]
    area = width * height

    def cost(spot: Box) -> float:
        outside = area - spot.overlap(frame)
        return sum(spot.overlap(box) for box in taken) + 20 * outside

    return min(spots, key=cost)


def _round_step(least: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)


def _log_ticks(low: float, high: float, wanted: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        values = [factor * 10.0**power for power in decades for factor in factors]
        inside = [value for value in values if low <= value <= high]
        if len(inside) >= min(3, wanted):
            return inside[:: math.ceil(len(inside) / (1.5 * wanted))]
    return inside
