"""AutoGluon with its preset for quality. `autogluon_medium` shares all but the preset.

Generous: its learning libraries are imported before the stopwatch, the model is held in memory for timing one row, and
only what prediction needs counts as its size.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
from autogluon.tabular import TabularPredictor  # type: ignore[import-not-found]  # lives in its own environment
from common import Fitted, Task, compete, preload

METRICS = {"rmse": "root_mean_squared_error", "mae": "mean_absolute_error"}  # the others have the same name

preload("torch", "lightgbm", "catboost", "xgboost", "fastai.tabular.all", "pytabkit", "pytorch_lightning")


def fit_preset(task: Task, presets: str) -> Fitted:
    """TabularPredictor.fit with a preset and the time limit."""
    predictor = TabularPredictor(
        label=task.target,
        problem_type=task.kind,
        eval_metric=METRICS.get(task.metric, task.metric),
        path=str(task.folder / "fit"),
        verbosity=2,
    )
    predictor.fit(task.train, presets=presets, time_limit=task.seconds, num_cpus=task.cores, num_gpus=0)
    is_in_memory = False

    def predict(rows: pd.DataFrame) -> pd.DataFrame:
        nonlocal is_in_memory
        if not is_in_memory:  # after the fit's time was taken
            predictor.persist()
            is_in_memory = True
        if task.kind == "regression":
            return pd.DataFrame({"prediction": predictor.predict(rows)})
        return pd.DataFrame(predictor.predict_proba(rows, as_multiclass=True))

    def save(path: Path) -> None:
        shutil.rmtree(path, ignore_errors=True)
        predictor.clone_for_deployment(str(path))

    return Fitted(predict, save, lambda: f"{predictor.model_best} of {len(predictor.model_names())} models")


if __name__ == "__main__":
    compete(lambda task: fit_preset(task, "best_quality"), "autogluon.tabular")
