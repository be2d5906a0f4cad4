"""What is told of a series in a few plain numbers: where it lies, how it moves, which pace it has."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from search_spaces.signals.aligned import aligned, lengths_of
from search_spaces.spec import Media

QUANTILES = (0.1, 0.5, 0.9)
BANDS = 6  # of the spectrum, the lower the narrower
PARTS = 4  # of the series, whose means are told
AT_ONCE = 20_000_000  # values
FLAT = 1e-6
MOST_TOLD = 150  # numbers; of more channels only the first are told of


def names(channels: int) -> list[str]:
    """What the numbers of `describe` are."""
    of_one = [
        "mean", "deviation", *(f"quantile {share:g}" for share in QUANTILES), "least", "most", "place of least",
        "place of most", "first", "last", "slope", "mean step", "neighbours", "crossings",
        *(f"band {band}" for band in range(BANDS)), *(f"part {part}" for part in range(PARTS)),
    ]  # fmt: skip
    told = channels_told(channels, len(of_one))
    own = [f"{name}, channel {at}" for at in range(told) for name in of_one] if channels > 1 else of_one
    return ["log steps", "gaps", *own]


def channels_told(channels: int, each: int) -> int:
    """How many channels are told of."""
    return max(1, min(channels, MOST_TOLD // each))


def describe(block: Media, channels: int) -> np.ndarray:
    """(rows, names) float32, finite; a row's numbers hang on no other row."""
    width = len(names(channels))
    each = max(1, AT_ONCE // max(1, int(np.prod(block.store.shape[1:]))))
    parts = [_described(block.take(np.arange(len(block))[at : at + each])) for at in range(0, len(block), each)]
    return np.concatenate(parts) if parts else np.zeros((0, width), dtype=np.float32)


def _described(block: Media) -> np.ndarray:
    lengths, stored = lengths_of(block), block.values()
    gaps = np.isnan(stored).mean(axis=(1, 2)) - (1 - lengths / stored.shape[2])
    series = aligned(block, "stretched").astype(np.float64)
    told = np.stack(list(_of_each(series)), axis=2)  # (rows, channels, numbers)
    told = told[:, : channels_told(series.shape[1], told.shape[2])]
    flat = np.column_stack([np.log(lengths), np.maximum(gaps, 0), told.reshape(len(series), -1)])
    return np.asarray(np.clip(np.nan_to_num(flat), -1e30, 1e30), dtype=np.float32)


def _of_each(series: np.ndarray) -> Iterator[np.ndarray]:
    """(rows, channels) each, in the order of `names`."""
    steps = series.shape[2]
    mean, deviation = series.mean(axis=2), series.std(axis=2)
    yield from (mean, deviation, *np.quantile(series, QUANTILES, axis=2), series.min(axis=2), series.max(axis=2))
    yield from (series.argmin(axis=2) / steps, series.argmax(axis=2) / steps, series[:, :, 0], series[:, :, -1])
    around, when = series - mean[:, :, None], np.linspace(-1, 1, steps) if steps > 1 else np.zeros(1)
    moves = np.diff(series, axis=2) if steps > 1 else np.zeros_like(series)
    power = (around**2).sum(axis=2) + FLAT
    yield from (around @ when / max(FLAT, float(when @ when)), np.abs(moves).mean(axis=2))
    yield (around[:, :, 1:] * around[:, :, :-1]).sum(axis=2) / power
    yield ((around[:, :, 1:] >= 0) != (around[:, :, :-1] >= 0)).mean(axis=2) if steps > 1 else mean * 0
    spectrum = np.abs(np.fft.rfft(around, axis=2)) ** 2
    edges = np.round((np.arange(BANDS + 1) / BANDS) ** 2 * spectrum.shape[2]).astype(int)
    for start, end in pairwise(edges.tolist()):
        yield np.log(spectrum[:, :, start:end].sum(axis=2) / (steps * power) + FLAT)
    for part in np.array_split(np.arange(steps), PARTS):
        yield series[:, :, part].mean(axis=2) if len(part) else mean
