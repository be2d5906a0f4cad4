"""What looking for a rare class is like: how many of the marked rows are of it, how many of it are found."""

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

MOST_POINTS, MOST_TOP = 60, 6


class MarkedJson(TypedDict, total=False):
    """The rows that look most like the rare class are marked, down to a threshold."""

    threshold: float | None  # probability of the class
    marked: float  # share of all rows
    rows: float | None
    precision: float | None  # share of the marked rows that are of the class
    low: float | None
    high: float | None  # of its 95 % interval
    recall: float  # share of the class that is marked
    recall_low: float | None
    recall_high: float | None


class RareJson(TypedDict, total=False):
    """How well a rare class is found on held-out rows."""

    why_not: str | None
    label: str | None  # the rare class
    share: float | None  # of the rows
    rows: int
    of_class: int  # rows of the rare class; nought where none is rare
    precision: float | None  # average precision
    low: float | None
    high: float | None
    curve: list[MarkedJson]  # ever more rows marked
    top: list[MarkedJson]  # 1, 5 and 10 % of the rows
    chosen: MarkedJson | None  # where labels are drawn by the saved model


class RareKeys(TypedDict, total=False):
    """The key of this section."""

    rare: RareJson | None


def gather(inputs: ReportInputs) -> RareKeys:
    """What gather/rare.py counted."""
    nothing: RareJson = {"label": None, "share": None, "rows": 0, "of_class": 0, "precision": None, "low": None,
                         "high": None, "curve": [], "top": [], "chosen": None}  # fmt: skip
    return {"rare": cast(RareJson, late(inputs, "rare", nothing))}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """Sentences, the picture and the lines of the table."""
    rows = [*_marks(report, "top"), *([one] if (one := _mark(words.part(report, "rare", "chosen"))) else [])]
    return {"told": told(report), "drawn": charts.both(lambda width: picture(report, width)), "marks": rows}


@dataclass(frozen=True)
class _Mark:
    marked: float
    precision: float | None
    recall: float
    low: float | None
    high: float | None
    json: Any

    @property
    def lift(self) -> float | None:
        """How many times as often the class is among them as among all."""
        return self.recall / self.marked if self.marked > 0 else None


def told(report: Mapping[str, Any]) -> list[str]:
    """What there is to know, in sentences; the terminal says the same."""
    found, label = words.part(report, "rare"), words.short(words.part(report, "rare", "label"), 40)
    share, chosen = words.finite(words.part(found, "share")), _mark(words.part(found, "chosen"))
    lines = []
    if share is not None and _marks(report, "curve"):
        lines.append(f"{words.percent(share)} of the held-out rows are {label}.")
    top = next(iter(_marks(report, "top")), None)
    if top is not None and top.precision is not None:
        lines.append(
            f"Of the {words.percent(top.marked)} that look most like it {words.percent(top.precision)} are"
            f"{_interval(top)}: {words.number(top.lift, 2)} times as many as among all, and"
            f" {words.percent(top.recall)} of all there are."
        )
    if chosen is not None and chosen.precision is not None:
        lines.append(
            f"The saved model marks {words.percent(chosen.marked)} of the rows: {words.percent(chosen.precision)} of"
            f" them are {label}{_interval(chosen)}, and {words.percent(chosen.recall)} of all {label} are found."
        )
    elif chosen is not None:
        lines.append(f"The saved model marks no row as {label}: with its threshold none is sure enough.")
    return lines


def _interval(one: _Mark) -> str:
    if one.low is None or one.high is None:
        return ""
    return f" (95 % interval {words.percent(round(one.low, 3))} to {words.percent(round(one.high, 3))})"


@dataclass(frozen=True)
class _Frame:
    """Where a panel stands."""

    left: float
    top: float
    right: float
    bottom: float


