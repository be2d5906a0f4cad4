"""How forecasts did in backtests: three series drawn with what was foretold of them, errors by step, window, series."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.report import charts, fans, words
from automl.report.section import Section

if TYPE_CHECKING:
    from markupsafe import Markup

    from automl.report.inputs import ReportInputs

MOST_DRAWN, MOST_LINES = 3, 60
CLOSE = 0.03  # by which shares of intervals may miss their level without a word, as forecasters usually ask for


class StepErrorJson(TypedDict, total=False):
    """Held-out rows that lie as many steps after the origin as this, of long horizons as these."""

    step: int
    last: int  # the last of several steps that are told together
    error: float | None
    naive: float | None  # of repeating the last season, on the same rows
    rows: int
    held80: float | None
    held95: float | None  # shares of these rows in their intervals


class WindowErrorJson(TypedDict, total=False):
    """A backtest."""

    first: str
    last: str  # times of its first and last steps
    error: float | None
    naive: float | None
    rows: int


class SeriesErrorJson(TypedDict, total=False):
    """A series."""

    name: str
    error: float
    naive: float | None
    rows: int


class ErrorBinJson(TypedDict, total=False):
    """How many series err as much as this."""

    low: float
    high: float
    series: int


class FanJson(TypedDict, total=False):
    """What was foretold of a window, and the intervals around it."""

    at: list[int]  # places among the times that are drawn
    middle: list[float | None]
    low80: list[float | None]
    high80: list[float | None]
    low95: list[float | None]
    high95: list[float | None]


class DrawnSeriesJson(TypedDict, total=False):
    """A series as it is drawn: the end of what is known of it, and its backtests."""

    role: str  # "worst" | "median" | "best" | "only"
    name: str
    error: float | None
    every: int  # each so manieth step is here
    times: list[str]
    values: list[float | None]
    windows: list[FanJson]
    trend: list[float | None]
    season: list[float | None]  # empty where nothing repeats
    rest: list[float | None]


class HeldLevelJson(TypedDict, total=False):
    """Of the held-out rows, the share in intervals of a level that other rows taught."""

    level: float
    share: float | None
    width: float | None


class SkillJson(TypedDict, total=False):
    """The share of the error of repeating the last season that the model saves, with its 95 % interval."""

    value: float | None
    low: float | None
    high: float | None


class ForecastsJson(TypedDict, total=False):
    """What the chosen model foretold before it learned of it."""

    why_not: str | None
    metric: str  # that is counted here; the run's, where it can be counted by groups of rows
    series: int
    rows: int
    step: str  # what a step is
    horizon: int
    season: int
    error: float | None
    naive: float | None
    skill: SkillJson | None
    held: list[HeldLevelJson]
    steps: list[StepErrorJson]
    windows: list[WindowErrorJson]  # the newest first
    worst: list[SeriesErrorJson]
    bins: list[ErrorBinJson]
    unscaled: int  # series that never change, of which no error can be scaled
    drawn: list[DrawnSeriesJson]


class ForecastsKeys(TypedDict, total=False):
    """The key of this section."""

    forecasts: ForecastsJson | None


def gather(inputs: ReportInputs) -> ForecastsKeys:
    """What gather/forecasts.py found; nothing of data that are no series over time."""
    return {"forecasts": cast("ForecastsJson | None", inputs.found.get("forecasts"))}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """Sentences and pictures."""
    found = words.part(report, "forecasts")
    return {
        "told": told(report),
        "fans": [_drawn(one, at) for at, one in enumerate(words.each(words.part(found, "drawn"))[:MOST_DRAWN])],
        "by_step": charts.both(lambda width: fans.by_step(found, width)),
        "spread": charts.both(lambda width: fans.spread(found, width)),
        "named": named,
        "most_lines": MOST_LINES,
    }


def told(report: Mapping[str, Any]) -> list[str]:
    """What there is to know, in sentences."""
    found = words.part(report, "forecasts")
    error, naive = words.finite(words.part(found, "error")), words.finite(words.part(found, "naive"))
    if error is None:
        return []
    metric = words.short(words.part(found, "metric") or "error", 30)
    lines = [
        f"In backtests of {words.number(words.part(found, 'horizon'))} steps (a step is "
        f"{words.short(words.part(found, 'step') or 'a step', 40)}), each foretold from what was known before it, "
        f"{metric} is {words.number(error, 3)}"
        + ("." if naive is None else f"; repeating the last season has {words.number(naive, 3)} on the same rows.")
    ]
    return [*lines, *_skill(found), *_held(found), *_growing(found)]


def _skill(found: Any) -> list[str]:
    value, (low, high) = words.finite(words.part(found, "skill", "value")), words.ends(words.part(found, "skill"))
    if value is None:
        return []
    sure = (
        ""
        if low is None or high is None
        else f" (95 % interval of what is saved {words.percent(low)} to {words.percent(high)})"
    )
    clear = ", which chance may explain" if low is not None and high is not None and low <= 0 <= high else ""
    verb = f"saves {words.percent(value)} of" if value >= 0 else f"adds {words.percent(-value)} to"
    return [f"It {verb} that error{sure}{clear}."]


def _held(found: Any) -> list[str]:
    parts = []
    for one in words.each(words.part(found, "held")):
        level, share = words.finite(words.part(one, "level")), words.finite(words.part(one, "share"))
        if level is not None and share is not None:
            off = "" if abs(share - level) <= CLOSE else ", too many" if share > level else ", too few"
            parts.append(f"those of {words.percent(level)} held {words.percent(share)}{off}")
    return [f"Of the intervals of held-out steps {', '.join(parts)}."] if parts else []


def _growing(found: Any) -> list[str]:
    """How much more the last steps are missed than the first."""
    steps = [one for one in words.each(words.part(found, "steps")) if words.finite(words.part(one, "error"))]
    if len(steps) < 2:
        return []
    first, last = (words.finite(words.part(one, "error")) or 0.0 for one in (steps[0], steps[-1]))
    if first <= 0:
        return []
    return [f"The last step is missed {words.number(last / first, 2)} times as far as the first."]


def named(one: Any) -> str:
    """What a line is of: a series by its name, steps 3 to 5, a backtest by its times."""
    for first, last in (("step", "last"), ("first", "last")):
        if words.part(one, first) is not None:
            ends = [_text(words.part(one, end)) for end in (first, last)]
            return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
    return words.short(words.part(one, "name") or words.DASH, 200)


def _text(value: Any) -> str:
    return words.number(value) if words.finite(value) is not None else words.short(value or words.DASH, 30)


def _drawn(one: Any, at: int) -> dict[str, Any]:
    role = words.short(words.part(one, "role") or "", 20)
    name, error = words.short(words.part(one, "name") or words.DASH, 60), words.part(one, "error")
    pictures: tuple[Markup, Markup] = charts.both(lambda width: fans.fan(one, width, at))
    parts: tuple[Markup, Markup] = charts.both(lambda width: fans.parts(one, width, at))
    return {
        "title": f"The {role} series" if role in ("worst", "median", "best") else "The series",
        "name": name, "error": error, "picture": pictures, "parts": parts, "every": words.part(one, "every"),
    }  # fmt: skip


PAGE = """
{% set found = report.forecasts %}
{% macro lines(head, rows) %}
<div class="scroll"><table><thead><tr><th scope="col"{{ ' class="n"'|safe if head[0] == "Step" }}>{{ head[0] }}</th>\
<th scope="col" class="n">{{ found.metric|cut(20) }}</th><th scope="col" class="n">last season again</th>\
{% for one in head[1:] %}<th scope="col" class="n">{{ one }}</th>{% endfor %}</tr></thead>
<tbody>{% for one in rows[:most_lines] %}<tr><th scope="row"{{ ' class="n"'|safe if head[0] == "Step" }}>\
{{ named(one)|cut(50) }}</th><td class="n">{{ one.error|number(3) }}</td><td class="n">{{ one.naive|number(3) }}</td>\
{% if head|length > 2 %}<td class="n">{{ one.held80|percent }}</td>\
<td class="n">{{ one.held95|percent }}</td>{% endif %}\
<td class="n">{{ one.rows|number }}</td></tr>{% endfor %}</tbody></table></div>
{% endmacro %}
{% if told %}
<h2>What it foretold, and what came</h2>
{% for line in told %}<p>{{ line|cut(400) }}</p>{% endfor %}
{% for one in fans %}
<h3>{{ one.title }}: {{ one.name }}{% if one.error is number %},\
 {{ found.metric|cut(20) }} {{ one.error|number(3) }}{% endif %}</h3>
{{ figure("backtest", one.picture) }}
{% if one.parts[0] %}<details><summary>Trend, season and rest</summary>\
{{ figure("part", one.parts) }}</details>{% endif %}
{% endfor %}
{% if fans %}<p class="key">The grey line is what happened, <b class="o">orange</b> what was foretold at each vertical\
 line from all before it, with the intervals of 80 % and, paler, of 95 %, which other rows taught.</p>{% endif %}
{% if found.steps|each %}
<h3>By steps ahead</h3>
{{ figure("error", by_step) }}
<details><summary>The same in numbers</summary>
{{ lines(["Step", "in 80 %", "in 95 %", "rows"], found.steps|each) }}</details>
{% endif %}
{% if found.windows|each %}
<h3>By backtest</h3>
{{ lines(["Foretold", "rows"], found.windows|each) }}
{% endif %}
{% if found.worst|each %}
<h3>By series</h3>
{% if spread[0] %}{{ figure("error", spread) }}{% endif %}
{% if found.unscaled %}<p class="soft">{{ found.unscaled|number }} of {{ found.series|number }} series never change, so\
 no error of theirs can be scaled; they are left out here.</p>{% endif %}
{{ lines(["Worst series", "rows"], found.worst|each) }}
{% endif %}
{% elif found.why_not %}
<h2>What it foretold, and what came</h2>
<p class="soft">Not told: {{ found.why_not|cut(200) }}.</p>
{% endif %}
"""

STYLE = """
svg .fan-wide, svg .fan-near { fill: var(--orange); stroke: none; opacity: .13; } svg .fan-near { opacity: .2; }
svg .foretold { stroke: var(--orange); stroke-width: 1.8; } svg .happened { stroke: var(--soft); stroke-width: 1.4; }
svg .origin { stroke: var(--line); stroke-dasharray: 3 3; }
svg .again { stroke: var(--pale); stroke-dasharray: 5 3; stroke-width: 1.4; }
"""

SECTION = Section(
    name="forecasts", title="Forecasts", holds=ForecastsKeys, gather=gather, page=PAGE, shown=shown, style=STYLE
)
