"""Forests: grown by scikit-learn chunk by chunk, kept and read as plain arrays of nodes.

Trees are rebuilt from those arrays through scikit-learn's own state call, without pickle, and always predict in that
form, so a loaded forest gives the same bits. Leaves keep float32 answers for all classes, or a few that stand for the
spread of their rows, from which all trees together make quantiles; inner nodes keep none.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from search_spaces.checked import arrays as checked_arrays
from search_spaces.checked import family, indices, need, table, whole
from search_spaces.classical._answers import Answers, joined, unit_weight
from search_spaces.classical._parts import pack_arrays
from search_spaces.spec import OF_NUMBERS, Matrix, Params, Rows, Run

MODEL_BYTES = 20e6  # a dumped forest stays below about this
CHUNK_S = 0.5  # time between looks at the clock
EXPANDED_BYTES = int(16 * MODEL_BYTES)  # of many classes most shares of a leaf are 0: 144 MB in a file of 4 MB
KEPT = 5  # answers that stand for those of a leaf's rows where quantiles are asked for
GATHERED = 4_000_000  # answers looked at together
MOST_COLUMNS, MOST_TREES = 10_000_000, 50_000  # of each tree the library makes an object


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
        y, weight = self.answers.encode(train.y), unit_weight(train)
        self.is_cut = _grow(model, X, y, weight, run)
        arrays = _as_arrays(model, self.answers)
        self.levels = np.array(_levels(run))
        if len(self.levels):
            arrays |= {"answer": _spreads(model, X, y, weight), "levels": self.levels}
        self.trees = Trees(arrays)

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict encoded rows."""
        if not len(X):
            return self.answers.nothing()
        rows = joined(X).astype(np.float32, copy=False)
        need(rows.shape[1] == self.trees.columns, f"{rows.shape[1]} columns, for trees of {self.trees.columns}")
        if len(self.levels):
            return self.answers.decode(self.trees.quantiles(rows, self.levels, threads))
        return self.answers.decode(self.trees.mean(rows, threads))

    def dump(self) -> dict[str, bytes]:
        """Arrays of nodes and leaves."""
        return {"answers.json": self.answers.pack(), "trees.npz": pack_arrays(self.trees.arrays, compress=True)}

    def _model(self, rows: int, run: Run) -> Any:
        from sklearn import ensemble

        params = self.params
        suffix = "Regressor" if run.task in OF_NUMBERS else "Classifier"
        # measured: a leaf with its inner node takes about 15 bytes packed, and seldom more for many classes
        kept = 4 * KEPT if _levels(run) else run.classes / 2
        most_leaves = max(32, int(MODEL_BYTES / params["trees"] / (16 + kept)))
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


def _levels(run: Run) -> tuple[float, ...]:
    """The quantiles that trees answer with: those asked for, the median where misses count as they are, else none."""
    return (0.5,) if run.task == "regression" and run.metric == "mae" else run.levels


def load_grove(parts: Mapping[str, bytes], kind: str) -> Grove:
    """Read what `Grove.dump` wrote."""
    grove = Grove({}, kind)
    grove.answers = Answers.read(parts)
    arrays = checked_arrays(parts["trees.npz"], free=EXPANDED_BYTES)
    grove.levels = arrays.get("levels", np.zeros(0))
    _check(arrays, grove.answers, grove.levels)
    grove.trees = Trees(arrays)
    return grove


