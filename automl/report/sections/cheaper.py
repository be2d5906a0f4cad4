"""Models that were made to be cheap: which, from what, or why there is no student of the blend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from automl.report import words
from automl.report.section import Section
from automl.report.sections.trials import TrialJson, trial_json

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs


class CheaperJson(TypedDict, total=False):
    """What was made on purpose; the models themselves stand on the leaderboard."""

    students: list[TrialJson]  # models that learned what a blend answers
    unmade: str  # why there is none


class CheaperKeys(TypedDict, total=False):
    """The keys of this section."""

    cheaper: CheaperJson


def gather(inputs: ReportInputs) -> CheaperKeys:
    """The students, and why there are none."""
    students = [trial_json(trial, inputs.comparison.metric) for trial in inputs.students]
    return {"cheaper": {"students": students, "unmade": str(inputs.found.get("cheaper") or "")}}


def students_of(report: Mapping[str, Any]) -> Sequence[Any]:
    """The students of a report, which older ones lack."""
    return words.each(words.part(report, "cheaper", "students"))


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The rows of the leaderboard that are cheaper forms of others, beside what they were made from."""
    rows = [row for row in words.each(report.get("leaderboard")) if isinstance(words.part(row, "name"), str)]
    sources = {row["name"]: row for row in rows}
    origins = [(row, words.part(row, "made_from")) for row in rows]
    return {"pairs": [(row, sources[name]) for row, name in origins if isinstance(name, str) and name in sources]}


PAGE = """
{% set verdict, digits = report.verdict, places(report.verdict.score) %}
{% set unmade = (report.cheaper or {}).unmade %}
{% if pairs or unmade %}
<h2>Cheaper on purpose</h2>
{% if pairs %}
<div class="scroll"><table>
<thead><tr><th scope="col">Model</th><th scope="col">Made from</th>\
<th scope="col" class="n">{{ verdict.score.metric|cut(24) }}</th><th scope="col" class="n">of</th>\
<th scope="col" class="n">ms<br>per row</th><th scope="col" class="n">of</th>\
<th scope="col" class="n">MB</th><th scope="col" class="n">of</th></tr></thead>
<tbody>{% for row, source in pairs[:many] %}
<tr><th scope="row">{{ row.name|cut(60) }}</th><td>{{ source.name|cut(44) }}</td>\
<td class="n">{{ row.score|score|fixed(digits) }}</td><td class="n">{{ source.score|score|fixed(digits) }}</td>\
<td class="n">{{ row.row_ms|number(3) }}</td><td class="n">{{ source.row_ms|number(3) }}</td>\
<td class="n">{{ row.size_mb|number(3) }}</td><td class="n">{{ source.size_mb|number(3) }}</td></tr>{% endfor %}
</tbody></table></div>
<p class="soft">A model fitted once on all rows has the score of its folds' models, which is what was measured of them;\
 averaging these folds is better than that score says. A student learned the answers of the blend and is scored on rows\
 that neither had seen.</p>
{% endif %}
{% if unmade %}<p class="soft">No student of a blend was made: {{ unmade|cut(200) }}.</p>{% endif %}
{% endif %}
"""

SECTION = Section(name="cheaper", title="Cheaper on purpose", holds=CheaperKeys, gather=gather, page=PAGE, shown=shown)
