"""Rows made between real ones, for a teacher to answer: each is a row with some cells of another one that is near.

So they lie where rows of the data lie, and what a teacher knows beyond the answers it was taught can be asked there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from automl.modalities.mixture import Raw

DRAWN = 24  # rows at random, of which the nearest lends its cells: near enough, whatever the number of rows
LENT = 0.35  # of the cells
COMPARED = 32  # columns of each sort, by which nearness is judged
FAR = 2.0  # standard deviations beyond which two numbers are merely different
CHUNK_ROWS = 2_000


def between(raw: Raw, count: int, seed: int) -> tuple[Raw, np.ndarray]:
    """So many new rows, and for each the place of the row that it was made from; every row has its turn."""
    random = np.random.default_rng((3, seed))
    turns = [random.permutation(len(raw)) for _ in range(-(-count // max(1, len(raw))))]
    first = np.concatenate([*turns, np.empty(0, dtype=np.int64)])[:count].astype(np.int64)
    lender = _nearest(raw, first, random)
    return _mixed(raw, first, lender, random), first


def _mixed(raw: Raw, first: np.ndarray, lender: np.ndarray, random: np.random.Generator) -> Raw:
    """Each row with some cells of its lender; a block moves with the numbers that describe it."""

    def is_lent(columns: int) -> np.ndarray:
        return np.asarray(random.random((len(first), columns)) < LENT)

    lent = is_lent(raw.numbers.shape[1])
    blocks = {}
    for name, block in raw.blocks.items():
        whole = is_lent(1)
        lent[:, list(raw.describing(name))] = whole
        blocks[name] = block.take(np.where(whole[:, 0], lender, first))
    return replace(
        raw,
        numbers=np.where(lent, raw.numbers[lender], raw.numbers[first]),
        codes=np.where(is_lent(raw.codes.shape[1]), raw.codes[lender], raw.codes[first]),
        texts=tuple(text[np.where(is_lent(1)[:, 0], lender, first)] for text in raw.texts),
        unseen=(),
        blocks=blocks,
    )


def _nearest(raw: Raw, rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """For each of these rows the nearest of a few that are drawn."""
    numbers, codes = _scaled(_some(raw.numbers, random)), _some(raw.codes, random)
    found = np.empty(len(rows), dtype=np.int64)
    for at in range(0, len(rows), CHUNK_ROWS):
        own = rows[at : at + CHUNK_ROWS]
        drawn = random.integers(0, len(raw), (len(own), DRAWN))
        far = np.minimum(np.abs(numbers[drawn] - numbers[own][:, None]), FAR).sum(axis=2)
        far += FAR * (codes[drawn] != codes[own][:, None]).sum(axis=2)
        far[drawn == own[:, None]] = np.inf  # itself has nothing to lend
        found[at : at + len(own)] = drawn[np.arange(len(own)), far.argmin(axis=1)]
    return found


def _some(columns: np.ndarray, random: np.random.Generator) -> np.ndarray:
    width = columns.shape[1]
    return columns if width <= COMPARED else columns[:, np.sort(random.choice(width, COMPARED, replace=False))]


def _scaled(numbers: np.ndarray) -> np.ndarray:
    """In standard deviations from the middle; what is missing is far from what is there."""
    known = np.isfinite(numbers)
    count = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, numbers, 0.0).astype(np.float64)
    mean = filled.sum(axis=0) / count
    spread = np.sqrt(np.where(known, (filled - mean) ** 2, 0.0).sum(axis=0) / count)
    scaled = (filled - mean) / np.where(spread > 0, spread, 1.0)
    return np.where(known, np.clip(scaled, -2 * FAR, 2 * FAR), 4 * FAR).astype(np.float32)
