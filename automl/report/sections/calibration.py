"""Whether the model is as sure as it is right: probabilities and quantiles beside what came true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.report import axes, charts, words
from automl.report.axes import Scale
from automl.report.charts import PHONE
from automl.report.section import Section, late

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs

MOST_BINS = 12
TOLD = 0.8  # the bin nearest to it is told where none is off


class BinJson(TypedDict, total=False):
    """Held-out rows of which the model was about as sure."""

    said: float  # probability, their mean
    found: float  # the share of them that it came true for
    low: float
    high: float  # of the 95 % interval of that share
    rows: int
    start: float  # the least and the largest probability among them
    end: float


class CurveJson(TypedDict, total=False):
    """What was said beside what came true."""

    of: str  # "class": the probability of that class; "answer": that of the answer given
    label: str | None  # the class
    bins: list[BinJson]
    error: float  # expected calibration error, without what chance adds to it
    low: float
    high: float  # of its 95 % interval
    by_chance: float  # what a model that is right about its sureness would show on as many rows


class LevelJson(TypedDict, total=False):
    """The answers below a quantile, or between two."""

    lower: float | None  # level; null: all that is below the upper one
    upper: float
    asked: float  # the share that should lie there
    share: float
    low: float
    high: float  # of the 95 % interval


class CalibrationJson(TypedDict, total=False):
    """Whether the chosen model is as sure as it is right on held-out rows."""

    why_not: str | None  # why there is nothing to say
    kind: str  # "classes" | "levels" | "numbers", of which there is nothing to say
    rows: int
    curves: list[CurveJson]  # of several classes a second one where a class is farther off than chance explains
    levels: list[LevelJson]
    between: list[LevelJson]  # pairs of quantiles


class CalibrationKeys(TypedDict, total=False):
    """The key of this section."""

    calibration: CalibrationJson | None


def gather(inputs: ReportInputs) -> CalibrationKeys:
    """What gather/calibration.py counted."""
    nothing: CalibrationJson = {"kind": "classes", "rows": 0, "curves": [], "levels": [], "between": []}
    return {"calibration": cast(CalibrationJson, late(inputs, "calibration", nothing))}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """Sentences, the picture, and the bins as they are drawn."""
    return {
        "told": told(report),
        "drawn": charts.both(lambda width: picture(report, width)),
        "curves": _curves(report),
        "levels": [*_levels(report, "levels"), *_levels(report, "between")],
    }


@dataclass(frozen=True)
class _Bin:
    said: float
    found: float
    low: float
    high: float
    rows: float


@dataclass(frozen=True)
class _Curve:
    """A curve that can be drawn."""

    name: str
    is_of_answer: bool
    bins: tuple[_Bin, ...]
    json: Any


@dataclass(frozen=True)
class _Level:
    name: str
    asked: float
    share: float
    low: float
    high: float


def told(report: Mapping[str, Any]) -> list[str]:
    """What there is to know, in sentences; the terminal says the same."""
    return [*(line for one in _curves(report) for line in _of_curve(one)), *_of_levels(report)]


def _of_curve(one: _Curve) -> list[str]:
    bin_ = _telling(one)
    if one.is_of_answer:
        first = (
            f"When it is about {words.percent(bin_.said)} sure of its answer, {_span(bin_)} of its answers are right"
        )
    else:
        first = f"When it says {words.percent(bin_.said)} for {one.name}, {_span(bin_)} are"
    first += f" (95 % interval, {words.number(int(bin_.rows))} held-out rows)."
    error, (low, high) = words.finite(words.part(one.json, "error")), words.ends(one.json)
    if error is None or low is None or high is None:
        return [first]
    if low <= 0:
        return [first, f"Over all it is as sure as it is right, as far as so many rows can tell: off by at most"
                       f" {_points(high)} on average."]  # fmt: skip
    return [first, f"Over all it is off by {_points(error)} on average (95 % interval {_points(low)} to"
                   f" {_points(high)}); chance is taken off."]  # fmt: skip


def _telling(one: _Curve) -> _Bin:
    """The bin that is off and weighs most, where more than chance is; else the one that is about 80 % sure."""
    off = [bin_ for bin_ in one.bins if not bin_.low <= bin_.said <= bin_.high]
    if off and (words.ends(one.json)[0] or 0.0) > 0:
        return max(off, key=lambda bin_: bin_.rows * abs(bin_.said - bin_.found))
    return min(one.bins, key=lambda bin_: abs(bin_.said - TOLD))


def _of_levels(report: Mapping[str, Any]) -> list[str]:
    outer = next(iter(_levels(report, "between")), None)
    lines = []
    if outer is not None:
        lines.append(
            f"Between its outermost quantiles {words.percent(outer.asked)} of the answers should lie;"
            f" {words.percent(outer.low)} to {words.percent(outer.high)} do (95 % interval)."
        )
    off = [one for one in _levels(report, "levels") if not one.low <= one.asked <= one.high]
    if off:
        worst = max(off, key=lambda one: abs(one.asked - one.share))
        lines.append(f"Farthest off: {words.percent(worst.share)} are {worst.name}.")
    elif _levels(report, "levels"):
        lines.append("No quantile is farther off than chance explains.")
    return lines


def picture(report: Mapping[str, Any], width: int) -> str:
    """What was said across, what came true upwards; on the dotted line both are the same."""
    curves, levels = _curves(report), _levels(report, "levels")
    marks = [(bin_, at) for at, one in enumerate(curves) for bin_ in one.bins]
    marks += [(_Bin(one.asked, one.share, one.low, one.high, 1.0), 0) for one in levels]
    if not marks:
        return ""
    ends = [end for bin_, _ in marks for end in (bin_.said, bin_.found, bin_.low, bin_.high)]
    edge = 0.04 * max(max(ends) - min(ends), 0.05)
    low, high = min(ends) - edge, max(ends) + edge
    height = 320 if width > PHONE else 280
    x, y = Scale(low, high, 62, width - 24), Scale(low, high, height - 46, 12)
    body = _shares(x, y, width)
    body.append(axes.line(x(low), y(low), x(high), y(high), "baseline"))
    for bin_, at in marks:
        across = x(bin_.said)
        body.append(axes.line(across, y(bin_.low), across, y(bin_.high), "whisker"))
        mark = axes.diamond if at else axes.dot
        body.append(mark(across, y(bin_.found), "chosen" if at else "dot", 6 if at else 4.5))
    label = "share that should lie below" if levels else "probability that was said"
    body.append(axes.text(x.end, height - 6, label, "label", "end"))
    described = "; ".join(f"said {words.percent(bin_.said)}, found {words.percent(bin_.found)}" for bin_, _ in marks)
    title = ("What was said and what came true", described)
    return axes.canvas(body, (width, height), f"calibration-{width}", title)


def _shares(x: Scale, y: Scale, width: int) -> list[str]:
    """The grid, with shares as percent."""
    body, bottom = [], y.start
    for value, _ in y.ticks(5):
        body.append(axes.line(x.start, y(value), x.end, y(value), "grid"))
        body.append(axes.text(x.start - 8, y(value) + 4, words.percent(round(value, 6)), "tick", "end"))
    for value, _ in x.ticks(6 if width > PHONE else 4):
        body.append(axes.line(x(value), bottom, x(value), bottom + 5, "axis"))
        body.append(axes.text(x(value), bottom + 19, words.percent(round(value, 6)), "tick", "middle"))
    return [*body, axes.line(x.start, bottom, x.end, bottom, "axis")]


def _curves(report: Mapping[str, Any]) -> list[_Curve]:
    found = []
    for one in words.each(words.part(report, "calibration", "curves"))[:2]:
        bins = tuple(bin_ for bin_ in map(_bin, words.each(words.part(one, "bins"))[:MOST_BINS]) if bin_)
        is_of_answer = words.part(one, "of") == "answer"
        if bins:
            name = "its answer" if is_of_answer else words.short(words.part(one, "label"), 40)
            found.append(_Curve(name, is_of_answer, bins, one))
    return found


def _bin(one: Any) -> _Bin | None:
    said, found, low, high = (words.finite(words.part(one, key)) for key in ("said", "found", "low", "high"))
    if said is None or found is None:
        return None
    low, high = found if low is None else min(low, found), found if high is None else max(high, found)
    return _Bin(said, found, low, high, words.finite(words.part(one, "rows")) or 0.0)


def _levels(report: Mapping[str, Any], key: str) -> list[_Level]:
    found = []
    for one in words.each(words.part(report, "calibration", key))[:MOST_BINS]:
        asked, share, (low, high) = (
            words.finite(words.part(one, "asked")), words.finite(words.part(one, "share")), words.ends(one),
        )  # fmt: skip
        if asked is None or share is None or low is None or high is None:
            continue
        lower, upper = (words.number(words.part(one, end), 3) for end in ("lower", "upper"))
        name = f"below q{upper}" if words.part(one, "lower") is None else f"between q{lower} and q{upper}"
        found.append(_Level(name, asked, share, low, high))
    return found


def _span(bin_: _Bin) -> str:
    return f"{words.percent(round(bin_.low, 3))} to {words.percent(round(bin_.high, 3))}"


def _points(share: float) -> str:
    return f"{words.number(100 * share, 2)} points"


PAGE = """
{% set found = report.calibration %}
{% if curves or levels %}
<h2>Whether it is as sure as it is right</h2>
{% for line in told %}<p>{{ line|cut(300) }}</p>{% endfor %}
{{ figure("probability", drawn) }}
<p class="key">Counted on {{ found.rows|number }} held-out rows. On the dotted line what was said came true as often as\
 it was said; the strokes are 95 % intervals.\
{% if curves|length > 1 %} <b class="o">◆</b> the class whose own probability is farthest off.{% endif %}</p>
<details><summary>The figures</summary>
{% for curve in curves %}
<div class="scroll"><table><thead><tr><th scope="col">Said for {{ curve.name|cut(40) }}</th>\
<th scope="col" class="n">came true</th><th scope="col" class="n">95 % interval</th>\
<th scope="col" class="n">rows</th></tr></thead><tbody>{% for bin in curve.bins %}
<tr><th scope="row">{{ bin.said|percent }}</th><td class="n">{{ bin.found|percent }}</td>\
<td class="n">{{ bin.low|percent }} to {{ bin.high|percent }}</td><td class="n">{{ bin.rows|int|number }}</td></tr>\
{% endfor %}
</tbody></table></div>
{% endfor %}
{% if levels %}
<div class="scroll"><table><thead><tr><th scope="col">Answers</th><th scope="col" class="n">should be</th>\
<th scope="col" class="n">are</th><th scope="col" class="n">95 % interval</th></tr></thead><tbody>\
{% for level in levels %}
<tr><th scope="row">{{ level.name }}</th><td class="n">{{ level.asked|percent }}</td>\
<td class="n">{{ level.share|percent }}</td><td class="n">{{ level.low|percent }} to {{ level.high|percent }}</td></tr>\
{% endfor %}
</tbody></table></div>
{% endif %}
</details>
{% elif found.why_not and found.kind != "numbers" %}
<h2>Whether it is as sure as it is right</h2>
<p class="soft">Not shown: {{ found.why_not|cut(200) }}.</p>
{% endif %}
"""

SECTION = Section(name="calibration", title="Calibration", holds=CalibrationKeys, gather=gather, page=PAGE, shown=shown)
