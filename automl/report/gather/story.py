"""Everything a run found, gathered into the plain dictionary that becomes report.json. No number is made here."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

import search_spaces
from automl.ensemble.candidates import HeldOutComparison, mixture
from automl.model.artifact import versions
from automl.options import Options
from automl.plain import as_json
from automl.records import Audit, Candidate, Dataset, Decision, Fold, Profile, Trial
from automl.refit.finish import Selection
from automl.report.gather.examples import Samples
from automl.report.gather.importance import Importance
from automl.report.gather.mistakes import confusion, held_out
from automl.report.schema import FORMAT
from automl.runtime.clock import Clock
from automl.runtime.folder import RunFolder
from automl.runtime.invoice import Invoice
from automl.scoring import metrics
from automl.scoring.metrics import Metric
from search_spaces.spec import BASELINE, Route


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """What the stages left behind."""

    options: Options
    dataset: Dataset
    profile: Profile
    audit: Audit
    decision: Decision
    trials: Sequence[Trial]
    comparison: HeldOutComparison
    end: Selection
    started: str
    interrupted: bool
    source: str | None  # the file the data came from; None: from memory
    bill: Invoice
    samples: Samples | None = None  # of images and sounds
    importance: Importance | None = None  # of the columns

    @property
    def baseline(self) -> Candidate:
        """Predicting without a model."""
        return next(c for c in self.end.candidates if c.name == BASELINE)

    @property
    def meets_min_score(self) -> bool | None:
        """Whether the promised score is at least the one asked for; None when none was asked for."""
        if self.options.min_score is None:
            return None
        score = self.end.chosen.score
        return (
            score.value >= self.options.min_score if score.higher_is_better else score.value <= self.options.min_score
        )


def report(inputs: ReportInputs, clock: Clock, folder: RunFolder) -> dict[str, Any]:
    """The report of one run, as report/schema.py describes it."""
    return {
        "format": FORMAT,
        "run": _run(inputs, clock, folder),
        "verdict": _verdict(inputs),
        "data": _data(inputs.dataset, inputs.profile),
        "audit": as_json(inputs.audit.findings),
        "decision": _decision(inputs),
        "leaderboard": [_candidate(c, inputs.trials) for c in sorted(inputs.end.candidates, key=_rank)],
        "confusion": _confusion(inputs),
        "samples": as_json(inputs.samples),
        "importance": as_json(inputs.importance),
        "arena": {
            "folds": list(inputs.comparison.folds),
            "rows": len(inputs.comparison.y),
            "tied": as_json(inputs.end.tied),
        },
        "trials": [_trial(trial, inputs.comparison.metric) for trial in inputs.trials],
        "cost": {**_cost(inputs.trials, clock), "invoice": as_json(inputs.bill)},
        "versions": versions(),
        "reproduce": _command(inputs),
    }


def _rank(candidate: Candidate) -> float:
    return -candidate.score.value if candidate.score.higher_is_better else candidate.score.value


def _run(inputs: ReportInputs, clock: Clock, folder: RunFolder) -> dict[str, Any]:
    return {
        "name": inputs.dataset.name,
        "started": inputs.started,
        "seconds": round(clock.elapsed, 2),
        "budget": str(inputs.options.budget),
        "overrun_s": clock.overrun_s(),
        "interrupted": inputs.interrupted,
        "command": f"automl predict {folder.path} new.csv -o predictions.csv",
        "folder": str(folder.path),
    }


def _verdict(inputs: ReportInputs) -> dict[str, Any]:
    return {
        "chosen": inputs.end.chosen.name,
        "because": inputs.end.because,
        "score": as_json(inputs.end.chosen.score),
        "baseline": as_json(inputs.baseline.score),
        "test": as_json(inputs.end.test),
        "untested": inputs.end.untested,
        "meets_min_score": inputs.meets_min_score,
        "coverage": _coverage(inputs),
        "model": as_json(inputs.end.measured),
    }


def _coverage(inputs: ReportInputs) -> list[dict[str, float]]:
    """Of each quantile the share of the held-out answers that do not exceed it."""
    if not inputs.profile.levels:
        return []
    below = inputs.comparison.y[:, None] <= mixture(inputs.end.chosen, inputs.comparison)
    shares = np.average(below, axis=0, weights=inputs.comparison.weight)
    return [{"level": level, "share": float(share)} for level, share in zip(inputs.profile.levels, shares, strict=True)]


def _confusion(inputs: ReportInputs) -> dict[str, Any] | None:
    """Held-out answers against what the chosen model said; None where answers are numbers."""
    classes = inputs.profile.classes
    if not classes:
        return None
    held = held_out(inputs.end.chosen, inputs.comparison, len(classes))
    return dict(as_json(confusion(held, classes)))


def _data(dataset: Dataset, profile: Profile) -> dict[str, Any]:
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


def _decision(inputs: ReportInputs) -> dict[str, Any]:
    evidence = [_evidence(family, inputs) for family in inputs.decision.families]
    return {**as_json(inputs.decision), "evidence": evidence, "outcome": _outcome(inputs)}


def _evidence(family: str, inputs: ReportInputs) -> dict[str, Any]:
    mine = [trial for trial in inputs.trials if trial.plan.family == family]
    numbers = {trial.plan.number for trial in mine}
    listed = [c for c in inputs.end.candidates if len(c.weights) == 1 and numbers >= set(c.weights)]
    return {
        "family": family,
        "route": search_spaces.get(family).route,
        "trials": len(mine),
        "score": as_json(min(listed, key=_rank).score) if listed else _first_fold(mine, inputs.comparison.metric),
        "cpu_s": sum(trial.spent.cpu_s for trial in mine),
    }


def _first_fold(trials: Sequence[Trial], metric: Metric) -> dict[str, Any] | None:
    """The mean over the folds a family did finish, without an interval."""
    best = min((trial.error for trial in trials), default=math.inf)
    if not math.isfinite(best):
        return None
    return {"metric": metric.name, "value": metric.to_score(best), "higher_is_better": metric.higher_is_better}


def _outcome(inputs: ReportInputs) -> str:
    """What the routes showed on the same rows, and so what the share of the other one bought."""
    routes: dict[Route, Trial] = {}
    for trial in inputs.comparison.rivals:  # best first
        routes.setdefault(search_spaces.get(trial.plan.family).route, trial)
    tried = {search_spaces.get(t.plan.family).route for t in inputs.trials if t.plan.family != BASELINE and t.folds}
    if len(routes) < 2:
        only = next(iter(routes), None)
        missing = sorted(tried - set(routes))
        late = f"; {missing[0]} models were looked at but did not finish the folds to be compared on" if missing else ""
        return f"only {only} models can be compared{late}." if only else "no model finished a fold."
    metric = inputs.comparison.metric
    (winner, ours), (loser, theirs) = sorted(routes.items(), key=lambda item: inputs.comparison.error(item[1]))
    held = inputs.comparison
    low, high = metrics.paired_interval(
        metric, held.y, held.predictions[theirs.plan.number], held.predictions[ours.plan.number],
        weight=held.weight, blocks=held.blocks,
    )  # fmt: skip
    gap = held.error(theirs) - held.error(ours)
    told = "the difference is real" if low > 0 else "they cannot be told apart"
    return (
        f"{winner} won: its best, {ours.plan.family} #{ours.plan.number}, has {gap:.3g} less error than the best "
        f"{loser} one, {theirs.plan.family} #{theirs.plan.number}, on the same rows "
        f"({told}: 95 % interval {low:.3g} to {high:.3g})."
    )


def _candidate(candidate: Candidate, trials: Sequence[Trial]) -> dict[str, Any]:
    families = [trial.plan.family for trial in trials if trial.plan.number in candidate.weights]
    return {**as_json(candidate), "families": sorted(set(families))}


def _trial(trial: Trial, metric: Metric) -> dict[str, Any]:
    return {
        "number": trial.plan.number,
        "family": trial.plan.family,
        "params": as_json(trial.plan.params),
        "presented": _presented(trial.plan.features),
        "status": trial.status.value,
        "because": trial.plan.because,
        "score": metric.to_score(trial.error) if trial.folds else None,
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


def _fold(fold: Fold) -> dict[str, Any]:
    """All but the predictions, which are many."""
    return {spec.name: as_json(getattr(fold, spec.name)) for spec in fields(fold) if spec.name != "predictions"}


def _cost(trials: Sequence[Trial], clock: Clock) -> dict[str, Any]:
    return {
        "wall_s": {stage: round(seconds, 3) for stage, seconds in clock.stages.items()},
        "cpu_s": sum(trial.spent.cpu_s for trial in trials),
        "failed_cpu_s": sum(trial.spent.cpu_s for trial in trials if not trial.folds),
        "peak_mb": max((trial.spent.peak_mb for trial in trials), default=0.0),
        "trials_by_status": dict(Counter(trial.status.value for trial in trials)),
    }


def _command(inputs: ReportInputs) -> str:
    drop = f".drop(columns={list(inputs.dataset.left_out)!r})" if inputs.dataset.left_out else ""
    return command(replace(inputs.options, target=inputs.dataset.target_name), inputs.source, f"data{drop}")


def command(options: Options, source: str | None, data: str = "data") -> str:
    """The line of a shell that does a run again; of Python where the data came from memory or with a function."""
    given = {**options.as_json(), "run_dir": None, "verbose": None}
    usual = Options(budget=Options().budget).as_json()
    changed = {n: v for n, v in given.items() if v is not None and (v != usual[n] or n in ("target", "budget", "seed"))}
    if source is None or options.in_memory or isinstance(options.class_weight, dict):
        values = {name: repr(list(value) if isinstance(value, tuple) else value) for name, value in changed.items()}
        values |= {name: changed[name] if name == "metric" else name for name in options.in_memory}
        values |= {"class_weight": repr(options.class_weight)} if options.class_weight else {}
        told = repr(source) if source is not None else data
        return f"automl.fit({told}, {', '.join(f'{name}={value}' for name, value in values.items())})"
    words = [f"--{name.replace('_', '-')}={_typed(value)}" for name, value in changed.items()]
    return shlex.join(["automl", "fit", source, *words])


def _typed(value: Any) -> str:
    """A value as it is typed on the command line."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
