"""What the choice between the routes came to, once the trials are done: what each family showed, and what was lost.

Pure functions on records and on predictions of rows that no trial learned from. A route that lost keeps a share of
the search, so that its best model, found with that share, can be compared with the best one of the route that won.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

import search_spaces
from automl.records import Candidate, Score, Trial
from automl.scoring import metrics
from automl.scoring.metrics import Metric
from search_spaces.spec import BASELINE, Route


class HeldOut(Protocol):
    """Rows on which trials compete, as `ensemble.candidates` lines them up."""

    @property
    def metric(self) -> Metric:
        """What is compared."""

    @property
    def y(self) -> np.ndarray:
        """The answers."""

    @property
    def weight(self) -> np.ndarray | None:
        """What each row counts."""

    @property
    def blocks(self) -> np.ndarray | None:
        """An id per row, equal for rows that are redrawn together."""

    @property
    def predictions(self) -> Mapping[int, np.ndarray]:
        """Of these rows, by the number of the trial."""

    @property
    def rivals(self) -> list[Trial]:
        """The trials that are compared, best first, without the baseline."""

    def error(self, trial: Trial) -> float:
        """Of one of them on these rows."""


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


@dataclass(frozen=True, kw_only=True)
class Regret:
    """By how much the route that lost is behind: what following it would have cost."""

    winner: Route
    loser: Route
    best: Trial  # of the winner
    other: Trial  # the best of the loser
    gap: float  # error of the other above that of the best
    low: float
    high: float  # of its 95 % interval over rows

    @property
    def is_real(self) -> bool:
        """Whether chance does not explain it."""
        return self.low > 0


def regret(held: HeldOut) -> Regret | None:
    """The best of both routes on the same rows; None where fewer than two can be compared."""
    best = best_of_routes(held.rivals)
    if len(best) < 2:
        return None
    (winner, ours), (loser, theirs) = sorted(best.items(), key=lambda item: held.error(item[1]))
    low, high = metrics.paired_interval(
        held.metric, held.y, held.predictions[theirs.plan.number], held.predictions[ours.plan.number],
        weight=held.weight, blocks=held.blocks,
    )  # fmt: skip
    gap = held.error(theirs) - held.error(ours)
    return Regret(winner=winner, loser=loser, best=ours, other=theirs, gap=gap, low=low, high=high)


def best_of_routes(rivals: Sequence[Trial]) -> dict[Route, Trial]:
    """The first trial of each route; `rivals`: best first."""
    best: dict[Route, Trial] = {}
    for trial in rivals:
        best.setdefault(search_spaces.get(trial.plan.family).route, trial)
    return best


def looked_at(trials: Sequence[Trial]) -> set[Route]:
    """The routes of which some trial finished a fold."""
    return {search_spaces.get(t.plan.family).route for t in trials if t.plan.family != BASELINE and t.folds}
