"""What it gets wrong: the table of answers and predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.report import words
from automl.report.section import Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs

ROOMY = 12  # classes up to which a cell of the table says its share


class ConfusionJson(TypedDict, total=False):
    """A `mistakes.Confusion`: held-out rows by answer, then by what the chosen model said; null for numbers."""

    classes: list[Any]  # labels, at most 30; where there are more the last one is "others"
    counts: list[list[int]]
    gathered: int  # classes behind "others"
    wrong: int  # rows


class MistakesKeys(TypedDict, total=False):
    """The keys of this section."""

    confusion: ConfusionJson | None


def gather(inputs: ReportInputs) -> MistakesKeys:
    """What gather/mistakes.py found."""
    return {"confusion": cast("ConfusionJson | None", inputs.confusion)}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The table."""
    return {"confusion": table(report)}


@dataclass(frozen=True)
class Cell:
    """How often an answer was given a prediction."""

    text: str
    share: float  # of the answer's rows
    kind: str  # "right" | "wrong" | ""
    told: str


@dataclass(frozen=True)
class Line:
    """An answer, and all that was said instead."""

    label: str
    cells: tuple[Cell, ...]
    rows: int
    right: float | None  # share


@dataclass(frozen=True)
class ConfusionTable:
    """Answers against predictions."""

    labels: tuple[str, ...]
    lines: tuple[Line, ...]
    most: tuple[str, ...]  # the most frequent mistakes in words
    rows: int
    wrong: int
    gathered: int


def table(report: Mapping[str, Any]) -> ConfusionTable | None:
    """The confusion of a report; None where it has none, or none that adds up."""
    found = words.part(report, "confusion")
    classes, counts = words.part(found, "classes"), words.part(found, "counts")
    if not isinstance(classes, list) or not isinstance(counts, list) or len(counts) != len(classes) or not classes:
        return None
    if not all(isinstance(row, list) and len(row) == len(classes) for row in counts):
        return None
    labels = tuple(words.short(label, 60) for label in classes)
    numbers = [[_whole(count) for count in row] for row in counts]
    rows, wrong = sum(map(sum, numbers)), _whole(words.part(found, "wrong"))
    lines = tuple(_line(labels, at, row) for at, row in enumerate(numbers))
    return (
        ConfusionTable(labels, lines, _most(labels, numbers), rows, wrong, _whole(words.part(found, "gathered")))
        if rows
        else None
    )


def _line(labels: tuple[str, ...], at: int, counts: list[int]) -> Line:
    rows = sum(counts)
    cells = []
    for other, count in enumerate(counts):
        if not count:
            cells.append(Cell("", 0.0, "", ""))
            continue
        share = count / rows
        verb = "rightly told" if other == at else f"told to be {labels[other]}"
        shown = words.percent(share) if len(labels) <= ROOMY else words.number(count)
        told = f"{labels[at]}, {verb}: {words.number(count)} of {words.number(rows)} ({words.percent(share)})"
        cells.append(Cell(shown, share, "right" if other == at else "wrong", told))
    return Line(labels[at], tuple(cells), rows, counts[at] / rows if rows else None)


def _most(labels: tuple[str, ...], counts: list[list[int]], most: int = 5) -> tuple[str, ...]:
    """The most frequent mistakes, by how many rows they cost."""
    pairs = [
        (count, at, other) for at, row in enumerate(counts) for other, count in enumerate(row) if count and at != other
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    return tuple(
        f"{labels[at]} taken for {labels[other]}: {words.number(count)} "
        f"({words.percent(count / sum(counts[at]))} of {labels[at]})"
        for count, at, other in pairs[:most]
    )


def _whole(count: Any) -> int:
    found = words.finite(count)
    return 0 if found is None or found < 0 else int(found)


PAGE = """
{% if confusion %}
<h2>What it gets wrong</h2>
<p>Of {{ confusion.rows|number }} held-out rows the chosen model gets {{ confusion.wrong|number }} wrong,\
 {{ (confusion.wrong / confusion.rows)|percent }}.{% if confusion.most %} Most often:{% endif %}</p>
{% if confusion.most %}<ul>{% for mistake in confusion.most %}<li>{{ mistake|cut(140) }}</li>{% endfor %}</ul>\
{% endif %}
<h3>Answers against predictions</h3>
<div class="scroll"><table class="confusion{% if confusion.labels|length > 12 %} tight{% endif %}">
<thead><tr><th scope="col">It is</th>\
{% for label in confusion.labels %}<th scope="col" class="said"><span>{{ label|cut(14) }}</span></th>{% endfor %}\
<th scope="col" class="n">right</th><th scope="col" class="n">rows</th></tr></thead>
<tbody>{% for line in confusion.lines %}
<tr><th scope="row">{{ line.label|cut(20) }}</th>
{% for cell in line.cells %}{% if cell.text %}\
<td class="c {{ cell.kind }}" style="--s:{{ "%.2f"|format(cell.share) }}"\
 title="{{ cell.told }}">{{ cell.text }}</td>\
{% else %}<td></td>{% endif %}{% endfor %}
<td class="n">{{ line.right|percent }}</td><td class="n">{{ line.rows|number }}</td></tr>{% endfor %}
</tbody></table></div>
<p class="key">A line is an answer, a column what was said;\
 {{ "shares of the line" if confusion.labels|length <= 12 else "numbers of rows" }}.\
 <b class="b">Blue</b> is right, <b class="o">orange</b> wrong,\
 and the fuller the colour, the larger its share of the line.
{% if confusion.gathered %}\
The {{ confusion.gathered|number }} classes with the fewest rows are gathered in the last line.{% endif %}</p>
{% endif %}
"""

STYLE = """
.confusion { width: auto; border-collapse: separate; border-spacing: 2px; }
.confusion th, .confusion td { border: 0; padding: .3rem .45rem; } .confusion thead th { text-align: center; }
.confusion tbody th, .confusion thead th:first-child { text-align: left; position: sticky; left: 0;\
 background: var(--paper); white-space: nowrap; }
.confusion .c { text-align: center; white-space: nowrap; min-width: 2.6rem; font-size: .8rem; border-radius: 2px; }
.confusion .right { background: rgba(10, 92, 158, calc(.08 + .5 * var(--s))); }
.confusion .wrong { background: rgba(200, 88, 0, calc(.1 + .5 * var(--s))); }
.tight th, .tight td { padding: .12rem .2rem; font-size: .72rem; } .tight .c { min-width: 1.6rem; font-size: .68rem; }
.tight .said span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 7rem; }
"""

SECTION = Section(
    name="mistakes", title="Mistakes", holds=MistakesKeys, gather=gather, page=PAGE, shown=shown, style=STYLE
)
