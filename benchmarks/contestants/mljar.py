"""MLJAR in its mode for quality. Of its folder, only what it loads for prediction counts as the model's size."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
from common import Fitted, Task, compete, preload
from supervised import AutoML  # type: ignore[import-not-found]  # lives in its own environment

TASKS = {"binary": "binary_classification", "multiclass": "multiclass_classification", "regression": "regression"}
METRICS = {"roc_auc": "auc", "log_loss": "logloss"}  # the others have the same name

preload("lightgbm", "catboost", "xgboost", "sklearn.ensemble")


def fit(task: Task) -> Fitted:
    """AutoML in mode Compete with a total time limit."""
    results = task.folder / "fit"
    model = AutoML(
        results_path=str(results),
        mode="Compete",
        ml_task=TASKS[task.kind],
        eval_metric=METRICS.get(task.metric, task.metric),
        total_time_limit=max(1, round(task.seconds)),  # whole seconds only
        n_jobs=task.cores,
        random_state=task.seed,
    )
    model.fit(task.features, task.answers)

    def predict(rows: pd.DataFrame) -> pd.DataFrame:
        if task.kind == "regression":
            return pd.DataFrame({"prediction": model.predict(rows)})
        chances = model.predict_all(rows).drop(columns="label")  # unlike predict_proba, this names the classes
        chances.columns = [name.removeprefix("prediction_") for name in chances.columns]
        return pd.DataFrame(chances)

    def save(path: Path) -> None:
        path.mkdir()
        for file in results.glob("*.json"):
            shutil.copy(file, path)
        for name in json.loads((results / "params.json").read_text(encoding="utf-8"))["load_on_predict"]:
            shutil.copytree(results / name, path / name)

    return Fitted(predict, save, lambda: f"best of {len(model.get_leaderboard())} models")


if __name__ == "__main__":
    compete(fit, "mljar-supervised")
