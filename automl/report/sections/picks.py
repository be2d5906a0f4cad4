"""The models that a run names: what each was picked for, what it gives up, and how to have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from automl.report import charts, priced, words
from automl.report.section import Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs

MEANT = {  # pick -> what it is in words, and the name by which it can be had
    "best": ("most accurate", "most accurate"),
    "cheapest tied": ("cheapest that cannot be told apart from the best", "cheapest tied"),
    "fastest": ("fastest that keeps 95 % of the gain over no model", "fastest"),
    "smallest": ("smallest that keeps as much", "smallest"),
}


class PicksKeys(TypedDict, total=False):
    """None of its own: the leaderboard's rows say what they were picked for."""


def gather(_inputs: ReportInputs) -> PicksKeys:
    """Nothing: the leaderboard holds it."""
    return {}


@dataclass(frozen=True)
class Picked:
    """A pick as it is shown."""

    meant: str
    name: str
    score: Any
    cells: tuple[str, ...]  # what it costs
    gives_up: str  # beside the most accurate
    call: str


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The picks in their order, with the costs there is data for."""
    rows = charts.rows_of(report, "leaderboard")
    along = [axis for axis in priced.AXES if any(axis.of(row) is not None for row in rows)]
    heads = [axis.head.format(currency=priced.currency(rows)) for axis in along]
    return {"picks": picks(report), "heads": heads}


def picks(report: Mapping[str, Any]) -> list[Picked]:
    """The chosen one, then every pick that a row of the leaderboard has."""
    rows, chosen = charts.rows_of(report, "leaderboard"), words.part(report, "verdict", "chosen")
    along = [axis for axis in priced.AXES if any(axis.of(row) is not None for row in rows)]
    best = next((row for row in rows if "best" in words.each(row.get("picks"))), {})
    named = list(dict.fromkeys(pick for row in rows for pick in words.each(row.get("picks")) if isinstance(pick, str)))
    order = [*(pick for pick in MEANT if pick in named), *(pick for pick in named if pick not in MEANT)]
    wanted = [("chosen", row) for row in rows if row.get("name") is not None and row.get("name") == chosen][:1]
    wanted += [(pick, row) for pick in order for row in rows if pick in words.each(row.get("picks"))][:20]
    return [_picked(pick, row, best, along) for pick, row in wanted]


def _picked(pick: str, row: Mapping[str, Any], best: Mapping[str, Any], along: list[priced.Axis]) -> Picked:
    meant, named = MEANT.get(pick, (words.short(pick, 60), ""))
    call = "result.model" if pick == "chosen" else f'result.select("{named}")' if named else ""
    cells = tuple(axis.text(axis.of(row)) for axis in along)
    return Picked(meant, words.short(row.get("name"), 60), row.get("score"), cells, _given_up(row, best), call)


def _given_up(row: Mapping[str, Any], best: Mapping[str, Any]) -> str:
    """Score that it lies behind, and how much cheaper it is a row."""
    if not best or row is best:
        return ""
    mine, theirs = words.value_of(row.get("score")), words.value_of(best.get("score"))
    told = [] if mine is None or theirs is None else [f"{words.number(abs(mine - theirs), 2)} of the score"]
    takes, takes_best = priced.row_ms(row), priced.row_ms(best)
    if takes and takes_best and takes < takes_best:
        told.append(f"{words.number(takes_best / takes, 2)} times as fast")
    return "; ".join(told)


PAGE = """
{% set digits = places(report.verdict.score) %}
{% if picks %}
<h2>The models by name</h2>
<p>Each is a model of its own that can be had at once, from Python or with <code>--pick</code>.</p>
<div class="scroll"><table class="picks">
<thead><tr><th scope="col">What it is</th><th scope="col">Model</th>\
<th scope="col" class="n">{{ report.verdict.score.metric|cut(24) }}</th><th scope="col" class="n">95 % interval</th>\
{% for head in heads %}<th scope="col" class="n">{{ head }}</th>{% endfor %}\
{% if picks|selectattr("gives_up")|list %}<th scope="col">Beside the most accurate</th>{% endif %}\
<th scope="col">How to have it</th></tr></thead>
<tbody>{% for one in picks %}
<tr{% if loop.first and one.meant == "chosen" %} class="chosen"{% endif %}><th scope="row">{{ one.meant }}</th>\
<td>{{ one.name }}</td><td class="n">{{ one.score|score|fixed(digits) }}</td>\
<td class="n">{{ one.score.low|fixed(digits) }} to {{ one.score.high|fixed(digits) }}</td>
{% for cell in one.cells %}<td class="n">{{ cell }}</td>{% endfor %}\
{% if picks|selectattr("gives_up")|list %}<td>{{ one.gives_up }}</td>{% endif %}\
<td>{% if one.call %}<code>{{ one.call }}</code>{% endif %}</td></tr>{% endfor %}
</tbody></table></div>
{% endif %}
"""

STYLE = """
.picks tbody th { min-width: 12rem; } .picks td:not(.n) { min-width: 7rem; } .picks code { white-space: nowrap; }
"""

SECTION = Section(name="picks", title="Picks", holds=PicksKeys, gather=gather, page=PAGE, shown=shown, style=STYLE)
