"""Rows in cells: which rows share a value, what their answers are on average, and whether that says anything.

One measure decides which columns, pairs and combinations earn a feature: the share of the answers' variance that the
means of cells explain on rows that had no part in the means. It costs two counts, so hundreds can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from automl.modalities.protocol import Raw

SMOOTHING = 10.0  # rows of the overall mean that are mixed into each cell's mean
PARTS = 5  # in which the training rows' own means are made, each without its own rows
MOST_ANSWERS = 12  # of many classes the most frequent are averaged


@dataclass(frozen=True)
class Key:
    """A way to put rows into cells: by a category, by a number's exact value, or by a pair of those. 0: never seen."""

    kind: str  # "code" | "value" | "pair"
    column: int  # of the codes or the numbers; unused in a pair
    seen: np.ndarray  # rising: codes, exact values or pair numbers met in training, cell k + 1 for entry k
    pair: tuple[Key, Key] | None = None

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(self.seen) + 1

    def cells(self, raw: Raw) -> np.ndarray:
        """The cell of every row."""
        values = self._values(raw)
        if not len(self.seen):
            return np.zeros(len(values), dtype=np.int64)
        place = np.minimum(np.searchsorted(self.seen, values), len(self.seen) - 1)
        return np.asarray(np.where(self.seen[place] == values, place + 1, 0))

    def _values(self, raw: Raw) -> np.ndarray:
        if self.pair is not None:
            first, second = self.pair
            return np.asarray(first.cells(raw).astype(np.int64) * second.size + second.cells(raw))
        return np.asarray((raw.codes if self.kind == "code" else raw.numbers)[:, self.column])


def by_code(raw: Raw, column: int) -> Key:
    """Cells of a category column."""
    seen = np.unique(raw.codes[:, column])
    return Key("code", column, seen[seen > 0])


def by_value(raw: Raw, column: int) -> Key:
    """Cells of a number column, one for each exact value."""
    values = raw.numbers[:, column]
    return Key("value", column, np.unique(values[~np.isnan(values)]))


def by_pair(raw: Raw, first: Key, second: Key) -> Key:
    """Cells of two keys together, those that hold at least two rows."""
    joint = Key("pair", -1, np.zeros(0, dtype=np.int64), (first, second))
    values, counts = np.unique(joint._values(raw), return_counts=True)
    return Key("pair", -1, values[counts > 1], (first, second))


def answer_columns(y: np.ndarray, outputs: int) -> np.ndarray:
    """What is averaged, (rows, m): the standardised value, whether the class is positive, or which class it is."""
    if y.dtype.kind == "f":
        return np.asarray((y - y.mean()) / (y.std() or 1.0))[:, None]
    if outputs == 2:
        return np.asarray(y == 1, dtype=np.float64)[:, None]
    frequent = np.argsort(-np.bincount(y, minlength=outputs), kind="stable")[:MOST_ANSWERS]
    return np.asarray(y[:, None] == np.sort(frequent)).astype(np.float64)


def cell_means(cells: np.ndarray, size: int, values: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """(size, m): smoothed mean of the values of each cell; cell 0, and what nobody saw, is the overall mean."""
    weight = np.ones(len(cells)) if weight is None else weight / weight.mean()
    prior = np.average(values, axis=0, weights=weight)
    rows = np.bincount(cells, weight, minlength=size)[:, None]
    sums = np.stack([np.bincount(cells, weight * column, minlength=size) for column in values.T], axis=1)
    means = (sums + SMOOTHING * prior) / (rows + SMOOTHING)
    means[0] = prior
    return np.asarray(means)


def means_without_own(
    cells: np.ndarray, size: int, values: np.ndarray, weight: np.ndarray | None, seed: int
) -> np.ndarray:
    """(rows, m): for each training row the means of its cell that its own part of the rows had no share in."""
    part = np.random.default_rng(seed).permutation(len(cells)) % PARTS
    told = np.empty(values.shape)
    for k in range(PARTS):
        others, own = part != k, part == k
        some = None if weight is None else weight[others]
        told[own] = cell_means(cells[others], size, values[others], some)[cells[own]]
    return told


def worth(cells: np.ndarray, size: int, values: np.ndarray) -> float:
    """Share of the variance of `values` that cell means, learned on every other row, explain on the rows between."""
    learn, judge = slice(0, None, 2), slice(1, None, 2)
    if len(cells) < 4:
        return 0.0
    told = cell_means(cells[learn], size, values[learn])[cells[judge]]
    spread = np.square(values[judge] - values[learn].mean(axis=0)).sum()
    return float(1 - np.square(values[judge] - told).sum() / spread) if spread > 0 else 0.0


def in_bins(values: np.ndarray, count: int) -> np.ndarray:
    """The quantile bin of every value, from 1; missing values have bin 0."""
    known = values[np.isfinite(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, count + 1)[1:-1])) if len(known) else np.zeros(0)
    return np.where(np.isfinite(values), np.searchsorted(edges, values, side="right") + 1, 0)
