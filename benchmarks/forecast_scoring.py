"""Scores of forecasts, the same for all contestants, and what cannot be scored is said.

Rows whose true value is missing are left out of everything. The scale of a series is the mean absolute (MASE) or root
mean squared (RMSSE) difference of its training values one season apart. Intervals are judged by coverage, width and the
Winkler score, the last two in units of the MASE scale, so that series of all sizes count alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from panels import SeriesSet

LEVELS = (80, 95)  # percent
FORECAST = "forecast"


@dataclass(frozen=True)
class Interval:
    """How the intervals of one level did; width and Winkler score are means over rows, lower is better."""

    coverage: float  # share of test rows inside
    width: float
    winkler: float
    by_step: tuple[float, ...]  # coverage of the first, second, ... step


@dataclass(frozen=True)
class Scores:
    """What a forecast is worth. None: undefined on this set."""

    mase: float | None  # mean over series; those shorter than a season or never changing are left out
    rmsse: float | None  # likewise, the mean of the series' roots
    wape: float | None  # sum of errors by sum of values, over all rows; undefined if those sum to zero
    smape: float | None  # mean over rows of 2|e| / (|y| + |f|), between 0 and 2; rows of 0/0 are left out
    rows: int
    series: int
    unscaled: int  # series that MASE leaves out
    intervals: Mapping[int, Interval] = field(default_factory=dict)

    def value(self, metric: str) -> float | None:
        """One of the four by its name."""
        found: float | None = getattr(self, metric)
        return found


def bounds(level: int) -> tuple[str, str]:
    """Names of the columns that hold an interval's ends."""
    return f"lower_{level}", f"upper_{level}"


def scored(panel: SeriesSet, train: pd.DataFrame, test: pd.DataFrame, forecast: pd.DataFrame) -> Scores:
    """Score rows of id, time and forecast (and bounds, where there are any) on test rows; all are by series and time.

    ValueError where forecasts are missing, doubled or no finite numbers.
    """
    steps = test.groupby(panel.id).cumcount()
    is_known = test[panel.target].notna()
    test, steps = test[is_known].reset_index(drop=True), steps[is_known]
    told = _aligned(panel, test, forecast)
    truth, ids = test[panel.target].to_numpy(), test[panel.id]
    error = truth - told[FORECAST].to_numpy()
    absolute, squared = scales(panel, train, ids)
    per_row = pd.DataFrame({"id": ids, "mase": np.abs(error) / absolute, "rmsse": error**2 / squared**2})
    by_series = per_row.groupby("id").mean()
    return Scores(
        mase=_mean(by_series["mase"].to_numpy()),
        rmsse=_mean(np.sqrt(by_series["rmsse"].to_numpy())),
        wape=_ratio(np.abs(error).sum(), np.abs(truth).sum()),
        smape=_smape(truth, told[FORECAST].to_numpy()),
        rows=len(test),
        series=len(by_series),
        unscaled=int(by_series["mase"].isna().sum()),
        intervals=_intervals(truth, told, absolute, steps.to_numpy()),
    )


def scales(panel: SeriesSet, train: pd.DataFrame, ids: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The MASE and RMSSE scale of each row's series; NaN where no two values lie a season apart, or all agree."""
    step = train.groupby(panel.id)[panel.target].diff(panel.season)
    by = step.groupby(train[panel.id])
    absolute, squared = by.apply(lambda d: d.abs().mean()), by.apply(lambda d: math.sqrt((d**2).mean()))
    found = [ids.map(scale).to_numpy(dtype=float) for scale in (absolute, squared)]
    return np.where(found[0] > 0, found[0], np.nan), np.where(found[1] > 0, found[1], np.nan)


def seasonal_naive(panel: SeriesSet) -> pd.DataFrame:
    """Each step as the newest known value of its place in the season, else as the newest of all, else zero."""
    train, rows = panel.read("train"), panel.read("test")[[panel.id, panel.time]]
    histories = {name: part.to_numpy() for name, part in train.groupby(panel.id)[panel.target]}
    forecasts = [
        _repeated(histories.get(name, np.empty(0)), panel.season, len(part)) for name, part in rows.groupby(panel.id)
    ]
    return rows.assign(**{FORECAST: np.concatenate(forecasts)})


def _repeated(history: np.ndarray, season: int, steps: int) -> np.ndarray:
    filled = pd.Series(history).ffill().fillna(0.0).to_numpy()
    if len(filled) == 0:
        return np.zeros(steps)
    last = np.array([next((v for v in history[::-1][season - 1 - at :: season] if not np.isnan(v)), filled[-1])
                     for at in range(season)])  # fmt: skip
    return last[np.arange(steps) % season]


def _aligned(panel: SeriesSet, test: pd.DataFrame, forecast: pd.DataFrame) -> pd.DataFrame:
    """The forecasts of the test rows, in their order; checked."""
    keys = [panel.id, panel.time]
    if missing := [name for name in (*keys, FORECAST) if name not in forecast]:
        raise ValueError(f"the forecast has no column {missing[0]!r}, but {list(forecast.columns)}")
    told = forecast.assign(
        **{panel.id: forecast[panel.id].astype(str), panel.time: pd.to_datetime(forecast[panel.time])}
    )
    if (twice := told.duplicated(keys)).any():
        raise ValueError(f"{int(twice.sum())} rows of id and time are forecast twice")
    told = test[keys].merge(told, on=keys, how="left", indicator=True)
    if (gone := told["_merge"] == "left_only").any():
        row = told[gone].iloc[0]
        raise ValueError(
            f"{int(gone.sum())} of {len(test)} test rows have no forecast, first {row[keys[0]]} {row[keys[1]]}"
        )
    columns = [FORECAST, *(name for level in LEVELS for name in bounds(level) if name in told)]
    if not np.isfinite(told[columns].to_numpy(dtype=float)).all():
        raise ValueError("the forecast holds cells that are no finite numbers")
    return told[columns]


def _intervals(truth: np.ndarray, told: pd.DataFrame, scale: np.ndarray, steps: np.ndarray) -> dict[int, Interval]:
    """Each level of which both ends are told."""
    found = {}
    for level in LEVELS:
        low_name, high_name = bounds(level)
        if low_name in told and high_name in told:
            low, high = told[low_name].to_numpy(dtype=float), told[high_name].to_numpy(dtype=float)
            inside = (low <= truth) & (truth <= high)
            missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
            winkler = (high - low) + 2 / (1 - level / 100) * missed
            found[level] = Interval(
                coverage=float(inside.mean()),
                width=_mean((high - low) / scale) or 0.0,
                winkler=_mean(winkler / scale) or 0.0,
                by_step=tuple(float(inside[steps == step].mean()) for step in np.unique(steps)),
            )
    return found


def _smape(truth: np.ndarray, told: np.ndarray) -> float | None:
    total = np.abs(truth) + np.abs(told)
    is_defined = total > 0
    return _mean(2 * np.abs(truth - told)[is_defined] / total[is_defined])


def _mean(values: np.ndarray) -> float | None:
    """Of the numbers among them; None if there is none."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else None


def _ratio(above: float, below: float) -> float | None:
    return float(above / below) if below > 0 else None
