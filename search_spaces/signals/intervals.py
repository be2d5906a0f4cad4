"""Quantiles of nested intervals, of a series as it is, of its differences and of its spectrum.

QUANT (Dempster, Schmidt & Webb 2024): intervals halve from level to level, those of each level also moved by half a
length; of each so many quantiles as fit, every second one less the interval's mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

SMOOTH = 5  # steps over which differences are averaged
LEAST = 2  # steps of differences or of a spectrum that can be told of
BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class Halving:
    """How deep intervals are halved, and how many steps stand for one quantile."""

    depth: int
    each: int


def told(series: np.ndarray, how: Halving) -> np.ndarray:
    """(rows, numbers) float32 of series (rows, channels, steps)."""
    rows = max(1, BLOCK_CELLS // (how.depth * series[0].size)) if len(series) else 1
    parts = [_told(series[at : at + rows], how) for at in range(0, max(1, len(series)), rows)]
    return np.concatenate(parts)


def _told(series: np.ndarray, how: Halving) -> np.ndarray:
    quantiles = [_of_view(view, how) for view in _views(series)]
    return np.concatenate([one.reshape(len(series), -1) for one in quantiles], axis=1).astype(np.float32)


def _views(series: np.ndarray) -> list[np.ndarray]:
    steps = series.shape[2]
    first, second = np.diff(series, axis=2), np.diff(series, n=2, axis=2)
    spectrum = np.abs(np.fft.rfft(series, axis=2)) / np.sqrt(max(1, steps))
    return [series, *(view for view in (_smooth(first), second, spectrum) if view.shape[2] >= LEAST)]


def _smooth(view: np.ndarray) -> np.ndarray:
    """Means over a few steps, as many as there were; ends count on."""
    if view.shape[2] < SMOOTH:
        return view
    reach = SMOOTH // 2
    sums = np.cumsum(np.pad(view, ((0, 0), (0, 0), (reach + 1, reach)), mode="edge"), axis=2, dtype=np.float64)
    return np.asarray((sums[:, :, SMOOTH:] - sums[:, :, :-SMOOTH]) / SMOOTH)


def _of_view(view: np.ndarray, how: Halving) -> np.ndarray:
    found = [_of_interval(view[:, :, start:end], how.each) for start, end in _intervals(view.shape[2], how.depth)]
    return np.concatenate(found, axis=2)


def _intervals(steps: int, depth: int) -> list[tuple[int, int]]:
    """Those of each level, then those between them."""
    found: list[tuple[int, int]] = []
    for level in range(min(depth, int(np.log2(steps)) + 1)):
        edges = np.linspace(0, steps, 2**level + 1).astype(int)
        found += pairwise(edges.tolist())
        if level and (shift := int(np.median(np.diff(edges))) // 2):
            found += [(start + shift, end + shift) for start, end in pairwise(edges.tolist()) if end + shift <= steps]
    return found


def _of_interval(part: np.ndarray, each: int) -> np.ndarray:
    """(rows, channels, quantiles)."""
    steps = part.shape[2]
    count = 1 + (steps - 1) // each
    if steps == 1:
        return part
    places = np.linspace(0, steps - 1, count) if count > 1 else np.array([(steps - 1) / 2])
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, steps - 1)
    rising = np.sort(part, axis=2)
    quantiles = rising[:, :, low] + (rising[:, :, high] - rising[:, :, low]) * (places - low)
    quantiles[:, :, 1::2] -= part.mean(axis=2, keepdims=True)
    return np.asarray(quantiles)
