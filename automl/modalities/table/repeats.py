"""Rows with equal features: copies, which flatter a score from both sides of a fold, or what few cells must lead to.

Tables of few discrete columns repeat combinations, and so will new rows: held out as a whole they would be scored on
what never comes. So rows stay together only where they repeat more often than chance explains. Chance is seen in two
ways: in what columns drawn independently would give, and in rows that are equal in all columns but one. Where that one
moves freely, many such rows make as many equal ones likely; copies have none.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from automl.modalities.protocol import Raw

EXPLAINED = (
    3.0  # times as many pairs of equal rows as predicted are still chance: columns depend on more than one other
)
MANY_TWINS, EXPLAINED_MANY = 10, 30.0  # the same where rows have so many others like them: nobody copies that often
COUNTED = 50_000  # rows that chance is judged on
PAIRED = 10  # columns whose dependence on each other is looked at: of so many, 45 pairs
NEARLY_FIXED = 0.95  # pairs that agree in a column, above which its rare changes predict nothing

Way = Literal["auto", "together", "apart"]


@dataclass(frozen=True)
class Repeats:
    """Which rows belong in one fold, and why."""

    twins: np.ndarray | None  # a number per row, equal for rows that stay together; None: each goes its own way
    why: str = ""  # empty where no row repeats another


def row_ids(raw: Raw) -> np.ndarray:
    """A number per row, from zero, equal for rows with equal features."""
    return _ids(_hashes(raw))


def judge(raw: Raw, y: np.ndarray, way: Way) -> Repeats:
    """What is to be done with rows of equal features."""
    columns = _hashes(raw)
    same = _ids(columns)
    repeated = len(same) - int(same.max(initial=-1)) - 1
    if not repeated:
        return Repeats(None)
    told = f"{repeated:,} rows repeat the features of another" if repeated > 1 else "a row repeats another's features"
    if way != "auto":
        return Repeats(same if way == "together" else None, f"{told}: {way}, as asked")
    random = np.random.default_rng(0)
    some = np.sort(random.permutation(len(y))[:COUNTED])
    seen, answers = [column[some] for column in columns], _mixed(np.unique(y[some], return_inverse=True)[1])
    alike, copies = _pairs(_sum(seen)), _pairs(_sum([*seen, answers]))
    if not _is_chance(seen, alike):
        return Repeats(same, f"{told}, more than chance explains")
    if 2 * copies < alike and not _is_chance([*seen, answers], copies):
        both = _ids([*columns, _mixed(np.unique(y, return_inverse=True)[1])])
        return Repeats(both, f"{told}: chance explains them, but not those with an equal answer")
    return Repeats(None, f"{told}, as often as so few combinations must: they are in any fold")


def _sum(columns: Sequence[np.ndarray]) -> np.ndarray:
    """A number per row that is the same for rows equal in all columns; wraps around, as hashes do."""
    total = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        total += column
    return total


def _hashes(raw: Raw) -> list[np.ndarray]:
    """Of each column a number per value, whose sums over columns do not meet by chance."""
    columns = [*raw.numbers.view(np.uint32).T, *raw.codes.view(np.uint32).T]
    columns += [np.array([zlib.crc32(text.encode("utf-8", "replace")) for text in texts]) for texts in raw.texts]
    return [_mixed(column, place + 1) for place, column in enumerate(columns)]


def _mixed(values: np.ndarray, salt: int = 0) -> np.ndarray:
    """Whole numbers as 64 bits without a pattern: the finisher of splitmix64."""
    mixed = values.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _ids(columns: Sequence[np.ndarray]) -> np.ndarray:
    """A number per row, from zero, equal for rows that are equal in all columns."""
    return np.asarray(np.unique(_sum(columns), return_inverse=True)[1]) if columns else np.empty(0, dtype=np.int64)


def _pairs(values: np.ndarray) -> float:
    """Pairs of rows with equal values."""
    sizes = np.unique(values, return_counts=True)[1].astype(np.float64)
    return float((sizes * (sizes - 1) / 2).sum())


def _is_chance(columns: Sequence[np.ndarray], alike: float) -> bool:
    """Whether so many pairs of equal rows need no copying: either way to predict them comes near enough."""
    total = _sum(columns)
    rows = len(total)
    each, most = np.array([_pairs(column) for column in columns]), rows * (rows - 1) / 2
    enough = alike / (EXPLAINED_MANY if 2 * alike > MANY_TWINS * rows else EXPLAINED)
    share = each / most
    if most * float(np.prod(share)) >= enough:
        return True
    free = [k for k in np.argsort(np.abs(share - 0.5), kind="stable") if share[k] <= NEARLY_FIXED][:PAIRED]
    near = {k: _pairs(total - columns[k]) - alike for k in free}  # equal but for this column
    agree = {k: float(share[k]) for k in free}  # of rows, those equal in it; then beside the column that tells it best

    def is_predicted() -> bool:
        return any(near[k] * agree[k] >= enough * (1 - agree[k]) for k in free if agree[k] <= NEARLY_FIXED)

    if is_predicted():
        return True
    for a, b in combinations([k for k in free if near[k]], 2):
        both = _pairs(columns[a] + columns[b]) - alike
        for one, other in ((a, b), (b, a)):
            if (beside := each[other] - alike) > 0:
                agree[one] = max(agree[one], both / beside)
    return is_predicted()
