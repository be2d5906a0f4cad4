"""Every configuration that was tried, in its order, with what it showed and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.plain import as_json
from automl.report.section import Section

if TYPE_CHECKING:
    from automl.records import Fold, Trial
    from automl.report.inputs import ReportInputs
    from automl.scoring.metrics import Metric


class FoldJson(TypedDict, total=False):
    """A `records.Fold` without its predictions, which are many."""

    fold: int
    error: float
    is_cut: bool
    fit_s: float
    batch_s: float
    row_s: float
    size_mb: float
    rounds: int | None


class TrialJson(TypedDict, total=False):
    """One configuration that was tried."""

    number: int
    family: str
    params: dict[str, Any]
    presented: str  # how it saw the table: a recipe of features, and the share of the rows if not all
    status: str  # a `records.TrialStatus`
    because: str
    score: float | None  # mean over its folds, in the metric's unit
    low: float | None
    high: float | None  # of the 95 % interval over the rows; null where there was no time for it
    folds_done: int
    folds: list[FoldJson]
    cpu_s: float
    wall_s: float
    peak_mb: float
    message: str
    retries: int  # jobs that were given again, since their worker died
    parent: int | None  # the trial that it tries again on fewer rows, since memory ran out; null for most
    finished_s: float  # since the start of the run


class TrialsKeys(TypedDict, total=False):
    """The keys of this section."""

    trials: list[TrialJson]  # by number


def gather(inputs: ReportInputs) -> TrialsKeys:
    """All trials, in their order."""
    bounds = inputs.found.get("trial_scores") or {}
    told = [(trial, bounds.get(str(trial.plan.number), (None, None))) for trial in inputs.trials]
    return {"trials": [trial_json(trial, inputs.comparison.metric, ends) for trial, ends in told]}


def trial_json(trial: Trial, metric: Metric, ends: tuple[float | None, float | None] = (None, None)) -> TrialJson:
    """One configuration and what came of it."""
    return {
        "number": trial.plan.number,
        "family": trial.plan.family,
        "params": as_json(trial.plan.params),
        "presented": _presented(trial.plan.features),
        "status": trial.status.value,
        "because": trial.plan.because,
        "score": metric.to_score(trial.error) if trial.folds else None,
        "low": ends[0],
        "high": ends[1],
        "folds_done": len(trial.folds),
        "folds": [_fold(fold) for fold in trial.folds.values()],
        "cpu_s": trial.spent.cpu_s,
        "wall_s": trial.spent.wall_s,
        "peak_mb": trial.spent.peak_mb,
        "message": trial.message,
        "retries": trial.retries,
        "parent": trial.plan.parent,
        "finished_s": round(trial.ended_s, 2),
    }


def _presented(features: Mapping[str, Any]) -> str:
    """How the trial saw the table: its recipe, and the share of the rows where it was not given all."""
    share = float(features.get("share", 1.0))
    return str(features.get("recipe", "")) + (f", {share:.0%} of the rows" if share < 1 else "")


def _fold(fold: Fold) -> FoldJson:
    told = {spec.name: as_json(getattr(fold, spec.name)) for spec in fields(fold) if spec.name != "predictions"}
    return cast(FoldJson, told)


PAGE = """
{% set verdict, digits, trials = report.verdict, places(report.verdict.score), report.trials|each %}
<h2>Every trial</h2>
{% if trials %}
<details><summary>{{ trials|length|number }} trials, in their order; ± half the 95 % interval</summary>
<div class="scroll"><table>
<thead><tr><th scope="col" class="n">Trial</th><th scope="col">Family</th><th scope="col">Its turn because</th>\
<th scope="col">End</th><th scope="col" class="n">{{ verdict.score.metric|cut(24) }}</th>
<th scope="col" class="n">Folds</th><th scope="col" class="n">CPU s</th><th scope="col" class="n">Wall s</th>\
<th scope="col" class="n">Peak MB</th><th scope="col" class="n">Ended at, s</th></tr></thead>
<tbody>{% for trial in trials[:many] %}
<tr><th scope="row" class="n">{{ trial.number|number }}</th><td>{{ trial.family|cut(24) }}\
{% if trial.presented %}<br><span class="soft">{{ trial.presented|cut(40) }}</span>{% endif %}</td>\
<td>{{ trial.because|cut(60) }}\
{% if trial.message %}<br><span class="soft">{{ trial.message|cut(80) }}</span>{% endif %}</td>
<td><span class="tag {{ "lost" if trial.status in lost else "partial" if trial.status == "partial" }}">\
{{ trial.status|cut(12) }}</span></td><td class="n">{{ trial.score|score|fixed(digits) }}\
{% if trial.low is number and trial.high is number %} ± {{ ((trial.high - trial.low) / 2)|number(2) }}{% endif %}</td>
<td class="n">{{ trial.folds_done|number }}</td><td class="n">{{ trial.cpu_s|fixed(1) }}</td>\
<td class="n">{{ trial.wall_s|fixed(1) }}</td><td class="n">{{ trial.peak_mb|number(3) }}</td>\
<td class="n">{{ trial.finished_s|fixed(1) }}</td></tr>{% endfor %}
</tbody></table></div></details>
{{ more(trials, "trials") }}
{% else %}<p class="soft">No trial was recorded.</p>{% endif %}
"""

SECTION = Section(name="trials", title="Trials", holds=TrialsKeys, gather=gather, page=PAGE)
