"""How sure single predictions are: how often intervals or sets hold the answer, how widely, and where they fail."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.report import words
from automl.report.section import Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs


class LevelHeldJson(TypedDict, total=False):
    """One level, and what it held of rows that it was not learned from."""

    level: float
    share: float  # of the rows whose answer was held
    low: float
    high: float  # of the 95 % interval round that share
    width: float | None  # mean width of an interval, or mean number of labels in a set; null: some are infinite
    single: float | None  # share of sets with one label; null for numbers
    needed: int | None  # held-out rows from which this level leaves anything out, where there are fewer


class GroupHeldJson(TypedDict, total=False):
    """A group of rows, and what was held of it."""

    column: str  # or "predicted", or "answer"
    group: str
    rows: int
    share: float
    low: float
    high: float
    is_low: bool  # below the level by more than chance explains among all groups looked at


class CertainJson(TypedDict, total=False):
    """Intervals of numbers or sets of labels, measured on held-out rows."""

    kind: str  # "interval" | "set"
    rows: int
    counted: float  # rows that would tell as much, each for itself
    usual: float | None  # width that holds as many answers without a model, at the level of groups
    highest: float  # level beyond which there are too few rows
    levels: list[LevelHeldJson]
    group_level: float
    groups: list[GroupHeldJson]  # those held least
    looked_at: int  # groups in all
    notes: list[str]


class CoverageKeys(TypedDict, total=False):
    """The keys of this section."""

    coverage: CertainJson | None


def gather(inputs: ReportInputs) -> CoverageKeys:
    """What gather/coverage.py measured."""
    return {"coverage": cast("CertainJson | None", inputs.found.get("coverage"))}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The same in words."""
    return {"told": told(report)}


def told(report: Mapping[str, Any]) -> str:
    """What a level holds, how widely, and the group that it holds least; empty where nothing was measured."""
    found = words.part(report, "coverage")
    level = words.part(found, "group_level")
    row = next((one for one in words.each(words.part(found, "levels")) if words.part(one, "level") == level), None)
    if words.finite(words.part(row, "share")) is None:
        return ""
    is_set = words.part(found, "kind") == "set"
    lines = [
        f"{'Sets' if is_set else 'Intervals'} of {words.percent(level)} held {words.percent(words.part(row, 'share'))} "
        f"of {words.number(words.part(found, 'rows'))} held-out rows ({words.percent(words.part(row, 'low'))} to "
        f"{words.percent(words.part(row, 'high'))})",
        _wide(found, row, is_set=is_set),
    ]
    return f"{', '.join(line for line in lines if line)}. {_least(found)}".rstrip()


def _wide(found: Any, row: Any, *, is_set: bool) -> str:
    """How wide they are on average, and beside what."""
    width, usual = words.finite(words.part(row, "width")), words.finite(words.part(found, "usual"))
    if width is None:
        needed = words.finite(words.part(row, "needed"))
        return "" if needed is None else f"which leaves nothing out: it needs {words.number(int(needed))} held-out rows"
    if is_set:
        single = words.part(row, "single")
        alone = "" if words.finite(single) is None else f", one label alone in {words.percent(single)} of the rows"
        return f"with {words.number(width, 3)} labels on average{alone}"
    return f"{words.number(width, 3)} wide on average" + (
        f" (without a model {words.number(usual, 3)})" if usual is not None else ""
    )


def _least(found: Any) -> str:
    """The group that is held least, if that is no chance."""
    groups = words.each(words.part(found, "groups"))
    low = next((one for one in groups if words.part(one, "is_low") is True), None)
    if low is None:
        count = words.finite(words.part(found, "looked_at"))
        return f"No group of {count:.0f} is held clearly less often." if count else ""
    name = f"{words.short(words.part(low, 'column'), 40)} = {words.short(words.part(low, 'group'), 40)}"
    return (
        f"Least of all where {name}: {words.percent(words.part(low, 'share'))} of "
        f"{words.number(words.part(low, 'rows'))} rows, more than chance explains."
    )


PAGE = """
{% set found = report.coverage %}
{% if found %}
{% set is_set = found.kind == "set" %}
<h2>How sure single predictions are</h2>
<p>{{ told|cut(600) }}</p>
{% if found.levels|each %}
<div class="scroll"><table>
<thead><tr><th scope="col" class="n">Level</th><th scope="col" class="n">held</th>\
<th scope="col" class="n">95 % interval</th>\
<th scope="col" class="n">{{ "labels" if is_set else "width" }}<br>on average</th>\
{% if is_set %}<th scope="col" class="n">one label<br>alone</th>{% endif %}</tr></thead>
<tbody>{% for one in (found.levels|each)[:many] %}
<tr><th scope="row" class="n">{{ one.level|percent }}</th><td class="n">{{ one.share|percent }}</td>\
<td class="n">{{ one.low|percent }} to {{ one.high|percent }}</td>\
<td class="n">{{ one.width|number(3) }}{% if one.needed %}<br>\
<span class="soft">needs {{ one.needed|number }} held-out rows</span>{% endif %}</td>\
{% if is_set %}<td class="n">{{ one.single|percent }}</td>{% endif %}</tr>
{% endfor %}</tbody>
</table></div>
{% endif %}
{% if found.groups|each %}
<details><summary>Groups held least at {{ found.group_level|percent }}, of {{ found.looked_at|number }}</summary>
<div class="scroll"><table>
<thead><tr><th scope="col">Column</th><th scope="col">Group</th><th scope="col" class="n">rows</th>\
<th scope="col" class="n">held</th><th scope="col" class="n">95 % interval</th><th scope="col"></th></tr></thead>
<tbody>{% for one in (found.groups|each)[:many] %}
<tr><th scope="row">{{ one.column|cut(44) }}</th><td>{{ one.group|cut(44) }}</td>\
<td class="n">{{ one.rows|number }}</td><td class="n">{{ one.share|percent }}</td>\
<td class="n">{{ one.low|percent }} to {{ one.high|percent }}</td>\
<td>{% if one.is_low == true %}<span class="tag lost">low</span>{% endif %}</td></tr>
{% endfor %}</tbody>
</table></div></details>
{% endif %}
<p class="soft">{{ "predict_set(rows, level=0.9) gives the labels that together hold the true one" if is_set else\
 "predict_interval(rows, level=0.9) gives the ends between which the number lies" }}. Measured on held-out rows, each\
 held against what other ones taught.{% for note in found.notes|each %} {{ note|cut(200) }}.{% endfor %}</p>
{% endif %}
"""

SECTION = Section(name="coverage", title="How sure", holds=CoverageKeys, gather=gather, page=PAGE, shown=shown)
