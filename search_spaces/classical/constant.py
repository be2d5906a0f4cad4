"""The same answer for every row: mean, median, quantiles or shares of classes. The yardstick that a model must beat.

Of series over time it is the newest season again: a level that all of them share would be no answer there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from search_spaces.checked import table
from search_spaces.classical import seasonal_naive
from search_spaces.classical._answers import Answers
from search_spaces.classical._parts import pack_arrays, unpack_arrays
from search_spaces.spec import (
    WITH_QUANTILES,
    Family,
    Learner,
    Matrix,
    Needs,
    Panel,
    Params,
    Price,
    Rows,
    Run,
    Space,
    starts,
)

SPACE: Space = {}


class Constant:
    """Weighted mean or median, quantiles or class shares of the training rows; or of each series its newest season."""

    is_cut = False
    series: Learner | None = None

    def __init__(self, params: Params) -> None:
        self.params = params

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:  # noqa: ARG002 - part of the protocol
        """Take what has the least error."""
        if run.task == "regression" and any(isinstance(block, Panel) for block in train.X.media.values()):
            self.series = seasonal_naive.build(starts(seasonal_naive.SPACE))
            self.series.fit(train, None, run)
            return
        self.answers = Answers.of(train, run)
        if run.task == "regression":
            center = self.answers.center
            if run.metric == "mae":  # what misses are least from is the median
                center = np.quantile(train.y, 0.5, method="inverted_cdf", weights=train.weight)
            self.value = np.array([center])
        elif run.task == "quantile":
            self.value = np.quantile(train.y, run.levels, method="inverted_cdf", weights=train.weight)
        else:
            counts = np.bincount(train.y, weights=train.weight, minlength=run.classes)
            self.value = counts / counts.sum()

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Repeat it."""
        if self.series is not None:
            return self.series.predict(X, threads)
        rows = np.repeat(self.value[None, :], len(X), axis=0)
        return rows[:, 0] if self.answers.task == "regression" else rows

    def dump(self) -> dict[str, bytes]:
        """One array; of series the parts of their forecaster."""
        if self.series is not None:
            return self.series.dump()
        return {"answers.json": self.answers.pack(), "value.npz": pack_arrays({"value": self.value})}


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    learner = Constant({})
    if "local.json" in parts:
        learner.series = seasonal_naive.load(parts)
        return learner
    learner.answers = Answers.read(parts)
    wanted = 1 if learner.answers.task == "regression" else learner.answers.classes
    learner.value = table(unpack_arrays(parts["value.npz"]), "value", (wanted,), "f")
    return learner


FAMILY = Family(
    name="constant",
    title="constant",
    route="classical",
    space=SPACE,
    build=Constant,
    load=load,
    needs=Needs(tasks=WITH_QUANTILES),
    price=Price(0.0, 0.01),
    recipes=("plain",),
)
