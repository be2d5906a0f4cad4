"""Pictures as planes of real numbers of one working size, and means over the cells of a grid, all as matrix products.

Descriptions have as many numbers for any picture, as every size is brought to the same one first.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from search_spaces.spec import Media

BLOCK = 32  # pictures at a time: what is made of them stays in the processor's cache

Describe = Callable[[np.ndarray], np.ndarray]  # uint8 (rows, height, width, channels) -> float32 (rows, m)


def in_blocks(media: Media, describe: Describe, threads: int = 1, block: int = BLOCK) -> np.ndarray:
    """What `describe` says of every row; the same for any number of threads."""
    from threadpoolctl import threadpool_limits

    starts = range(0, len(media), block)

    def one(start: int) -> np.ndarray:
        return describe(media.values(slice(start, start + block)))

    if not starts:
        return describe(np.zeros((1, *media.store.shape[1:]), dtype=np.uint8))[:0]
    first = one(0)
    described = np.empty((len(media), first.shape[1]), dtype=np.float32)
    described[: len(first)] = first

    def put(start: int) -> None:
        described[start : start + block] = one(start)

    with (
        threadpool_limits(1),
        ThreadPoolExecutor(threads) as pool,
    ):  # small products gain nothing by threads of their own
        list(pool.map(put, starts[1:]))
    return described


def planes(values: np.ndarray, side: int) -> np.ndarray:
    """uint8 (rows, height, width, channels) -> float32 (rows, channels, side, side), 0 .. 255."""
    flat = np.ascontiguousarray(values.transpose(0, 3, 1, 2), dtype=np.float32)
    return resized(flat, side)


def resized(flat: np.ndarray, side: int) -> np.ndarray:
    """Planes of another size: means of what falls together, straight lines between what moves apart."""
    height, width = flat.shape[-2:]
    if height != side:
        flat = _blend(height, side) @ flat
    if width != side:
        flat = flat @ _blend(width, side).T
    return flat


def cell_means(flat: np.ndarray, cells: int) -> np.ndarray:
    """(..., side, side) -> (..., cells, cells); a pixel counts in the two nearest cells either way, by its distance."""
    shares = _shares(flat.shape[-1], cells)
    means: np.ndarray = shares @ (flat @ shares.T)
    return means


def _blend(old: int, new: int) -> np.ndarray:
    """How much each of `old` pixels gives to each of `new`: (new, old)."""
    centre = (np.arange(new) + 0.5) * old / new - 0.5
    reach = max(old / new, 1.0)
    weight = np.maximum(0, 1 - np.abs(np.arange(old) - centre[:, None]) / reach)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), dtype=np.float32)


def _shares(side: int, cells: int) -> np.ndarray:
    """How much each pixel gives to each cell: (cells, side), a pixel's shares being one cell's worth of it."""
    centre = (np.arange(side) + 0.5) * cells / side - 0.5
    weight = np.maximum(0, 1 - np.abs(centre - np.arange(cells)[:, None]))
    return np.asarray(weight / weight.sum(axis=0) * cells / side, dtype=np.float32)
