"""What the model says as a column moves: a small picture for each of those that count most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.report import axes, conditions, words
from automl.report.axes import Scale
from automl.report.section import Section, late

if TYPE_CHECKING:
    from markupsafe import Markup

    from automl.report.inputs import ReportInputs

MOST_COLUMNS, MOST_POINTS = 8, 16
WIDE, HIGH, STEP = 420, 210, 26  # pixels of a picture, and from category to category
FLAT = 0.75  # of the way between its ends that a curve goes at least, to be said to rise or fall


class ShapePointJson(TypedDict, total=False):
    """A value of the column, and what is said on average where it has it."""

    at: float | None  # of numbers, and of dates in seconds since 1970
    label: str | None  # of categories
    value: float
    low: float | None
    high: float | None  # of its 95 % interval over fitted folds; null: there was but one
    share: float | None  # of the rows: of this category, or between the value before, if any, and this one


class ShapeJson(TypedDict, total=False):
    """A column, and what is said as it moves."""

    column: str
    is_date: bool
    output: str | None  # the class whose probability it is; null: the predicted number
    middle: float  # what is said on average
    change: float  # from the lowest point to the highest
    change_low: float
    change_high: float
    points: list[ShapePointJson]
    together: list[str]  # columns that rise and fall with it


class ShapesJson(TypedDict, total=False):
    """What is said as columns move."""

    why_not: str | None
    rows: int  # held out, that were asked about
    is_share: bool  # probabilities
    columns: list[ShapeJson]  # what the model rests on most comes first
    left_out: int  # for which no time was left


class ShapesKeys(TypedDict, total=False):
    """The key of this section."""

    shapes: ShapesJson | None


def gather(inputs: ReportInputs) -> ShapesKeys:
    """What gather/shapes.py asked."""
    nothing: ShapesJson = {"rows": 0, "is_share": bool(inputs.profile.classes), "columns": [], "left_out": 0}
    return {"shapes": cast(ShapesJson, late(inputs, "shapes", nothing))}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """Sentences, pictures and the lines of the table."""
    from markupsafe import Markup

    found = _shapes(report)
    ends = _ends(found)
    drawn: list[Markup] = [Markup(picture(one, ends, at)) for at, one in enumerate(found)]  # noqa: S704 - escaped inside
    return {"told": told(report), "pictures": list(zip(found, drawn, strict=True))}


@dataclass(frozen=True)
class _Point:
    name: str
    at: float
    value: float
    low: float
    high: float
    share: float | None


@dataclass(frozen=True)
class _Shape:
    """A column that can be drawn."""

    name: str
    is_date: bool
    is_share: bool
    has_order: bool
    output: str | None
    change: float
    ends: tuple[float | None, float | None]  # of the change
    points: tuple[_Point, ...]
    together: tuple[str, ...]

    def said(self, value: float) -> str:
        """A value as it is read."""
        return words.percent(value) if self.is_share else words.number(value, 3)


def told(report: Mapping[str, Any]) -> list[str]:
    """A sentence for each column; the terminal says the same."""
    return [_sentence(one) for one in _shapes(report)]


def _sentence(one: _Shape) -> str:
    what = f"the probability of {one.output}" if one.output is not None else "what is predicted"
    low, high = min(one.points, key=lambda p: p.value), max(one.points, key=lambda p: p.value)
    if one.ends[0] is not None and one.ends[0] <= 0:
        told_ = f"{one.name}: {what} hardly moves with it, no more than other training rows would move it."
    elif not one.has_order:
        told_ = (f"{one.name}: {what} is highest for {high.name}, {one.said(high.value)}, and lowest for {low.name},"
                 f" {one.said(low.value)}.")  # fmt: skip
    else:
        first, last = one.points[0], one.points[-1]
        moved = last.value - first.value
        if abs(moved) >= FLAT * (high.value - low.value):
            told_ = (f"{one.name}: from {first.name} to {last.name} {what} {'rises' if moved > 0 else 'falls'} from"
                     f" {one.said(first.value)} to {one.said(last.value)}.")  # fmt: skip
        else:
            told_ = (f"{one.name}: {what} is lowest about {low.name}, {one.said(low.value)}, and highest about"
                     f" {high.name}, {one.said(high.value)}.")  # fmt: skip
    if one.together:
        others = " and ".join(one.together[:3])
        told_ += f" It goes along with {others}: the model may read the same from either."
    return told_


def picture(one: _Shape, ends: tuple[float, float], at: int) -> str:
    """The curve with its interval; ticks below stand where the rows are."""
    name = f"shape-{at}"
    described = "; ".join(f"{point.name}: {one.said(point.value)}" for point in one.points)
    if not one.has_order:
        return _categories(one, ends, (name, described))
    across, points = [point.at for point in one.points], one.points
    x, y = Scale(across[0], across[-1], 64, WIDE - 18), Scale(*ends, HIGH - 40, 10)
    body = []
    for value, label in y.ticks(4):
        body.append(axes.line(x.start, y(value), x.end, y(value), "grid"))
        body.append(axes.text(x.start - 8, y(value) + 4, one.said(value) if one.is_share else label, "tick", "end"))
    corners = [(x(p.at), y(p.high)) for p in points] + [(x(p.at), y(p.low)) for p in reversed(points)]
    body.append(f'<polygon class="band" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in corners)}"/>')
    body.append(axes.path([(x(p.at), y(p.value)) for p in points], "step"))
    body += [axes.line(x(p.at), y.start + 1, x(p.at), y.start + 8, "rug") for p in points]
    body.append(axes.line(x.start, y.start, x.end, y.start, "axis"))
    if one.is_date:
        labels = [(points[0].at, points[0].name), (points[-1].at, points[-1].name)]
    else:
        labels = x.ticks(4)
    for value, label in labels:
        anchor = "middle" if not one.is_date else "start" if value == points[0].at else "end"
        body.append(axes.text(x(value), y.start + 24, label, "tick", anchor))
    return axes.canvas(body, (WIDE, HIGH), name, (f"What is said as {one.name} moves", described))


def _categories(one: _Shape, ends: tuple[float, float], named: tuple[str, str]) -> str:
    scale = Scale(*ends, 150, WIDE - 70)
    body = []
    for at, point in enumerate(one.points):
        middle = at * STEP + 16
        body.append(axes.text(140, middle + 4, words.short(point.name, 18), "name", "end"))
        body.append(axes.line(scale(point.low), middle, scale(point.high), middle, "whisker"))
        body.append(axes.dot(scale(point.value), middle, "dot", 4))
        body.append(axes.text(scale(max(point.high, point.value)) + 8, middle + 4, one.said(point.value), "value"))
    size = (WIDE, len(one.points) * STEP + 10)
    return axes.canvas(body, size, named[0], (f"What is said for each {one.name}", named[1]))


def _ends(found: list[_Shape]) -> tuple[float, float]:
    """One scale for all pictures, so that they can be compared."""
    values = [end for one in found for point in one.points for end in (point.value, point.low, point.high)]
    return axes.span(values) if values else (0.0, 1.0)


def _shapes(report: Mapping[str, Any]) -> list[_Shape]:
    is_share = words.part(report, "shapes", "is_share") is True
    found = [_shape(one, is_share=is_share) for one in words.each(words.part(report, "shapes", "columns"))]
    return [one for one in found if one is not None][:MOST_COLUMNS]


def _shape(one: Any, *, is_share: bool) -> _Shape | None:
    is_date = words.part(one, "is_date") is True
    points = [
        point for point in (_point(each, is_date=is_date) for each in words.each(words.part(one, "points"))) if point
    ]
    has_order = bool(points) and all(
        words.part(each, "label") is None for each in words.each(words.part(one, "points"))
    )
    if has_order:
        points.sort(key=lambda point: point.at)
    change = words.finite(words.part(one, "change"))
    if len(points) < 2 or change is None or (has_order and points[0].at == points[-1].at):
        return None
    low, high = words.finite(words.part(one, "change_low")), words.finite(words.part(one, "change_high"))
    output = words.part(one, "output")
    together = tuple(words.short(name, 40) for name in words.each(words.part(one, "together")))
    return _Shape(
        words.short(words.part(one, "column"), 40), is_date, is_share, has_order,
        None if output is None else words.short(output, 40), change, (low, high), tuple(points[:MOST_POINTS]), together,
    )  # fmt: skip


def _point(one: Any, *, is_date: bool) -> _Point | None:
    at, value, (low, high) = (
        words.finite(words.part(one, "at")),
        words.finite(words.part(one, "value")),
        words.ends(one),
    )
    label = words.part(one, "label")
    if value is None or (at is None and label is None):
        return None
    name = conditions.value(at, is_date) if label is None else words.short(label, 40)
    low, high = value if low is None else min(low, value), value if high is None else max(high, value)
    return _Point(name, 0.0 if at is None else at, value, low, high, words.finite(words.part(one, "share")))


PAGE = """
{% set found = report.shapes %}
{% if pictures %}
<h2>What it says as a column moves</h2>
<ul>{% for line in told %}<li>{{ line|cut(300) }}</li>{% endfor %}</ul>
<div class="shapes">{% for shape, picture in pictures %}
<figure><figcaption><b>{{ shape.name }}</b>{% if shape.output %} <span class="soft">probability of\
 {{ shape.output }}</span>{% endif %}</figcaption>{{ picture }}</figure>{% endfor %}
