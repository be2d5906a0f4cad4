"""The coefficients of a line that the chosen model is, or holds: how far it moves with each column."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast

from automl.report.section import Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs


class SlopeJson(TypedDict, total=False):
    """A column, and how far the line moves with one spread of it."""

    column: str
    coefficient: float  # mean over the folds; below zero: it falls as the column rises
    low: float
    high: float  # of the folds
    label: str | None  # of more than two classes the one that the column moves most


class SlopesJson(TypedDict, total=False):
    """The line, and its coefficients."""

    model: str
    weight: float  # its share of the chosen model
    folds: int
    scale: str  # in what it is measured
    columns: list[SlopeJson]  # the steepest first


class SlopesKeys(TypedDict, total=False):
    """The keys of this section."""

    slopes: SlopesJson | None


def gather(inputs: ReportInputs) -> SlopesKeys:
    """What gather/slopes.py found."""
    return {"slopes": cast("SlopesJson | None", inputs.found.get("slopes"))}


PAGE = """
{% set slopes = report.slopes %}
{% if slopes and slopes.columns|each %}
<h2>Coefficients of the line</h2>
<p>How far {{ slopes.model|cut(44) }}{% if slopes.weight is number and slopes.weight < 0.999 %},\
 {{ slopes.weight|percent }} of the chosen model,{% endif %} moves with each column, in {{ slopes.scale|cut(60) }} for\
 one spread of the column, on average over {{ slopes.folds|number }} folds.</p>
<div class="scroll"><table>
<thead><tr><th scope="col">Column</th><th scope="col" class="n">coefficient</th>\
<th scope="col" class="n">lowest and highest fold</th></tr></thead>
<tbody>{% for one in (slopes.columns|each)[:many] %}
<tr><th scope="row">{{ one.column|cut(44) }}{% if one.label %} <span class="soft">for {{ one.label|cut(24) }}</span>\
{% endif %}</th><td class="n">{{ one.coefficient|number(3) }}</td>\
<td class="n">{{ one.low|number(3) }} to {{ one.high|number(3) }}</td></tr>
{% endfor %}</tbody>
</table></div>
{{ more(slopes.columns|each, "columns") }}
<p class="soft">Below zero: it falls as the column rises. A category has no direction; its number is how far its labels\
 lie apart. Columns that say the same share a coefficient between them as chance has it.</p>
{% endif %}
"""

SECTION = Section(name="slopes", title="Coefficients", holds=SlopesKeys, gather=gather, page=PAGE)
