"""Tournaments among random kernels: at each step of a series the kernel that answers most in its group is counted.

Hydra (Dempster, Schmidt & Webb 2023): groups of eight kernels of nine random weights at every power of two, on the
series and on its differences. The highest answer adds its value to its kernel, the lowest adds one to its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LENGTH = 9
GROUP = 8  # kernels
GROUPS = 32  # on a view of the series, at each dilation
MOST_SUMMED = 8  # channels that a group reads
AT_ONCE = 2_000_000  # answers


@dataclass(frozen=True)
class Round:
    """Groups at one dilation."""

    step: int
    groups: int
    seed: int

    @property
    def width(self) -> int:
        """How many numbers it tells."""
        return 2 * GROUP * self.groups


def plan(steps: int, groups: int, seed: int) -> list[Round]:
    """Rounds at every power of two that series of so many steps have room for."""
    most = int(np.log2(max(1.0, (steps - 1) / (LENGTH - 1))))
    return [Round(2**power, groups, seed) for power in range(most + 1)]


def won(series: np.ndarray, asked: Round) -> np.ndarray:
    """(rows, width) float32 of centred series (rows, channels, steps): roots of what each kernel won, and lost."""
    weights = _weights(series.shape[1], asked)
    each = max(1, AT_ONCE // (GROUP * asked.groups * series.shape[2]))
    parts = [_won(series[at : at + each], asked, weights) for at in range(0, len(series), each)]
    return np.concatenate(parts) if parts else np.zeros((0, asked.width), dtype=np.float32)


def _won(series: np.ndarray, asked: Round, weights: np.ndarray) -> np.ndarray:
    rows, channels, steps = series.shape
    reach = asked.step * (LENGTH // 2)
    padded = np.zeros((channels, rows, steps + 2 * reach), dtype=np.float32)
    padded[:, :, reach : reach + steps] = series.transpose(1, 0, 2)
    taps = np.stack([padded[:, :, at * asked.step : at * asked.step + steps] for at in range(LENGTH)])
    answers = (weights @ taps.reshape(LENGTH * channels, -1)).reshape(GROUP, asked.groups, rows, steps)
    highest, lowest = answers.max(axis=0), answers.min(axis=0)
    lost = np.equal(answers, lowest, out=np.empty_like(answers), casting="unsafe").sum(axis=-1)
    answers *= answers == highest
    told = np.concatenate([np.maximum(answers.sum(axis=-1), 0), lost])  # (2 groups, groups, rows)
    return np.ascontiguousarray(np.sqrt(told / steps).reshape(asked.width, rows).T)


def _weights(channels: int, asked: Round) -> np.ndarray:
    """(kernels, LENGTH * channels) float32: each sums to zero, its sizes to one; a group reads some channels."""
    random = np.random.default_rng([asked.seed, asked.step])
    weights = random.normal(size=(GROUP, asked.groups, LENGTH))
    weights -= weights.mean(axis=-1, keepdims=True)
    weights /= np.abs(weights).sum(axis=-1, keepdims=True)
    reads = np.ones((asked.groups, channels))
    if channels > 1:
        summed = min(channels, max(channels // 2, 2), MOST_SUMMED)
        places = np.argsort(random.random((asked.groups, channels)), axis=1)[:, :summed]
        reads = np.zeros((asked.groups, channels))
        np.put_along_axis(reads, places, 1.0, axis=1)
    own = weights[:, :, :, None] * reads[None, :, None, :]
    return np.asarray(own.reshape(GROUP * asked.groups, -1), dtype=np.float32)
