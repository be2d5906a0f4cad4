"""The data that was learned from."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypedDict

from automl.plain import as_json
from automl.report.section import Section

if TYPE_CHECKING:
    from automl.records import Dataset, Profile
    from automl.report.inputs import ReportInputs


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


class DataKeys(TypedDict, total=False):
    """The keys of this section."""

    data: DataJson


def gather(inputs: ReportInputs) -> DataKeys:
    """The facts of the profile."""
    return {"data": facts(inputs.dataset, inputs.profile)}


def facts(dataset: Dataset, profile: Profile) -> DataJson:
    """What the profile says of the data."""
    return {
        "name": dataset.name,
        "rows": profile.rows,
        "columns": len(profile.columns),
        "target": dataset.target_name,
        "task": profile.task,
        "task_rule": profile.task_rule,
        "metric": profile.metric,
        "metric_rule": profile.metric_rule,
        "classes": as_json(profile.classes),
        "class_counts": list(profile.class_counts),
        "positive": profile.positive,
        "levels": list(profile.levels),
        "kinds": dict(Counter(str(column.kind) for column in profile.columns)),
        "notes": list(dataset.notes),
    }


PAGE = """
{% set data = report.data %}
<h2>The data</h2>
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
"""

SECTION = Section(name="data", title="Data", holds=DataKeys, gather=gather, page=PAGE)
