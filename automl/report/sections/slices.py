"""Where it errs more than elsewhere: the worst slices of the held-out rows, or that none stands out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.report import axes, charts, conditions, words
from automl.report.axes import Scale
from automl.report.conditions import ConditionJson
from automl.report.section import Section, late

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs

MOST_SLICES, MOST_CONDITIONS = 8, 3
STEP = 44  # pixels from slice to slice


class SliceJson(TypedDict, total=False):
    """Held-out rows that have something in common, and how much worse they are told than all others."""

    conditions: list[ConditionJson]  # all of them hold
    rows: int
    share: float  # of all rows
    mean: float  # share that is told wrong, or mean distance from the answer
    low: float
    high: float  # of its interval, which holds for all slices that were looked at together in 95 % of runs
    rest: float  # the same of all other rows
    gap: float
    gap_low: float
    gap_high: float
    part: float  # of all errors, that these rows have
    p: float  # the chance that any of so many slices shows as much where all are told alike


class SlicesJson(TypedDict, total=False):
    """The worst slices of the held-out rows."""

    why_not: str | None
    kind: str  # "wrong": shares of wrong answers | "off": mean distances
    rows: int
    columns: int  # that were looked at
    looked_at: int  # slices
    least_rows: int  # in a slice
    mean: float | None  # of all rows
    slices: list[SliceJson]  # clearest first


class SlicesKeys(TypedDict, total=False):
    """The key of this section."""

    slices: SlicesJson | None


def gather(inputs: ReportInputs) -> SlicesKeys:
    """What gather/slices.py found."""
    nothing: SlicesJson = {
        "kind": "wrong" if inputs.profile.classes else "off", "rows": 0, "columns": 0, "looked_at": 0, "least_rows": 0,
        "mean": None, "slices": [],
    }  # fmt: skip
    return {"slices": cast(SlicesJson, late(inputs, "slices", nothing))}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """Sentences, the picture and the lines of the table."""
    return {
        "told": told(report),
        "drawn": charts.both(lambda width: picture(report, width)),
        "lines": _lines(report),
        "is_wrong": _is_wrong(report),
    }


@dataclass(frozen=True)
class _Line:
    """A slice that can be drawn."""

    name: str
    mean: float
    low: float
    high: float
    rest: float
    json: Any


def told(report: Mapping[str, Any]) -> list[str]:
    """What there is to know, in sentences; the terminal says the same."""
    found, lines = words.part(report, "slices"), _lines(report)
    looked = words.finite(words.part(found, "looked_at"))
    if words.part(found, "why_not") or looked is None:
        return []
    if not looked:
        return ["No slice of the held-out rows has enough of them to be judged."] if words.part(found, "mean") else []
    of = f"{words.number(int(looked))} slices by {words.number(words.part(found, 'columns'))} columns"
    if not lines:
        return [f"No slice stands out: of {of} none is told worse than chance explains."]
    return [f"Of {of} these are told worse than chance explains:", *(_sentence(one, report) for one in lines)]


def _sentence(one: _Line, report: Mapping[str, Any]) -> str:
    rows, part = words.number(words.part(one.json, "rows")), words.percent(words.part(one.json, "part"))
    if _is_wrong(report):
        return (
            f"{one.name}: {words.percent(one.mean)} wrong ({words.percent(one.low)} to {words.percent(one.high)}), of"
            f" all others {words.percent(one.rest)}; {rows} rows, {part} of all errors."
        )
    return (
        f"{one.name}: off by {words.number(one.mean, 3)} on average ({words.number(one.low, 3)} to"
        f" {words.number(one.high, 3)}), all others by {words.number(one.rest, 3)}; {rows} rows,"
        f" {part} of all errors."
    )


def picture(report: Mapping[str, Any], width: int) -> str:
    """Each slice's error with its interval, and beside it that of all other rows."""
    lines = _lines(report)
    if not lines:
        return ""
    top = max(end for one in lines for end in (one.mean, one.high, one.rest))
    if top <= 0:
        return ""
    scale = Scale(0.0, 1.04 * top, 16, width - 60)
    body = []
    for at, one in enumerate(lines):
        base = at * STEP
        body.append(axes.text(16, base + 14, words.short(one.name, int((width - 30) / axes.CHAR_PX)), "name"))
        body.append(
            f'<rect class="bar" x="16" y="{base + 20}" width="{max(1.0, scale(one.mean) - 16):.1f}" height="14"/>'
        )
        body.append(axes.line(scale(one.low), base + 27, scale(one.high), base + 27, "error"))
        body.append(axes.line(scale(one.rest), base + 17, scale(one.rest), base + 37, "rest"))
        shown_ = words.percent(one.mean) if _is_wrong(report) else words.number(one.mean, 3)
        body.append(axes.text(max(scale(one.high), scale(one.mean)) + 6, base + 31, shown_, "value"))
    described = "; ".join(f"{words.short(one.name, 60)} {words.number(one.mean, 3)}" for one in lines)
    return axes.canvas(body, (width, len(lines) * STEP + 4), f"slices-{width}", ("Where it errs more", described))


