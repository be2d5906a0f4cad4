"""What quick models of many kinds make of some rows, before anything else is tried: landmarks for the prior.

A mean of three lines of code errs less or more than another, and that tells more of who will win than the shape of the
numbers: where a smooth surface beats steps, networks do too. NumPy alone: importing scikit-learn would take longer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from automl.data.target import encode_target
from automl.errors import AutomlError
from automl.modalities import mixture
from automl.records import Column, Dataset, Kind, Profile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from automl.modalities.mixture import Raw

READ_KINDS = (Kind.NUMBER, Kind.CATEGORY, Kind.BOOLEAN, Kind.DATE)
MOST_ROWS, LEAST_ROWS = 1_000, 30
MOST_COLUMNS = 100  # after categories became columns
MOST_LABELS = 8  # of a category; the rarer ones are none of these
MOST_CLASSES = 5  # of the answers; the rarer ones are none of these
FOLDS = 2
EDGES = 12  # places at which a tree may part a column
NEIGHBORS = 5
PENALTIES = (0.01, 0.1, 1.0, 10.0)  # of a line, relative to its rows
RIDGES = (0.003, 0.1)  # of a smooth surface
ROUNDS, PACE, TRIED = 40, 0.2, 0.5  # of a booster: trees, what each counts, and the share of edges that it looks at
WORST = 2.0  # twice as wrong as knowing nothing is as bad as any more
NAMES = ("line", "stump", "tree", "boosted", "neighbors", "smooth")


def measure(dataset: Dataset, profile: Profile) -> dict[str, float]:
    """Squared errors on rows that were held out, relative to always giving the mean; empty where none can be had.

    The facts are called landmark_NAME. Only plain columns are read, and whatever cannot be read is no landmark.
    """
    if dataset.target is None:
        return {}
    columns = _some([column for column in profile.columns if column.kind in READ_KINDS])
    if not columns:
        return {}
    rows = np.sort(np.random.default_rng(0).permutation(len(dataset))[: 2 * MOST_ROWS])
    cells = dataset.frame[[column.name for column in columns]].iloc[rows].astype(str)
    rows = rows[~cells.assign(**{"": dataset.target.iloc[rows].astype(str)}).duplicated().to_numpy()][:MOST_ROWS]
    if len(rows) < LEAST_ROWS:  # of rows that repeat others a model knows what it saw
        return {}
    part = dataset.frame[[column.name for column in columns]].iloc[rows].reset_index(drop=True)
    try:
        raw = mixture.learn_schema(part, replace(profile, columns=tuple(columns))).encode(part)
        answers = encode_target(dataset.target.iloc[rows].reset_index(drop=True), profile)
    except AutomlError:  # the run itself will say what cannot be read
        return {}
    with np.errstate(all="ignore"):
        return {f"landmark_{name}": error for name, error in _errors(_table(raw), _aims(answers, profile)).items()}


def _some(columns: list[Column]) -> list[Column]:
    """As many as are looked at anyway, before a cell of them is read: of thousands any hundred tell as much."""
    if len(columns) <= MOST_COLUMNS:
        return columns
    return [columns[at] for at in np.sort(np.random.default_rng(0).choice(len(columns), MOST_COLUMNS, replace=False))]


def with_landmarks(dataset: Dataset, profile: Profile) -> Profile:
    """The profile with what was measured among its facts: landmarks, and how large pictures, sounds and texts are."""
    return replace(profile, facts={**profile.facts, **_sizes(dataset), **measure(dataset, profile)})


def _sizes(dataset: Dataset) -> dict[str, float]:
    """Of decoded columns, the largest of each kind."""
    found: dict[str, float] = {}
    for one in dataset.decoded.values():
        block = one.block
        if block.store.dtype == object:
            some = block.values(slice(None, None, max(1, len(block) // MOST_ROWS)))
            name, size = "text_characters", float(np.median([len(text) for text in some] or [0]))
        elif block.rate:
            name, size = "sound_s", block.store.shape[1] / block.rate
        elif block.store.ndim == 4:
            name, size = "picture_px", float(max(block.store.shape[1:3]))
        else:
            continue
        found[name] = max(found.get(name, 0.0), size)
    return found


# --- numbers ---------------------------------------------------------------------------------------------------------


def _table(raw: Raw) -> np.ndarray:
    """Columns of mean nought and deviation one: numbers, where some are missing whether they are, and labels."""
    numbers = raw.numbers.astype(np.float64)
    parts = []
    for values in numbers.T:
        known = np.isfinite(values)
        middle = float(np.median(values[known])) if known.any() else 0.0
        parts.append(np.where(known, values, middle))
        if not known.all() and known.any():
            parts.append(known.astype(np.float64))
    for codes in raw.codes.T:
        parts += [(codes == code).astype(np.float64) for code in range(1, min(MOST_LABELS, int(codes.max())) + 1)]
    kept = [values for values in parts if np.isfinite(values).all() and np.ptp(values) > 0]
    if len(kept) > MOST_COLUMNS:
        some = np.sort(np.random.default_rng(0).choice(len(kept), MOST_COLUMNS, replace=False))
        kept = [kept[at] for at in some]
    if not kept:
        return np.empty((len(raw), 0))
    table = np.stack(kept, axis=1)
    spread = table.std(axis=0)
    table = (table - table.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.asarray(np.clip(table, -4, 4))  # of long tails only a few deviations count


def _aims(answers: np.ndarray, profile: Profile) -> np.ndarray:
    """A column for each class, of two classes for one, or the numbers as they are, scaled."""
    if profile.classes:
        counts = np.bincount(answers.astype(np.int64), minlength=len(profile.classes))
        common = [1] if len(counts) == 2 else np.argsort(-counts, kind="stable")[:MOST_CLASSES].tolist()
        return np.stack([(answers == one).astype(np.float64) for one in common], axis=1)
    values = answers.astype(np.float64)
    low, high = np.quantile(values, [0.01, 0.99])
    values = np.clip(values, low, high) if high > low else values  # a few endless answers would decide everything
    return np.asarray(((values - values.mean()) / (values.std() or 1.0))[:, None])


def _errors(X: np.ndarray, Y: np.ndarray) -> dict[str, float]:
    """Of each quick model, the mean over folds."""
    fold = np.random.default_rng(1).permutation(len(X)) % FOLDS
    spread = sum(float(((Y[fold == k] - Y[fold != k].mean(axis=0)) ** 2).sum()) for k in range(FOLDS))
    if not X.shape[1] or not np.isfinite(spread) or spread <= 0:
        return {}
    makers: dict[str, Callable[..., Mapping[str, np.ndarray]]] = {
        "line": _lines, "steps": _steps, "neighbors": _neighbors, "smooth": _surfaces,
    }  # fmt: skip
    missed: dict[str, float] = {}
    for k in range(FOLDS):
        held = fold == k
        middle = Y[~held].mean(axis=0)
        for make in makers.values():
            for name, told in make(X[~held], Y[~held] - middle, X[held]).items():
                missed[name] = missed.get(name, 0.0) + float(((Y[held] - middle - told) ** 2).sum())
    found: dict[str, float] = {}
    for name, error in missed.items():
        kind = name.partition(" ")[0]  # of several penalties the better one
        if np.isfinite(error):
            found[kind] = min(found.get(kind, WORST), error / spread)
    return {name: found[name] for name in NAMES if name in found}


# --- quick models: training columns, answers around their mean, columns to predict -----------------------------------


def _lines(X: np.ndarray, Y: np.ndarray, new: np.ndarray) -> dict[str, np.ndarray]:
    """A ridge, of several penalties."""
    values, turned = np.linalg.eigh(X.T @ X)
    along, seen = turned.T @ (X.T @ Y), new @ turned
    values = np.maximum(values, 0.0)[:, None]
    return {f"line {penalty}": seen @ (along / (values + penalty * len(X))) for penalty in PENALTIES}


def _neighbors(X: np.ndarray, Y: np.ndarray, new: np.ndarray) -> dict[str, np.ndarray]:
    """The mean of the nearest few."""
    near = np.argpartition(_distances(new, X), min(NEIGHBORS, len(X)) - 1, axis=1)[:, :NEIGHBORS]
    return {"neighbors": Y[near].mean(axis=1)}


def _surfaces(X: np.ndarray, Y: np.ndarray, new: np.ndarray) -> dict[str, np.ndarray]:
    """A kernel ridge as wide as rows usually lie apart: smooth, and turned as the data is, as networks are."""
    apart = _distances(X, X)
    width = float(np.median(apart)) or 1.0
    kernel, seen = np.exp(-apart / width), np.exp(-_distances(new, X) / width)
    each = np.eye(len(X))
    return {f"smooth {ridge}": seen @ np.linalg.solve(kernel + ridge * each, Y) for ridge in RIDGES}


def _distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    squares = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * some @ others.T
    return np.asarray(np.maximum(squares, 0.0))


def _steps(X: np.ndarray, Y: np.ndarray, new: np.ndarray) -> dict[str, np.ndarray]:
    """A stump, a tree of three levels, and a short course of boosting with such trees."""
    columns, edges = _places(X)
    if not len(columns):
        return {}
    is_above = (X[:, columns] > edges).astype(np.float32)
    is_new_above = (new[:, columns] > edges).astype(np.float32)
    found = {
        "stump": _tree(is_above, Y, is_new_above, depth=1)[1],
        "tree": _tree(is_above, Y, is_new_above, depth=3)[1],
    }
    random = np.random.default_rng(2)
    left, told = Y.copy(), np.zeros((len(new), Y.shape[1]))
    for _ in range(ROUNDS):
        some = np.flatnonzero(random.random(len(columns)) < TRIED)
        if len(some):
            own, other = _tree(is_above[:, some], left, is_new_above[:, some], depth=3)
            left, told = left - PACE * own, told + PACE * other
    found["boosted"] = told
    return found


def _places(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where columns may be parted: a column and an edge for each place."""
    quantiles = np.quantile(X, np.linspace(0, 1, EDGES + 2)[1:-1], axis=0)
    pairs = [(column, edge) for column in range(X.shape[1]) for edge in np.unique(quantiles[:, column])]
    pairs = [(column, edge) for column, edge in pairs if edge < X[:, column].max()]
    # A column of two values has its upper one at every quantile where that is frequent: part it below.
    lone = set(range(X.shape[1])) - {column for column, _ in pairs}
    pairs += [(column, float(X[:, column].min())) for column in sorted(lone)]
    return np.array([column for column, _ in pairs], dtype=np.int64), np.array([edge for _, edge in pairs])


def _tree(is_above: np.ndarray, Y: np.ndarray, is_new_above: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """A greedy tree's answers for its own rows and for new ones."""
    own, told = np.zeros(Y.shape), np.zeros((len(is_new_above), Y.shape[1]))
    nodes = [(np.arange(len(Y)), np.arange(len(is_new_above)), depth)]
    while nodes:
        mine, new, levels = nodes.pop()
        middle = Y[mine].mean(axis=0)
        own[mine], told[new] = middle, middle
        if not levels or len(mine) < 10:
            continue
        sides = is_above[mine]
        counts = sides.sum(axis=0)
        sums = sides.T @ (Y[mine] - middle).astype(np.float32)
        gains = (sums**2).sum(axis=1) * len(mine) / np.maximum(counts * (len(mine) - counts), 1e-9)
        gains[(counts < 3) | (counts > len(mine) - 3)] = 0.0
        best = int(np.argmax(gains))
        if gains[best] <= 1e-9:
            continue
        up, new_up = sides[:, best] > 0, is_new_above[new, best] > 0
        nodes += [(mine[up], new[new_up], levels - 1), (mine[~up], new[~new_up], levels - 1)]
    return own, told
