"""How the models were chosen: the budget's split between the routes with its rules, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.plain import as_json
from automl.report import charts, spoken, words
from automl.report.section import ScoreJson, Section

if TYPE_CHECKING:
    from automl.records.verdict import Verdict
    from automl.report.inputs import ReportInputs


class RuleJson(TypedDict, total=False):
    """A `records.Rule`."""

    name: str
    because: str
    effect: str
    source: str  # who found it out; empty where the user asked for it


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


class GainJson(TypedDict, total=False):
    """A `records.choice.Gain`."""

    mean: float
    sd: float
    source: str
    told: str


class RouteJson(TypedDict, total=False):
    """A `records.verdict.RouteShown`."""

    route: str
    trials: int
    folds: int
    cpu_s: float
    best: str
    row_ms: float | None
    size_mb: float | None
    train_s: float | None
    above: str
    why_not: str


class DifferenceJson(TypedDict, total=False):
    """A `records.verdict.Difference`: in units of the error."""

    route: str
    ours: str
    theirs: str
    our_error: float
    their_error: float
    low: float | None
    high: float | None
    folds: int
    of: int
    rows: int
    share: float


class RegretJson(TypedDict, total=False):
    """A `records.verdict.MeasuredRegret`: in units of the error."""

    value: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    error: float
    against: str
    routes: list[str]
    rows: int


class VerdictOnRoutesJson(TypedDict, total=False):
    """A `records.verdict.Verdict`, and what it says in words."""

    told: list[str]  # the lines as they are printed; the first is the sentence for whoever pays
    route: str  # of the returned model, or "both"
    model: str
    members: list[str]
    metric: str
    higher_is_better: bool
    perfect: float  # the score of no error
    rows: int
    routes: list[RouteJson]
    differences: list[DifferenceJson]
    regret: RegretJson | None
    took_cheap: bool
    turns: list[dict[str, Any]]
    win_before: float | None
    win_after: float | None
    excluded: list[SkipJson]
    retraining: dict[str, Any] | None
    existing: dict[str, Any] | None
    goal: dict[str, Any] | None
    unexplained: str


class DecisionJson(TypedDict, total=False):
    """How the budget was split, why, and what came of it."""

    shares: dict[str, float]  # route -> share of the search seconds
    families: list[str]
    rules: list[RuleJson]
    skipped: list[SkipJson]
    gain: GainJson | None  # what was thought of networks against classical models; null where one route takes part
    evidence: list[EvidenceJson]
    outcome: str  # one sentence: why this route
    verdict: VerdictOnRoutesJson | None  # how it is known; null in older reports


class DecisionKeys(TypedDict, total=False):
    """The keys of this section."""

    decision: DecisionJson


def gather(inputs: ReportInputs) -> DecisionKeys:
    """The decision as it was taken, what each family then showed, and which route won by how much."""
    evidence = [_evidence(family, inputs) for family in inputs.decision.families]
    found = verdict_json(inputs.verdict) if inputs.verdict else None
    outcome = found["told"][0] if found else ""
    decided = {**as_json(inputs.decision), "evidence": evidence, "outcome": outcome, "verdict": found}
    return {"decision": cast(DecisionJson, decided)}


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as report.json and decision.json hold it: its lines, then its numbers."""
    return {"told": list(spoken.lines(verdict)), **as_json(verdict)}


def _evidence(family: str, inputs: ReportInputs) -> EvidenceJson:
    from automl.decision import families

    metric = inputs.comparison.metric
    found = families.evidence(family, inputs.trials, inputs.end.candidates, metric)
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


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The small intervals of the families."""
    return {"strip": charts.strips(words.part(report, "decision", "evidence"))}


PAGE = """
{% set decision, verdict, digits = report.decision, report.verdict, places(report.verdict.score) %}
<h2>How the models were chosen</h2>
{% if decision.outcome %}<p class="outcome">{{ decision.outcome|cut(600) }}</p>{% endif %}
{% set lines = ((decision.verdict or {}).told|each)[1:] %}
{% if lines %}<ul class="soft">{% for line in lines %}<li>{{ line|cut(900) }}</li>{% endfor %}</ul>{% endif %}
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
<div class="scroll"><table class="rules">
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
