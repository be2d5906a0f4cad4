"""Single predictions explained: some held-out rows, from the usual answer to what is said, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.report import axes, words
from automl.report.axes import Scale
from automl.report.section import Section

if TYPE_CHECKING:
    from markupsafe import Markup

    from automl.report.inputs import ReportInputs

MOST_ROWS, MOST_STEPS = 8, 10
WIDE, LABEL, NUMBER, STEP = 380, 165, 62, 22  # pixels: of a picture, its labels, its numbers, from bar to bar
BOLD_PX = 8.0  # of one character of a label
KINDS = {"wrong": "most wrong", "unsure": "least sure", "typical": "typical"}


class AdditionJson(TypedDict, total=False):
    """A column of a row, and what it adds."""

    column: str
    value: Any
    contribution: float
    error: float  # standard error; zero where nothing was left to chance


class ExplainedRowJson(TypedDict, total=False):
    """A held-out row: base and all contributions sum to what is said."""

    name: str
    kind: str  # "wrong" | "unsure" | "typical"
    label: Any  # the class whose log-odds these are; null of numbers
    prediction: Any
    answer: Any
    probability: float | None  # of the prediction, of classes
    base: float
    said: float
    columns: list[AdditionJson]  # what adds or takes most comes first
    others: int  # columns that are not listed
    others_add: float


class ExplanationsJson(TypedDict, total=False):
    """Some rows that were held out."""

    unit: str
    method: str
    rows: list[ExplainedRowJson]
    notes: list[str]


class SingleKeys(TypedDict, total=False):
    """The keys of this section."""

    explanations: ExplanationsJson | None


@dataclass(frozen=True)
class RowCard:
    """A row on the page."""

    kind: str
    tag: str
    told: str
    name: str
    picture: Markup


@dataclass(frozen=True)
class _Step:
    """A bar from where the one above it ended."""

    label: str
    start: float
    end: float


def gather(inputs: ReportInputs) -> SingleKeys:
    """What gather/single.py found."""
    return {"explanations": cast("ExplanationsJson | None", inputs.found.get("explanations"))}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The rows that can be drawn."""
    rows = words.each(words.part(report, "explanations", "rows"))[:MOST_ROWS]
    found = [_card(one, at) for at, one in enumerate(rows)]
    return {"cards": [card for card in found if card is not None], "lines": _lines(rows)}


def _lines(rows: list[Any]) -> list[tuple[str, str, str]]:
    """Each column of each row with its whole cell and what it adds."""
    return [
        (f"{words.short(words.part(one, 'name'), 32)}, {words.short(words.part(own, 'column'), 44)}",
         _value(words.part(own, "value"), 60), words.number(words.part(own, "contribution"), 3))
        for one in rows
        for own in words.each(words.part(one, "columns"))[:MOST_STEPS]
    ]  # fmt: skip


def _card(one: Any, at: int) -> RowCard | None:
    from markupsafe import Markup

    picture = falls(one, at)
    if not picture:
        return None
    kind = words.part(one, "kind")
    kind = kind if isinstance(kind, str) and kind in KINDS else ""
    name = words.short(words.part(one, "name"), 32)
    return RowCard(kind, KINDS.get(kind, ""), _said(one), name, Markup(picture))  # noqa: S704 - it escapes what it shows


def _said(one: Any) -> str:
    said, answer = (_value(words.part(one, name), 30) for name in ("prediction", "answer"))
    sure = words.finite(words.part(one, "probability"))
    told = "" if sure is None else f", {words.percent(sure)} sure"
    return f"{said}, rightly{told}" if said == answer else f"said {said}{told}; it is {answer}"


def falls(one: Any, at: int) -> str:
    """From the usual answer down to what is said, a bar for each column; empty where the numbers are not there."""
    base, said = words.finite(words.part(one, "base")), words.finite(words.part(one, "said"))
    if base is None or said is None:
        return ""
    steps = _steps(one, base)
    ends = [base, said, *(step.end for step in steps)]
    low, high = min(ends), max(ends)
    edge = 0.06 * (high - low) or 0.5
    scale = Scale(low - edge, high + edge, LABEL, WIDE - NUMBER)
    bottom = (len(steps) + 2) * STEP
    body = [axes.line(scale(base), 4, scale(base), bottom - 4, "grid"), *_end("usually", base, scale, 0)]
    for index, step in enumerate(steps, 1):
        body += _bar(step, scale, index * STEP)
    label = words.part(one, "label")
    body += _end("it says" if label is None else f"for {words.short(label, 14)}", said, scale, bottom - STEP)
    told = "; ".join(f"{step.label} {_signed(step.end - step.start)}" for step in steps)
    described = f"usually {words.number(base, 3)}; {told}; together {words.number(said, 3)}"
    title = f"What each column adds in {words.short(words.part(one, 'name'), 32)}"
    return axes.canvas(body, (WIDE, bottom), f"falls-{at}", (title, described))


