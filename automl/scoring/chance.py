"""Means and shares of held-out rows with the interval of chance: weights count, rows that err alike count once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from automl.scoring.metrics import student

LEVEL = 0.95
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True)
class Estimate:
    """A mean and where it may lie; of nothing that can vary the interval has no width."""

    value: float
    low: float
    high: float


def standard_error(values: np.ndarray, weight: np.ndarray, blocks: np.ndarray | None = None) -> float:
    """Of the weighted mean: rows of one block are one draw; infinite where there is but one."""
    return _spread(values, weight, blocks)[0]


def mean(values: np.ndarray, weight: np.ndarray, blocks: np.ndarray | None = None) -> Estimate:
    """The weighted mean with its 95 % interval."""
    middle = float(np.average(values, weights=weight))
    error, count = _spread(values, weight, blocks)
    half = student(LEVEL, count - 1) * error if count > 1 else math.inf
    return Estimate(middle, middle - half, middle + half)


def share(hits: np.ndarray, weight: np.ndarray, blocks: np.ndarray | None = None) -> Estimate:
    """The weighted share of rows that are hits, with Wilson's interval for as many rows as tell as much."""
    middle = float(np.average(hits, weights=weight))
    error, count = _spread(hits, weight, blocks)
    rows = float(weight.sum()) ** 2 / float(np.square(weight).sum())
    if blocks is not None and not 0 < error < math.inf:  # all alike: as many draws as blocks
        rows = min(rows, count)
    elif 0 < error < math.inf:
        rows = min(rows, max(1.0, middle * (1 - middle) / error**2))
    z = Z if blocks is None or count < 2 else student(LEVEL, count - 1)
    return wilson(middle, rows, z)


def wilson(middle: float, rows: float, z: float = Z) -> Estimate:
    """Where a share may lie that so many rows showed."""
    bend = z * z / rows
    centre = (middle + bend / 2) / (1 + bend)
    half = z / (1 + bend) * math.sqrt(max(0.0, middle * (1 - middle) / rows + bend / (4 * rows)))
    return Estimate(middle, max(0.0, min(middle, centre - half)), min(1.0, max(middle, centre + half)))


def quantile(values: np.ndarray, weight: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The values below which these shares of the weight lie."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    places = np.searchsorted(reached - weight[order] / 2, levels * reached[-1])
    return np.asarray(values[order][np.minimum(places, len(values) - 1)])


def _spread(values: np.ndarray, weight: np.ndarray, blocks: np.ndarray | None) -> tuple[float, int]:
    """The standard error of the weighted mean, and of how many draws."""
    total = float(weight.sum())
    moved = weight * (values - float(weight @ values) / total)
    if blocks is not None:
        moved = np.asarray(np.bincount(np.unique(blocks, return_inverse=True)[1], moved), dtype=np.float64)
    count = len(moved)
    return (math.sqrt(float(moved @ moved) * count / (count - 1)) / total if count > 1 else math.inf), count
