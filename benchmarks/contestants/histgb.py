"""scikit-learn's histogram boosting with ordinal-encoded categories: what ten lines of code get. Ignores the budget."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pandas as pd
from common import Fitted, Task, compete
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

MAX_CATEGORIES = 250  # the booster takes at most 255 levels; rarer ones share a code
NAN = float("nan")


def fit(task: Task) -> Fitted:
    """One model with early stopping, categories as such."""
    texts = [name for name in task.features if not pd.api.types.is_numeric_dtype(task.features[name])]
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=NAN,
        encoded_missing_value=NAN,
        max_categories=MAX_CATEGORIES,
    )
    encode = ColumnTransformer([("categories", encoder, texts)], remainder="passthrough")
    booster: Any = HistGradientBoostingRegressor if task.kind == "regression" else HistGradientBoostingClassifier
    model = make_pipeline(
        encode,
        booster(
            max_iter=300,
            early_stopping=True,
            categorical_features=list(range(len(texts))),
            random_state=task.seed,
        ),
    )
    model.fit(task.features, task.answers)

    def predict(rows: pd.DataFrame) -> pd.DataFrame:
        if task.kind == "regression":
            return pd.DataFrame({"prediction": model.predict(rows)})
        return pd.DataFrame(model.predict_proba(rows), columns=model.classes_)

    def save(path: Path) -> None:
        path.write_bytes(pickle.dumps(model))

    return Fitted(predict, save, lambda: f"HistGradientBoosting, {model[-1].n_iter_} rounds")


if __name__ == "__main__":
    compete(fit, "scikit-learn")
