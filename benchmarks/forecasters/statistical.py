"""Seasonal naive, AutoETS and AutoTheta of statsforecast, each series alone. They ignore the budget and covariates.

Gaps take the last known value, as AutoGluon fills them: none of the three can have missing values.
"""

from __future__ import annotations

import pandas as pd
from forecast_scoring import FORECAST, LEVELS, bounds
from forecaster import Forecaster, Given
from statsforecast import StatsForecast  # type: ignore[import-not-found]  # lives in its own environment
from statsforecast.models import AutoETS, AutoTheta, SeasonalNaive  # type: ignore[import-not-found]

PACKAGE = "statsforecast"
LONGEST = 2500  # newest points of a series, AutoGluon's cap for its statistical models; AutoETS takes hours on 40,000
MODELS = {"naive": SeasonalNaive, "ets": AutoETS, "theta": AutoTheta}


def fit(given: Given) -> Forecaster:
    """The library fits while it forecasts, so all of its time is the fit's."""
    panel = given.panel
    model = MODELS[given.name](season_length=panel.season, alias=FORECAST)
    runner = StatsForecast(
        models=[model], freq=panel.freq, n_jobs=given.cores, fallback_model=SeasonalNaive(season_length=panel.season)
    )
    told = runner.forecast(df=long(given).groupby("unique_id").tail(LONGEST), h=panel.horizon, level=list(LEVELS))
    names = {
        f"{FORECAST}-{end}-{level}": name
        for level in LEVELS
        for end, name in zip(("lo", "hi"), bounds(level), strict=True)
    }
    told = told.rename(columns={"unique_id": panel.id, "ds": panel.time, **names})
    return Forecaster(lambda: told, lambda: type(model).__name__)


def long(given: Given) -> pd.DataFrame:
    """Training values as Nixtla's libraries take them, without gaps."""
    panel = given.panel
    frame = given.train[[panel.id, panel.time, panel.target]].set_axis(["unique_id", "ds", "y"], axis=1)
    return frame.assign(y=frame.groupby("unique_id")["y"].transform(lambda values: values.ffill().bfill()))
