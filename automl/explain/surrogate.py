"""A tree of a few questions that says about what a model says, in the columns as people read them.

Grown on what the model said of some rows, and asked about others. Numbers are cut at round values, categories are
taken together by what is said of them, missing cells go where they fit; categories beyond the frequent ones go with
those that are not named.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from automl.data.facets import Facet

DEPTH = 3
CUTS, LABELS = 32, 24  # values of a number that are tried, and categories that can be named
LEAST_GAIN = 0.01  # of what there is to explain, that a question must be worth
DAY_S = 86_400.0


@dataclass(frozen=True)
class Split:
    """A question about a column; rows that it holds for go to the first side."""

    facet: int
    below: float | None  # of numbers
    labels: tuple[int, ...]  # of categories
    takes_missing: bool

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Whether it holds, by row."""
        inside = values < self.below if self.below is not None else np.isin(values, np.array(self.labels, dtype=float))
        return np.asarray(inside | (np.isnan(values) & self.takes_missing))


@dataclass(frozen=True)
class TreeNode:
    """A leaf, or a question and its two sides."""

    mean: np.ndarray  # (outputs,) of what is said of its rows
    weight: float
    split: Split | None = None
    sides: tuple[TreeNode, ...] = ()

    def flat(self, depth: int = 0) -> Iterator[tuple[int, TreeNode]]:
        """Itself and all below it, each with its depth."""
        yield depth, self
        for side in self.sides:
            yield from side.flat(depth + 1)


def grow(facets: Sequence[Facet], told: np.ndarray, weight: np.ndarray, least: int, depth: int = DEPTH) -> TreeNode:
    """The tree that leaves the least squared distance to what was told, (rows, outputs), question by question."""
    worth = LEAST_GAIN * _scatter(told, weight)
    return _grown(facets, told, weight, (least, worth), (np.arange(len(told)), depth))


def said(node: TreeNode, facets: Sequence[Facet], rows: np.ndarray) -> np.ndarray:
    """What the tree says of rows."""
    if node.split is None:
        return np.tile(node.mean, (len(rows), 1))
    holds = node.split.holds(facets[node.split.facet].values[rows])
    found = np.empty((len(rows), len(node.mean)))
    for side, own in zip(node.sides, (holds, ~holds), strict=True):
        found[own] = said(side, facets, rows[own])
    return found


def _grown(
    facets: Sequence[Facet], told: np.ndarray, weight: np.ndarray, least: tuple[int, float],
    place: tuple[np.ndarray, int],
) -> TreeNode:  # fmt: skip
    """Of some rows the best question, as long as it is worth one, and so on down to the depth that is left."""
    rows, depth = place
    node = TreeNode(np.average(told[rows], axis=0, weights=weight[rows]), float(weight[rows].sum()))
    if depth == 0 or len(rows) < 2 * least[0]:
        return node
    best, split = least[1], None
    for at, facet in enumerate(facets):
        gain, found = _best(facet, told[rows], weight[rows], rows, (at, least[0]))
        if found is not None and gain > best:
            best, split = gain, found
    if split is None:
        return node
    holds = split.holds(facets[split.facet].values[rows])
    sides = tuple(_grown(facets, told, weight, least, (own, depth - 1)) for own in (rows[holds], rows[~holds]))
    return TreeNode(node.mean, node.weight, split, sides)


