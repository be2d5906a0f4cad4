"""One LightGBM over all series on lags, rolling means, dates and static columns by mlforecast. It ignores the budget.

The library's defaults but for the absolute loss. No one way of differencing is good on all sets, and steps that build
on forecasts go astray on long horizons: both are chosen on the last horizon of the training rows, by the set's metric.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import pandas as pd
from forecast_scoring import FORECAST, scored
from forecaster import Forecaster, Given
from forecasters.statistical import long
from lightgbm import LGBMRegressor  # type: ignore[import-not-found,unused-ignore]
from mlforecast import MLForecast  # type: ignore[import-not-found]  # lives in its own environment
from mlforecast.lag_transforms import RollingMean  # type: ignore[import-not-found]
from mlforecast.target_transforms import Differences, LocalStandardScaler  # type: ignore[import-not-found]
from panels import SeriesSet

PACKAGE = "mlforecast"
NEAR = 7  # newest steps, each a lag; with those around the seasons much as AutoGluon chooses lags
AROUND = {24: 7}  # seasons back, of hours a week; 3 of others
DATES = {"h": ["hour", "dayofweek", "month"], "D": ["dayofweek", "day", "month"], "MS": ["month"], "QS": ["quarter"]}


@dataclass(frozen=True)
class Recipe:
    """Differences of what is learned, on lags from `nearest` on; from a horizon on, no step builds on another."""

    differences: tuple[int, ...]
    nearest: int

    def __str__(self) -> str:
        return f"lags from {self.nearest}, differences {', '.join(map(str, self.differences)) or 'none'}"


def fit(given: Given) -> Forecaster:
    """Choose the recipe on a backtest, then learn from all rows."""
    panel, rows = given.panel, _rows(given)
    lengths = rows.groupby("unique_id")["y"].transform("size")
    rest = rows[lengths > panel.horizon + 2 * panel.season + 1]
    losses = {recipe: _backtested(given, rest, recipe) for recipe in _recipes(panel, int(lengths.min()))}
    best = min(losses, key=losses.__getitem__)
    model = _fitted(given, rows, best)

    def forecast() -> pd.DataFrame:
        return _forecast(given, model).rename(columns={"unique_id": panel.id, "ds": panel.time})

    return Forecaster(forecast, lambda: f"{best}: {losses[best]:.4g} of {[f'{loss:.4g}' for loss in losses.values()]}")


def _rows(given: Given) -> pd.DataFrame:
    """Values without gaps, what belongs to each series as categories, and what is known beforehand."""
    panel, train = given.panel, given.train
    static = {name: train[name].astype("category") for name in panel.static}
    return long(given).assign(**static, **{name: train[name] for name in panel.known_future})


def _recipes(panel: SeriesSet, shortest: int) -> list[Recipe]:
    """Step by step with each way of differencing, and at once; only those that leave the shortest series something."""
    seasonal = -(-panel.horizon // panel.season) * panel.season  # as many whole seasons as the horizon needs
    every = [Recipe(steps, 1) for steps in ((), (1,), (panel.season,), (1, panel.season))]
    every += [Recipe(steps, panel.horizon) for steps in ((), (seasonal,))]
    return [recipe for recipe in every if sum(recipe.differences) + 1 < shortest]


def _backtested(given: Given, rows: pd.DataFrame, recipe: Recipe) -> float:
    """The loss on the last horizon of each series."""
    panel = given.panel
    names = {"unique_id": panel.id, "ds": panel.time, "y": panel.target}
    is_held = rows.groupby("unique_id").cumcount(ascending=False) < panel.horizon
    past, held = rows[~is_held], rows[is_held]
    told = _forecast(given, _fitted(given, past, recipe), held).rename(columns=names)
    loss = scored(panel, past.rename(columns=names), held.rename(columns=names), told).value(panel.metric)
    return float("inf") if loss is None else loss


def _fitted(given: Given, rows: pd.DataFrame, recipe: Recipe) -> MLForecast:
    panel, season, first = given.panel, given.panel.season, recipe.nearest
    back = [(k + (first - 1) // season) * season for k in range(1, AROUND.get(season, 3) + 1)]
    near = [first + step for step in range(NEAR)]
    model = MLForecast(
        models={FORECAST: LGBMRegressor(objective="l1", verbosity=-1, n_jobs=given.cores, random_state=given.seed)},
        freq=panel.freq,
        lags=sorted({lag for lag in (*near, *(k + d for k in back for d in (-1, 0, 1))) if lag >= first}),
        lag_transforms={lag: [RollingMean(max(2, season))] for lag in {first, max(first, season)}},
        date_features=DATES.get(panel.freq, []),
        target_transforms=[*([Differences(recipe.differences)] if recipe.differences else []), LocalStandardScaler()],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(rows, static_features=list(panel.static), dropna=False)


def _forecast(given: Given, model: MLForecast, held: pd.DataFrame | None = None) -> pd.DataFrame:
    """The horizon after the rows learned from; what is known beforehand is that of the held rows, or of those asked."""
    panel = given.panel
    future = None
    if panel.known_future:
        asked = given.asked.rename(columns={panel.id: "unique_id", panel.time: "ds"}) if held is None else held
        future = asked[["unique_id", "ds", *panel.known_future]]
    return pd.DataFrame(model.predict(panel.horizon, X_df=future))
