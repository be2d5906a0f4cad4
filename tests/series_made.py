"""Series as rows: what they look like tells the answer, wherever in them it comes."""

from __future__ import annotations

import numpy as np

from search_spaces.spec import OF_NUMBERS, Matrix, Media, Rows, Run


def waves(
    levels: np.ndarray, random: np.random.Generator, steps: int = 40, channels: int = 2, most: float = 8.0
) -> np.ndarray:
    """(rows, channels, steps): waves in noise, up to `most` of them the higher the level, begun anywhere."""
    when = np.arange(steps) / steps
    begun = random.random((len(levels), 1, 1))
    pace = most * (0.25 + 0.75 * levels[:, None, None])
    noise = random.normal(0, 0.3, (len(levels), channels, steps))
    return (np.sin(2 * np.pi * (pace * when + begun)) + noise).astype(np.float32)


def block(levels: np.ndarray, random: np.random.Generator, steps: int = 40, channels: int = 2) -> Media:
    """Of them some end early, some have gaps, and one is nothing but gaps."""
    store, lengths = waves(levels, random, steps, channels), np.full(len(levels), steps)
    lengths[3::5] = steps * 3 // 4
    for row, length in enumerate(lengths):
        store[row, :, length:] = np.nan
    store[4::7, 0, 5:9] = np.nan
    store[1] = np.nan
    return Media("series", store, np.arange(len(levels)), lengths=lengths)


def rows(run: Run, count: int, seed: int = 0) -> Rows:
    """With answers of the run's task."""
    random = np.random.default_rng(seed)
    levels = random.random(count)
    media = block(levels, random)
    media.store.flags.writeable = False
    is_numeric = run.task in OF_NUMBERS
    y = 1000.0 * levels if is_numeric else np.minimum((levels * run.classes).astype(np.int64), run.classes - 1)
    return Rows(matrix(media), y)


def matrix(media: Media) -> Matrix:
    """Of a block alone."""
    nothing = np.empty((len(media), 0))
    return Matrix(nothing.astype(np.float32), nothing.astype(np.int32), (), {"seen": media})
