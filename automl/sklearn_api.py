"""scikit-learn estimators over the same engine, for pipelines, cross-validation and people who know that face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    import pandas as pd

    from automl.result import Result


class _Estimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """What both estimators share: options in, a fitted result behind."""

    _tasks: tuple[str, ...] = ()

    def __init__(self, budget: Any = "10m", options: dict[str, Any] | None = None) -> None:
        self.budget = budget
        self.options = options

    def _fit(self, X: Any, y: Any, task: str | None) -> None:
        from automl.run import fit

        given = {"verbose": 0, **(self.options or {})}
        if task is not None:
            given.setdefault("task", task)
        self.result_: Result = fit((X, y), budget=self.budget, **given)
        self.n_features_in_ = np.shape(X)[1]

    def predict(self, X: Any) -> np.ndarray:
        """Predictions, one per row."""
        check_is_fitted(self, "result_")
        return np.asarray(self.result_.predict(_named(X)))


class AutoMLClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Classification. `budget` as for automl.fit; every other option of automl.fit goes into `options`."""

    def fit(self, X: Any, y: Any) -> AutoMLClassifier:
        """Search for the best classifier within the budget."""
        self._fit(X, y, "binary" if len(np.unique(np.asarray(y))) == 2 else "multiclass")
        self.classes_ = np.asarray(self.result_.model.classes)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities, one column per entry of `classes_`."""
        check_is_fitted(self, "result_")
        return np.asarray(self.result_.predict_proba(_named(X)))


class AutoMLRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Regression. `budget` as for automl.fit; every other option of automl.fit goes into `options`."""

    def fit(self, X: Any, y: Any) -> AutoMLRegressor:
        """Search for the best regressor within the budget."""
        self._fit(X, y, "regression")
        return self


def _named(X: Any) -> pd.DataFrame:
    """Arrays get the column names that `fit` gave them."""
    from automl.reading import load_features

    return load_features(X)