def _steps(one: Any, base: float) -> list[_Step]:
    """The columns that are listed, then the others together."""
    found, start = [], base
    for own in words.each(words.part(one, "columns"))[:MOST_STEPS]:
        added = words.finite(words.part(own, "contribution"))
        if added is not None:
            label = f"{words.short(words.part(own, 'column'), 20)}: {_value(words.part(own, 'value'), 14)}"
            found.append(_Step(label, start, start + added))
            start += added
    others, added = words.finite(words.part(one, "others")), words.finite(words.part(one, "others_add"))
    if others and added is not None:
        found.append(_Step(f"{others:.0f} others", start, start + added))
    return found


def _bar(step: _Step, scale: Scale, top: float) -> list[str]:
    left, right = sorted((scale(step.start), scale(step.end)))
    wide = max(1.0, right - left)
    kind = "up" if step.end >= step.start else "down"
    return [
        axes.text(LABEL - 8, top + 14, words.short(step.label, int((LABEL - 8) / BOLD_PX)), "name", "end"),
        f'<rect class="{kind}" x="{left:.1f}" y="{top + 3:.1f}" width="{wide:.1f}" height="15" rx="2"/>',
        axes.text(WIDE - 4, top + 14, _signed(step.end - step.start), "value", "end"),
    ]


def _end(label: str, value: float, scale: Scale, top: float) -> list[str]:
    return [
        axes.text(LABEL - 8, top + 14, label, "name", "end"),
        axes.line(scale(value), top + 3, scale(value), top + 18, "axis"),
        axes.text(WIDE - 4, top + 14, words.number(value, 3), "value", "end"),
    ]


def _signed(value: float) -> str:
    return ("+" if value >= 0 else "") + words.number(value, 2)


def _value(value: Any, length: int) -> str:
    return words.number(value, 4) if isinstance(value, float) else words.short(value, length)


PAGE = """
{% set found = report.explanations %}
{% if found and (cards or found.notes|each) %}
<h2>Single predictions explained</h2>
{% if cards %}
<p>How the answers to some held-out rows come about, each by models that did not learn from it: from what is usually\
 said to what is said, in {{ found.unit|cut(40) }}. All bars of a row and the usual answer sum to what it says.</p>
<div class="falls">{% for card in cards %}
<figure class="{{ card.kind }}">{{ card.picture }}
<figcaption>{% if card.tag %}\
<span class="tag {{ "lost" if card.kind == "wrong" else "warning" if card.kind == "unsure" }}">{{ card.tag }}</span> \
{% endif %}{{ card.told|cut(120) }} <span class="soft">{{ card.name|cut(32) }}</span></figcaption>
</figure>{% endfor %}
</div>
{{ behind(("Row and column", "its cell", "adds"), lines, "The same as a table") }}
<p class="soft">Found by {{ found.method|cut(80) }}. A bar says what the model made of the cell beside the others, not\
 what would happen if it were changed.</p>
{% endif %}
{% for note in (found.notes|each)[:10] %}<p class="soft outcome">{{ note|cut(300) }}.</p>{% endfor %}
{% endif %}
"""

STYLE = """
.falls { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); gap: 1rem .9rem; }
.falls figure { margin: 0; border-top: 3px solid var(--line); padding-top: .4rem; min-width: 0; }
.falls .wrong { border-color: var(--orange); } .falls .unsure { border-color: var(--amber); }
.falls svg { width: 100%; max-width: 420px; height: auto; } .falls .up { fill: var(--blue); }\
 .falls .down { fill: var(--orange); }
.falls figcaption { font-size: .875rem; margin-top: .3rem; line-height: 1.4; }
"""

SECTION = Section(
    name="single", title="Single predictions", holds=SingleKeys, gather=gather, page=PAGE, shown=shown, style=STYLE
)
