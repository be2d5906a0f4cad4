"""Textures: which of a pixel's eight neighbours are as light as it is, counted over coarse cells.

Local binary patterns after Ojala and others (2002): patterns with one light stretch are told apart, all others are one.
"""

from __future__ import annotations

import numpy as np

CELLS = 2  # to a side
NEIGHBOURS = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))  # around a pixel, from its upper left
PATTERNS = 59


def textures(flat: np.ndarray) -> np.ndarray:
    """float32 planes (rows, channels, side, side) -> (rows, m): roots of shares, as small shares tell the most."""
    light = flat.mean(axis=1)
    rows, side = light.shape[:2]
    padded = np.pad(light, ((0, 0), (1, 1), (1, 1)), mode="edge")
    code = np.zeros(light.shape, dtype=np.uint8)
    for bit, (y, x) in enumerate(NEIGHBOURS):
        code |= (padded[:, y : y + side, x : x + side] >= light).view(np.uint8) << np.uint8(bit)
    cell = np.arange(side) * CELLS // side
    group = (np.arange(rows)[:, None, None] * CELLS + cell[:, None]) * CELLS + cell
    counts = np.bincount((group * PATTERNS + _kinds()[code]).reshape(-1), minlength=rows * CELLS**2 * PATTERNS)
    return np.asarray(np.sqrt(counts.reshape(rows, -1) * (CELLS / side) ** 2), dtype=np.float32)


def texture_names() -> list[str]:
    """What the numbers of `textures` are."""
    return [f"pattern {k} in {i}.{j}" for i in range(CELLS) for j in range(CELLS) for k in range(PATTERNS)]


def _kinds() -> np.ndarray:
    """Which of the 59 kinds each code is: those that change at most twice around are of their own."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    kinds = np.full(256, PATTERNS - 1)
    kinds[changes <= 2] = np.arange(PATTERNS - 1)
    return kinds
