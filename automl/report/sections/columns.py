"""What the chosen model rests on: its columns as bars with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.report import axes, charts, words
from automl.report.axes import Scale
from automl.report.charts import PHONE
from automl.report.section import Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs

MOST_BARS = 20
STEP = 26  # pixels from bar to bar
MOST_NAMED = 4  # columns of a group


class ColumnJson(TypedDict, total=False):
    """A column, and by how much the metric gets worse when its cells are shuffled among held-out rows."""

    column: str
    importance: float  # above zero: the model rests on it
    low: float
    high: float  # of the 95 % interval over rows and repeats


class GroupJson(TypedDict, total=False):
    """Columns that say the same, and by how much the metric gets worse when all are shuffled alike."""

    columns: list[str]
    alike: float  # how closely the two go together that do so least: 0 .. 1
    importance: float
    low: float
    high: float


class ImportanceJson(TypedDict, total=False):
    """What the chosen model rests on."""

    metric: str
    higher_is_better: bool
    rows: int  # held out
    repeats: int
    columns: list[ColumnJson]  # what the model rests on most comes first
    groups: list[GroupJson]  # columns that say the same
    missing: int  # columns that were not measured
    notes: list[str]  # why


class ColumnsKeys(TypedDict, total=False):
    """The keys of this section."""

    importance: ImportanceJson | None


def gather(inputs: ReportInputs) -> ColumnsKeys:
    """What gather/importance.py measured."""
    return {"importance": cast("ImportanceJson | None", inputs.importance)}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The picture."""
    told = [
        (row.name, *(words.number(value, 3) for value in (row.value, row.low, row.high))) for row in _columns(report)
    ]
    return {"drawn": charts.both(lambda width: bars(report, width)), "alike": groups(report), "lines": told}


def groups(report: Mapping[str, Any]) -> list[str]:
    """What columns that say the same are worth together, and each alone, in a sentence for each group."""
    alone = {row.name: row.value for row in _columns(report, None)}
    told = []
    for one in words.each(words.part(report, "importance", "groups")):
        names = [words.short(name, 80) for name in words.each(words.part(one, "columns"))]
        value, (low, high) = words.finite(words.part(one, "importance")), words.ends(one)
        if len(names) < 2 or value is None:
            continue
        named = [words.short(name, 30) for name in names[:MOST_NAMED]]
        more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
        *first, last = [*named, *more]
        interval = "" if low is None or high is None else f" ({words.number(low, 2)} to {words.number(high, 2)})"
        singles = [words.number(alone[name], 2) for name in names[:MOST_NAMED] if name in alone]
        each = f", alone {' and '.join(singles)}" if singles else ""
        told.append(f"{', '.join(first)} and {last} say the same: together {words.number(value, 2)}{interval}{each}")
    return told


@dataclass(frozen=True)
class _Column:
    """A column that can be drawn."""

    name: str
    value: float
    low: float
    high: float


def bars(report: Mapping[str, Any], width: int) -> str:
    """A bar for each of the columns that count most, with its interval; zero is where shuffling changes nothing."""
    rows = _columns(report)
    if not rows:
        return ""
    ends = [end for row in rows for end in (row.value, row.low, row.high)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    if high - low <= 0:
        return ""
    left, room = (200, 120) if width > PHONE else (120, 74)
    edge = 0.02 * (high - low)
    scale = Scale(low - edge if low < 0 else 0.0, high + edge, left, width - room)
    body = []
    for index, row in enumerate(rows):
        body += _bar(row, scale, index * STEP + 4)
    bottom = len(rows) * STEP + 6
    body.append(axes.line(scale(0.0), 0, scale(0.0), bottom, "axis"))
    for value, label in scale.ticks(5 if width > PHONE else 3):
        body.append(axes.line(scale(value), bottom, scale(value), bottom + 5, "axis"))
        body.append(axes.text(scale(value), bottom + 19, label, "tick", "middle"))
    told = "; ".join(f"{words.short(row.name)} {words.number(row.value, 2)}" for row in rows)
    return axes.canvas(body, (width, bottom + 28), f"columns-{width}", ("What the model rests on", told))


def _bar(row: _Column, scale: Scale, top: int) -> list[str]:
    zero, end, middle = scale(0.0), scale(row.value), top + 9.0
    label = words.short(row.name, int((scale.start - 10) / axes.NAME_PX))
    start, length = min(zero, end), max(1.0, abs(end - zero))
    return [
        axes.text(scale.start - 10, top + 14, label, "name", "end"),
        f'<rect class="bar" x="{start:.1f}" y="{top}" width="{length:.1f}" height="18" rx="2"/>',
        axes.line(scale(row.low), middle, scale(row.high), middle, "error"),
        *(axes.line(scale(at), middle - 4, scale(at), middle + 4, "error") for at in (row.low, row.high)),
        axes.text(max(scale(row.high), end, zero) + 8, top + 14, words.number(row.value, 2), "value"),
    ]


def _columns(report: Mapping[str, Any], most: int | None = MOST_BARS) -> list[_Column]:
    """The first ones, which count most; what is no number is left out."""
    given = words.part(report, "importance", "columns")
    found = []
    for one in given if isinstance(given, list) else []:
        value, (low, high) = words.finite(words.part(one, "importance")), words.ends(one)
        if value is not None:
            low, high = value if low is None else low, value if high is None else high
            found.append(_Column(words.short(words.part(one, "column"), 80), value, low, high))
    return found[:most]


PAGE = """
{% set importance = report.importance %}
{% if importance %}
<h2>What it rests on</h2>
{% if drawn[0] %}
<p>By how much {{ importance.metric|cut(24) }} gets worse when the cells of one column are shuffled among\
 {{ importance.rows|number }} held-out rows, each asked of models that did not learn from it.</p>
{{ figure("column", drawn) }}
<p class="key"><b class="b">━</b> mean of {{ importance.repeats|number }} shufflings &ensp;\
<b>├┤</b> 95 % interval over rows and shufflings.\
 Columns that tell the same stand in for each other: shuffling one of them costs little.
{% if importance.columns|each|length > 20 %}\
The first 20 of {{ importance.columns|length|number }}; all are in report.json.{% endif %}</p>
{{ behind(("Column", "it costs", "at least", "at most"), lines) }}
{% if alike %}<ul>{% for one in alike %}<li>{{ one|cut(300) }}.</li>{% endfor %}</ul>
<p class="soft">Together: all of them shuffled alike, on the same rows.</p>{% endif %}
{% elif not importance.notes|each %}<p class="soft">No column changes what the model says.</p>
{% endif %}
{% for note in (importance.notes|each)[:10] %}<p class="soft outcome">{{ note|cut(300) }}.</p>{% endfor %}
{% endif %}
"""

SECTION = Section(name="columns", title="Columns", holds=ColumnsKeys, gather=gather, page=PAGE, shown=shown)
