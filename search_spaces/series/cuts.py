"""Windows cut out of series, their gaps filled, and brought to one level and size; forecasts are brought back.

A gap is filled by what was there a season before, else by the step before, so by nothing that comes after it. What a
window has before the beginning of its series is the series' first season over again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = ("mean", "season", "last")
BENDS = ("none", "log")
BENT = 10.0  # of "log": straight below a tenth of a usual size, logarithmic above
REACH = 10.0  # sizes of a window, from its level, within which forecasts stay
LEAST = 1e-3  # of the usual value: a window that varies less is as good as constant
SMALLEST = 1e-30  # size of what is nothing but zeros


@dataclass(frozen=True)
class Lines:
    """Series that end together, without gaps."""

    values: np.ndarray  # float64 (series, width); NaN before the first known value
    first: np.ndarray  # (series,): its column; the width where nothing is known


def fill(values: np.ndarray, season: int) -> Lines:
    """Right-aligned values with NaN where nothing is known, with their gaps filled."""
    count, width = values.shape
    is_known = np.isfinite(values)
    first = np.where(is_known.any(axis=1), is_known.argmax(axis=1), width) if width else np.zeros(count, dtype=np.int64)
    if is_known[np.arange(width) >= first[:, None]].all():
        return Lines(values, first)
    season = max(1, min(season, width))
    lead = -width % season
    whole = np.pad(values, ((0, 0), (lead, 0)), constant_values=np.nan).reshape(count, -1, season)
    seasonal = _carried(whole).reshape(count, -1)[:, lead:]
    # where no season before it knows the step: the step before
    return Lines(_carried(np.where(np.arange(width) >= first[:, None], seasonal, np.nan)[:, :, None])[:, :, 0], first)


def _carried(values: np.ndarray) -> np.ndarray:
    """(series, steps, beside), NaN filled with the newest known value of an earlier step."""
    steps = np.arange(values.shape[1])[None, :, None]
    newest = np.maximum.accumulate(np.where(np.isfinite(values), steps, 0), axis=1)
    return np.take_along_axis(values, newest, axis=1)


def cut(lines: Lines, rows: np.ndarray, origins: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The columns of windows of a context before origins, (rows, context), by context and season.

    Those of a series of which nothing is known before the origin point to a column where nothing is.
    """
    context, season = size
    columns = origins[:, None] - np.arange(context, 0, -1)
    first = lines.first[rows][:, None]
    again = np.clip(origins[:, None] - first, 1, season)
    folded = np.where(columns < first, first + (columns - first) % again, columns)
    return np.asarray(np.clip(folded, 0, lines.values.shape[1] - 1))


@dataclass(frozen=True)
class Norm:
    """Each value minus its window's level, over its size; on a logarithmic scale where there is a bend."""

    level: np.ndarray  # (windows,)
    size: np.ndarray  # (windows,), above 0
    bend: np.ndarray | None = None  # (windows,): usual sizes of values

    def to(self, values: np.ndarray) -> np.ndarray:
        """Values (windows, steps) on the common scale."""
        bent = values if self.bend is None else np.arcsinh(BENT * values / self.bend[:, None])
        return np.asarray(np.clip((bent - self.level[:, None]) / self.size[:, None], -REACH, REACH))

    def back(self, scaled: np.ndarray) -> np.ndarray:
        """What `to` was given, (windows, steps, outputs)."""
        beside = (slice(None), None, None)
        bent = np.clip(scaled, -REACH, REACH) * self.size[beside] + self.level[beside]
        return np.asarray(bent if self.bend is None else np.sinh(bent) * self.bend[beside] / BENT)

    @property
    def unit(self) -> np.ndarray:
        """By how much a value changes where a scaled one, near the level, changes by one."""
        return np.asarray(self.size if self.bend is None else self.size * np.cosh(self.level) * self.bend / BENT)


def norm(windows: np.ndarray, how: tuple[str, str, int], usual: float) -> Norm:
    """Level and size of windows, by the kind of level, the bend and the season.

    A window that never changes has next to no size, so that it goes on as it was; where nothing is known that is
    `usual`.
    """
    level_of, bend, season = how
    windows = np.where(np.isfinite(windows), windows, usual)
    sizes = np.abs(windows).mean(axis=1)
    sizes = np.where(sizes > 0, sizes, SMALLEST)
    bent = np.arcsinh(BENT * windows / sizes[:, None]) if bend == "log" else windows
    last = {"mean": windows.shape[1], "season": min(season, windows.shape[1]), "last": 1}[level_of]
    size = np.maximum(bent.std(axis=1), np.maximum(LEAST * np.abs(bent).mean(axis=1), SMALLEST))
    return Norm(bent[:, -last:].mean(axis=1), size, sizes if bend == "log" else None)
