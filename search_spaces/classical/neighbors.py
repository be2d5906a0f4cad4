"""Nearest neighbours on scaled numbers and one-hot categories. No fit to speak of; right where likeness is local.

The training mean counts as one more neighbour, so that no probability is zero. The rows kept are bounded, because every
one of them is looked at for every prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from search_spaces.checked import need, table, whole
from search_spaces.classical._answers import Answers, unit_weight
from search_spaces.classical._dense import DenseEncoder
from search_spaces.classical._parts import pack_arrays, pack_json, unpack_arrays, unpack_json
from search_spaces.spec import Choice, Family, Int, Learner, Matrix, Needs, Params, Price, Rows, Run, Space

SPACE: Space = {
    "neighbors": Int(2, 100, start=15, log=True),
    "weights": Choice(("uniform", "distance"), start="distance"),
    "p": Choice((1, 2), start=2),
}

PORTFOLIO: tuple[Params, ...] = (
    {"neighbors": 30, "weights": "distance", "p": 1},
    {"neighbors": 5, "weights": "uniform", "p": 2},
)

MOST_ROWS = 50_000
MOST_CELLS = 5_000_000  # rows kept times columns after encoding
MOST_HOT = 200
MOST_TREE_COLUMNS = 15  # a k-d tree prunes nothing in more dimensions


class Neighbors:
    """The training rows, encoded."""

    is_cut = False

    def __init__(self, params: Params) -> None:
        self.params = params

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:  # noqa: ARG002 - part of the protocol
        """Encode and keep the rows, or a seeded sample of them."""
        self.answers = Answers.of(train, run)
        self.encoder = DenseEncoder.fit(train.X, MOST_HOT)
        width = self.encoder.width + train.X.numbers.shape[1] + len(self.encoder.flagged)
        most = min(MOST_ROWS, MOST_CELLS // width)
        chosen = np.arange(len(train))
        if len(train) > most:
            chosen = np.sort(np.random.default_rng(run.seed).choice(len(train), most, replace=False))
        self.table = self.encoder.encode(train.X.take(chosen)).full()
        self.value = self._values(self.answers.encode(train.y[chosen]))
        weight = unit_weight(train)
        self.weight = np.ones(len(chosen)) if weight is None else weight[chosen]
        self._index()

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict encoded rows."""
        if not len(X):
            return self.answers.nothing()
        with self.threads.limit(limits=threads):
            distance, near = self.index.kneighbors(self.encoder.encode(X).full())
        share = self.weight[near]
        if self.params["weights"] == "distance":
            share = share * _nearness(distance)
        total = np.einsum("ij,ijk->ik", share, self.value[near]) + np.average(self.value, axis=0, weights=self.weight)
        return self.answers.decode(total / (share.sum(axis=1) + 1)[:, None])

    def dump(self) -> dict[str, bytes]:
        """Arrays."""
        state = {"table": self.table, "value": self.value, "weight": self.weight}
        return {
            "answers.json": self.answers.pack(),
            "params.json": pack_json(self.params),
            "encoder.npz": pack_arrays(self.encoder.arrays()),
            "rows.npz": pack_arrays(state),
        }

    def _values(self, y: np.ndarray) -> np.ndarray:
        if self.answers.task == "regression":
            values = y[:, None]
        else:
            values = y[:, None] == np.arange(self.answers.classes)
        return np.asarray(values, dtype=np.float32)

    def _index(self) -> None:
        from sklearn.neighbors import NearestNeighbors
        from threadpoolctl import ThreadpoolController

        rows, columns = self.table.shape
        index = NearestNeighbors(
            n_neighbors=min(self.params["neighbors"], rows),
            algorithm="kd_tree" if columns <= MOST_TREE_COLUMNS else "brute",
            p=self.params["p"],
        )
        self.index: Any = index.fit(self.table)
        self.threads = ThreadpoolController()  # finding the thread pools takes longer than predicting a row


def _nearness(distance: np.ndarray) -> np.ndarray:
    """Weights that fall with distance and are one on average per row, also where a distance is zero."""
    typical = distance.mean(axis=1, keepdims=True)
    near = 1 / (distance / np.where(typical > 0, typical, 1) + 0.05)  # 0.05: a twin counts like about 20 others
    shares: np.ndarray = near / near.mean(axis=1, keepdims=True)
    return shares


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    params = unpack_json(parts["params.json"])
    whole(params.get("neighbors"), "neighbors", 1, MOST_ROWS)
    need(all(params.get(name) in SPACE[name].options for name in ("weights", "p")), "its way to weigh is unknown")  # type: ignore[union-attr]
    learner = Neighbors(params)
    learner.answers = Answers.read(parts)
    learner.encoder = DenseEncoder.from_arrays(unpack_arrays(parts["encoder.npz"]))
    state = unpack_arrays(parts["rows.npz"])
    values = 1 if learner.answers.task == "regression" else learner.answers.classes
    learner.table = table(state, "table", (None, learner.encoder.columns), "f")
    learner.value = table(state, "value", (len(learner.table), values), "f")
    learner.weight = table(state, "weight", (len(learner.table),), "f")
    learner._index()
    return learner


FAMILY = Family(
    name="neighbors",
    title="nearest neighbours",
    route="classical",
    space=SPACE,
    build=Neighbors,
    load=load,
    needs=Needs(rows=(10, 100_000), columns=(1, 300), classes=200, package="sklearn"),
    portfolio=PORTFOLIO,
    price=Price(0.05, 2.0),
    recipes=("reduced", "plain"),
    is_threaded=False,
    imports=("sklearn.neighbors",),
)
