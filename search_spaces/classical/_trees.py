"""Forests: grown by scikit-learn chunk by chunk, kept and read as plain arrays of nodes.

Trees are rebuilt from those arrays through scikit-learn's own state call, without pickle, and always predict in that
form, so a loaded forest gives the same bits. Leaves keep float32 answers for all classes; inner nodes keep none.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from search_spaces.classical._answers import Answers, joined, unit_weight
from search_spaces.classical._parts import pack_arrays, unpack_arrays
from search_spaces.spec import Matrix, Params, Rows, Run

MODEL_BYTES = 20e6  # a dumped forest stays below about this
CHUNK_S = 0.5  # time between looks at the clock


class Grove:
    """A forest of one scikit-learn kind, "RandomForest" or "ExtraTrees"."""

    is_cut = False

    def __init__(self, params: Params, kind: str) -> None:
        self.params = params
        self.kind = kind

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:  # noqa: ARG002 - part of the protocol
        """Grow trees until there are enough or the time is over."""
        self.answers = Answers.of(train, run)
        model = self._model(len(train), run)
        X = joined(train.X).astype(np.float32, copy=False)
        self.is_cut = _grow(model, X, self.answers.encode(train.y), unit_weight(train), run)
        self.trees = Trees(_as_arrays(model, self.answers))

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict encoded rows."""
        if not len(X):
            return self.answers.nothing()
        return self.answers.decode(self.trees.mean(joined(X).astype(np.float32, copy=False), threads))

    def dump(self) -> dict[str, bytes]:
        """Arrays of nodes and leaves."""
        return {"answers.json": self.answers.pack(), "trees.npz": pack_arrays(self.trees.arrays, compress=True)}

    def _model(self, rows: int, run: Run) -> Any:
        from sklearn import ensemble

        params = self.params
        suffix = "Regressor" if run.task == "regression" else "Classifier"
        # measured: a leaf with its inner node takes about 15 bytes packed, and seldom more for many classes
        most_leaves = max(32, int(MODEL_BYTES / params["trees"] / (16 + run.classes / 2)))
        return getattr(ensemble, self.kind + suffix)(
            n_estimators=params["trees"],
            max_features=params["max_features"],
            min_samples_leaf=params["min_samples_leaf"],
            # growing best leaf first is slower, so only where the limit can bind
            max_leaf_nodes=most_leaves if rows / params["min_samples_leaf"] > most_leaves else None,
            random_state=run.seed % 2**31,
            n_jobs=run.threads,
            warm_start=True,
        )


def load_grove(parts: Mapping[str, bytes], kind: str) -> Grove:
    """Read what `Grove.dump` wrote."""
    grove = Grove({}, kind)
    grove.answers = Answers.read(parts)
    grove.trees = Trees(unpack_arrays(parts["trees.npz"]))
    return grove


class Trees:
    """Trees over flat arrays: `start` (first node of each tree), nodes, and `answer` (a row per leaf, in order)."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.answer = arrays["answer"]
        leaf_row = np.cumsum(arrays["left"] == -1) - 1
        bounds = [*arrays["start"].tolist(), len(leaf_row)]
        spans = [slice(first, last) for first, last in itertools.pairwise(bounds)]
        self.trees = [(_rebuilt(arrays, span), leaf_row[span]) for span in spans]

    def mean(self, X: np.ndarray, threads: int) -> np.ndarray:
        """Mean answer over the trees per row; float32 rows in."""
        blocks = np.array_split(X, max(1, min(threads, len(X) // 1000)))
        if len(blocks) == 1:
            return self._sum(X) / len(self.trees)
        with ThreadPoolExecutor(len(blocks)) as pool:  # by rows, so that threads do not change the order of sums
            return np.concatenate(list(pool.map(self._sum, blocks))) / len(self.trees)

    def _sum(self, X: np.ndarray) -> np.ndarray:
        total = np.zeros((len(X), self.answer.shape[1]))
        for tree, leaf_row in self.trees:
            total += self.answer[leaf_row[tree.apply(X)]]
        return total


def _grow(model: Any, X: np.ndarray, y: np.ndarray, weight: np.ndarray | None, run: Run) -> bool:
    """Fit in chunks (which do not change the trees); True when the deadline left some of them out."""
    wanted, grown, chunk = model.n_estimators, 0, run.threads
    while True:
        started = time.monotonic()
        model.n_estimators = grown + chunk
        model.fit(X, y, sample_weight=weight)
        now = time.monotonic()
        tree_s = max(1e-6, (now - started) / chunk)
        grown += chunk
        chunk = int(min(wanted - grown, max(run.threads, CHUNK_S / tree_s), (run.until - now) / tree_s))
        if chunk < 1:
            return bool(grown < wanted)


def _as_arrays(model: Any, answers: Answers) -> dict[str, np.ndarray]:
    """The nodes of all trees in a row. Thresholds round down to float32, which no float32 feature can notice."""
    trees = [estimator.tree_ for estimator in model.estimators_]
    threshold = np.concatenate([tree.threshold for tree in trees])
    rounded = threshold.astype(np.float32)
    rounded = np.where(rounded > threshold, np.nextafter(rounded, np.float32(-math.inf)), rounded)
    left = np.concatenate([tree.children_left for tree in trees]).astype(np.int32)
    answer = np.concatenate([tree.value[tree.children_left == -1, 0, :] for tree in trees])
    if answers.task != "regression":  # a class may be absent from the training rows
        shares = np.zeros((len(answer), answers.classes))
        shares[:, model.classes_] = answer / answer.sum(axis=1, keepdims=True)
        answer = shares
    return {
        "start": np.cumsum([0] + [tree.node_count for tree in trees[:-1]]).astype(np.int64),
        "columns": np.array([model.n_features_in_]),
        "depth": np.array([tree.max_depth for tree in trees], dtype=np.int32),
        "left": left,
        "right": np.concatenate([tree.children_right for tree in trees]).astype(np.int32),
        "feature": np.concatenate([tree.feature for tree in trees]).astype(np.int32),
        "threshold": rounded,
        "missing_left": np.concatenate([tree.missing_go_to_left for tree in trees]).astype(np.uint8),
        "answer": answer.astype(np.float32),
    }


def _rebuilt(arrays: Mapping[str, np.ndarray], span: slice) -> Any:
    """One scikit-learn tree that can only say which leaf a row falls into."""
    from sklearn.tree._tree import Tree

    tree = Tree(int(arrays["columns"][0]), np.array([1], dtype=np.intp), 1)
    nodes = np.zeros(span.stop - span.start, dtype=tree.__getstate__()["nodes"].dtype)
    nodes["left_child"] = arrays["left"][span]
    nodes["right_child"] = arrays["right"][span]
    nodes["feature"] = arrays["feature"][span]
    nodes["threshold"] = arrays["threshold"][span]
    nodes["missing_go_to_left"] = arrays["missing_left"][span]
    values = np.zeros((len(nodes), 1, 1))
    depth = int(arrays["depth"].max())
    tree.__setstate__({"max_depth": depth, "node_count": len(nodes), "nodes": nodes, "values": values})
    return tree
