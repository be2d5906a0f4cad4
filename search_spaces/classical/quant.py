"""Trees on quantiles of intervals of series: probabilities of their own, and the cheapest of the strong models.

QUANT (Dempster, Schmidt & Webb 2024): what happens when, however it looks; kernels say how it looks, whenever it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from search_spaces.checked import need, whole
from search_spaces.classical._parts import pack_json, unpack_json
from search_spaces.classical._trees import Grove, load_grove
from search_spaces.signals.aligned import SERIES, Uneven, aligned, block_of, lengths_of
from search_spaces.signals.intervals import Halving
from search_spaces.signals.intervals import told as quantiles
from search_spaces.signals.told import in_threads, told, way_of
from search_spaces.spec import (
    WITH_QUANTILES,
    Choice,
    Family,
    Float,
    Int,
    Learner,
    Matrix,
    Media,
    Needs,
    Params,
    Price,
    Rows,
    Run,
    Space,
)

SPACE: Space = {
    "trees": Int(50, 400, start=200),
    "max_features": Float(0.02, 0.5, start=0.1, log=True),
    "min_samples_leaf": Int(1, 10, start=1, log=True),
    "depth": Int(2, 8, start=6),  # levels of intervals
    "each": Choice((2, 4, 8), start=4),  # steps that stand for a quantile
    "uneven": Choice(("stretched", "held"), start="stretched"),  # what is done with series that end early
}

PORTFOLIO: tuple[Params, ...] = (
    {"max_features": 0.3},
    {"depth": 4, "each": 2, "trees": 400},
    {"uneven": "held"},
)


class Quant:
    """Trees, and how series become the columns that they read."""

    is_cut = False

    def __init__(self, params: Params) -> None:
        self.params = params
        self.grove = Grove(params, "ExtraTrees")

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:
        """Take the quantiles and grow the trees."""
        self.column = next((name for name, block in train.X.media.items() if block.kind == SERIES), "")
        self.how = Halving(int(self.params["depth"]), int(self.params["each"]))
        self.uneven: Uneven = self.params["uneven"]
        self.grove.fit(replace(train, X=self._matrix(train.X, run.threads)), valid, run)
        self.is_cut = self.grove.is_cut

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict encoded rows."""
        return self.grove.predict(self._matrix(X, threads) if len(X) else X, threads)

    def dump(self) -> dict[str, bytes]:
        """Arrays."""
        facts = {"column": self.column, "depth": self.how.depth, "each": self.how.each, "uneven": self.uneven}
        return {**self.grove.dump(), "quant.json": pack_json(facts)}

    def _matrix(self, X: Matrix, threads: int) -> Matrix:
        how, uneven = self.how, self.uneven

        def of(some: Media) -> np.ndarray:
            numbers = in_threads(lambda series: quantiles(series, how), aligned(some, uneven), threads)
            return np.column_stack([numbers, lengths_of(some).astype(np.float32)])

        block = block_of(X.media, self.column)
        numbers = told(block, ("intervals", how, way_of(block, uneven)), of)
        return Matrix(numbers, np.zeros((len(X), 0), dtype=np.int32), ())


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    facts, learner = unpack_json(parts["quant.json"]), Quant({})
    learner.column = str(facts.get("column", ""))
    learner.how = Halving(whole(facts.get("depth"), "depth", 1, 30), whole(facts.get("each"), "each", 1, 1_000_000))
    uneven = facts.get("uneven")
    need(uneven in ("stretched", "held"), f"uneven is {uneven!r:.40}")
    learner.uneven = "held" if uneven == "held" else "stretched"
    learner.grove = load_grove(parts, "ExtraTrees")
    return learner


FAMILY = Family(
    name="quant",
    title="trees on intervals",
    route="classical",
    space=SPACE,
    build=Quant,
    load=load,
    reads=frozenset({SERIES}),
    needs=Needs(tasks=WITH_QUANTILES, rows=(10, 500_000), classes=200, package="sklearn"),
    portfolio=PORTFOLIO,
    quick={"trees": 50, "depth": 4},
    price=Price(0.5, 100.0, 0.2, cell_bytes=1_000.0),
    recipes=("plain",),
    imports=("sklearn.ensemble",),
)