def _best(
    facet: Facet, told: np.ndarray, weight: np.ndarray, rows: np.ndarray, at: tuple[int, int]
) -> tuple[float, Split | None]:
    """The best question about a column, and how much squared distance it takes away."""
    values = facet.values[rows]
    groups, keys, count = _grouped(facet, values)
    if not count:
        return 0.0, None
    missing = count + 1
    sizes, mass = np.bincount(groups, minlength=count + 2), np.bincount(groups, weight, minlength=count + 2)
    sums = np.stack([np.bincount(groups, weight * one, minlength=count + 2) for one in told.T], axis=1)
    order = _order(facet, mass[:count], sums[:count])
    best, found = 0.0, None
    for takes_missing in (False, True) if sizes[missing] else (False,):
        extra = float(takes_missing)
        left_rows = np.cumsum(sizes[order]) + extra * sizes[missing]
        left, left_sums = np.cumsum(mass[order]), np.cumsum(sums[order], axis=0)
        gains = _gains(left + extra * mass[missing], left_sums + extra * sums[missing], mass.sum(), sums.sum(axis=0))
        gains[(left_rows < at[1]) | (len(rows) - left_rows < at[1])] = -1.0
        k = int(gains.argmax())
        if gains[k] > best:
            best = float(gains[k])
            if k + 1 == count and not sizes[count]:  # all that is known on one side: asked is what is missing
                found = Split(at[0], None, (), takes_missing=True)
            else:
                found = replace(_asked(facet, keys, order[: k + 1], values), facet=at[0], takes_missing=takes_missing)
    return best, found


def _asked(facet: Facet, keys: np.ndarray, groups: np.ndarray, values: np.ndarray) -> Split:
    """Whether a row is in one of these groups, which come first."""
    if facet.labels:
        return Split(0, None, tuple(sorted(int(keys[k]) for k in groups)), takes_missing=False)
    cut = float(keys[len(groups) - 1])
    below = float(values[values < cut].max())
    return Split(0, round_between(below, cut, is_date=facet.is_date), (), takes_missing=False)


def _grouped(facet: Facet, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The group of each row, what names the groups, and how many there are.

    Behind them one of categories that cannot be named, and one of missing cells.
    """
    gone = np.isnan(values)
    known = values[~gone]
    if facet.labels:
        keys = np.unique(known[known < LABELS])
        groups, count = np.searchsorted(keys, np.where(gone, 0, values)), len(keys)
        groups[~gone & (values >= LABELS)] = count
    else:
        cuts = np.quantile(known, np.arange(1, CUTS) / CUTS, method="higher") if len(known) else known
        keys = np.unique(cuts[cuts > known.min(initial=math.inf)])
        groups, count = np.searchsorted(keys, values, side="right"), (len(keys) + 1) * bool(len(known))
    groups[gone] = count + 1
    return groups, keys, count


def _order(facet: Facet, mass: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Numbers as they are; categories by what is said of them."""
    if not facet.labels:
        return np.arange(len(mass))
    means = sums / np.maximum(mass, 1e-12)[:, None]
    middle = sums.sum(axis=0) / max(float(mass.sum()), 1e-12)
    widest = int((mass @ np.square(means - middle)).argmax())
    return np.argsort(means[:, widest], kind="stable")


def _gains(left: np.ndarray, left_sums: np.ndarray, mass: float, sums: np.ndarray) -> np.ndarray:
    """How much squared distance each cut takes away."""
    right, right_sums = mass - left, sums - left_sums
    with np.errstate(divide="ignore", invalid="ignore"):
        gains = (np.square(left_sums).sum(axis=1) / left + np.square(right_sums).sum(axis=1) / right
                 - float(sums @ sums) / mass)  # fmt: skip
    return np.where(np.isfinite(gains), gains, -1.0)


def round_between(low: float, high: float, *, is_date: bool = False) -> float:
    """The roundest number above `low` and not above `high`: what divides the same rows, and can be said."""
    if is_date:
        day = math.floor(high / DAY_S) * DAY_S
        return day if day > low else high
    scale, middle = max(abs(low), abs(high), 1e-300), low + (high - low) / 2
    for digits in range(1, 16):
        step = 10.0 ** (math.floor(math.log10(scale)) + 1 - digits)
        found = float(f"{round(middle / step) * step:.15g}")
        if low < found <= high:
            return found
    return high


def _scatter(told: np.ndarray, weight: np.ndarray) -> float:
    return float(weight @ np.square(told - np.average(told, axis=0, weights=weight)).sum(axis=1))
