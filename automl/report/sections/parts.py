"""What each part of a table adds: its own columns, and each one that holds pictures, sounds or texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast

from automl.report.section import Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs


class PartJson(TypedDict, total=False):
    """A part, and how a model does that was learned without it."""

    part: str
    columns: list[str]
    without: float  # the score without it
    added: float  # by how much the metric is worse without it, above zero: the part helps
    low: float
    high: float  # of the 95 % interval over the rows
    row_ms: float | None  # to decode and describe one row's cells


class PartsJson(TypedDict, total=False):
    """One configuration, learned on one fold with all parts and without each."""

    metric: str
    higher_is_better: bool
    model: str  # whose configuration it is
    rows: int  # held out
    whole: float | None  # the score with all parts
    parts: list[PartJson]
    notes: list[str]


class PartsKeys(TypedDict, total=False):
    """The keys of this section."""

    parts: PartsJson | None


def gather(inputs: ReportInputs) -> PartsKeys:
    """What gather/parts.py measured."""
    return {"parts": cast("PartsJson | None", inputs.parts)}


PAGE = """
{% set parts = report.parts %}
{% if parts %}
<h2>What each part adds</h2>
{% if parts.parts|each %}
<p>The configuration of {{ parts.model|cut(44) }}, learned again on one fold with all parts\
 ({{ parts.metric|cut(24) }} {{ parts.whole|number }}) and without each of them, asked of {{ parts.rows|number }}\
 held-out rows.</p>
<div class="scroll"><table>
<thead><tr><th scope="col">Without</th><th scope="col" class="n">{{ parts.metric|cut(24) }}</th>\
<th scope="col" class="n">it adds</th><th scope="col" class="n">95 % interval</th>\
<th scope="col" class="n">ms a row<br>to read it</th></tr></thead>
<tbody>{% for one in (parts.parts|each)[:many] %}
<tr><th scope="row">{{ one.part|cut(44) }}{% if one.columns|each|length > 1 %}<br>\
<span class="soft">{{ (one.columns|each)[:6]|map("cut", 24)|join(", ") }}</span>{% endif %}</th>\
<td class="n">{{ one.without|number }}</td><td class="n">{{ one.added|number(3) }}</td>\
<td class="n">{{ one.low|number(2) }} to {{ one.high|number(2) }}</td><td class="n">{{ one.row_ms|number(3) }}</td></tr>
{% endfor %}</tbody>
</table></div>
<p class="soft">What two parts both tell, neither adds. The interval is over these rows; another fold or seed may\
 differ by more.</p>
{% endif %}
{% for note in (parts.notes|each)[:10] %}<p class="soft outcome">{{ note|cut(300) }}.</p>{% endfor %}
{% endif %}
"""

SECTION = Section(name="parts", title="Parts", holds=PartsKeys, gather=gather, page=PAGE)
