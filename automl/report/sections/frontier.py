"""What accuracy costs: score against the time to predict a row, with what is on the frontier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from automl.plain import as_json
from automl.report import axes, charts, words
from automl.report.axes import Box, Scale
from automl.report.charts import MOST_MARKS, PHONE
from automl.report.section import Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs

LEAST_MS = 1e-4  # a logarithmic axis has no zero; no model predicts a row faster than this


class ArenaJson(TypedDict, total=False):
    """The held-out rows on which all models were compared."""

    folds: list[int]
    rows: int
    tied: list[list[str]]  # pairs of names that cannot be told apart: the best and each of these


class FrontierKeys(TypedDict, total=False):
    """The keys of this section."""

    arena: ArenaJson


def gather(inputs: ReportInputs) -> FrontierKeys:
    """On which rows, and who cannot be told apart there."""
    arena: ArenaJson = {
        "folds": list(inputs.comparison.folds),
        "rows": len(inputs.comparison.y),
        "tied": as_json(inputs.end.tied),
    }
    return {"arena": arena}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The picture."""
    return {"drawn": charts.both(lambda width: frontier(report, width))}


@dataclass(frozen=True)
class _Point:
    """A row of the leaderboard that can be drawn."""

    name: str
    x: float
    y: float
    low: float
    high: float
    on_frontier: bool
    is_chosen: bool
    label: str  # what it was picked for


def frontier(report: Mapping[str, Any], width: int) -> str:
    """Score with its interval against the milliseconds to predict one row, on a logarithmic axis.

    The baseline is a line rather than a point, unless it was picked: it costs nothing and would stretch both axes.
    """
    points = _points(report)
    if not points:
        return ""
    is_wide = width > PHONE
    height, left = (430, 66) if is_wide else (360, 52)
    baseline = words.value_of(words.part(report, "verdict", "baseline"))
    is_higher = charts.is_higher(report)
    ends = [end for one in points if one.on_frontier or one.is_chosen for end in (one.low, one.high)]
    dominated = [one.y for one in points if not (one.on_frontier or one.is_chosen)]
    low, high = axes.span(ends or dominated, [*dominated, *([] if baseline is None else [baseline])])
    costs = [one.x for one in points]
    x = Scale(min(costs) / 1.6, max(costs) * 1.6, left, width - 14, is_log=True)
    y = Scale(low, high, height - 50, 34)
    body = axes.grid(x, y, (6, 5) if is_wide else (4, 5))
    body += [
        axes.text(2, 16, f"{charts.metric(report)}, {'higher' if is_higher else 'lower'} is better", "label"),
        axes.text(width - 14, height - 8, "milliseconds to predict one row", "label", "end"),
    ]
    if baseline is not None:
        body += _baseline(x, y, baseline, charts.metric(report))
    body += [_mark(one, x, y, is_wide) for one in sorted(points, key=lambda one: (one.is_chosen, one.on_frontier))]
    body.insert(len(body) - len(points), _steps(points, x, y))
    body += _labels(points, x, y, width)
    members = sum(one.on_frontier for one in points)
    told = (
        "Accuracy against the cost of a prediction",
        f"{len(points)} models, {members} of them on the frontier. {words.verdict(report)}",
    )
    return axes.canvas(body, (width, height), f"frontier-{width}", told)


def _points(report: Mapping[str, Any]) -> list[_Point]:
    chosen = words.part(report, "verdict", "chosen")
    baseline = words.value_of(words.part(report, "verdict", "baseline"))
    points = []
    for row in charts.rows_of(report, "leaderboard"):
        score, cost = row.get("score"), words.finite(row.get("row_ms"))
        value, name = words.value_of(score), row.get("name")
        if value is None or cost is None:
            continue
        low, high = words.ends(score)
        picks = row.get("picks")
        is_chosen = name is not None and name == chosen
        roles = ["chosen"] * is_chosen + [words.short(pick, 24) for pick in (picks if isinstance(picks, list) else [])]
        if not roles and value == baseline:
            continue
        ends = (value if low is None else low, value if high is None else high)
        is_member = row.get("on_frontier") is True
        at = max(cost, LEAST_MS)
        points.append(_Point(words.short(name, 80), at, value, *ends, is_member, is_chosen, ", ".join(roles)))
    kept = [one for one in points if one.on_frontier or one.is_chosen or one.label]
    return [*kept, *[one for one in points if one not in kept][: max(0, MOST_MARKS - len(kept))]]


