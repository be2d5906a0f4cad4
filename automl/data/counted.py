"""Rows that repeat others, features and answer alike: learned from once, with the weight of all.

A booster takes as long for a row met a hundred times as for a hundred rows, and learns the same from one of weight 100.
CatBoost does not: it scales its penalty by the mean weight. Only what is learned from shrinks: features are made, rows
drawn and models judged by all rows as they are.
"""

from __future__ import annotations

import numpy as np

from search_spaces.spec import Rows

MANY = 1 / 3  # of the rows must repeat others: below it hardly any time is won


def find_same(twins: np.ndarray | None, y: np.ndarray) -> np.ndarray | None:
    """A number per row, equal for rows with the same features (`twins`) and answer; None where few repeat others."""
    if twins is None or len(twins) < len(y):  # a table without columns
        return None
    answers = np.unique(y, return_inverse=True)[1].astype(np.int64)
    distinct, repeats = np.unique(twins.astype(np.int64) * (answers.max() + 1) + answers, return_inverse=True)
    return repeats.astype(np.int32) if len(distinct) <= (1 - MANY) * len(y) else None


def share_of_distinct(repeats: np.ndarray | None) -> float:
    """Distinct rows for each row."""
    return 1.0 if repeats is None else (int(repeats.max()) + 1) / len(repeats)


def told(repeats: np.ndarray) -> str:
    """What is done about them, for the user."""
    return f"{1 - share_of_distinct(repeats):.0%} of the rows repeat others: boosting counts them once, with weights"


def counted_once(rows: Rows, repeats: np.ndarray) -> Rows:
    """The first of the rows with each number, with the weight of them all."""
    _, first, group = np.unique(repeats, return_index=True, return_inverse=True)
    weight = np.bincount(group, rows.weight)
    order = np.argsort(first)
    kept = first[order]
    return Rows(rows.X.take(kept), rows.y[kept], weight[order].astype(np.float64), stands_for=len(rows))
