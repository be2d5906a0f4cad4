"""How the models were chosen: the budget's split between the routes with its rules, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.plain import as_json
from automl.report import charts, words
from automl.report.section import ScoreJson, Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs


class RuleJson(TypedDict, total=False):
    """A `records.Rule`."""

    name: str
    because: str
    effect: str


class SkipJson(TypedDict, total=False):
    """A `records.Skip`."""

    family: str
    because: str


class EvidenceJson(TypedDict, total=False):
    """What one family showed on the same folds."""

    family: str
    route: str
    trials: int
    score: ScoreJson | None  # of its best trial; null where no trial was done
    cpu_s: float


class DecisionJson(TypedDict, total=False):
    """How the budget was split, why, and what came of it."""

    shares: dict[str, float]  # route -> share of the search seconds
    families: list[str]
    rules: list[RuleJson]
    skipped: list[SkipJson]
    evidence: list[EvidenceJson]
    outcome: str  # one sentence


class DecisionKeys(TypedDict, total=False):
    """The keys of this section."""

    decision: DecisionJson


def gather(inputs: ReportInputs) -> DecisionKeys:
    """The decision as it was taken, what each family then showed, and which route won by how much."""
    evidence = [_evidence(family, inputs) for family in inputs.decision.families]
    decided = {**as_json(inputs.decision), "evidence": evidence, "outcome": _outcome(inputs)}
    return {"decision": cast(DecisionJson, decided)}


def _evidence(family: str, inputs: ReportInputs) -> EvidenceJson:
    from automl.decision import regret

    metric = inputs.comparison.metric
    found = regret.evidence(family, inputs.trials, inputs.end.candidates, metric)
    score: ScoreJson | None = None
    if found.best is not None:
        score = as_json(found.best)
    elif found.mean is not None:  # over a few folds, and so without an interval
        score = {"metric": metric.name, "value": found.mean, "higher_is_better": metric.higher_is_better}
    return {
        "family": family,
        "route": found.route,
        "trials": found.trials,
        "score": score,
        "cpu_s": found.cpu_s,
    }


def _outcome(inputs: ReportInputs) -> str:
    """What the routes showed on the same rows, and so what the share of the other one bought."""
    from automl.decision import regret

    found = regret.regret(inputs.comparison)
    if found is None:
        compared = regret.best_of_routes(inputs.comparison.rivals)
        only = next(iter(compared), None)
        missing = sorted(regret.looked_at(inputs.trials) - set(compared))
        late = f"; {missing[0]} models were looked at but did not finish the folds to be compared on" if missing else ""
        return f"only {only} models can be compared{late}." if only else "no model finished a fold."
    best, other = (f"{trial.plan.family} #{trial.plan.number}" for trial in (found.best, found.other))
    told = "the difference is real" if found.is_real else "they cannot be told apart"
    return (
        f"{found.winner} won: its best, {best}, has {found.gap:.3g} less error than the best {found.loser} one, "
        f"{other}, on the same rows ({told}: 95 % interval {found.low:.3g} to {found.high:.3g})."
    )


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The small intervals of the families."""
    return {"strip": charts.strips(words.part(report, "decision", "evidence"))}


PAGE = """
{% set decision, verdict, digits = report.decision, report.verdict, places(report.verdict.score) %}
<h2>How the models were chosen</h2>
{% if decision.outcome %}<p class="outcome">{{ decision.outcome|cut(600) }}</p>{% endif %}
{% if decision.shares|pairs %}
<h3>Share of the search given to each route</h3>
<div class="split" role="img" aria-label="{% for route, share in decision.shares|pairs %}\
{{ route }} {{ share|percent }}{{ ", " if not loop.last }}{% endfor %}">
{% for route, share in decision.shares|pairs if share|score is not none and share|score > 0 %}\
<span style="flex: {{ "%.4f"|format(share|score) }} 1 0">{{ route|cut(24) }} {{ share|percent }}</span>{% endfor %}
</div>
{% endif %}
{% if decision.rules|each %}
<h3>Rules that decided</h3>
<div class="scroll"><table>
<thead><tr><th scope="col">Rule</th><th scope="col">Because</th><th scope="col">Effect</th></tr></thead>
<tbody>{% for rule in decision.rules|each %}
<tr><th scope="row">{{ rule.name|cut(50) }}</th><td>{{ rule.because|cut(240) }}</td>\
<td>{{ rule.effect|cut(160) }}</td></tr>{% endfor %}
</tbody></table></div>
{% endif %}
{% if decision.evidence|each %}
<h3>Evidence: the best of each family on the same folds</h3>
<div class="scroll"><table>
<thead><tr><th scope="col">Family</th><th scope="col">Route</th><th scope="col" class="n">Trials</th>\
<th scope="col" class="n">{{ verdict.score.metric|cut(24) }}</th>
<th scope="col">Interval</th><th scope="col" class="n">CPU seconds</th></tr></thead>
<tbody>{% for row in decision.evidence|each %}
<tr><th scope="row">{{ row.family|cut(40) }}</th><td>{{ row.route|cut(20) }}</td>\
<td class="n">{{ row.trials|number }}</td>
<td class="n">{{ row.score|score|fixed(digits) }}</td><td>{{ strip(row.score, "") }}</td>\
<td class="n">{{ row.cpu_s|fixed(1) }}</td></tr>{% endfor %}
</tbody></table></div>
{% endif %}
{% if decision.skipped|each %}
<h3>Families that did not take part</h3>
<dl class="facts">{% for skip in decision.skipped|each %}
<dt>{{ skip.family|cut(40) }}</dt><dd>{{ skip.because|cut(240) }}</dd>{% endfor %}
</dl>
{% endif %}
{% if not decision %}<p class="soft">No decision was recorded.</p>{% endif %}
"""

SECTION = Section(name="decision", title="Decision", holds=DecisionKeys, gather=gather, page=PAGE, shown=shown)
