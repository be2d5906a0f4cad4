"""The pictures of the report as inline SVG: the frontier, the best score over time, bars of cost, small intervals.

Each is drawn from the report's JSON at the width asked for: the page holds a wide and a narrow one, so that their text
can be read on a phone too. Nothing to draw gives an empty string.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from automl.report import axes, words
from automl.report.axes import Box, Scale

LEAST_MS = 1e-4  # a logarithmic axis has no zero; no model predicts a row faster than this
PHONE = 500  # pixels; narrower pictures say less, and nothing on hover
MOST_MARKS = 150  # more would hide each other and fatten the page
LOST = ("failed", "late", "lost")  # trials that gave nothing


@dataclass(frozen=True)
class _Ended:
    """A trial that ended at a known second."""

    at: float
    value: float | None
    status: str
    name: str


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
    is_higher = _is_higher(report)
    ends = [end for one in points if one.on_frontier or one.is_chosen for end in (one.low, one.high)]
    dominated = [one.y for one in points if not (one.on_frontier or one.is_chosen)]
    low, high = axes.span(ends or dominated, [*dominated, *([] if baseline is None else [baseline])])
    costs = [one.x for one in points]
    x = Scale(min(costs) / 1.6, max(costs) * 1.6, left, width - 14, is_log=True)
    y = Scale(low, high, height - 50, 34)
    body = axes.grid(x, y, (6, 5) if is_wide else (4, 5))
    body += [
        axes.text(2, 16, f"{_metric(report)}, {'higher' if is_higher else 'lower'} is better", "label"),
        axes.text(width - 14, height - 8, "milliseconds to predict one row", "label", "end"),
    ]
    if baseline is not None:
        body += _baseline(x, y, baseline, _metric(report))
    body += [_mark(one, x, y, is_wide) for one in sorted(points, key=lambda one: (one.is_chosen, one.on_frontier))]
    body.insert(len(body) - len(points), _steps(points, x, y))
    body += _labels(points, x, y, width)
    members = sum(one.on_frontier for one in points)
    told = (
        "Accuracy against the cost of a prediction",
        f"{len(points)} models, {members} of them on the frontier. {words.verdict(report)}",
    )
    return axes.canvas(body, (width, height), f"frontier-{width}", told)


def progress(report: Mapping[str, Any], width: int) -> str:
    """The best score so far over the seconds of the run; failed trials as crosses on the axis."""
    ended = _ended(report)
    measured = [one for one in ended if one.value is not None]
    scored = [one for one in measured if one.status == "done"] or measured  # a very short run has only partial ones
    if not scored:
        return ""
    is_wide = width > PHONE
    height, left = (300, 66) if is_wide else (270, 52)
    is_higher = _is_higher(report)
    ranked = sorted((one.value or 0.0 for one in scored), reverse=is_higher)
    core = ranked[: max(1, round(0.75 * len(ranked)))]  # the worst quarter must not set the scale
    last = max(ended[-1].at, words.finite(words.part(report, "run", "seconds")) or 0.0, 1e-3)
    x = Scale(0.0, last, left, width - 14)
    y = Scale(*axes.span(core, ranked, 0.3), height - 50, 34)
    body = axes.grid(x, y, (6, 5) if is_wide else (4, 5))
    body += [
        axes.text(2, 16, f"{_metric(report)}, mean of the folds", "label"),
        axes.text(width - 14, height - 8, "seconds since the start", "label", "end"),
        *(_trial_mark(one, x, y, is_wide) for one in scored[-MOST_MARKS:]),
        *(
            axes.text(x(one.at), y.start + 4, "×", "cross", "middle")
            for one in ended[-MOST_MARKS:]
            if one.status in LOST
        ),
    ]
    best = scored[0].value or 0.0
    corners = [(x(scored[0].at), y(best))]
    for one in scored:
        if one.value is not None and (one.value > best if is_higher else one.value < best):
            corners += [(x(one.at), y(best)), (x(one.at), y(one.value))]
            best = one.value
    body.append(axes.path([*corners, (x.end, y(best))], "step"))
    described = f"{len(scored)} trials scored; the best, {words.number(best)}, within {words.seconds(last)}."
    return axes.canvas(body, (width, height), f"progress-{width}", ("Best score so far", described))


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
        label = words.short(row.label, int((left - 10) / axes.CHAR_PX))
        body.append(axes.text(left - 10, top + 15, label, "name", "end"))
        body.append(f'<rect class="bar" x="{left}" y="{top}" width="{max(1.0, end - left):.1f}" height="20" rx="2"/>')
        if row.lost > 0:
            start = scale(row.length - row.lost)
            body.append(f'<rect class="lost" x="{start:.1f}" y="{top}" width="{end - start:.1f}" height="20" rx="2"/>')
        note = f", {row.note}" if row.note and width > PHONE else ""
        body.append(axes.text(end + 8, top + 15, words.seconds(row.length) + note, "value"))
    described = "; ".join(f"{words.short(row.label)} {words.seconds(row.length)}" for row in rows)
    return axes.canvas(body, (width, len(rows) * gap + 4), f"{name}-{width}", (title, described))


def stage_bars(report: Mapping[str, Any]) -> list[Bar]:
    """Where the seconds went, in the order of the stages; what no stage accounts for is said too."""
    stages = words.part(report, "cost", "wall_s")
    spent = {str(key): words.finite(value) for key, value in stages.items()} if isinstance(stages, Mapping) else {}
    rows = [Bar(stage, wall_s) for stage, wall_s in spent.items() if wall_s is not None]
    rest = (words.finite(words.part(report, "run", "seconds")) or 0.0) - sum(row.length for row in rows)
    return [*rows, Bar("everything else", rest)] if rows and rest > 0.05 else rows


def family_bars(report: Mapping[str, Any]) -> list[Bar]:
    """CPU seconds by family, dearest first; the lost part belongs to trials that gave nothing."""
    spent: dict[str, list[tuple[float, bool]]] = {}
    for trial in _rows(report, "trials"):
        cpu_s = words.finite(trial.get("cpu_s"))
        if cpu_s is not None:
            is_lost = trial.get("status") in LOST
            spent.setdefault(words.short(trial.get("family")), []).append((cpu_s, is_lost))
    rows = []
    for family, costs in spent.items():
        lost = sum(is_lost for _, is_lost in costs)
        note = f"{len(costs)} trial{'s' * (len(costs) != 1)}" + (f", {lost} for nothing" if lost else "")
        rows.append(Bar(family, sum(cpu_s for cpu_s, _ in costs), sum(c for c, is_lost in costs if is_lost), note))
    return sorted(rows, key=lambda row: -row.length)


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


def _rows(report: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    rows = report.get(key)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _metric(report: Mapping[str, Any]) -> str:
    return words.short(words.part(report, "verdict", "score", "metric") or "score", 30)


def _ended(report: Mapping[str, Any]) -> list[_Ended]:
    """The trials in the order in which they ended."""
    found = []
    for trial in _rows(report, "trials"):
        at = words.finite(trial.get("finished_s"))
        if at is not None:
            name = f"trial {words.number(trial.get('number'))}, {words.short(trial.get('family'))}"
            found.append(_Ended(at, words.value_of(trial.get("score")), str(trial.get("status")), name))
    return sorted(found, key=lambda one: one.at)


def _is_higher(report: Mapping[str, Any]) -> bool:
    score = words.part(report, "verdict", "score")
    if not isinstance(score, Mapping):
        score = next((row.get("score") for row in _rows(report, "leaderboard")), None)
    return words.part(score, "higher_is_better") is not False


def _points(report: Mapping[str, Any]) -> list[_Point]:
    chosen = words.part(report, "verdict", "chosen")
    baseline = words.value_of(words.part(report, "verdict", "baseline"))
    points = []
    for row in _rows(report, "leaderboard"):
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


def _trial_mark(one: _Ended, x: Scale, y: Scale, is_told: bool) -> str:
    value = one.value or 0.0
    title = f"<title>{escape(one.name)}: {words.number(value)}</title>" if is_told else ""
    if not y.holds(value):
        return f"<g>{title}{axes.arrow(x(one.at), y(value), value > y.high, 'dominated')}</g>"
    return f"<g>{title}{axes.dot(x(one.at), y(value), 'dominated', 3.5)}</g>"
