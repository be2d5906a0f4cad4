"""Series as tables: of each moment the values, means, growths and swings before it, none of which was unknown then.

A moment is an origin in a history and a number of steps ahead. Values of earlier seasons are those of the step that is
foretold, as far as they were known at the origin; newer ones count from the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_spaces.series.scaling import OriginScale, scale_at

BASES = ("mean", "last", "season", "drift")
SEARCHED = 4  # seasons, for one whose value is known
MOST_GROWN = 4.0  # times the growth of a season that is carried on
FARTHEST = 1e6  # on the common scale: trees need no more, and float32 holds it


@dataclass(frozen=True)
class Moments:
    """Which history, how many of its columns were known, and how many steps after them is foretold."""

    history: np.ndarray
    ends: np.ndarray
    steps: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)

    def take(self, chosen: np.ndarray) -> Moments:
        """Some of them."""
        return Moments(self.history[chosen], self.ends[chosen], self.steps[chosen])

    def before(self, columns: int) -> Moments:
        """The same so many columns earlier."""
        return Moments(self.history, np.maximum(self.ends - columns, 0), self.steps)


class RunningPast:
    """Histories (series, width) that may end anywhere, with running sums: any mean over a window is two look-ups."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.width = values, values.shape[1]
        is_known = np.isfinite(values)
        plain = np.where(is_known, values, 0.0)
        self.counts = _before(np.cumsum(is_known, axis=1, dtype=np.int32), 0)
        self.sums, self.sizes, self.squares = (
            _before(np.cumsum(block, axis=1), 0) for block in (plain, np.abs(plain), plain * plain)
        )
        self.tops = _before(np.maximum.accumulate(np.where(is_known, values, -np.inf), axis=1), -np.inf)
        self.lows = _before(np.minimum.accumulate(np.where(is_known, values, np.inf), axis=1), np.inf)
        self.newest = _before(np.maximum.accumulate(np.where(is_known, np.arange(self.width), -1), axis=1), -1)

    def at(self, history: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Values of columns; NaN outside."""
        is_inside = (columns >= 0) & (columns < self.width)
        if not self.width:
            return np.full(columns.shape, np.nan)
        return np.asarray(np.where(is_inside, self.values[history, np.where(is_inside, columns, 0)], np.nan))

    def last(self, moments: Moments) -> np.ndarray:
        """The newest known value; NaN where there is none."""
        return self.at(moments.history, self.newest[moments.history, moments.ends])

    def mean(self, moments: Moments, window: int) -> np.ndarray:
        """Over the newest columns, of what is known there; NaN where nothing is."""
        return self._mean(self.sums, moments, window)

    def size(self, moments: Moments, window: int) -> np.ndarray:
        """The same of values without their signs."""
        return self._mean(self.sizes, moments, window)

    def spread(self, moments: Moments, window: int) -> np.ndarray:
        """The deviation over the newest columns."""
        square, mean = self._mean(self.squares, moments, window), self.mean(moments, window)
        return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0.0)))

    def _mean(self, sums: np.ndarray, moments: Moments, window: int) -> np.ndarray:
        history, ends, first = moments.history, moments.ends, np.maximum(moments.ends - window, 0)
        count = self.counts[history, ends] - self.counts[history, first]
        total = sums[history, ends] - sums[history, first]
        return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))

    def cycles(self, moments: Moments, season: int, count: int) -> np.ndarray:
        """(moments, count): values of the step in earlier seasons, the newest that was known first."""
        first = moments.ends + moments.steps - 1 - -(-moments.steps // season) * season
        return self.at(moments.history[:, None], first[:, None] - np.arange(count) * season)

    def scale(self, moments: Moments, kind: str, window: int, unit: float) -> OriginScale:
        """Of each moment, from its newest columns; of "none" the unit."""
        if kind == "none":
            return OriginScale(np.zeros(len(moments)), np.full(len(moments), unit))
        size = self.spread(moments, window) if kind == "std" else self.size(moments, window)
        high, low = self.tops[moments.history, moments.ends], self.lows[moments.history, moments.ends]
        top = np.where(high >= low, np.maximum(np.abs(high), np.abs(low)), 0.0)
        return scale_at(kind, self.mean(moments, window), size, top)


@dataclass(frozen=True)
class LagReach:
    """Which values before a moment are looked at."""

    recent: int  # of them, the newest
    cycles: int  # earlier seasons
    seasons: tuple[int, ...]  # lengths, the usual one first; none: there is no season
    windows: tuple[int, ...]  # over which means are taken

    @property
    def width(self) -> int:
        """Columns of a history that can matter."""
        cycles = max(self.cycles, SEARCHED) + 2
        return max(self.recent, *self.windows, *(cycles * season for season in self.seasons), 2) + 1

    @property
    def growths(self) -> tuple[int, ...]:
        """Windows whose means are compared with those a season before."""
        if not self.seasons:
            return ()
        season = self.seasons[0]
        return tuple(sorted({1, min(3, season), max(1, season // 2), season}))


def base_of(past: RunningPast, moments: Moments, kind: str, season: int, scale: OriginScale) -> np.ndarray:
    """What a simple rule foretells, on the scale of each moment; zero where nothing is known.

    The mean of the newest season, the last value, that of the season before, or this and what a season has grown by.
    """
    last = scale.to(past.last(moments))
    if kind == "mean":
        found = scale.to(past.mean(moments, max(season, 2)))
    elif kind == "last" or season == 1:
        found = last
    else:
        cycles = past.cycles(moments, season, SEARCHED)
        found = scale.to(cycles[np.arange(len(cycles)), np.isfinite(cycles).argmax(axis=1)])
        if kind == "drift":
            ahead = np.minimum(-(-moments.steps // season), MOST_GROWN)
            found = found + ahead * np.nan_to_num(_growth(past, moments, season, season, scale))
    return np.asarray(np.nan_to_num(np.where(np.isfinite(found), found, last)))


def lag_table(past: RunningPast, moments: Moments, reach: LagReach, scale: OriginScale, base: np.ndarray) -> np.ndarray:
    """float32 (moments, columns): the step, and on the scale of each moment what lies before it.

    Levels are told as they differ from the base.
    """
    levels = [past.at(moments.history[:, None], moments.ends[:, None] - 1 - np.arange(reach.recent))]
    for season in reach.seasons:
        cycles = past.cycles(moments, season, reach.cycles)
        levels += [cycles, _mean_known(cycles)[:, None], _neighbors(past, moments, season)]
    levels += [past.mean(moments, window)[:, None] for window in reach.windows]
    known = np.minimum(past.counts[moments.history, moments.ends], reach.width)
    swings = [past.spread(moments, window) / scale.size for window in reach.windows]
    growths = [_growth(past, moments, window, reach.seasons[0], scale) for window in reach.growths]
    told = scale.to(np.concatenate(levels, axis=1)) - base[:, None]
    table = np.column_stack([moments.steps, known, base, *swings, *growths, told])
    return np.asarray(np.clip(table, -FARTHEST, FARTHEST), dtype=np.float32)


def _growth(past: RunningPast, moments: Moments, window: int, season: int, scale: OriginScale) -> np.ndarray:
    """By how much the mean of the newest values differs from that of a season before."""
    now, then = past.mean(moments, window), past.mean(moments.before(season), window)
    return np.asarray(scale.to(now) - scale.to(then))


def _neighbors(past: RunningPast, moments: Moments, season: int) -> np.ndarray:
    """(moments, 2): what came right before and right after the step in the newest season, where that was known."""
    column = moments.ends + moments.steps - 1 - -(-moments.steps // season) * season
    before, after = past.at(moments.history, column - 1), past.at(moments.history, column + 1)
    return np.stack([before, np.where(column + 1 < moments.ends, after, np.nan)], axis=1)


def _mean_known(values: np.ndarray) -> np.ndarray:
    is_known = np.isfinite(values)
    count = is_known.sum(axis=1)
    return np.where(count > 0, np.where(is_known, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _before(block: np.ndarray, fill: float) -> np.ndarray:
    """With a first column, so that column j tells of the first j values."""
    return np.concatenate([np.full((len(block), 1), fill, dtype=block.dtype), block], axis=1)
