"""Edges: histograms of the direction of the gradient over a grid of cells, after Dalal and Triggs (2005).

Directions are signed, from dark to light or back being two things; of colours the one that changes most counts.
"""

from __future__ import annotations

import numpy as np

from automl.modalities.image.planes import cell_means

CELLS = 5  # to a side
DIRECTIONS = 12  # all around
STRONGEST = 0.2  # share of a block that one direction may have: light that falls sharply is not everything
FAINT = 1.0  # squared grey levels: below, noise is not blown up to edges


def edges(flat: np.ndarray) -> np.ndarray:
    """float32 planes (rows, channels, side, side), 0 .. 255 -> (rows, m)."""
    across, down = _gradient(flat)
    strength = np.sqrt(across * across + down * down)
    turn = np.arctan2(down, across) * np.float32(DIRECTIONS / (2 * np.pi))
    turn[turn < 0] += DIRECTIONS
    below = np.minimum(turn.astype(np.uint8), DIRECTIONS - 1)
    to_next = (turn - below) * strength
    to_own = strength - to_next
    cells = np.empty((len(flat), DIRECTIONS, CELLS, CELLS), dtype=np.float32)
    for direction in range(DIRECTIONS):
        own, next_ = below == direction, below == (direction - 1) % DIRECTIONS
        cells[:, direction] = cell_means(own * to_own + next_ * to_next, CELLS)
    return _levelled(cells)


def edge_names() -> list[str]:
    """What the numbers of `edges` are."""
    inner = range(CELLS - 1)
    return [
        f"edges at {360 * k // DIRECTIONS} degrees, cell {i + y}.{j + x} of block {i}.{j}"
        for y in (0, 1) for x in (0, 1) for k in range(DIRECTIONS) for i in inner for j in inner
    ]  # fmt: skip


def _gradient(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences of neighbours, across and down, of the channel with the largest."""
    padded = np.pad(flat, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    power = across * across + down * down
    most, best_across, best_down = power[:, 0], across[:, 0], down[:, 0]
    for channel in range(1, flat.shape[1]):
        is_more = power[:, channel] > most
        most = np.where(is_more, power[:, channel], most)
        best_across = np.where(is_more, across[:, channel], best_across)
        best_down = np.where(is_more, down[:, channel], best_down)
    return best_across, best_down


def _levelled(cells: np.ndarray) -> np.ndarray:
    """Every block of two by two cells on a scale of its own, so that light and contrast do not matter."""
    energy = np.einsum("rkij,rkij->rij", cells, cells)
    corners = [(slice(y, y + CELLS - 1), slice(x, x + CELLS - 1)) for y in (0, 1) for x in (0, 1)]
    total = sum(energy[:, rows, columns] for rows, columns in corners)
    blocks = np.stack([cells[:, :, rows, columns] for rows, columns in corners], axis=1)
    blocks /= np.sqrt(total + np.float32(FAINT))[:, None, None]
    np.minimum(blocks, STRONGEST, out=blocks)
    blocks /= np.sqrt((blocks * blocks).sum(axis=(1, 2), keepdims=True) + np.float32(1e-3))
    return blocks.reshape(len(cells), -1)
