"""Series of one length without gaps, as kernels and intervals take them, and the little that says where they lay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from search_spaces.spec import Media

SERIES = "series"
LEVELS = 6  # numbers of each channel in `levels`, beside one for the length of all
FLAT = 1e-6  # a spread below it, of channels scaled to one, is rounding

Uneven = Literal["stretched", "held"]  # what is done with series that end early


def block_of(media: Mapping[str, Media], column: str) -> Media:
    """The column that is read; ValueError where it is not there."""
    if column not in media or media[column].kind != SERIES:
        raise ValueError(f"these rows have no series in {column!r} to read. Give a Matrix with it in `media`.")
    return media[column]


def lengths_of(block: Media) -> np.ndarray:
    """(rows,): steps of each, at least one."""
    steps = block.store.shape[2]
    if block.lengths is None:
        return np.full(len(block), steps)
    return np.asarray(np.clip(block.lengths[block.rows], 1, steps))


def aligned(block: Media, uneven: Uneven = "stretched") -> np.ndarray:
    """(rows, channels, steps) float32, all as long as the store: gaps bridged, early ends stretched or held."""
    values, lengths = block.values().astype(np.float32, copy=False), lengths_of(block)
    steps = values.shape[2]
    gaps = np.isnan(values) & (np.arange(steps) < lengths[:, None])[:, None]
    for row in np.flatnonzero(gaps.any(axis=(1, 2)) | (lengths < steps)):
        for channel in values[row]:
            channel[:] = _filled(channel[: lengths[row]], steps, uneven)
    return values


def _filled(values: np.ndarray, steps: int, uneven: Uneven) -> np.ndarray:
    """One channel of one series on `steps` steps; nothing known: zeros, which are the usual value."""
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return np.zeros(steps, dtype=np.float32)
    wanted = np.linspace(0, len(values) - 1, steps) if uneven == "stretched" else np.arange(steps)
    return np.asarray(np.interp(wanted, known, values[known]), dtype=np.float32)


def levels(series: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(rows, 1 + channels * LEVELS) float32: where series lie, how much they move, and how long they are."""
    half = max(1, series.shape[2] // 2)
    told = [
        series.mean(axis=2), np.log(series.std(axis=2) + FLAT), series.min(axis=2), series.max(axis=2),
        series[:, :, -1], series[:, :, -half:].mean(axis=2) - series[:, :, :half].mean(axis=2),
    ]  # fmt: skip
    return np.column_stack([np.log(lengths), *told]).astype(np.float32)


def centred(series: np.ndarray) -> np.ndarray:
    """Each channel of each row around zero: where a series ends and zeros follow, kernels then see no step."""
    return np.asarray(series - series.mean(axis=2, keepdims=True))


def differences(series: np.ndarray) -> np.ndarray:
    """From step to step, as many as there were: the first is zero."""
    return np.diff(series, axis=2, prepend=series[:, :, :1])
