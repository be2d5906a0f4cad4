"""Exponential smoothing of many series with many constants at once: levels, slopes and seasons that follow.

Hyndman, Koehler, Ord & Snyder (2008), "Forecasting with exponential smoothing", in the form where every state is
corrected by the miss of the step before. Arrays are (cells, series): a cell is one set of constants.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEAR_ZERO = 1e-6  # of values of about 1: what is divided by is kept so far from zero
LOGS_EVERY = 16  # steps whose sizes are multiplied before a logarithm is taken


@dataclass(frozen=True)
class Constants:
    """How fast states follow, each (cells,); without a trend `trend` is zero, and `damping` says nothing."""

    level: np.ndarray
    trend: np.ndarray
    season: np.ndarray
    damping: np.ndarray

    def __len__(self) -> int:
        return len(self.level)


@dataclass(frozen=True)
class States:
    """Of each series, before its first step or after its last. A profile's last one is that of the newest step."""

    level: np.ndarray
    slope: np.ndarray
    profile: np.ndarray | None = None  # (season, ...)


@dataclass(frozen=True)
class Smoothed:
    """What each cell came to: where it ended, and what it missed one step ahead, (cells, series)."""

    ends: States
    missed: np.ndarray  # squares
    missed_shares: np.ndarray  # squares, as shares of the forecast
    sizes: np.ndarray  # logarithms of forecasts, summed


def constants(levels: tuple[float, ...], trends: tuple[float, ...], seasons: tuple[float, ...]) -> Constants:
    """Every triple, undamped; trends count from the level's constant on, seasons from what is left beside it."""
    grid = np.array([(a, a * b, g * (1 - a)) for a in levels for b in trends for g in seasons])
    return Constants(grid[:, 0], grid[:, 1], grid[:, 2], np.ones(len(grid)))


def damped(found: Constants, dampings: tuple[float, ...]) -> Constants:
    """The same with each of some dampings."""
    level, trend, season = (np.tile(each, len(dampings)) for each in (found.level, found.trend, found.season))
    return Constants(level, trend, season, np.repeat(dampings, len(found)))


def first_states(values: np.ndarray, begins: np.ndarray, width: int, is_sloped: bool) -> States:
    """Level and slope before the beginning: a straight line through the first `width` steps, or their mean."""
    steps = np.arange(values.shape[1])[None, :] - begins[:, None] + 1
    used = (steps >= 1) & (steps <= width)
    count = np.maximum(used.sum(axis=1), 1)
    mean = values.sum(axis=1, where=used) / count
    if not is_sloped:
        return States(mean, np.zeros(len(mean)))
    center = steps.sum(axis=1, where=used) / count
    off = np.where(used, steps - center[:, None], 0.0)
    spread = (off * off).sum(axis=1)
    slope = np.where((count >= 3) & (spread > 0), (off * values).sum(axis=1) / np.maximum(spread, 1.0), 0.0)
    return States(mean - slope * center, slope)


def smooth(values: np.ndarray, begins: np.ndarray, start: States, cells: Constants, is_ratio: bool) -> Smoothed:
    """Run all cells through all series, whose gaps are filled. `is_ratio`: what the profile is."""
    count, length = len(cells), values.shape[1]
    alpha, beta, gamma, phi = (each[:, None] for each in (cells.level, cells.trend, cells.season, cells.damping))
    level, slope = np.tile(start.level, (count, 1)), np.tile(start.slope, (count, 1))
    profile = None if start.profile is None else np.repeat(start.profile[:, None, :], count, axis=1)
    missed, shares, sizes, product = np.zeros((4, count, len(values)))
    product += 1
    latest = int(begins.max(initial=0))
    has_slope = bool(np.any(cells.trend)) or bool(np.any(start.slope))
    for step, now in enumerate(np.ascontiguousarray(values.T)):
        base = level + phi * slope if has_slope else level
        at = (step - length) % len(profile) if profile is not None else 0
        told = base if profile is None else base * profile[at] if is_ratio else base + profile[at]
        miss = now - told
        if step < latest:
            miss *= step >= begins
        size = np.maximum(np.abs(told), NEAR_ZERO)
        share = miss / size
        missed += miss * miss
        shares += share * share
        product *= size if step >= latest else np.where(step >= begins, size, 1.0)
        if step % LOGS_EVERY == LOGS_EVERY - 1 or step == length - 1:
            sizes += np.log(product)
            product[:] = 1
        if profile is not None and is_ratio:
            turned = miss / np.where(np.abs(base) > NEAR_ZERO, base, 1.0)
            miss /= np.maximum(profile[at], NEAR_ZERO)
            profile[at] = np.maximum(profile[at] + gamma * turned, NEAR_ZERO)
        elif profile is not None:
            profile[at] += gamma * miss
        has_begun = step >= begins if step < latest else True
        level = np.where(has_begun, base + alpha * miss, level) if step < latest else base + alpha * miss
        if has_slope:
            moved = phi * slope + beta * miss
            slope = np.where(has_begun, moved, slope) if step < latest else moved
    return Smoothed(States(level, slope, profile), missed, shares, sizes)


def ahead(ends: States, damping: np.ndarray, steps: int, is_ratio: bool) -> np.ndarray:
    """(series, steps): one set of states a series, carried on."""
    told = np.empty((len(ends.level), steps))
    level, slope = ends.level, ends.slope
    for step in range(steps):
        slope = damping * slope
        level = level + slope
        told[:, step] = level
        if ends.profile is not None:
            season = ends.profile[step % len(ends.profile)]
            told[:, step] = level * season if is_ratio else level + season
    return told
