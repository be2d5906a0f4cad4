"""What each family showed: its trials, its best candidate, its seconds. Pure functions on records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import search_spaces
from automl.records import Candidate, Score, Trial
from automl.scoring.metrics import Metric
from search_spaces.spec import Route


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one family showed."""

    family: str
    route: Route
    trials: int
    best: Score | None  # of its best candidate
    mean: float | None  # where none of its trials is a candidate: of the folds that its best one did finish
    cpu_s: float


def evidence(family: str, trials: Sequence[Trial], candidates: Sequence[Candidate], metric: Metric) -> Evidence:
    """Of all trials and candidates those of this family."""
    mine = [trial for trial in trials if trial.plan.family == family]
    numbers = {trial.plan.number for trial in mine}
    scores = [one.score for one in candidates if len(one.weights) == 1 and numbers >= set(one.weights)]
    error = min((trial.error for trial in mine), default=math.inf)
    return Evidence(
        family=family,
        route=search_spaces.get(family).route,
        trials=len(mine),
        best=min(scores, key=lambda one: -one.value if one.higher_is_better else one.value, default=None),
        mean=None if scores or not math.isfinite(error) else metric.to_score(error),
        cpu_s=sum(trial.spent.cpu_s for trial in mine),
    )
