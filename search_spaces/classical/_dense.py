"""Encoded rows as the numbers that linear models and distances need: imputed, clipped, scaled, one-hot.

The one-hot block stays as one column number per row and categorical column, so that a linear model can look weights up
instead of multiplying zeros. State is plain arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from search_spaces.checked import indices, need, places, table
from search_spaces.spec import Matrix


@dataclass(frozen=True)
class Dense:
    """Rows in numbers: a block to multiply with, and which of `width` one-hot columns are set."""

    numbers: np.ndarray  # float32 (rows, n)
    hot: np.ndarray  # int32 (rows, categorical columns), each in 0 .. width - 1
    width: int

    def full(self) -> np.ndarray:
        """Both blocks as one float32 matrix."""
        ones = np.zeros((len(self.numbers), self.width), dtype=np.float32)
        np.put_along_axis(ones, self.hot, np.float32(1), axis=1)
        return np.concatenate([self.numbers, ones], axis=1)

    def sparse_hot(self) -> Any:
        """The one-hot block as a SciPy matrix, float32."""
        from scipy.sparse import csr_array

        rows, columns = self.hot.shape
        ones = np.ones(rows * columns, dtype=np.float32)
        starts = np.arange(rows + 1, dtype=np.int32) * columns
        return csr_array((ones, self.hot.reshape(-1), starts), shape=(rows, self.width))


@dataclass(frozen=True)
class DenseEncoder:
    """What the training rows taught about each column."""

    median: np.ndarray
    low: np.ndarray  # values are clipped to low .. high
    high: np.ndarray
    center: np.ndarray
    spread: np.ndarray
    flagged: np.ndarray  # numeric columns that get a missing-or-not column
    bends: np.ndarray  # (numeric columns, knots): where a linear model may change its slope, after scaling
    slots: np.ndarray  # one-hot column of every code of every categorical column, one after the other
    starts: np.ndarray  # where each categorical column begins in `slots`
    width: int

    @classmethod
    def fit(cls, X: Matrix, most_hot: int, bends: int = 0) -> DenseEncoder:
        """Learn from training rows; rare codes share a column, so that at most about `most_hot` are used."""
        count = X.numbers.shape[1]
        limits = np.array([_limits(X.numbers[:, j]) for j in range(count)]).reshape(count, 3)
        median, low, high = limits.T.astype(np.float32)
        slots, starts, width = _slots(X, most_hot)
        encoder = cls(
            median=median,
            low=low,
            high=high,
            center=np.zeros(count, dtype=np.float32),
            spread=np.ones(count, dtype=np.float32),
            flagged=np.flatnonzero(np.isnan(X.numbers).any(axis=0)),
            bends=np.empty((count, 0), dtype=np.float32),
            slots=slots,
            starts=starts,
            width=width,
        )
        filled = encoder.filled(X)
        spread = filled.std(axis=0, dtype=np.float64)
        spread[spread <= 1e-7 * np.abs(filled).max(axis=0, initial=0)] = 1  # constant but for rounding
        encoder = replace(
            encoder, center=filled.mean(axis=0, dtype=np.float64).astype(np.float32), spread=spread.astype(np.float32)
        )
        if bends and count:
            scaled = _sample((filled - encoder.center) / encoder.spread)
            encoder = replace(encoder, bends=np.stack([_bends(column, bends) for column in scaled.T]))
        return encoder

    @property
    def columns(self) -> int:
        """How many columns both blocks have together."""
        bent: int = len(self.median) * (1 + self.bends.shape[1])
        return bent + len(self.flagged) + self.width

    def encode(self, X: Matrix) -> Dense:
        """Rows in numbers."""
        scaled = (self.filled(X) - self.center) / self.spread
        blocks = [scaled, *(np.maximum(scaled - bend, 0) for bend in self.bends.T)]
        blocks.append(np.isnan(X.numbers[:, self.flagged]).astype(np.float32))
        return Dense(np.concatenate(blocks, axis=1), self.slots[X.codes + self.starts], self.width)

    def added(self, X: Matrix, slopes: np.ndarray) -> np.ndarray:
        """(rows, columns of numbers and then of codes, outputs): what each adds where every column here has a slope."""
        dense, count = self.encode(X), len(self.median)
        of_number = np.concatenate([np.tile(np.arange(count), 1 + self.bends.shape[1]), self.flagged]).astype(np.int64)
        added = np.zeros((len(X), count + X.codes.shape[1], slopes.shape[1]))
        for place, own in enumerate(of_number.tolist()):
            added[:, own] += dense.numbers[:, place, None].astype(np.float64) * slopes[place]
        added[:, count:] = slopes[dense.numbers.shape[1] :][dense.hot]
        return added

    def filled(self, X: Matrix) -> np.ndarray:
        """Numbers without gaps and outliers."""
        filled = np.where(np.isnan(X.numbers), self.median, X.numbers)
        return np.clip(filled, self.low, self.high, out=filled)

    def arrays(self) -> dict[str, np.ndarray]:
        """The state, for `from_arrays`."""
        return {name: np.asarray(value) for name, value in asdict(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> DenseEncoder:
        """Read what `arrays` gave."""
        count, codes = len(table(arrays, "median", (None,), "f")), len(table(arrays, "slots", (None,), "iu"))
        for name in ("low", "high", "center", "spread"):
            table(arrays, name, (count,), "f")
        table(arrays, "bends", (count, None), "f")
        width = int(table(arrays, "width", (), "iu"))
        places(table(arrays, "flagged", (None,)), "flagged", count)
        indices(arrays["slots"], "slots", width)
        starts = indices(table(arrays, "starts", (None,)), "starts", max(1, codes))
        need(bool((np.diff(starts) > 0).all()) and width <= codes + len(starts), "one-hot columns do not fit")
        return cls(**{**arrays, "width": width})


def _sample(values: np.ndarray) -> np.ndarray:
    """About 20,000 rows: enough for quantiles."""
    return values[:: max(1, len(values) // 20_000)]


def _bends(column: np.ndarray, count: int) -> np.ndarray:
    """Quantiles of a column; of its distinct values where a frequent value would take several of them."""
    shares = np.linspace(0, 1, count + 2)[1:-1]
    edges = np.quantile(column, shares)
    if len(np.unique(edges)) < count:
        edges = np.quantile(np.unique(column), shares)
    return np.asarray(edges, dtype=np.float32)


def _limits(column: np.ndarray) -> tuple[float, float, float]:
    """Median and the range to clip to: outer half percents plus a quartile range, so that only far outliers move."""
    seen = column[~np.isnan(column)].astype(np.float64)
    if not len(seen):
        return 0.0, 0.0, 0.0
    low, first, median, third, high = np.quantile(_sample(seen), [0.005, 0.25, 0.5, 0.75, 0.995])
    if low == high:  # nearly constant: its rare values are all that it says
        return float(median), float(seen.min()), float(seen.max())
    return float(median), float(low - (third - first)), float(high + (third - first))


def _slots(X: Matrix, most_hot: int) -> tuple[np.ndarray, np.ndarray, int]:
    """A one-hot column for each code seen at least twice, the most frequent first; the rest of a column shares one."""
    starts = np.cumsum([0, *X.sizes])[:-1].astype(np.int64)
    total = int(sum(X.sizes))
    counts = np.bincount((X.codes + starts).reshape(-1), minlength=total)
    order = np.argsort(-counts, kind="stable")[:most_hot]
    own = np.sort(order[counts[order] >= 2])
    slots = np.repeat(np.arange(len(X.sizes)), X.sizes)  # first the shared columns, one per categorical column
    slots[own] = len(X.sizes) + np.arange(len(own))
    return slots.astype(np.int32), starts, len(X.sizes) + len(own)
