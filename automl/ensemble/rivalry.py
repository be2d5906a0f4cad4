"""All candidates on the same redrawn rows at once: who cannot be told apart, and how likely each is the best.

The middle of a difference is that of the promised scores, which are cross-fitted, so that searching flatters none; how
far it moves is what redrawing moves the held-out predictions, rows or whole blocks of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from automl.ensemble.candidates import HeldOutComparison, mixture
from automl.records import Candidate
from automl.scoring.metrics import Metric, Redrawing

LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Rivalry:
    """Errors of candidates, and how these move together."""

    metric: Metric
    names: tuple[str, ...]
    errors: np.ndarray  # of each; zero is perfect
    moves: np.ndarray  # (times redrawn, candidates)
    redrawn: Redrawing
    forms: np.ndarray  # (candidates, candidates): whether the first is a cheaper form of the second
    twins: np.ndarray  # of each, whether it has the fits of another one, which averages more of them

    def is_tied(self, a: str, b: str) -> bool:
        """Whether the paired interval of their difference holds zero."""
        first, second = self._places[a], self._places[b]
        worse, better = (first, second) if self.errors[first] >= self.errors[second] else (second, first)
        if not (math.isfinite(self.errors[worse]) and math.isfinite(self.errors[better])):
            return bool(self.errors[worse] == self.errors[better])
        gap = float(self.errors[worse] - self.errors[better])
        low, _ = self.redrawn.ends(self.metric, gap, self.moves[:, worse] - self.moves[:, better], LEVEL)
        return low <= 0

    def tied_pairs(self) -> list[tuple[str, str]]:
        """All pairs that cannot be told apart, each once."""
        return [(a, b) for place, a in enumerate(self.names) for b in self.names[place + 1 :] if self.is_tied(a, b)]

    def chances_of_best(self) -> np.ndarray:
        """How often each has the least error; those that share it share the round, so that they sum to one."""
        if not self.names:
            return np.zeros(0)
        drawn = np.where(self.twins, math.inf, self._drawn)
        least = drawn == drawn.min(axis=1, keepdims=True)
        return np.asarray((least / least.sum(axis=1, keepdims=True)).mean(axis=0))

    def chances_of_frontier(self, costs: Sequence[float]) -> np.ndarray:
        """How often none is at least as good and as cheap, and better in one of both; costs stay as they are."""
        cost = np.asarray(costs, dtype=np.float64)
        cost = np.where(np.isnan(cost), math.inf, cost)
        cheaper, as_cheap = cost[:, None] < cost[None, :], cost[:, None] <= cost[None, :]
        often = np.zeros(len(cost))
        for drawn in self._drawn:
            better, as_good = drawn[:, None] < drawn[None, :], drawn[:, None] <= drawn[None, :]
            often += ~((as_good & as_cheap) & (better | cheaper) & ~self.forms).any(axis=0)
        return often / max(1, len(self._drawn))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    @cached_property
    def _drawn(self) -> np.ndarray:
        """The errors under each redrawing; at least one, the errors as they are."""
        drawn = self.errors + self.redrawn.wider(LEVEL) * self.moves if len(self.moves) else self.errors[None, :]
        return np.where(np.isfinite(drawn), drawn, math.inf)


def compare(field: Sequence[Candidate], comparison: HeldOutComparison, until: float) -> Rivalry:
    """Redraw the rows that all were held out on; few times where `until` (time.monotonic()) is over."""
    metric = comparison.metric
    redrawn = Redrawing(comparison.y, comparison.weight, comparison.blocks, until=until)
    perfect = metric.to_score(0.0)
    errors = np.array([abs(one.score.value - perfect) if math.isfinite(one.score.value) else math.inf for one in field])
    named = {one.name: one for one in field}
    is_twin = {one.name: one.made_from in named and named[one.made_from].weights == one.weights for one in field}
    moves = np.zeros((0, len(field)))
    if field:
        first = mixture(field[0], comparison, np.arange(1))
        sample = redrawn.sample(metric, first.shape[1] if first.ndim > 1 else 1)
        said = {one.name: one for one in field if not is_twin[one.name]}  # the others say the same as these
        moved = redrawn.moves_of(metric, [mixture(one, comparison, sample[0]) for one in said.values()], sample)
        places = {name: place for place, name in enumerate(said)}
        moves = moved[:, [places[one.made_from if is_twin[one.name] else one.name] for one in field]]
    return Rivalry(
        metric=metric, names=tuple(one.name for one in field), errors=errors, moves=moves, redrawn=redrawn,
        forms=np.array([[one.made_from == other.name for other in field] for one in field], dtype=bool).reshape(
            len(field), len(field)
        ),
        twins=np.array([is_twin[one.name] for one in field], dtype=bool),
    )  # fmt: skip