def _check(arrays: Mapping[str, np.ndarray], answers: Answers, levels: np.ndarray) -> None:
    """Refuse what scikit-learn would follow out of a tree, out of a row, or for ever."""
    start = table(arrays, "start", (None,), "i")
    left, trees = table(arrays, "left", (None,), "i"), len(start)
    nodes = len(left)
    right, feature = (table(arrays, name, (nodes,), "i") for name in ("right", "feature"))
    table(arrays, "threshold", (nodes,), "f")
    table(arrays, "missing_left", (nodes,), "iu")
    bounds = np.append(start, nodes)
    need(
        0 < trees <= MOST_TREES and int(start[0]) == 0 and bool((np.diff(bounds) > 0).all()),
        "trees do not follow one another",
    )
    columns = whole(int(table(arrays, "columns", (1,), "i")[0]), "columns", 1, MOST_COLUMNS)
    depth = table(arrays, "depth", (trees,), "i")
    need(int(depth.min()) >= 0 and int(depth.max()) < nodes, "a tree is deeper than it has nodes")
    is_inner = left != -1
    indices(feature[is_inner], "feature", columns)
    sizes = np.diff(bounds)
    first, size = (np.repeat(values, sizes)[is_inner] for values in (start, sizes))  # of the tree of each node
    family(left[is_inner].astype(np.int64), right[is_inner].astype(np.int64), size, first)
    wanted = 1 if answers.task == "regression" else answers.classes
    answer = table(arrays, "answer", (int((~is_inner).sum()), None), "f")
    if len(levels):
        need(levels.ndim == 1 and levels.dtype.kind == "f", "its quantiles are no numbers")
        need(bool(((levels > 0) & (levels < 1)).all()) and len(levels) == wanted, "its quantiles do not fit")
        need(answer.shape[1] >= 1, "leaves keep no answers")
    else:
        need(answer.shape[1] == wanted, "leaves do not answer for each class")


class Trees:
    """Trees over flat arrays: `start` (first node of each tree), nodes, and `answer` (a row per leaf, in order)."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays, self.columns = arrays, int(arrays["columns"][0])
        self.answer = arrays["answer"]
        leaf_row = np.cumsum(arrays["left"] == -1) - 1
        bounds = [*arrays["start"].tolist(), len(leaf_row)]
        spans = [slice(first, last) for first, last in itertools.pairwise(bounds)]
        self.trees = [(_rebuilt(arrays, span), leaf_row[span]) for span in spans]

    def mean(self, X: np.ndarray, threads: int) -> np.ndarray:
        """Mean answer over the trees per row; float32 rows in."""
        return _by_blocks(self._sum, X, max(1, min(threads, len(X) // 1000)), threads) / len(self.trees)

    def quantiles(self, X: np.ndarray, levels: np.ndarray, threads: int) -> np.ndarray:
        """Quantiles per row of what the leaves of all trees keep for it."""
        cells = len(X) * len(self.trees) * self.answer.shape[1]
        return _by_blocks(lambda some: self._quantiles(some, levels), X, math.ceil(cells / GATHERED), threads)

    def _quantiles(self, X: np.ndarray, levels: np.ndarray) -> np.ndarray:
        found = [self.answer[leaf_row[tree.apply(X)]] for tree, leaf_row in self.trees]
        return np.asarray(np.quantile(np.concatenate(found, axis=1), levels, axis=1).T)

    def _sum(self, X: np.ndarray) -> np.ndarray:
        total = np.zeros((len(X), self.answer.shape[1]))
        for tree, leaf_row in self.trees:
            total += self.answer[leaf_row[tree.apply(X)]]
        return total


def _by_blocks(work: Callable[[np.ndarray], np.ndarray], X: np.ndarray, count: int, threads: int) -> np.ndarray:
    """The work done on blocks of rows, so that threads do not change the order of sums."""
    if count == 1:
        return work(X)
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(work, np.array_split(X, count))))


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
    if answers.task not in OF_NUMBERS:  # a class may be absent from the training rows
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


def _spreads(model: Any, X: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """(leaves, KEPT): answers that stand for equal shares of each leaf's training rows, of all trees in a row."""
    kept = []
    by_answer = np.argsort(y, kind="stable")
    for estimator in model.estimators_:
        leaf = estimator.tree_.apply(X)
        order = by_answer[np.argsort(leaf[by_answer], kind="stable")]  # by leaf, in it by answer
        counts = np.bincount(leaf, minlength=estimator.tree_.node_count)[estimator.tree_.children_left == -1]
        ends = np.cumsum(counts)
        sums = np.append(0.0, np.cumsum(np.ones(len(y)) if weight is None else weight[order]))
        low, high = sums[ends - counts], sums[ends]
        wanted = low[:, None] + (high - low)[:, None] * (np.arange(KEPT) + 0.5) / KEPT
        place = np.searchsorted(sums, wanted, side="left") - 1
        kept.append(y[order][np.clip(place, (ends - counts)[:, None], (ends - 1)[:, None])])
    return np.concatenate(kept).astype(np.float32)


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
