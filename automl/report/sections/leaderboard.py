"""The models that a run can return, best first: those worth a look open, the dominated ones folded away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.plain import as_json
from automl.report import charts, words
from automl.report.section import ScoreJson, Section

if TYPE_CHECKING:
    from automl.records import Candidate
    from automl.report.inputs import ReportInputs

HEAD = 10  # rows that are open whatever they are


class ReadoutJson(TypedDict, total=False):
    """A `records.Calibration`: from mixed probabilities to those shown, and to labels."""

    slope: float
    shift: float
    floor: float
    shares: list[float]
    label_weights: list[float]  # of two classes the first, with both summing to one, is the threshold
    log_loss_gain: float
    label_gain: float


class CandidateJson(TypedDict, total=False):
    """A `records.Candidate` with the families of its members."""

    name: str
    weights: dict[str, float]  # trial number -> weight
    score: ScoreJson
    fit_s: float
    row_ms: float
    batch_ms: float  # 1,000 rows
    size_mb: float
    lean_ms: float  # with one fold of each member kept
    lean_mb: float
    told_ms: float  # of both times, for what a trained network says of a row
    told_mb: float  # of both sizes, for its weights
    on_frontier: bool
    picks: list[str]
    within_ms: float | None  # of a blend: what its members' folds together may take for a row; null: anything
    kept: dict[str, int]  # trial number -> its folds that take part, where not all do
    readout: ReadoutJson
    families: list[str]


class LeaderboardKeys(TypedDict, total=False):
    """The keys of this section."""

    leaderboard: list[CandidateJson]  # best first


def gather(inputs: ReportInputs) -> LeaderboardKeys:
    """All candidates, best first."""
    return {"leaderboard": [_candidate(c, inputs) for c in sorted(inputs.end.candidates, key=_rank)]}


def _rank(candidate: Candidate) -> float:
    return -candidate.score.value if candidate.score.higher_is_better else candidate.score.value


def _candidate(candidate: Candidate, inputs: ReportInputs) -> CandidateJson:
    families = {trial.plan.family for trial in inputs.trials if trial.plan.number in candidate.weights}
    return cast(CandidateJson, {**as_json(candidate), "families": sorted(families)})


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The rows in two, and the small intervals of all of them."""
    first, others = _by_interest(report)
    return {"first_rows": first, "other_rows": others, "strip": charts.strips(report.get("leaderboard"))}


def _by_interest(report: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """The leaderboard's rows in two: its head with all that is on the frontier or chosen, and the others."""
    rows, chosen = words.each(report.get("leaderboard")), words.part(report, "verdict", "chosen")
    stays = [
        index < HEAD
        or words.part(row, "on_frontier") is True
        or (chosen is not None and words.part(row, "name") == chosen)
        for index, row in enumerate(rows)
    ]
    head = [row for row, is_head in zip(rows, stays, strict=True) if is_head]
    return head, [row for row, is_head in zip(rows, stays, strict=True) if not is_head]


PAGE = """
{% set verdict, digits = report.verdict, places(report.verdict.score) %}
{% macro board_head() %}
<thead><tr><th scope="col">Model</th><th scope="col" class="n">{{ verdict.score.metric|cut(24) }}</th>\
<th scope="col">Interval</th>
<th scope="col" class="n">ms<br>per row</th><th scope="col" class="n">ms per<br>1,000 rows</th>\
<th scope="col" class="n">MB</th><th scope="col" class="n">CPU s<br>to fit</th>\
<th scope="col">Picked as</th></tr></thead>
{% endmacro %}
{% macro board_row(row) %}
{% set is_chosen = row.name is string and row.name == verdict.chosen %}
{% set kind = "chosen" if is_chosen else "member" if row.on_frontier else "dominated" %}
<tr class="{{ kind }}"><th scope="row">{{ row.name|cut(44) }}{% if (row.families|each)|length > 1 %}<br>\
<span class="soft">{{ (row.families|each)[:6]|map("cut", 24)|join(", ") }}</span>{% endif %}</th>
<td class="n">{{ row.score|score|fixed(digits) }}</td>\
<td title="{{ row.score|interval }}">{{ strip(row.score, kind) }}</td>
<td class="n">{{ row.row_ms|number(3) }}</td><td class="n">{{ row.batch_ms|number(3) }}</td>\
<td class="n">{{ row.size_mb|number(3) }}</td><td class="n">{{ row.fit_s|fixed(1) }}</td>
<td>{% if is_chosen %}<span class="tag chosen">chosen</span>{% endif %}\
{% for pick in row.picks|each %}<span class="tag">{{ pick|cut(24) }}</span>{% endfor %}\
{% if kind == "dominated" %}<span class="soft">dominated</span>{% endif %}</td></tr>
{% endmacro %}
<h2>Models this run can return</h2>
{% if report.leaderboard|each %}
<p class="soft">Scores are out of fold; the intervals of all rows are drawn on one scale.\
 CPU seconds are those of all members on all folds.</p>
<div class="scroll"><table>
{{ board_head() }}
<tbody>{% for row in first_rows[:many] %}{{ board_row(row) }}{% endfor %}
{% set existing = ((report.decision or {}).verdict or {}).existing or {} %}
{% if existing.score|score is not none %}<tr><th scope="row">{{ existing.name|cut(44) }}</th>\
<td class="n">{{ existing.score|score|fixed(digits) }}</td>\
<td colspan="5" class="soft">{{ existing.how|cut(120) }}</td>\
<td><span class="tag">baseline</span></td></tr>{% endif %}</tbody>
</table></div>
{% if other_rows %}
<details><summary>The other models, all dominated</summary>
<div class="scroll"><table>
{{ board_head() }}
<tbody>{% for row in other_rows[:many] %}{{ board_row(row) }}{% endfor %}</tbody>
</table></div></details>
{% endif %}
{{ more(other_rows, "other models") }}
{% else %}<p class="soft">No model was finished.</p>{% endif %}
"""

SECTION = Section(name="leaderboard", title="Models", holds=LeaderboardKeys, gather=gather, page=PAGE, shown=shown)
