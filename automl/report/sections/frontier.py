"""What accuracy costs: score against latency, money, energy, size and memory, with what is on the frontier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from automl.plain import as_json
from automl.report import charts, scatter, words
from automl.report.priced import AXES, Axis
from automl.report.scatter import Mark
from automl.report.section import Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs


class ArenaJson(TypedDict, total=False):
    """The held-out rows on which all models were compared."""

    folds: list[int]
    rows: int
    tied: list[list[str]]  # pairs of names that cannot be told apart: the best and each of these
    pairs: list[list[str]]  # all that cannot be told apart
    redrawn: int  # times that all were compared on redrawn rows


class FrontierKeys(TypedDict, total=False):
    """The keys of this section."""

    arena: ArenaJson


def gather(inputs: ReportInputs) -> FrontierKeys:
    """On which rows, and who cannot be told apart there."""
    arena: ArenaJson = {
        "folds": list(inputs.comparison.folds),
        "rows": len(inputs.comparison.y),
        "tied": as_json(inputs.end.tied),
        "pairs": as_json(inputs.end.pairs),
        "redrawn": inputs.end.redrawn,
    }
    return {"arena": arena}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """A picture for each cost there is data for, what its marks tell, and the same as a table."""
    found = scatter.marks(report)
    drawn = [(axis, charts.both(partial(scatter.draw, report, found, axis))) for axis in scatter.axes_of(found)]
    return {
        "drawn": drawn,
        "marks": list(enumerate(found[: scatter.MOST_TOLD])),
        "head": ["Model", charts.metric(report), *(axis.label for axis, _ in drawn), "of it"],
        "lines": [_line(one, [axis for axis, _ in drawn]) for one in found],
        "is_tied": sum(one.is_tied for one in found) > 1,
    }


def _line(one: Mark, along: Sequence[Axis]) -> list[str]:
    """A row of the table behind the pictures."""
    told = [*one.roles, *["tied with the best"] * one.is_tied, *["on the frontier"] * one.on_frontier]
    return [
        one.name,
        dict(one.told).get("score", words.DASH),
        *(axis.text(one.costs.get(axis.name)) for axis in along),
        ", ".join(told),
    ]


PAGE = """
<h2>What accuracy costs</h2>
{% if drawn %}
<fieldset class="costs"><legend>Cost along the picture</legend>
{% for axis, _ in drawn if drawn|length > 1 %}\
<input type="radio" name="axis" id="axis-{{ axis.name }}" autocomplete="off"{{ " checked" if loop.first }}>\
<label for="axis-{{ axis.name }}">{{ axis.label }}</label>
{% endfor %}
{% for axis, pictures in drawn %}\
<div class="by by-{{ axis.name }}{{ " only" if drawn|length == 1 }}{{ " other" if not loop.first }}">\
{{ figure("model", pictures) }}</div>
{% endfor %}
<div class="told-all">
{% for at, one in marks %}<p id="told-{{ at }}" class="told t{{ at }}{{ " of-chosen" if one.is_chosen }}">\
<b>{{ one.name }}</b>\
{% for name, text in one.told %} <span><i>{{ name }}</i> {{ text }}</span>{% endfor %}</p>
{% endfor %}
<p class="hint">Point at a mark, tap it, or reach it with the Tab key, and this says all of its model.</p></div>
</fieldset>
<p class="key"><b class="o">◆</b> chosen &ensp;<b class="b">●</b> on the frontier: nothing is both better and cheaper \
&ensp;<b class="g">○</b> dominated &ensp;<b>┃</b> interval of one score alone\
{% if is_tied %} &ensp;<b class="shade">◎</b> shaded: cannot be told apart from the best on the same rows{% endif %}. \
The picks compare models on the same rows, which tells more than whether two bars overlap.</p>
{{ behind(head, lines) }}
{% else %}<p class="soft">Nothing to draw: no model was measured.</p>
{% endif %}
"""

_EACH = range(scatter.MOST_TOLD)
_PICKED = ", ".join(f"#axis-{one.name}:checked ~ .by-{one.name}" for one in AXES)
_POINTED = ", ".join(
    f".costs:has(.m{at}:hover) .t{at}.t{at}, .costs:has(.m{at}:focus):not(:has(.mark:hover)) .t{at}.t{at}"
    for at in _EACH
)
STYLE = f"""
.costs {{ border: 0; margin: 0; padding: 0; min-width: 0; }}
.costs :is(legend, label) {{ padding: 0; font-size: .875rem; }}
.by {{ display: none; }} .by.only, {_PICKED} {{ display: block; }}
svg .tied {{ fill: var(--tint); stroke: var(--line); }} svg .halo {{ fill: var(--tint); stroke: var(--soft); }}
svg .target {{ fill: transparent; }} .mark {{ cursor: pointer; outline: none; }}
.mark:is(:hover, :focus) .target {{ stroke: var(--ink); stroke-width: 2; }}
.told-all {{ min-height: 6.2rem; font-size: .875rem; border-left: 3px solid var(--line); padding-left: .8rem; }}
.told {{ display: none; margin: 0; max-width: none; }} .told span {{ display: inline-block; margin-left: .9rem; }}
.told i {{ color: var(--soft); font-style: normal; }} .hint {{ color: var(--soft); margin: 0; }}
.of-chosen {{ display: block; }} .costs:has(.mark:is(:hover, :focus)) :is(.of-chosen, .hint) {{ display: none; }}
{_POINTED} {{ display: block; }}
"""

SECTION = Section(
    name="frontier", title="Frontier", holds=FrontierKeys, gather=gather, page=PAGE, shown=shown, style=STYLE
)
