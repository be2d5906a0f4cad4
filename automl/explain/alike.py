"""Columns that say the same: shuffling one of them costs little, since the other one still tells it.

Numbers are compared by their ranks (Spearman), categories by Cramer's V, a number and a category by how much of the
ranks' variance the category explains; all lie in 0 .. 1, the latter two less what chance gives. Columns are a group
where every two of them go together: chains of weak links are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl.explain.cells import Place
from automl.modalities.mixture import Raw

LEVEL = 0.8  # from which two columns say the same
LOOKED_AT = 2_000  # rows
MOST_NUMBERS, MOST_CATEGORIES = 1_000, 60  # columns that are compared, in the order of the table
MOST_LABELS = 50  # of a category; one with more identifies rows rather than going together with anything
MOST_GROUPS = 10
LEAST_KNOWN = 0.5  # of the cells of a number


@dataclass(frozen=True)
class Group:
    """Columns that go together."""

    members: tuple[int, ...]  # their places, rising
    alike: float  # of the two that go together least


def groups(raw: Raw, places: Sequence[Place]) -> tuple[Group, ...]:
    """The columns among these that say the same, the closest first."""
    rows = np.unique(np.linspace(0, len(raw) - 1, min(len(raw), LOOKED_AT)).astype(np.int64))
    numbers, ranks = _ranks(raw, places, rows)
    categories, codes = _codes(raw, places, rows)
    found = np.zeros((len(places), len(places)))
    if len(numbers):
        found[np.ix_(numbers, numbers)] = np.abs(ranks.T @ ranks) / len(rows)
    for at, (place, own) in enumerate(zip(categories, codes, strict=True)):
        for other, theirs in zip(categories[:at], codes[:at], strict=True):
            found[place, other] = found[other, place] = _cramer(own, theirs)
        if len(numbers):
            found[place, numbers] = found[numbers, place] = _explained(own, ranks)
    np.fill_diagonal(found, 0.0)
    return _together(found)


def _ranks(raw: Raw, places: Sequence[Place], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns of numbers that are known often enough, and their standardised ranks; gaps lie in the middle."""
    told: list[np.ndarray] = []
    kept: list[int] = []
    for at, place in enumerate(places):
        if not place.numbers or len(kept) == MOST_NUMBERS:
            continue
        values = raw.numbers[rows, place.numbers[0]].astype(np.float64)
        known = np.isfinite(values)
        if known.mean() < LEAST_KNOWN:
            continue
        _, cell, counts = np.unique(values[known], return_inverse=True, return_counts=True)
        middle = np.cumsum(counts) - (counts + 1) / 2
        rank = np.zeros(len(rows))
        rank[known] = middle[cell] - middle[cell].mean()
        spread = rank.std()
        if spread > 0:
            told.append(rank / spread)
            kept.append(at)
    return np.array(kept, dtype=np.int64), np.array(told).reshape(len(kept), len(rows)).T


def _codes(raw: Raw, places: Sequence[Place], rows: np.ndarray) -> tuple[list[int], list[np.ndarray]]:
    """The columns of categories with few labels, numbered from zero."""
    told: list[np.ndarray] = []
    kept: list[int] = []
    for at, place in enumerate(places):
        if place.code is None or len(kept) == MOST_CATEGORIES:
            continue
        seen, cells = np.unique(raw.codes[rows, place.code], return_inverse=True)
        if 1 < len(seen) <= min(MOST_LABELS, len(rows) // 5):
            kept.append(at)
            told.append(cells)
    return kept, told


def _cramer(first: np.ndarray, second: np.ndarray) -> float:
    """Cramer's V, less what chance gives (Bergsma, 2013)."""
    rows, wide, high = len(first), int(first.max()) + 1, int(second.max()) + 1
    counts = np.bincount(first * high + second, minlength=wide * high).reshape(wide, high)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / rows
    mean_square = float((np.square(counts - expected) / expected).sum()) / rows
    less = max(0.0, mean_square - (wide - 1) * (high - 1) / (rows - 1))
    sides = min(side - (side - 1) ** 2 / (rows - 1) for side in (wide, high)) - 1
    return float(np.sqrt(less / sides)) if sides > 0 else 0.0


def _explained(cells: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Of each column of ranks the root of the variance that the category explains, less what chance gives."""
    rows, size = len(cells), int(cells.max()) + 1
    counts = np.bincount(cells, minlength=size)
    sums = np.stack([np.bincount(cells, column, minlength=size) for column in ranks.T], axis=1)
    between = (np.square(sums) / counts[:, None]).sum(axis=0) / rows
    less = (between * (rows - 1) - (size - 1)) / max(1, rows - size)
    return np.asarray(np.sqrt(np.clip(less, 0.0, 1.0)))


def _together(found: np.ndarray) -> tuple[Group, ...]:
    """Groups are joined from the closest pair on, while every two columns in them go together."""
    own = [{at} for at in range(len(found))]
    pairs = np.argwhere(np.triu(found >= LEVEL, 1))
    order = np.argsort(-found[pairs[:, 0], pairs[:, 1]], kind="stable")
    for first, second in pairs[order].tolist():
        one, other = own[first], own[second]
        if one is not other and found[np.ix_(sorted(one), sorted(other))].min() >= LEVEL:
            one |= other
            for at in other:
                own[at] = one
    told = {min(group): tuple(sorted(group)) for group in own if len(group) > 1}
    made = [Group(members, _least(found, members)) for members in told.values()]
    return tuple(sorted(made, key=lambda group: (-group.alike, group.members))[:MOST_GROUPS])


def _least(found: np.ndarray, members: tuple[int, ...]) -> float:
    among = found[np.ix_(members, members)]
    return min(1.0, float(among[np.triu_indices(len(members), 1)].min()))
