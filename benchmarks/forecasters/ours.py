"""Our own contestant, as a user calls it: all options but the set's own are the defaults."""

from __future__ import annotations

import pandas as pd
from forecaster import Forecaster, Given

import automl

PACKAGE = "automl-frontier"


def fit(given: Given) -> Forecaster:
    """automl.fit on the long table, then result.forecast with what is known beforehand, if anything is."""
    panel = given.panel
    result = automl.fit(
        given.train,
        target=panel.target,
        time_column=panel.time,
        series_id=panel.id,
        horizon=panel.horizon,
        known_future=panel.known_future,
        metric=panel.metric,
        budget=given.seconds,
        seed=given.seed,
        run_dir=given.folder / "run",
        verbose=0,
    )

    def forecast() -> pd.DataFrame:
        future = given.asked if panel.known_future else None
        return result.forecast(horizon=panel.horizon, future=future, levels=(80, 95))

    return Forecaster(forecast, lambda: f"{result.best}, promised {result.score.value:.4g}")