def _is_wrong(report: Mapping[str, Any]) -> bool:
    return bool(words.part(report, "slices", "kind") != "off")


def _lines(report: Mapping[str, Any]) -> list[_Line]:
    found = []
    for one in words.each(words.part(report, "slices", "slices"))[:MOST_SLICES]:
        mean, rest, (low, high) = (
            words.finite(words.part(one, "mean")), words.finite(words.part(one, "rest")), words.ends(one),
        )  # fmt: skip
        given = words.each(words.part(one, "conditions"))[:MOST_CONDITIONS]
        if mean is None or rest is None or low is None or high is None or min(mean, rest, low, high) < 0 or not given:
            continue
        found.append(_Line(" and ".join(conditions.told(each) for each in given), mean, low, high, rest, one))
    return found


PAGE = """
{% set found = report.slices %}
{% if told %}
<h2>Where it errs more than elsewhere</h2>
<p>{{ told[0]|cut(300) }}</p>
{% if lines %}
<ul>{% for line in told[1:] %}<li>{{ line|cut(260) }}</li>{% endfor %}</ul>
{{ figure("slice", drawn) }}
<p class="key">{{ "Share of wrong answers" if is_wrong else "Mean distance from the answer" }} among\
 {{ found.rows|number }} held-out rows. <b>├┤</b> interval, so wide that it holds for all slices looked at together.\
 <b class="o">|</b> all other rows. Slices have at least {{ found.least_rows|number }} rows; that one is named\
 although all are alike happens in one of twenty runs.</p>
<details><summary>The figures</summary>
<div class="scroll"><table><thead><tr><th scope="col">Slice</th><th scope="col" class="n">rows</th>\
<th scope="col" class="n">error</th><th scope="col" class="n">others</th><th scope="col" class="n">more by</th>\
<th scope="col" class="n">interval</th><th scope="col" class="n">of all errors</th>\
<th scope="col" class="n">by chance</th></tr></thead>
<tbody>{% for line in lines %}<tr><th scope="row">{{ line.name|cut(60) }}</th>\
<td class="n">{{ line.json.rows|number }}</td><td class="n">{{ line.mean|number(3) }}</td>\
<td class="n">{{ line.rest|number(3) }}</td><td class="n">{{ line.json.gap|number(3) }}</td>\
<td class="n">{{ line.json.gap_low|number(3) }} to {{ line.json.gap_high|number(3) }}</td>\
<td class="n">{{ line.json.part|percent }}</td><td class="n">{{ line.json.p|percent }}</td></tr>{% endfor %}</tbody>\
</table></div></details>
{% endif %}
{% elif found.why_not %}
<h2>Where it errs more than elsewhere</h2>
<p class="soft">Not shown: {{ found.why_not|cut(200) }}.</p>
{% endif %}
"""

STYLE = """
svg .rest { stroke: var(--orange); stroke-width: 2.2; }
"""

SECTION = Section(name="slices", title="Slices", holds=SlicesKeys, gather=gather, page=PAGE, shown=shown, style=STYLE)
