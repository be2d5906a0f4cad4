"""Where a model that was trained anew comes from, and whether it is better than the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast

from automl.report.section import Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs


class LineageJson(TypedDict, total=False):
    """What refit/renew.py tells."""

    before: str  # the run that it goes on from
    generation: int  # how often it was trained anew
    sources: list[str]  # of all its rows; empty where some came from memory
    old_rows: int
    new_rows: int
    held_rows: int  # of the new ones, on which old and new were compared
    verdict: str  # "better" | "tied" | "worse" | "unknown"
    told: str
    gain: float | None  # error of the old model less that of the new one
    gain_low: float | None
    gain_high: float | None
    old_score: float | None
    notes: list[str]


class LineageKeys(TypedDict, total=False):
    """The keys of this section."""

    lineage: LineageJson | None  # null: not trained anew


def gather(inputs: ReportInputs) -> LineageKeys:
    """What the run noted."""
    return {"lineage": cast("LineageJson | None", inputs.found.get("lineage"))}


PAGE = """
{% set lineage = report.lineage %}
{% if lineage %}
<h2>Trained anew</h2>
<p class="outcome">{{ lineage.told|cut(400) }}.</p>
<dl class="facts">
<dt>From</dt><dd><code>{{ lineage.before|cut(120) }}</code></dd>
<dt>Generation</dt><dd>{{ lineage.generation|number }}</dd>
<dt>Rows</dt><dd>{{ lineage.old_rows|number }} of before and {{ lineage.new_rows|number }} new ones, of which\
 {{ lineage.held_rows|number }} were held out to compare both</dd>
{% if lineage.sources|each %}<dt>Sources</dt><dd>{% for source in (lineage.sources|each)[:20] %}\
<code>{{ source|cut(120) }}</code>{{ ", " if not loop.last }}{% endfor %}</dd>{% endif %}
</dl>
{% for note in (lineage.notes|each)[:10] %}<p class="soft outcome">{{ note|cut(300) }}.</p>{% endfor %}
{% endif %}
"""

SECTION = Section(name="lineage", title="Trained anew", holds=LineageKeys, gather=gather, page=PAGE)