</div>
<p class="key">Asked about {{ found.rows|number }} held-out rows of models that did not learn from them. Of numbers\
 each step is asked of the rows that lie there, so no row is moved far from where it is; the ticks below have about as\
 many rows between them. Of categories all rows are given each in turn, likely or not. Bands and strokes are 95 %\
 intervals over the fitted folds; all pictures have one scale. It says what the model does, not what would happen to\
 anybody whose value were changed.\
{% if found.left_out is number and found.left_out > 0 %} For {{ found.left_out|number }} more no time was left.\
{% endif %}</p>
<details><summary>The figures</summary>
<div class="scroll"><table><thead><tr><th scope="col">Column</th><th scope="col">value</th>\
<th scope="col" class="n">said</th><th scope="col" class="n">95 % interval</th><th scope="col" class="n">rows</th></tr>\
</thead><tbody>{% for shape, picture in pictures %}{% for point in shape.points %}
<tr><th scope="row">{{ shape.name }}</th><td>{{ point.name }}</td><td class="n">{{ shape.said(point.value) }}</td>\
<td class="n">{{ shape.said(point.low) }} to {{ shape.said(point.high) }}</td>\
<td class="n">{{ point.share|percent }}</td></tr>{% endfor %}{% endfor %}</tbody></table></div></details>
{% elif found.why_not %}
<h2>What it says as a column moves</h2>
<p class="soft">Not shown: {{ found.why_not|cut(200) }}.</p>
{% endif %}
"""

STYLE = """
.shapes { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: .8rem 1.4rem; }
.shapes figure { margin: .4rem 0; min-width: 0; } .shapes svg { display: block; width: 100%; height: auto; }
.shapes figcaption { font-size: .875rem; }
svg .band { fill: var(--whisker); fill-opacity: .3; } svg .rug { stroke: var(--soft); }
"""

SECTION = Section(name="shapes", title="Shapes", holds=ShapesKeys, gather=gather, page=PAGE, shown=shown, style=STYLE)
