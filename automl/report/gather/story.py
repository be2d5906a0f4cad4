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
from automl import metrics
from automl.artifact import versions
from automl.candidates import BASELINE, Arena, mixture
from automl.finish import End
from automl.folder import RunFolder
from automl.importance import Importance
from automl.invoice import Invoice
from automl.metrics import Metric
from automl.mistakes import confusion, held_out
from automl.options import Options
from automl.records import Audit, Candidate, Dataset, Decision, Fold, Profile, Trial, as_json
from automl.report.schema import FORMAT
from automl.samples import Samples
from automl.search.budget import Clock
from search_spaces.spec import Route


@dataclass(frozen=True)
class Story:
    """What the stages left behind."""

    options: Options
    dataset: Dataset
    profile: Profile
    audit: Audit
    decision: Decision
    trials: Sequence[Trial]
    arena: Arena
    end: End
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


def report(story: Story, clock: Clock, folder: RunFolder) -> dict[str, Any]:
    """The report of one run, as report/schema.py describes it."""
    return {
        "format": FORMAT,
        "run": _run(story, clock, folder),
        "verdict": _verdict(story),
        "data": _data(story.dataset, story.profile),
        "audit": as_json(story.audit.findings),
        "decision": _decision(story),
        "leaderboard": [_candidate(c, story.trials) for c in sorted(story.end.candidates, key=_rank)],
        "confusion": _confusion(story),
        "samples": as_json(story.samples),
        "importance": as_json(story.importance),
        "arena": {"folds": list(story.arena.folds), "rows": len(story.arena.y), "tied": as_json(story.end.tied)},
        "trials": [_trial(trial, story.arena.metric) for trial in story.trials],
        "cost": {**_cost(story.trials, clock), "invoice": as_json(story.bill)},
        "versions": versions(),
        "reproduce": _command(story),
    }


def _rank(candidate: Candidate) -> float:
    return -candidate.score.value if candidate.score.higher_is_better else candidate.score.value


def _run(story: Story, clock: Clock, folder: RunFolder) -> dict[str, Any]:
    return {
        "name": story.dataset.name,
        "started": story.started,
        "seconds": round(clock.elapsed, 2),
        "budget": str(story.options.budget),
        "overrun_s": clock.overrun_s(),
        "interrupted": story.interrupted,
        "command": f"automl predict {folder.path} new.csv -o predictions.csv",
        "folder": str(folder.path),
    }


def _verdict(story: Story) -> dict[str, Any]:
    return {
        "chosen": story.end.chosen.name,
        "because": story.end.because,
        "score": as_json(story.end.chosen.score),
        "baseline": as_json(story.baseline.score),
        "test": as_json(story.end.test),
        "untested": story.end.untested,
        "meets_min_score": story.meets_min_score,
        "coverage": _coverage(story),
        "model": as_json(story.end.measured),
    }


def _coverage(story: Story) -> list[dict[str, float]]:
    """Of each quantile the share of the held-out answers that do not exceed it."""
    if not story.profile.levels:
        return []
    below = story.arena.y[:, None] <= mixture(story.end.chosen, story.arena)
    shares = np.average(below, axis=0, weights=story.arena.weight)
    return [{"level": level, "share": float(share)} for level, share in zip(story.profile.levels, shares, strict=True)]


def _confusion(story: Story) -> dict[str, Any] | None:
    """Held-out answers against what the chosen model said; None where answers are numbers."""
    classes = story.profile.classes
    if not classes:
        return None
    held = held_out(story.end.chosen, story.arena, len(classes))
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
        "kinds": dict(Counter(column.kind.value for column in profile.columns)),
        "notes": list(dataset.notes),
    }


def _decision(story: Story) -> dict[str, Any]:
    evidence = [_evidence(family, story) for family in story.decision.families]
    return {**as_json(story.decision), "evidence": evidence, "outcome": _outcome(story)}


def _evidence(family: str, story: Story) -> dict[str, Any]:
    mine = [trial for trial in story.trials if trial.plan.family == family]
    numbers = {trial.plan.number for trial in mine}
    listed = [c for c in story.end.candidates if len(c.weights) == 1 and numbers >= set(c.weights)]
    return {
        "family": family,
        "route": search_spaces.get(family).route,
        "trials": len(mine),
        "score": as_json(min(listed, key=_rank).score) if listed else _first_fold(mine, story.arena.metric),
        "cpu_s": sum(trial.spent.cpu_s for trial in mine),
    }


def _first_fold(trials: Sequence[Trial], metric: Metric) -> dict[str, Any] | None:
    """The mean over the folds a family did finish, without an interval."""
    best = min((trial.error for trial in trials), default=math.inf)
    if not math.isfinite(best):
        return None
    return {"metric": metric.name, "value": metric.to_score(best), "higher_is_better": metric.higher_is_better}


def _outcome(story: Story) -> str:
    """What the routes showed on the same rows, and so what the share of the other one bought."""
    routes: dict[Route, Trial] = {}
    for trial in story.arena.rivals:  # best first
        routes.setdefault(search_spaces.get(trial.plan.family).route, trial)
    tried = {search_spaces.get(t.plan.family).route for t in story.trials if t.plan.family != BASELINE and t.folds}
    if len(routes) < 2:
        only = next(iter(routes), None)
        missing = sorted(tried - set(routes))
        late = f"; {missing[0]} models were looked at but did not finish the folds to be compared on" if missing else ""
        return f"only {only} models can be compared{late}." if only else "no model finished a fold."
    metric = story.arena.metric
    (winner, ours), (loser, theirs) = sorted(routes.items(), key=lambda item: story.arena.error(item[1]))
    low, high = metrics.paired_interval(
        metric, story.arena.y, story.arena.predictions[theirs.plan.number],
        story.arena.predictions[ours.plan.number], weight=story.arena.weight, blocks=story.arena.blocks,
    )  # fmt: skip
    gap = story.arena.error(theirs) - story.arena.error(ours)
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


def _command(story: Story) -> str:
    drop = f".drop(columns={list(story.dataset.left_out)!r})" if story.dataset.left_out else ""
    return command(replace(story.options, target=story.dataset.target_name), story.source, f"data{drop}")


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