def picture(report: Mapping[str, Any], width: int) -> str:
    """Two panels: precision over what is found, and what is found over what is marked."""
    curve, chosen = _marks(report, "curve"), _mark(words.part(report, "rare", "chosen"))
    if len(curve) < 2:
        return ""
    share = words.finite(words.part(report, "rare", "share")) or 0.0
    if width > PHONE:
        frames, height = (_Frame(56, 12, 436, 244), _Frame(506, 12, width - 14, 244)), 290
    else:
        frames, height = (_Frame(56, 12, width - 14, 214), _Frame(56, 292, width - 14, 494)), 540
    first = [(one.recall, one.precision) for one in curve if one.precision is not None]
    second = [(0.0, 0.0), *((one.marked, one.recall) for one in curve)]
    marks = [None, None] if chosen is None else [(chosen.recall, chosen.precision), (chosen.marked, chosen.recall)]
    body = _panel(frames[0], first, marks[0], ("share of the class found", "precision"))
    body.append(_across(frames[0], (0.0, share), (1.0, share)))
    body += _panel(frames[1], second, marks[1], ("share of all rows marked", "found"))
    body.append(_across(frames[1], (0.0, 0.0), (1.0, 1.0)))
    described = "; ".join(
        f"marking {words.percent(one.marked)} finds {words.percent(one.recall)}" for one in _marks(report, "top")
    )
    return axes.canvas(body, (width, height), f"rare-{width}", ("Precision and what is found", described))


def _scales(frame: _Frame) -> tuple[Scale, Scale]:
    return Scale(0.0, 1.0, frame.left, frame.right), Scale(0.0, 1.0, frame.bottom, frame.top)


def _across(frame: _Frame, start: tuple[float, float], end: tuple[float, float]) -> str:
    """What marking rows blindly would give."""
    x, y = _scales(frame)
    return axes.line(x(start[0]), y(start[1]), x(end[0]), y(end[1]), "baseline")


def _panel(
    frame: _Frame, points: list[tuple[float, float]], mark: tuple[float, float | None] | None, names: tuple[str, str]
) -> list[str]:
    x, y = _scales(frame)
    body = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        body.append(axes.line(x.start, y(value), x.end, y(value), "grid"))
        body.append(axes.text(x.start - 8, y(value) + 4, words.percent(value), "tick", "end"))
        body.append(axes.text(x(value), y.start + 17, words.percent(value), "tick", "middle"))
    body.append(axes.line(x.start, y.start, x.end, y.start, "axis"))
    body.append(axes.path([(x(across), y(up)) for across, up in points], "step"))
    if mark is not None and mark[1] is not None:
        body.append(axes.diamond(x(mark[0]), y(mark[1]), "chosen"))
    body.append(axes.text(x.end, y.start + 36, f"{names[0]}, upwards {names[1]}", "label", "end"))
    return body


def _marks(report: Mapping[str, Any], key: str) -> list[_Mark]:
    most = MOST_POINTS if key == "curve" else MOST_TOP
    return [one for one in map(_mark, words.each(words.part(report, "rare", key))[:most]) if one]


def _mark(one: Any) -> _Mark | None:
    marked, recall = words.finite(words.part(one, "marked")), words.finite(words.part(one, "recall"))
    if marked is None or recall is None:
        return None
    return _Mark(marked, words.finite(words.part(one, "precision")), recall, *words.ends(one), one)


PAGE = """
{% set found = report.rare %}
{% if drawn[0] %}
<h2>Finding the rare class</h2>
{% for line in told %}<p>{{ line|cut(300) }}</p>{% endfor %}
{{ figure("rare class", drawn) }}
<p class="key"><b class="o">◆</b> where the saved model draws the line. Dotted: rows marked blindly.\
 Average precision {{ found.precision|number(3) }}\
{% if found.low is number %} (95 % interval {{ found.low|number(3) }} to {{ found.high|number(3) }}){% endif %}.</p>
{% if marks %}
<div class="scroll"><table><thead><tr><th scope="col">Rows marked</th><th scope="col" class="n">from probability</th>\
<th scope="col" class="n">right</th><th scope="col" class="n">95 % interval</th>\
<th scope="col" class="n">found of the class</th><th scope="col" class="n">lift</th></tr></thead>
<tbody>{% for mark in marks %}<tr><th scope="row">{{ mark.marked|percent }}\
{% if found.chosen is mapping and mark.json is sameas found.chosen %} <span class="tag chosen">chosen</span>{% endif %}\
</th><td class="n">{{ mark.json.threshold|number(3) }}</td><td class="n">{{ mark.precision|percent }}</td>\
<td class="n">{{ mark.low|percent }} to {{ mark.high|percent }}</td><td class="n">{{ mark.recall|percent }}</td>\
<td class="n">{{ mark.lift|number(3) }}</td></tr>{% endfor %}</tbody></table></div>
{% endif %}
{% elif found.why_not and found.of_class %}
<h2>Finding the rare class</h2>
<p class="soft">Not shown: {{ found.why_not|cut(200) }}.</p>
{% endif %}
"""

SECTION = Section(name="rare", title="Rare class", holds=RareKeys, gather=gather, page=PAGE, shown=shown)