def _mark(one: _Point, x: Scale, y: Scale, is_told: bool) -> str:
    at, up = x(one.x), y(one.y)
    kind = "chosen" if one.is_chosen else "member" if one.on_frontier else "dominated"
    told = f"{one.name}: {words.number(one.y)} [{words.number(one.low)}, {words.number(one.high)}], "
    title = f"<title>{escape(told)}{words.milliseconds(one.x)} a row</title>" if is_told else ""
    if not y.holds(one.y):
        return f"<g>{title}{axes.arrow(at, up, one.y > y.high, kind)}</g>"
    whisker = axes.line(at, y(one.low), at, y(one.high), f"whisker {kind}-line") if one.low < one.high else ""
    shape = axes.diamond(at, up, kind) if one.is_chosen else axes.dot(at, up, kind)
    return f"<g>{title}{whisker}{shape}</g>"


def _steps(points: Sequence[_Point], x: Scale, y: Scale) -> str:
    """The best that each cost buys: flat until a dearer model is better."""
    members = sorted((one for one in points if one.on_frontier), key=lambda one: one.x)
    if not members:
        return ""
    corners = [(x(members[0].x), y(members[0].y))]
    for one in members[1:]:
        corners += [(x(one.x), corners[-1][1]), (x(one.x), y(one.y))]
    return axes.path([*corners, (x.end, corners[-1][1])], "step")


def _baseline(x: Scale, y: Scale, value: float, metric: str) -> list[str]:
    said = f"without a model: {metric} {words.number(value)}"
    if y.holds(value):
        label_y = y(value) - 6 if y(value) > y.end + 20 else y(value) + 15
        return [
            axes.line(x.start, y(value), x.end, y(value), "baseline"),
            axes.text(x.start + 6, label_y, said, "tick"),
        ]
    is_above = value > y.high
    at = y.end + 12 if is_above else y.start - 8
    return [axes.text(x.start + 6, at, f"{said}, {'above' if is_above else 'below'} this picture", "tick")]


def _labels(points: Sequence[_Point], x: Scale, y: Scale, width: int) -> list[str]:
    """The name and the role of each picked point, where they cover the least."""
    frame = Box(x.start, 22, x.end - x.start, y.start - 24)
    taken = [Box(x(one.x) - 6, y(one.y) - 6, 12, 12) for one in points]
    taken += [Box(x(one.x) - 2, y(one.high), 4, abs(y(one.low) - y(one.high))) for one in points if one.on_frontier]
    marks = []
    for one in sorted(points, key=lambda one: not one.is_chosen):
        if not one.label:
            continue
        name = words.short(one.name, 30 if width > PHONE else 18)
        size = (max(len(name), len(one.label)) * axes.CHAR_PX, 29.0)
        box = axes.place((x(one.x), y(one.y)), size, taken, frame)
        taken.append(box)
        marks.append(axes.text(box.x, box.y + 11, name, "name"))
        marks.append(axes.text(box.x, box.y + 25, one.label, "role chosen-text" if one.is_chosen else "role"))
    return marks


PAGE = """
<h2>What accuracy costs</h2>
{{ figure("model", drawn) }}
{% if drawn[0] %}
<p class="key"><b class="o">◆</b> chosen &ensp;<b class="b">●</b> on the frontier: nothing is both better and cheaper \
&ensp;<b class="g">●</b> dominated
&ensp;<b>┃</b> interval of one score alone. The picks compare models on the same rows, which tells more than whether \
two bars overlap.</p>
{% endif %}
"""

SECTION = Section(name="frontier", title="Frontier", holds=FrontierKeys, gather=gather, page=PAGE, shown=shown)
