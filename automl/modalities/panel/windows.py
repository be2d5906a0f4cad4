"""Rolling origins: the last steps of each series in windows of the horizon, each foretold from all before it.

A backtest learns once, from what came before the oldest of its windows, and foretells each of them from its own origin.
Where series are few it has several: a window of one series is a single draw of luck, and to look back costs no fit.
"""

from __future__ import annotations

import numpy as np

from automl.records import FoldPlan
from automl.scoring.folds import Folds
from search_spaces.series.panel import series_of
from search_spaces.spec import Panel

MOST_WINDOWS = 5
# Backtests and windows of each by the number of series: a window of many series holds many rows already.
WINDOWS_BELOW = ((2, 5, 8), (20, 5, 4), (100, 3, 4))
OTHERWISE = (2, 1)
MOST_HELD = 0.2  # of the steps of a usual series at most, where a backtest holds more than one window
FITS_EACH = 10  # of a usual family, that time must be left for with each backtest
FEW_SERIES, STRETCHES = 20, 6  # below so many, each window of one is cut into so many stretches that err alike
LEAST_KNOWN = 3  # values before a window's origin, without which nothing can be foretold in it


def window_of(ends: np.ndarray, starts: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each place of a store its window, the newest 0, and its origin; after the end of a series -1, and that end."""
    lengths = np.diff(starts)
    places, last = np.arange(starts[-1]), np.repeat(ends, lengths)
    window = np.floor_divide(last - 1 - places, horizon)
    origins = np.where(window < 0, last, np.maximum(last - (window + 1) * horizon, np.repeat(starts[:-1], lengths)))
    return np.where(window < 0, -1, window), origins


def choose_windows(panel: Panel, core_s: float, fit_s: float) -> FoldPlan:
    """As many backtests as histories and time allow; `fit_s`: what one fit of a usual family takes."""
    series = len(panel.starts) - 1
    wanted, _ = _usual(panel)
    usual = float(np.median(np.diff(panel.starts)))
    room = int((usual - max(panel.horizon, min(panel.season, usual / 2), LEAST_KNOWN)) // panel.horizon)
    fits = core_s / max(fit_s, 1e-3)
    count = max(1, min(wanted, room, MOST_WINDOWS, round(fits / FITS_EACH) if np.isfinite(fits) else MOST_WINDOWS))
    each = windows_each(panel, count)
    told = f"{series:,} series of about {usual:,.0f} steps: {count} backtest{'s' if count > 1 else ''} of "
    return FoldPlan(count, count, f"{told}{f'{each} windows of ' if each > 1 else ''}{panel.horizon} steps")


def windows_each(panel: Panel, backtests: int) -> int:
    """How many windows each of so many backtests holds."""
    room = int(MOST_HELD * float(np.median(np.diff(panel.starts))) // (backtests * panel.horizon))
    return max(1, min(_usual(panel)[1], room))


def _usual(panel: Panel) -> tuple[int, int]:
    """Backtests, and windows of each, for so many series."""
    series = len(panel.starts) - 1
    return next(((count, each) for below, count, each in WINDOWS_BELOW if series < below), OTHERWISE)


def newest_share(panel: Panel, rows: np.ndarray, share: float) -> np.ndarray:
    """Which of some of its rows are among the newest of their series: so many of each, two horizons at least."""
    places = panel.rows[rows]
    series = series_of(panel, places)
    ends, counts = np.zeros(len(panel.starts), dtype=np.int64), np.bincount(series, minlength=len(panel.starts))
    np.maximum.at(ends, series, places + 1)
    kept = np.maximum(np.ceil(share * counts), 2 * panel.horizon)
    return np.flatnonzero(places >= ends[series] - kept[series])


def newest_window(panel: Panel) -> Folds:
    """The newest window of each series alone, held out."""
    return _folds(panel, 1, 1)


def fold_windows(panel: Panel, count: int) -> Folds:
    """The fold of each row: the backtest that its window belongs to, where enough is known before it."""
    return _folds(panel, count, windows_each(panel, count))


def _folds(panel: Panel, count: int, each: int) -> Folds:
    known = np.cumsum(np.isfinite(panel.store))
    series = series_of(panel, panel.rows)
    origins, starts = panel.origins[panel.rows], panel.starts[series]
    before = np.where(origins > 0, known[np.maximum(origins, 1) - 1], 0) - np.where(starts > 0, known[starts - 1], 0)
    ends = _ends(panel)
    window = np.floor_divide(ends[series] - 1 - panel.rows, panel.horizon)
    backtest = window // each
    of_row = np.where((backtest < count) & (before >= LEAST_KNOWN), backtest, -1).astype(np.int16)
    if not (of_row == 0).any():
        of_row = np.where(window == 0, 0, of_row).astype(np.int16)
    made = int(of_row.max()) + 1
    why = f"the last {panel.horizon} steps of each series, foretold from all before them, the newest first"
    if each > 1:
        why = f"the last {each} times {panel.horizon} steps of each series, each time foretold from all before them"
    return Folds(made, of_row, "forward", why, blocks=_alike(panel, series, np.maximum(window, 0)))


def _alike(panel: Panel, series: np.ndarray, window: np.ndarray) -> np.ndarray:
    """A number per row, equal for those that err alike: of one series, or, of few, of a stretch of one window."""
    if len(panel.starts) > FEW_SERIES:
        return series
    stretch = (panel.rows - panel.origins[panel.rows]) * STRETCHES // panel.horizon
    _, blocks = np.unique(np.stack([series, window, stretch], axis=1), axis=0, return_inverse=True)
    return np.asarray(blocks).reshape(-1)


def _ends(panel: Panel) -> np.ndarray:
    """Of each series the place after its newest row."""
    ends = panel.starts[:-1].copy()
    np.maximum.at(ends, series_of(panel, panel.rows), panel.rows + 1)
    return ends
