"""AutoGluon's forecasting with its preset high_quality, without models whose weights come from a hub.

Generous: what its models load within the fit is imported before the stopwatch, and code that numba compiles for its
statistical models is kept from the first run of an environment on.
"""

from __future__ import annotations

import importlib
import os

import pandas as pd

os.environ.setdefault("NIXTLA_NUMBA_CACHE", "1")  # statsforecast reads it when it is imported

from autogluon.timeseries import TimeSeriesDataFrame, TimeSeriesPredictor  # type: ignore[import-not-found]
from forecast_scoring import FORECAST, LEVELS, bounds
from forecaster import Forecaster, Given

PACKAGE = "autogluon.timeseries"
PRETRAINED = ["Chronos", "Chronos2", "Toto", "Toto2"]
LOADED = (
    "torch",
    "lightning.pytorch",
    "gluonts.torch.model.tft",
    "gluonts.torch.model.deepar",
    "mlforecast",
    "lightgbm",
    "statsforecast.models",
    "autogluon.tabular",
)
METRICS = {"mase": "MASE", "wape": "WAPE", "rmsse": "RMSSE", "smape": "SMAPE"}

for module in LOADED:
    importlib.import_module(module)


def fit(given: Given) -> Forecaster:
    """TimeSeriesPredictor.fit with the preset, the set's metric and the time limit."""
    panel = given.panel
    tails = {name: tail for level in LEVELS for name, tail in zip(bounds(level), _tails(level), strict=True)}
    history = _framed(given, given.train, static=True)
    predictor = TimeSeriesPredictor(
        prediction_length=panel.horizon,
        target=panel.target,
        freq=panel.freq,
        eval_metric=METRICS[panel.metric],
        eval_metric_seasonal_period=panel.season,
        known_covariates_names=list(panel.known_future),
        quantile_levels=sorted({*tails.values(), 0.5}),
        path=str(given.folder / "fit"),
    )
    predictor.fit(
        history,
        presets="high_quality",
        time_limit=given.seconds,
        excluded_model_types=PRETRAINED,
        random_seed=given.seed,
    )

    def forecast() -> pd.DataFrame:
        known = _framed(given, given.asked, static=False) if panel.known_future else None
        told = predictor.predict(history, known_covariates=known, random_seed=given.seed).reset_index()
        ends = {str(tail): name for name, tail in tails.items()}
        return pd.DataFrame(told).rename(
            columns={"item_id": panel.id, "timestamp": panel.time, "mean": FORECAST, **ends}
        )

    return Forecaster(forecast, lambda: f"{predictor.model_best} of {len(predictor.model_names())} models")


def _tails(level: int) -> tuple[float, float]:
    """Shares below an interval's ends."""
    tail = round((1 - level / 100) / 2, 4)
    return tail, round(1 - tail, 4)


def _framed(given: Given, rows: pd.DataFrame, static: bool) -> TimeSeriesDataFrame:
    """Rows as AutoGluon takes them, columns that never change within a series apart."""
    panel = given.panel
    names = list(panel.static) if static else []
    of_series = rows[[panel.id, *names]].drop_duplicates(panel.id)
    return TimeSeriesDataFrame.from_data_frame(
        rows.drop(columns=names), id_column=panel.id, timestamp_column=panel.time,
        static_features_df=of_series if names else None,
    )  # fmt: skip
