"""TF-IDF of words and characters with a linear support vector machine: ten lines for texts. Ignores the budget.

All columns that hold text are read as one; others are left out.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
from common import Fitted, Task, compete
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC


def joined(rows: pd.DataFrame) -> list[str]:
    """The texts of each row, one after the other."""
    names = [name for name in rows if not pd.api.types.is_numeric_dtype(rows[name])]
    return rows[names].fillna("").astype(str).agg(" ".join, axis=1).tolist()


def fit(task: Task) -> Fitted:
    """One model."""
    if task.kind == "regression":
        raise SystemExit("a classifier cannot answer with numbers")
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)
    model = make_pipeline(make_union(words, characters), LinearSVC(random_state=task.seed))
    model.fit(joined(task.features), task.answers)

    def predict(rows: pd.DataFrame) -> pd.DataFrame:
        told = np.asarray(model.decision_function(joined(rows)))
        raw = np.column_stack([-told, told]) if told.ndim == 1 else told
        odds = np.exp(raw - raw.max(axis=1, keepdims=True))
        return pd.DataFrame(odds / odds.sum(axis=1, keepdims=True), columns=model.classes_)

    def save(path: Path) -> None:
        path.write_bytes(pickle.dumps(model))

    return Fitted(predict, save, lambda: "TF-IDF and LinearSVC")


if __name__ == "__main__":
    compete(fit, "scikit-learn")
