"""All kernels of nine steps with three high ones, at many spreads, and what is told of where they answer.

The kernels and the four numbers are those of MiniRocket and MultiRocket (Dempster et al. 2021, Tan et al. 2022). Those
compare answers with quantiles that training rows had; here they are compared with multiples of the root mean square of
the row's own answers, which is told beside: nothing is learned, and a row's numbers hang on no other row. On five data
sets of the UCR archive both ways were as accurate (benchmarks/LOG.md, series).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from statistics import NormalDist

import numpy as np

LENGTH, HIGH = 9, 3  # steps of a kernel, and how many of them are high: sums to zero with weights 2 and -1
KERNELS = 84
MOST_DILATIONS = 32
MOST_MIXES = 6  # sums of channels at one dilation; a kernel reads one of them
TOLD = 4  # of each kernel and threshold
TAIL = 0.01  # thresholds lie between these quantiles of a normal distribution
GOLDEN = (5**0.5 - 1) / 2  # multiples of it, without their whole parts, are spread evenly however many there are
ROWS = 64  # at once: what is counted of them stays in the cache
FLAT = 1e-5


@dataclass(frozen=True)
class Dilation:
    """Kernels whose steps lie so far apart, and the thresholds of each."""

    step: int
    thresholds: int
    first: int  # of all thresholds before these
    seed: int

    @property
    def width(self) -> int:
        """How many numbers it tells."""
        return KERNELS * (TOLD * self.thresholds + 1)


def plan(steps: int, wanted: int, seed: int) -> list[Dilation]:
    """Dilations for series of so many steps, with about so many pairs of a kernel and a threshold in all."""
    each = max(1, round(wanted / KERNELS))  # thresholds of a kernel
    places = min(each, MOST_DILATIONS)
    most = np.log2(max(1.0, (steps - 1) / (LENGTH - 1)))
    found, counts = np.unique(np.floor(2 ** np.linspace(0, most, places)).astype(int), return_counts=True)
    shares = np.floor(np.cumsum(counts) * each / places).astype(int)
    thresholds = np.diff(shares, prepend=0)
    firsts = np.cumsum(thresholds) - thresholds
    return [
        Dilation(int(step), int(count), int(first), seed)
        for step, count, first in zip(found, thresholds, firsts, strict=True)
    ]


def pooled(series: np.ndarray, dilation: Dilation) -> np.ndarray:
    """(rows, width) float32 of centred series (rows, channels, steps)."""
    weights = _weights(series.shape[1], dilation)
    parts = [_pooled(series[at : at + ROWS], dilation, weights) for at in range(0, len(series), ROWS)]
    return np.concatenate(parts) if parts else np.zeros((0, dilation.width), dtype=np.float32)


def _pooled(series: np.ndarray, dilation: Dilation, weights: np.ndarray) -> np.ndarray:
    answers = _answers(series, dilation.step, weights)
    size = np.sqrt(np.mean(answers**2, axis=0))  # (kernels, rows)
    above = _Above(answers, _thresholds(dilation)[:, :, None] * size)
    told = np.concatenate([above.told(size), np.log(size + FLAT)[None]])  # (4 thresholds + 1, kernels, rows)
    return np.ascontiguousarray(told.reshape(-1, len(series)).T)


def _answers(series: np.ndarray, step: int, weights: np.ndarray) -> np.ndarray:
    """(steps, kernels, rows): of every kernel at every step, zeros beyond the ends."""
    rows, channels, steps = series.shape
    reach = step * (LENGTH // 2)
    padded = np.zeros((steps + 2 * reach, channels, rows), dtype=np.float32)
    padded[reach : reach + steps] = series.transpose(2, 1, 0)
    taps = np.stack([padded[at * step : at * step + steps] for at in range(LENGTH)], axis=1)
    return np.asarray(weights @ taps.reshape(steps, LENGTH * channels, rows))


class _Above:
    """How often answers lie above thresholds, by how much, when, and how long on end; step by step for all at once."""

    def __init__(self, answers: np.ndarray, thresholds: np.ndarray) -> None:
        self.steps, shape = len(answers), thresholds.shape
        self.often, self.sums, self.over, self.longest, run = (np.zeros(shape, dtype=np.float32) for _ in range(5))
        is_above, excess = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
        for now in answers:
            np.greater(now, thresholds, out=is_above)
            self.often += is_above
            self.sums += self.often
            np.subtract(now, thresholds, out=excess)
            excess *= is_above
            self.over += excess
            run += 1
            run *= is_above
            np.maximum(self.longest, run, out=self.longest)
        self.thresholds = thresholds

    def told(self, size: np.ndarray) -> np.ndarray:
        """(4 thresholds, kernels, rows): share of steps, mean answer in sizes, mean place, longest run."""
        count = np.maximum(self.often, 1)
        mean = (self.over / count + self.thresholds * (self.often > 0)) / (size + FLAT)
        place = (self.steps - self.sums / count) / self.steps  # of none: the end
        return np.concatenate([self.often / self.steps, mean, place, self.longest / self.steps]).astype(np.float32)


def _thresholds(dilation: Dilation) -> np.ndarray:
    """(thresholds, kernels) in root mean squares."""
    number = KERNELS * dilation.first + 1 + np.arange(KERNELS * dilation.thresholds)
    shares = np.clip((number * GOLDEN + dilation.seed * GOLDEN**2) % 1, TAIL, 1 - TAIL)
    usual = NormalDist()
    levels = np.array([usual.inv_cdf(share) for share in shares], dtype=np.float32)
    return levels.reshape(KERNELS, dilation.thresholds).T


def _weights(channels: int, dilation: Dilation) -> np.ndarray:
    """(kernels, LENGTH * channels) float32: of each kernel on the sum of channels that it reads."""
    shapes = _shapes()
    if channels == 1:
        return shapes
    mixes = _mixes(channels, dilation)
    own = mixes[np.arange(KERNELS) % len(mixes)]
    return np.asarray((shapes[:, :, None] * own[:, None, :]).reshape(KERNELS, -1))


@cache
def _shapes() -> np.ndarray:
    shapes = np.full((KERNELS, LENGTH), -1.0, dtype=np.float32)
    for shape, high in zip(shapes, combinations(range(LENGTH), HIGH), strict=True):
        shape[list(high)] = 2.0
    return shapes


def _mixes(channels: int, dilation: Dilation) -> np.ndarray:
    """(mixes, channels) of 0 and 1: few channels are summed more often than many."""
    random = np.random.default_rng([dilation.seed, dilation.step])
    mixes = np.zeros((min(MOST_MIXES, 2**channels - 1), channels), dtype=np.float32)
    for mix in mixes:
        count = int(2 ** random.uniform(0, np.log2(min(channels, LENGTH) + 1)))
        mix[random.choice(channels, min(channels, count), replace=False)] = 1.0
    return mixes
