"""FLAML as its documentation calls it. The underscore keeps this file from hiding the package."""

from __future__ import annotations

import pickle
from pathlib import Path

import pandas as pd
from common import Fitted, Task, compete, preload
from flaml import AutoML  # type: ignore[import-not-found]  # lives in its own environment

TASKS = {"binary": "classification", "multiclass": "classification", "regression": "regression"}

preload("lightgbm", "catboost", "xgboost", "sklearn.ensemble")


def fit(task: Task) -> Fitted:
    """AutoML.fit with a time budget."""
    model = AutoML()
    model.fit(
        task.features,
        task.answers,
        task=TASKS[task.kind],
        metric=task.metric,  # FLAML spells the metrics of this benchmark as we do
        time_budget=task.seconds,
        n_jobs=task.cores,
        seed=task.seed,
        log_file_name="",
    )

    def predict(rows: pd.DataFrame) -> pd.DataFrame:
        if task.kind == "regression":
            return pd.DataFrame({"prediction": model.predict(rows)})
        return pd.DataFrame(model.predict_proba(rows), columns=model.classes_)

    def save(path: Path) -> None:
        path.write_bytes(pickle.dumps(model.model))  # the fitted estimator without the history of the search

    return Fitted(predict, save, lambda: f"{model.best_estimator} {model.best_config}")


if __name__ == "__main__":
    compete(fit, "flaml")
