"""The data that was learned from, and what is odd about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from automl.plain import as_json
from automl.report import words
from automl.report.section import Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs

_SEVERITY = {"danger": 0, "warning": 1, "info": 2}


class DataJson(TypedDict, total=False):
    """What was learned from."""

    name: str
    rows: int
    columns: int
    target: str
    task: str
    task_rule: str
    metric: str
    metric_rule: str
    classes: list[Any]
    class_counts: list[int]
    positive: int  # of two classes the place of the one that f1 and average_precision look for
    levels: list[float]  # of the quantiles to predict; empty for other tasks
    kinds: dict[str, int]
    notes: list[str]


class FindingJson(TypedDict, total=False):
    """A `records.Finding`."""

    code: str
    severity: str  # "danger" | "warning" | "info"
    message: str
    column: str | None
    evidence: dict[str, Any]


class DataKeys(TypedDict, total=False):
    """The keys of this section."""

    data: DataJson
    audit: list[FindingJson]


def gather(inputs: ReportInputs) -> DataKeys:
    """The facts of the profile, and the findings of the audit."""
    profile = inputs.profile
    data: DataJson = {
        "name": inputs.dataset.name,
        "rows": profile.rows,
        "columns": len(profile.columns),
        "target": inputs.dataset.target_name,
        "task": profile.task,
        "task_rule": profile.task_rule,
        "metric": profile.metric,
        "metric_rule": profile.metric_rule,
        "classes": as_json(profile.classes),
        "class_counts": list(profile.class_counts),
        "positive": profile.positive,
        "levels": list(profile.levels),
        "kinds": dict(Counter(str(column.kind) for column in profile.columns)),
        "notes": list(inputs.dataset.notes),
    }
    return {"data": data, "audit": as_json(inputs.audit.findings)}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The findings, what is worst first."""
    found = words.each(report.get("audit"))
    return {"findings": sorted(found, key=lambda row: _SEVERITY.get(str(words.part(row, "severity")), 3))}


PAGE = """
{% set data = report.data %}
<h2>The data, and what is odd about it</h2>
<dl class="facts">
<dt>Name</dt><dd>{{ data.name|cut(80) }}: {{ data.rows|number }} rows, {{ data.columns|number }} columns</dd>
<dt>Task</dt><dd>{{ data.task|cut(30) }}{% if data.target %} of {{ data.target|cut(60) }}{% endif %}\
{% if data.task_rule %} <span class="soft">{{ data.task_rule|cut(240) }}</span>{% endif %}</dd>
<dt>Metric</dt><dd>{{ data.metric|cut(30) }}\
{% if data.metric_rule %} <span class="soft">{{ data.metric_rule|cut(240) }}</span>{% endif %}</dd>
{% if data.kinds|pairs %}<dt>Columns</dt><dd>{% for kind, count in data.kinds|pairs %}\
{{ count|number }} {{ kind|cut(20) }}{{ ", " if not loop.last }}{% endfor %}</dd>{% endif %}
{% if data.classes|each %}
{% set counts = data.class_counts|each %}
<dt>Classes</dt><dd>{% for label in (data.classes|each)[:20] %}<span class="tag">{{ label|cut(30) }}\
{% if counts[loop.index0] is defined %} · {{ counts[loop.index0]|number }}{% endif %}</span>{% endfor %}\
{% if data.classes|length > 20 %}<span class="soft">and {{ data.classes|length - 20 }} more</span>{% endif %}</dd>
{% endif %}
</dl>
{% if data.notes|each %}<h3>Read as follows</h3><ul>\
{% for note in (data.notes|each)[:many] %}<li>{{ note|cut(300) }}</li>{% endfor %}</ul>{% endif %}
<h3>Audit</h3>
{% if findings %}
<div class="scroll"><table>
<thead><tr><th scope="col">Severity</th><th scope="col">Finding</th><th scope="col">Column</th>\
<th scope="col">Evidence</th></tr></thead>
<tbody>{% for finding in findings[:many] %}
<tr><td><span class="tag {{ finding.severity if finding.severity in ["danger", "warning", "info"] }}">\
{{ finding.severity|cut(20) }}</span></td>\
<td>{{ finding.message|cut(320) }}<br><span class="soft">{{ finding.code|cut(40) }}</span></td>
<td>{{ finding.column|cut(36) }}</td><td class="soft">{% for key, value in (finding.evidence|pairs)[:6] %}\
{{ key|cut(24) }} {{ value|number if value is number and value is not boolean else value|cut(40) }}\
{% if not loop.last %}<br>{% endif %}{% else %}—{% endfor %}</td></tr>{% endfor %}
</tbody></table></div>
{{ more(findings, "findings") }}
{% elif report.audit is iterable and report.audit is defined %}<p class="soft">Nothing odd was found.</p>\
{% else %}<p class="soft">No audit was recorded.</p>{% endif %}
"""

SECTION = Section(name="data", title="Data", holds=DataKeys, gather=gather, page=PAGE, shown=shown)
