"""Texts that say the same, or nearly: folds keep them together, the audit lists them.

The same are those whose letters agree, whatever their capitals, numbers, links and signs. Nearly the same are longer
ones that share most of their runs of three words; equal smallest hashes propose them, and the runs then must agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from search_spaces.text.terms import Terms, clean, count

LEAST_WORDS = 4  # shorter texts are the same by chance ("thank you"), and repeat in production as well
RUN = 3
LEAST_RUNS = 6
ORDERS = tuple(np.uint64(odd) for odd in (2654435761, 2246822519, 3266489917, 668265263))  # of hashes, one a look
SMALLEST = 2  # hashes that must be equal in one of these orders to propose two texts
ALIKE = 0.6  # of the runs of both that both have
LARGEST, CROWD = 0.05, 20  # of the rows, and in any case: what repeats more often is how the texts of this set are
MOST_LETTERS = 20_000_000  # of all texts together, among which those that are nearly the same are looked for: seconds
_NOISE = re.compile(r"https?://\S+|www\.\S+|[@#]\w+|[\d\W_]+", re.UNICODE)


def find_twins(texts: Sequence[str]) -> np.ndarray | None:
    """A number for each text, the same for those that say the same; None where no two do."""
    most, each = max(CROWD, LARGEST * len(texts)), np.arange(len(texts))
    same = _same(texts)
    same = np.where(_sizes(same) > most, each, same)
    if sum(map(len, texts)) <= MOST_LETTERS:
        near = _joined(same, _near(texts, same))
        same = np.where(_sizes(near) > most, len(texts) + same, near)  # too many hang together: copies stay copies
    found, twins = np.unique(same, return_inverse=True)
    return None if len(found) == len(texts) else np.asarray(twins, dtype=np.int64)


def _sizes(groups: np.ndarray) -> np.ndarray:
    """Of each row how many are in its group."""
    return np.asarray(np.bincount(groups, minlength=1)[groups])


def _same(texts: Sequence[str]) -> np.ndarray:
    """The first text with the same letters; short ones are nobody's twins."""
    first: dict[str, int] = {}
    found = np.arange(len(texts))
    for at, text in enumerate(texts):
        letters = _NOISE.sub(" ", clean(text)).strip()
        if letters.count(" ") + 1 >= LEAST_WORDS or len(letters) > 8 * LEAST_WORDS:
            found[at] = first.setdefault(letters, at)
    return found


def _near(texts: Sequence[str], same: np.ndarray) -> np.ndarray:
    """Pairs of which most runs agree, (pairs, 2)."""
    rows = np.flatnonzero(same == np.arange(len(texts)))
    runs = count([texts[row] for row in rows.tolist()], Terms("words", RUN))
    sizes = np.diff(runs.indptr)
    pairs = []
    first: dict[tuple[int, ...], int] = {}
    for at in np.flatnonzero(sizes >= LEAST_RUNS).tolist():
        mine = _runs_of(runs, at)
        others = {first.setdefault((look, *_smallest(mine, order)), at) for look, order in enumerate(ORDERS)}
        pairs += [
            (rows[other], rows[at]) for other in sorted(others - {at}) if _shared(_runs_of(runs, other), mine) >= ALIKE
        ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _runs_of(runs: Any, row: int) -> np.ndarray:
    return np.asarray(runs.indices[runs.indptr[row] : runs.indptr[row + 1]])


def _smallest(hashes: np.ndarray, order: np.uint64) -> list[int]:
    """The first of them in an order that has nothing to do with their size, the same for all texts."""
    found: list[int] = np.partition(hashes.astype(np.uint64) * order % np.uint64(1 << 32), SMALLEST)[:SMALLEST].tolist()
    return sorted(found)


def _shared(a: np.ndarray, b: np.ndarray) -> float:
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / (len(a) + len(b) - both)


def _joined(same: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """One number for all that hang together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a = np.concatenate([np.arange(len(same)), pairs[:, 0]])
    b = np.concatenate([same, pairs[:, 1]])
    _, found = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(len(same), len(same))), directed=False)
    return np.asarray(found)
