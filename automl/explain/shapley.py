"""What each column adds to an answer, of any model: columns take their own cells one after another, in many orders.

A row begins as a usual one and ends as itself, so the additions of every order sum to the difference between the two
answers. Each order is walked in both directions (Castro and others, 2009; Mitchell and others, 2022). Of few columns
all sets are asked instead, and nothing is left to chance. Orders are the same for every row: a row is told alike
wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np

MOST_USUAL = 64  # rows that answers are compared with
FEWEST_ORDERS = 4

# (n, columns) whether each has its own cell, and (n,) the usual row that gives the others -> (n,) answers
Worth = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Walk:
    """Which questions are asked of each row."""

    columns: int
    usual: int  # rows that are compared with
    rounds: int = 0  # orders for each usual row, each in both directions; 0: all sets of columns are asked

    @property
    def is_whole(self) -> bool:
        """Whether all sets of columns are asked."""
        return self.rounds == 0


def plan(columns: int, usual: int, asked: int) -> Walk:
    """As careful as about so many questions about a row allow; of very many columns fewer usual rows are looked at."""
    usual = min(usual, MOST_USUAL)
    if columns < 20 and 2**columns * usual <= asked:
        return Walk(columns, usual)
    orders = max(FEWEST_ORDERS, asked // (2 * max(1, columns - 1)))
    return Walk(columns, min(usual, orders), max(1, orders // usual))


def additions(worth: Worth, walk: Walk, said: float, usual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(columns,) additions of a row and their standard errors; `usual`: the answers to the usual rows.

    The errors are those of the choice of usual rows, and of orders where not all are asked.
    """
    if walk.columns == 1:
        each = (said - usual)[:, None]
    else:
        each = _of_all_sets(worth, walk) if walk.is_whole else _of_orders(worth, walk, said, usual)
    errors = each.std(axis=0, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.zeros(walk.columns)
    return each.mean(axis=0), errors


def _of_all_sets(worth: Worth, walk: Walk) -> np.ndarray:
    """(usual rows, columns) means over every order: each set without a column against the same set with it."""
    count = walk.columns
    every = np.arange(2**count)
    own = (every[:, None] >> np.arange(count)) % 2 == 1
    among = np.tile(np.arange(walk.usual), len(every))
    worths = worth(np.repeat(own, walk.usual, axis=0), among).reshape(len(every), walk.usual)
    values = np.empty((walk.usual, count))
    for column in range(count):
        without = every[~own[:, column]]
        shares = np.array([1 / (count * comb(count - 1, size)) for size in own[without].sum(axis=1)])
        values[:, column] = shares @ (worths[without + (1 << column)] - worths[without])
    return values


def _of_orders(worth: Worth, walk: Walk, said: float, usual: np.ndarray) -> np.ndarray:
    """(orders, columns) means of an order and its reverse."""
    count, pairs = walk.columns, walk.usual * walk.rounds
    random = np.random.default_rng(0)
    forward = np.stack([random.permutation(count) for _ in range(pairs)])
    orders, among = np.concatenate([forward, forward[:, ::-1]]), np.tile(np.arange(pairs) % walk.usual, 2)
    turn = np.argsort(orders, axis=1)  # when each column takes its own cell
    own = turn[:, None, :] <= np.arange(count - 1)[None, :, None]
    between = worth(own.reshape(-1, count), np.repeat(among, count - 1)).reshape(len(orders), count - 1)
    path = np.column_stack([usual[among], between, np.full(len(orders), said)])
    steps = np.take_along_axis(np.diff(path, axis=1), turn, axis=1)
    return np.asarray((steps[:pairs] + steps[pairs:]) / 2)
