"""The worst, the median and the best series of a run's backtests, as far as they are drawn: values, fans, parts.

The parts are a plain decomposition: a centred mean over a season, the mean distance from it of each step of the season,
and what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.report.sections.forecasts import DrawnSeriesJson, FanJson

if TYPE_CHECKING:
    from automl.report.gather.forecasts import Backtests

MOST_POINTS = 240  # of a series; of longer stretches each so manieth step is drawn
LEAST_BEFORE = 30  # steps before the first backtest, where there are so many
MOST_FANS = 5  # windows that are drawn, the newest
SEASONS = 10  # before what is drawn that its season is learned from
SMOOTH = 9  # steps that a trend is a mean over, where nothing repeats


def gather(tests: Backtests, errors: np.ndarray, rows: np.ndarray) -> list[DrawnSeriesJson]:
    """Three of them by their errors, fewer where there are fewer."""
    return [_drawn(tests, at, role, errors[at]) for role, at in _roles(errors, rows)]


def _roles(errors: np.ndarray, rows: np.ndarray) -> list[tuple[str, int]]:
    """Which ones: of those with all backtests, where these are not too few."""
    whole = np.flatnonzero(np.isfinite(errors) & (rows == rows.max()))
    known = whole if len(whole) >= 3 else np.flatnonzero(np.isfinite(errors))
    if not len(known):
        known = np.flatnonzero(rows > 0)[:1]
    order = known[np.argsort(-errors[known], kind="stable")].tolist()
    if len(order) == 1:
        return [("only", order[0])]
    middle = [("median", order[len(order) // 2])] if len(order) > 2 else []
    return [("worst", order[0]), *middle, ("best", order[-1])]


@dataclass(frozen=True)
class _Stretch:
    """The places of a series that are drawn."""

    begin: int
    end: int
    every: int

    @property
    def places(self) -> np.ndarray:
        return np.arange(self.begin, self.end, self.every)


def _drawn(tests: Backtests, at: int, role: str, error: float) -> DrawnSeriesJson:
    panel = tests.named.panel
    mine = np.flatnonzero(tests.series == at)
    origins = tests.places[mine] - tests.step[mine] + 1
    newest = np.unique(origins)[::-1][:MOST_FANS]
    drawn = [mine[origins == origin] for origin in newest]
    mine = np.concatenate(drawn)
    stretch = _stretch(tests, at, mine)
    places = stretch.places
    trend, season, rest = _decomposed(tests, int(panel.starts[at]), stretch)
    return {
        "role": role,
        "name": tests.named.names[at],
        "error": float(f"{error:.5g}") if np.isfinite(error) else None,
        "every": stretch.every,
        "times": tests.named.times(places),
        "values": _listed(panel.store[places]),
        "windows": [_fan(tests, rows, stretch) for rows in drawn],
        "trend": _listed(trend),
        "season": _listed(season),
        "rest": _listed(rest),
    }


def _stretch(tests: Backtests, at: int, mine: np.ndarray) -> _Stretch:
    """From some seasons before the first of these windows to the end of the last."""
    panel = tests.named.panel
    first = int((tests.places[mine] - tests.step[mine] + 1).min())
    end = int(tests.places[mine].max()) + 1
    wanted = max(2 * panel.season, 2 * panel.horizon, LEAST_BEFORE)
    before = min(wanted, max(MOST_POINTS - (end - first), panel.horizon))
    begin = max(int(panel.starts[at]), first - before)
    return _Stretch(begin, end, -(-(end - begin) // MOST_POINTS))


def _fan(tests: Backtests, rows: np.ndarray, stretch: _Stretch) -> FanJson:
    """What was foretold of one window, at the places that are drawn."""
    rows = rows[np.argsort(tests.places[rows])]
    away = tests.places[rows] - stretch.begin
    rows, away = rows[away % stretch.every == 0], away[away % stretch.every == 0]
    (low80, high80), (low95, high95) = tests.ends[0.8], tests.ends[0.95]
    return {
        "at": (away // stretch.every).tolist(), "middle": _listed(tests.said[rows]),
        "low80": _listed(low80[rows]), "high80": _listed(high80[rows]),
        "low95": _listed(low95[rows]), "high95": _listed(high95[rows]),
    }  # fmt: skip


def _listed(values: np.ndarray) -> list[float | None]:
    """As far as they can be drawn."""
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values.tolist()]


def _decomposed(tests: Backtests, start: int, stretch: _Stretch) -> Sequence[np.ndarray]:
    """Trend, season and rest at the places that are drawn; no season where nothing repeats."""
    panel = tests.named.panel
    begin = max(start, stretch.begin - SEASONS * panel.season)
    values = panel.store[begin : stretch.end]
    drawn = stretch.places - begin
    trend, season, rest = decompose(values, panel.season)
    return trend[drawn], season[drawn] if len(season) else season, rest[drawn]


def decompose(values: np.ndarray, season: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parts that sum to the values; NaN where these are gaps. An empty season: too few of them, or none."""
    is_known = np.isfinite(values)
    if not is_known.any():
        return values, np.empty(0), values
    places = np.arange(len(values))
    filled = np.interp(places, places[is_known], values[is_known])
    is_seasonal = season > 1 and len(values) >= 2 * season
    trend = _smooth(filled, season if is_seasonal else min(SMOOTH, len(values)))
    if not is_seasonal:
        return trend, np.empty(0), np.where(is_known, values - trend, np.nan)
    slot = places[is_known] % season
    count = np.bincount(slot, minlength=season)
    mean = np.bincount(slot, (values - trend)[is_known], minlength=season) / np.maximum(count, 1)
    mean = np.where(count > 0, mean - mean[count > 0].mean(), 0.0)
    seasonal = mean[places % season]
    return trend, seasonal, np.where(is_known, values - trend - seasonal, np.nan)


def _smooth(values: np.ndarray, width: int) -> np.ndarray:
    """A centred mean; at both ends it goes on as the last whole means do."""
    if width < 2:
        return values
    kernel = np.ones(width) / width if width % 2 else np.r_[0.5, np.ones(width - 1), 0.5] / width
    if len(values) < len(kernel):
        return np.full(len(values), values.mean())
    inside = np.convolve(values, kernel, mode="valid")
    half = len(kernel) // 2
    span = min(2 * width, len(inside))
    slopes = [(part[-1] - part[0]) / max(1, len(part) - 1) for part in (inside[:span], inside[-span:])]
    ahead = np.arange(1, half + 1)
    return np.concatenate([inside[0] - slopes[0] * ahead[::-1], inside, inside[-1] + slopes[1] * ahead])
