"""Autoregressive moving averages of many series at once, by least squares: ten thousand take seconds.

Hannan & Rissanen (1982): misses of a long autoregression stand in for those of the model, whose own replace them then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RIDGE = 1e-3  # of the mean size of what is regressed on, added to each: few values do not explain themselves
ROUNDS = 2  # after which misses change little
FARTHEST = 1e6  # of a miss, of values of about 1: what has run so far is lost anyway
LONG = 5  # lags of the first autoregression


@dataclass(frozen=True)
class Lags:
    """What the next value depends on: values and misses so many steps before, and maybe a constant."""

    values: tuple[int, ...] = ()
    misses: tuple[int, ...] = ()
    has_constant: bool = False

    @property
    def longest(self) -> int:
        """How far it looks back."""
        return max((*self.values, *self.misses, 0))

    @property
    def free(self) -> int:
        """Numbers that are learned."""
        return len(self.values) + len(self.misses) + self.has_constant + 1


@dataclass(frozen=True)
class Regressed:
    """One set of lags, learned of each series."""

    lags: Lags
    weights: np.ndarray  # (series, lags of values and then of misses and then the constant)
    misses: np.ndarray  # (series, steps), 0 where nothing could be foretold

    def ahead(self, values: np.ndarray, steps: int) -> np.ndarray:
        """(series, steps): values go on, misses are none."""
        longest, length = self.lags.longest, values.shape[1]
        known = np.pad(values, ((0, 0), (max(0, longest - length), steps)))[:, -longest - steps :]
        missed = np.pad(self.misses, ((0, 0), (max(0, longest - length), steps)))[:, -longest - steps :]
        for step in range(longest, longest + steps):
            told = np.full(len(values), 0.0)
            for at, lag in enumerate(self.lags.values):
                told += self.weights[:, at] * known[:, step - lag]
            for at, lag in enumerate(self.lags.misses, len(self.lags.values)):
                told += self.weights[:, at] * missed[:, step - lag]
            if self.lags.has_constant:
                told += self.weights[:, -1]
            known[:, step] = np.clip(told, -FARTHEST, FARTHEST)
        return known[:, longest:]


def regress(values: np.ndarray, begins: np.ndarray, lags: Lags) -> Regressed:
    """Learn the weights of each series; nothing before its beginning counts."""
    is_ready = np.arange(values.shape[1])[None, :] >= (begins + lags.longest)[:, None]
    constant = [np.ones_like(values)] if lags.has_constant else []
    own = [_before(values, lag) for lag in lags.values]
    if not lags.misses:
        weights = _solved([*own, *constant], values, is_ready)
        return Regressed(lags, weights, _left(values, [*own, *constant], weights, is_ready))
    seasonal = [lag for lag in lags.misses if lag > LONG]
    long = [_before(values, lag) for lag in (*range(1, LONG + 1), *seasonal)]
    misses = _left(values, [*long, *constant], _solved([*long, *constant], values, is_ready), is_ready)
    weights = np.zeros((len(values), lags.free - 1))
    for _ in range(ROUNDS):
        weights = _solved([*own, *(_before(misses, lag) for lag in lags.misses), *constant], values, is_ready)
        split = len(own), len(own) + len(lags.misses)
        plain = np.concatenate([weights[:, : split[0]], weights[:, split[1] :]], axis=1)
        rest = _left(values, [*own, *constant], plain, is_ready)
        misses = _own_misses(rest, weights[:, split[0] : split[1]], lags.misses, is_ready)
    return Regressed(lags, weights, misses)


def _before(values: np.ndarray, lag: int) -> np.ndarray:
    """Each value so many steps later; zeros come first."""
    length = values.shape[1]
    return np.pad(values, ((0, 0), (min(lag, length), 0)))[:, :length]


def _solved(reasons: list[np.ndarray], values: np.ndarray, is_ready: np.ndarray) -> np.ndarray:
    """(series, reasons): least squares, drawn to zero a little."""
    if not reasons:
        return np.zeros((len(values), 0))
    table = np.stack(reasons, axis=1) * is_ready[:, None, :]
    square = table @ table.transpose(0, 2, 1)
    size = np.trace(square, axis1=1, axis2=2) / len(reasons)
    square += (RIDGE * size + RIDGE)[:, None, None] * np.eye(len(reasons))
    return np.asarray(np.linalg.solve(square, table @ values[:, :, None])[:, :, 0])


def _left(values: np.ndarray, reasons: list[np.ndarray], weights: np.ndarray, is_ready: np.ndarray) -> np.ndarray:
    """What the reasons leave unexplained."""
    told = np.zeros_like(values)
    for at, reason in enumerate(reasons):
        told += weights[:, at : at + 1] * reason
    return np.where(is_ready, values - told, 0.0)


def _own_misses(rest: np.ndarray, weights: np.ndarray, lags: tuple[int, ...], is_ready: np.ndarray) -> np.ndarray:
    """Step after step, since each depends on those before; (series, steps)."""
    longest = max(lags)
    found = np.zeros((longest + rest.shape[1], len(rest)))
    ready = is_ready.T
    for step, left in enumerate(rest.T):
        now = left.copy()
        for at, lag in enumerate(lags):
            now -= weights[:, at] * found[longest + step - lag]
        found[longest + step] = np.clip(now * ready[step], -FARTHEST, FARTHEST)
    return np.ascontiguousarray(found[longest:].T)
