"""What a change does to a score: before and after on the same held-out rows, with the paired interval of chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from automl.scoring import metrics
from automl.scoring.metrics import Metric


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Held-out rows with their answers: what two sets of predictions are compared on."""

    metric: Metric
    y: np.ndarray
    weight: np.ndarray | None = None
    blocks: np.ndarray | None = None  # an id per row, equal for rows that are redrawn together
    until: float = math.inf

    def take(self, rows: np.ndarray) -> Judged:
        """The given rows."""
        weight = None if self.weight is None else self.weight[rows]
        blocks = None if self.blocks is None else self.blocks[rows]
        return Judged(metric=self.metric, y=self.y[rows], weight=weight, blocks=blocks, until=self.until)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A score before and after a change."""

    metric: str
    higher_is_better: bool
    before: float
    after: float
    gain: float  # by how much the metric is better after it; below zero: worse
    low: float
    high: float  # of the 95 % interval of the gain
    rows: int
    error_before: float = 0.0  # the same as something to minimise; zero is perfect

    @property
    def helps(self) -> bool:
        """Whether it is better by more than chance explains."""
        return self.low > 0

    @property
    def hurts(self) -> bool:
        """Whether it is worse by more than chance explains."""
        return self.high < 0


def effect(judged: Judged, before: np.ndarray, after: np.ndarray) -> Effect | None:
    """What the change did; None where the metric is not defined on these rows."""
    metric = judged.metric
    if len(judged.y) < 2 or (metric.is_of_classes and (judged.y == judged.y[0]).all()):
        return None
    first, second = (metric.error(judged.y, told, judged.weight) for told in (before, after))
    if not (math.isfinite(first) and math.isfinite(second)):
        return None
    low, high = metrics.paired_interval(
        metric, judged.y, before, after, judged.weight, blocks=judged.blocks, until=judged.until, known=second
    )
    return Effect(
        metric=metric.name, higher_is_better=metric.higher_is_better, before=metric.to_score(first),
        after=metric.to_score(second), gain=first - second, low=low, high=high, rows=len(judged.y),
        error_before=first,
    )  # fmt: skip
