"""May pictures be flipped, left for right? Letters and hands may change their meaning, dogs do not.

Answered by nearest neighbours of small copies: where flipped pictures find neighbours of their own answer about as
often as pictures do as they are, flipping teaches; where they do not, it would blur what tells classes apart.
"""

from __future__ import annotations

import numpy as np

LOOKED_AT = 1500  # pictures; the cost grows with their square
SIDE_PX = 12
KEPT = 0.7  # of what neighbours say above chance must be left after the flip


def flip_is_harmless(pictures: np.ndarray, y: np.ndarray, *, is_numeric: bool) -> bool:
    """Whether pictures (rows, height, width, channels) mean the same seen in a mirror; False where none can tell."""
    small = _small(pictures)
    if len(small) < 2:
        return False
    answers = _tenths(y) if is_numeric else y
    plain = _agreement(small, small, answers)
    flipped = _agreement(small[:, :, ::-1], small, answers)
    chance = float(np.mean([(answers == value).mean() for value in answers]))
    return flipped - chance >= KEPT * (plain - chance)


def sample_rows(count: int, seed: int, most: int = LOOKED_AT) -> np.ndarray:
    """Which rows to look at."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def _small(pictures: np.ndarray) -> np.ndarray:
    """Copies of few pixels: means over cells."""
    values = pictures.astype(np.float32)
    for axis in (1, 2):
        side = values.shape[axis]
        ends = np.unique(np.linspace(0, side, min(side, SIDE_PX) + 1).astype(int))
        values = np.add.reduceat(values, ends[:-1], axis=axis)
        lengths = np.diff(ends).astype(np.float32)
        values /= lengths.reshape([-1 if a == axis else 1 for a in range(4)])
    return values


def _agreement(asked: np.ndarray, known: np.ndarray, answers: np.ndarray) -> float:
    """Share of pictures whose nearest other one has the same answer."""
    a, b = (_normal(side.reshape(len(side), -1)) for side in (asked, known))
    likeness = a @ b.T
    np.fill_diagonal(likeness, -np.inf)
    return float((answers[likeness.argmax(axis=1)] == answers).mean())


def _normal(rows: np.ndarray) -> np.ndarray:
    """Each picture around zero, of length one."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    normal: np.ndarray = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    return normal


def _tenths(y: np.ndarray) -> np.ndarray:
    """Numbers as their tenth."""
    return np.searchsorted(np.quantile(y, np.linspace(0.1, 0.9, 9)), y)
