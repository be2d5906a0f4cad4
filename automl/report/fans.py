"""The pictures of forecasts: backtests of a series as fans, its parts, errors by step, and how they spread over series.

Each is drawn from the report's JSON; what is missing there leaves a gap in a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from automl.report import axes, words
from automl.report.axes import Scale
from automl.report.charts import PHONE

LEFT, EDGE, GAP = 74, 20, 14  # pixels beside the picture, and between two labels
SIDES = (("low95", "high95", "fan-wide"), ("low80", "high80", "fan-near"))
MOST_POINTS, MOST_WINDOWS = 400, 8
Point = tuple[float, float | None]


def fan(one: Any, width: int, at: int) -> str:
    """A series and its backtests: what happened, what was foretold, and the intervals around it."""
    values = _numbers(one, "values")[:MOST_POINTS]
    windows = [w for w in words.each(words.part(one, "windows")) if words.part(w, "middle")][:MOST_WINDOWS]
    seen = [v for v in values if v is not None]
    if not seen or len(values) < 2:
        return ""
    middles = [v for w in windows for v in _numbers(w, "middle") if v is not None]
    ends = [
        v for w in windows for low, high, _ in SIDES for v in (*_numbers(w, low), *_numbers(w, high)) if v is not None
    ]
    height = 300 if width > PHONE else 250
    y = Scale(*axes.span([*seen, *middles], ends, 0.5), height - 46, 12)
    x = Scale(0.0, float(len(values) - 1), LEFT, width - EDGE)
    body = _frame(one, x, y, len(values))
    for window in windows:
        places = _places(window, len(values))
        if places:
            body.append(axes.line(x(max(0.0, places[0] - 1.0)), y.start, x(max(0.0, places[0] - 1.0)), y.end, "origin"))
        body += [_band(window, places, sides, (x, y)) for sides in SIDES]
    body += _lines(list(enumerate(values)), (x, y), "happened")
    for window in windows:
        middle = list(zip(_places(window, len(values)), _numbers(window, "middle"), strict=False))
        body += _lines(middle, (x, y), "foretold")
    name = words.short(words.part(one, "name") or "", 40)
    described = f"{len(windows)} backtests of {name}; " + "; ".join(_said(window, values) for window in windows)
    return axes.canvas(body, (width, height), f"fan{at}-{width}", (f"Backtests of {name}", described))


def parts(one: Any, width: int, at: int) -> str:
    """Trend, season and rest, one below the other on scales of their own."""
    told = [(part, _numbers(one, part)[:MOST_POINTS]) for part in ("trend", "season", "rest")]
    told = [(part, values) for part, values in told if len(values) > 1 and any(v is not None for v in values)]
    if not told:
        return ""
    each = 120
    body: list[str] = []
    for place, (part, values) in enumerate(told):
        seen = [v for v in values if v is not None]
        y = Scale(*axes.span(seen), place * each + each - 16, place * each + 16)
        x = Scale(0.0, float(len(values) - 1), LEFT, width - EDGE)
        for value, label in y.ticks(3):
            body += [
                axes.line(x.start, y(value), x.end, y(value), "grid"),
                axes.text(LEFT - 8, y(value) + 4, label, "tick", "end"),
            ]
        body += _lines(list(enumerate(values)), (x, y), "step")
        body.append(axes.text(LEFT + 4, place * each + 12, part, "name"))
        if place == len(told) - 1:
            body += _dates(one, x, (place + 1) * each - 16, len(values))
    described = "; ".join(f"{part} from {_number(values, min)} to {_number(values, max)}" for part, values in told)
    return axes.canvas(
        body, (width, len(told) * each + 24), f"parts{at}-{width}", ("Trend, season and rest", described)
    )


def by_step(found: Any, width: int) -> str:
    """The error of each step ahead, beside that of the last season again."""
    steps = words.each(words.part(found, "steps"))[:MOST_POINTS]
    own, naive = ([words.finite(words.part(one, key)) for one in steps] for key in ("error", "naive"))
    seen = [v for v in own if v is not None]
    if not seen:
        return ""
    names = [words.number(words.part(one, "step")) for one in steps]
    height = 240 if width > PHONE else 210
    low, high = axes.span([0.0, *seen], [v for v in naive if v is not None], 1.5)
    x, y = Scale(-0.5, len(steps) - 0.5, LEFT, width - EDGE), Scale(max(0.0, low), high, height - 46, 12)
    body = []
    for value, label in y.ticks(4):
        body += [
            axes.line(x.start, y(value), x.end, y(value), "grid"),
            axes.text(LEFT - 8, y(value) + 4, label, "tick", "end"),
        ]
    body.append(axes.line(x.start, y.start, x.end, y.start, "axis"))
    every = max(1, -(-len(steps) // (12 if width > PHONE else 6)))
    body += [axes.text(x(k), y.start + 19, names[k], "tick", "middle") for k in range(0, len(steps), every)]
    body += _lines(list(enumerate(naive)), (x, y), "again")
    body += _lines(list(enumerate(own)), (x, y), "foretold")
    body += [axes.dot(x(k), y(v), "chosen", 3.5) for k, v in enumerate(own) if v is not None]
    body.append(axes.text(x.end, height - 6, "steps ahead; dashed: last season again", "label", "end"))
    described = "; ".join(f"step {name}: {words.number(v, 3)}" for name, v in zip(names, own, strict=True))
    return axes.canvas(body, (width, height), f"by-step-{width}", ("Error by steps ahead", described))


def spread(found: Any, width: int) -> str:
    """How many series err how much."""
    bins = []
    for one in words.each(words.part(found, "bins"))[:MOST_POINTS]:
        low, high, count = (words.finite(words.part(one, key)) for key in ("low", "high", "series"))
        if low is not None and high is not None and count is not None and low < high and count >= 0:
            bins.append((low, high, count))
    most = max((count for _, _, count in bins), default=0.0)
    if not most:
        return ""
    height = 200
    x = Scale(min(low for low, _, _ in bins), max(high for _, high, _ in bins), LEFT, width - EDGE)
    y = Scale(0.0, most * 1.05, height - 46, 12)
    body = axes.grid(x, y, (6, 3) if width > PHONE else (4, 3))
    for low, high, count in bins:
        left, top = x(low), y(count)
        body.append(
            f'<rect class="bar" x="{left:.1f}" y="{top:.1f}" width="{max(1.0, x(high) - left - 1):.1f}" '
            f'height="{y.start - top:.1f}"/>'
        )
    metric = words.short(words.part(found, "metric") or "error", 20)
    body.append(axes.text(x.end, height - 6, f"{metric} of a series", "label", "end"))
    described = "; ".join(
        f"{words.number(low, 3)} to {words.number(high, 3)}: {count:.0f} series" for low, high, count in bins
    )
    return axes.canvas(body, (width, height), f"by-series-{width}", ("How far series are missed", described))


def _frame(one: Any, x: Scale, y: Scale, count: int) -> list[str]:
    """Lines across with their values, and times below."""
    body = []
    for value, label in y.ticks(5):
        body += [
            axes.line(x.start, y(value), x.end, y(value), "grid"),
            axes.text(LEFT - 8, y(value) + 4, label, "tick", "end"),
        ]
    return [*body, axes.line(x.start, y.start, x.end, y.start, "axis"), *_dates(one, x, y.start, count)]


def _dates(one: Any, x: Scale, bottom: float, count: int) -> list[str]:
    """A few times below an axis, the last of them at its end."""
    times = [words.short(time, 16) for time in words.each(words.part(one, "times"))[:count]]
    wide = max(map(len, times), default=1) * axes.CHAR_PX
    wanted = max(1, int((x.end - x.start) / (wide + GAP)))
    marks, room = [], x.end + wide  # what is left of this pixel is free
    for place in range(len(times) - 1, -1, -max(1, -(-len(times) // wanted))):
        at = x(place)
        is_edge = at + wide / 2 > x.end + EDGE
        if (at if is_edge else at + wide / 2) + GAP > room:
            continue
        room = at - wide if is_edge else at - wide / 2
        marks.append(axes.line(at, bottom, at, bottom + 5, "axis"))
        marks.append(axes.text(at, bottom + 19, times[place], "tick", "end" if is_edge else "middle"))
    return marks


def _lines(points: Sequence[Point], scales: tuple[Scale, Scale], kind: str) -> list[str]:
    """A line through the points, broken where one is missing; a lone one is a dot."""
    x, y = scales
    runs: list[list[tuple[float, float]]] = [[]]
    for place, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((x(place), y(value)))
    lines = [axes.path(run, kind) for run in runs if len(run) > 1]
    return lines + [axes.dot(*run[0], "dot", 2) for run in runs if len(run) == 1]


def _band(window: Any, places: Sequence[int], sides: tuple[str, str, str], scales: tuple[Scale, Scale]) -> str:
    """The area between two ends of intervals; a single step is a small bar."""
    (lower, upper, kind), (x, y) = sides, scales
    both = [
        (float(place), low, high)
        for place, low, high in zip(places, _numbers(window, lower), _numbers(window, upper), strict=False)
        if low is not None and high is not None
    ]
    if not both:
        return ""
    if len(both) == 1:
        place, *ends = both[0]
        both = [(place - 1 / 3, ends[0], ends[1]), (place + 1 / 3, ends[0], ends[1])]
    round_ = [(x(place), y(high)) for place, _, high in both] + [(x(place), y(low)) for place, low, _ in reversed(both)]
    return f'<path class="{kind}" d="M{"L".join(f"{a:.1f} {b:.1f}" for a, b in round_)}z"/>'


def _said(window: Any, values: Sequence[float | None]) -> str:
    """A window in words: what was foretold and what came, on average."""
    middle = _numbers(window, "middle")
    pairs = [
        (own, values[place])
        for place, own in zip(_places(window, len(values)), middle, strict=False)
        if own is not None and values[place] is not None
    ]
    if not pairs:
        return "nothing came of one"
    foretold, came = (sum(v or 0.0 for v in side) / len(pairs) for side in zip(*pairs, strict=True))
    return f"foretold {words.number(foretold, 3)} on average, came {words.number(came, 3)}"


def _places(window: Any, count: int) -> list[int]:
    """Where the steps of a window are; those before one that is nowhere."""
    found = []
    for place in words.each(words.part(window, "at")):
        if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < count:
            break
        found.append(place)
    return found if all(a < b for a, b in pairwise(found)) else []


def _numbers(one: Any, key: str) -> list[float | None]:
    return [words.finite(value) for value in words.each(words.part(one, key))]


def _number(values: Sequence[float | None], pick: Any) -> str:
    return words.number(pick(v for v in values if v is not None), 3)
