"""A column as a picture of a few hundred bytes: bins as one outline, the commonest values as bars, and a word on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from automl.report import words
from automl.report.words import each, part

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT, GAP = 120, 32, 1
MOST_BARS = 8


def picture(told: Any) -> Markup:
    """The small picture of what is told of a column; an empty one where there is nothing to see."""
    from markupsafe import Markup

    counts = [words.finite(count) or 0.0 for count in each(part(told, "counts"))]
    if counts:
        return Markup(_bins(counts))  # noqa: S704 - made of numbers
    values = [words.finite(part(one, "count")) or 0.0 for one in each(part(told, "values"))][:MOST_BARS]
    return Markup(_bars(values)) if values else Markup()  # noqa: S704 - made of numbers


def caption(told: Any) -> str:
    """The same in words, for whoever does not see it and below it for whoever does."""
    kind = part(told, "type")
    if kind in ("values", "sizes"):
        shown = [
            f"{words.short(part(one, 'value'), 18)} {words.number(part(one, 'count'))}"
            for one in each(part(told, "values"))[:3]
        ]
        more = words.finite(part(told, "rest_values")) or 0
        others = len(each(part(told, "values"))) - len(shown) + int(more)
        return ", ".join(shown) + (f", {others:,} more" if others > 0 else "")
    if kind == "dates":
        return f"{str(part(told, 'min'))[:10]} to {str(part(told, 'max'))[:10]}"
    if kind in ("histogram", "lengths"):
        unit = f" {part(told, 'unit')}" if part(told, "unit") else ""
        low, middle, high = (words.number(part(told, name), 3) for name in ("min", "median", "max"))
        return f"{low} to {high}{unit}, middle {middle}"
    return "nothing in it" if kind == "empty" else ""


def share(value: Any, kind: str = "bar") -> Markup:
    """A share of one as a bar; the number beside it says the same."""
    from markupsafe import Markup

    long = max(0.0, min(1.0, words.finite(value) or 0.0)) * WIDTH
    bar = f'<rect class="{kind}" width="{long:.1f}" height="10" rx="2"/>'
    return Markup(f'<svg class="share" viewBox="0 0 {WIDTH} 10" aria-hidden="true">{bar}</svg>')  # noqa: S704 - a number


def lean(value: Any, most: float) -> Markup:
    """What speaks for an answer to the right, and against it to the left."""
    from markupsafe import Markup

    part_of = (words.finite(value) or 0.0) / most if most > 0 else 0.0
    half = WIDTH / 2
    long = min(1.0, abs(part_of)) * half
    x = half if part_of >= 0 else half - long
    bar = f'<rect class="{"for" if part_of >= 0 else "against"}" x="{x:.1f}" width="{long:.1f}" height="10"/>'
    middle = f'<path class="axis" d="M{half:g} 0V10"/>'
    return Markup(f'<svg class="share" viewBox="0 0 {WIDTH} 10" aria-hidden="true">{bar}{middle}</svg>')  # noqa: S704


def _bins(counts: Sequence[float]) -> str:
    """One outline: wide data have hundreds of columns, and each picture is paid for by whoever waits for the page."""
    most, wide = max(counts) or 1.0, WIDTH / len(counts)
    steps = [f"H{at * wide:.0f}V{HEIGHT - HEIGHT * count / most:.0f}" for at, count in enumerate(counts)]
    return _canvas(f'<path class="fill" d="M0 {HEIGHT}{"".join(steps)}H{WIDTH}V{HEIGHT}z"/>')


def _bars(values: Sequence[float]) -> str:
    most, high = max(values) or 1.0, HEIGHT / len(values)
    parts = [
        f"M0 {at * high:.1f}h{max(1.0, WIDTH * value / most):.0f}v{max(1.0, high - GAP):.1f}H0z"
        for at, value in enumerate(values)
    ]
    return _canvas(f'<path class="fill" d="{"".join(parts)}"/>')


def _canvas(body: str) -> str:
    return f'<svg class="small" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{body}</svg>'


def with_pictures(columns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Columns as a table of a page shows them."""
    return [{**one, "drawn": picture(one.get("picture")), "told": caption(one.get("picture"))} for one in columns]
