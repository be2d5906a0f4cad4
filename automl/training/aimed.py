"""Learners aimed at metrics of numbers that squared misses do not serve: what is learned, and what stops it, changes.

mae and medae ask for medians, so misses count as they are; for mape besides each row as one over its answer. rmsle is
squares on log(1 + answer), which is a bend (bent.py). Families know "mae" and squares, and need know no more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from search_spaces.spec import Learner, Matrix, Rows, Run

ABSOLUTE = ("mae", "mape", "medae")
BENT = {"rmsle": "log1p"}  # the scale on which squares are what the metric counts, whatever the recipe says
SMALL = 1e-3  # of the usual answer's size: of smaller ones a few would be all that is learned


class Aimed:
    """Any regression learner, told to lower absolute or relative misses. It has no state of its own."""

    is_cut = False
    rounds_: int | None = None

    def __init__(self, learner: Learner, metric: str) -> None:
        self.learner, self.metric = learner, metric

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:
        """Learn from `train`, stopping by `valid`, both weighted as the metric weighs them."""
        run = replace(run, metric="mae")
        if self.metric == "mape":
            floor = _floor(train.y)
            train = replace(train, weight=relative(train, floor))
            valid = None if valid is None else replace(valid, weight=relative(valid, floor))
        self.learner.fit(train, valid, run)
        self.is_cut, self.rounds_ = self.learner.is_cut, getattr(self.learner, "rounds_", None)

    @property
    def judged(self) -> np.ndarray | None:
        """Validation rows as the learner judges them, where it does."""
        return getattr(self.learner, "judged", None)

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict encoded rows."""
        return self.learner.predict(X, threads)

    def dump(self) -> dict[str, bytes]:
        """The learner's state: once it is fitted, nothing else is needed."""
        return self.learner.dump()


def relative(rows: Rows, floor: float) -> np.ndarray | None:
    """Row weights over the sizes of the answers; an answer of zero has no percentage. If none has, as they were."""
    size = np.abs(rows.y)
    weight = np.where(size > 0, 1.0, 0.0) / np.maximum(size, floor)
    if rows.weight is not None:
        weight = weight * rows.weight
    return weight if weight.any() else rows.weight


def _floor(y: np.ndarray) -> float:
    sizes = np.abs(y[y != 0])
    return SMALL * float(np.median(sizes)) if len(sizes) else 1.0
