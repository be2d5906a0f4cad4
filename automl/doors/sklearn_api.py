"""scikit-learn estimators over the same engine, for pipelines, cross-validation and people who know that face.

What scikit-learn's own validators can refuse is refused by them, in the words that its users know; the engine gets a
table whose columns it calls by their places, so what counts is their order, as everywhere in scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import assert_all_finite, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from automl.data.source import named, open_source
from automl.errors import InputError, OptionError
from automl.runtime.folder import fresh
from automl.runtime.remote import is_url

if TYPE_CHECKING:
    import pandas as pd

    from automl.result import Result

MOST_SEEDS = 2**31  # what a random_state may become


class _Estimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """What both estimators share: options in, a fitted result behind."""

    def __init__(self, budget: Any = "10m", options: Mapping[str, Any] | None = None, random_state: Any = None) -> None:
        self.budget = budget
        self.options = options
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        tags.non_deterministic = "trial" not in str(self.budget)  # what seconds allow differs from run to run
        return tags

    def _fit(self, rows: pd.DataFrame, y: np.ndarray, task: str, sample_weight: Any) -> None:
        """Run the engine on checked rows and answers."""
        from automl.doors.python import fit

        given = {"verbose": 0, "task": task, **(self.options or {})}
        if self.random_state is not None:
            given["seed"] = _seed(self.random_state)
        if given.get("run_dir") is not None and not is_url(given["run_dir"]):
            given["run_dir"] = fresh(Path(given["run_dir"]), "fit")  # one estimator is fitted many times
        if sample_weight is not None:
            if given.get("weight") is not None:
                raise OptionError("rows have weights twice, as sample_weight and as options['weight']. Give one.")
            counts = _weights(sample_weight, rows) > 0  # a row that counts nothing is no row
            rows, y = rows[counts], y[counts]
            given["weight"] = np.asarray(sample_weight, dtype=np.float64)[counts]
        self._columns = list(rows.columns)
        self.result_: Result = fit((rows, y), budget=self.budget, **given)

    def _checked(self, X: Any, y: Any) -> tuple[pd.DataFrame, np.ndarray]:
        """Rows and answers to learn from."""
        if y is None:
            name = type(self).__name__
            raise InputError(f"{name} requires y to be passed, but the target y is None. Give one answer for each row.")
        rows = self._rows(X, is_new=True)
        answers = column_or_1d(y, warn=True)
        check_consistent_length(rows, answers)
        assert_all_finite(answers, input_name="y")
        return rows, answers

    def _rows(self, X: Any, *, is_new: bool) -> pd.DataFrame:
        """Any table as a frame with named columns: of a fit new ones, else those of the fit in their order."""
        import pandas as pd

        least = 2 if is_new else 1  # rows
        if not _has_columns(X):
            values = validate_data(
                self, X, reset=is_new, dtype=None, ensure_all_finite=False, ensure_min_samples=least
            )  # fmt: skip
            frame = pd.DataFrame(values).infer_objects()
        else:
            frame = open_source(X, to_learn=False).table.frame
            validate_data(self, frame, reset=is_new, skip_check_array=True)
            if min(frame.shape) < 1 or len(frame) < least:  # its words for an array of this shape
                check_array(np.empty(frame.shape), ensure_min_samples=least)
        if is_new:
            return named(open_source(frame).table)[0]
        return frame.set_axis(self._columns, axis=1)  # the model reads the cells, as its training did


class AutoMLClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Classification.

    `budget` as for automl.fit; every other option of automl.fit goes into `options`, for instance
    {"metric": "f1", "class_weight": "balanced"}; of `run_dir` each fit makes a folder of its own. `random_state`: the
    seed of the search; None: that of the options.

    After `fit`: `result_`, the run (its score, leaderboard and report); `classes_`, sorted; `n_features_in_`, and
    `feature_names_in_` where the columns have names.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Search for the best classifier within the budget."""
        rows, answers = self._checked(X, y)
        check_classification_targets(answers)
        classes, counts = np.unique(
            answers if sample_weight is None else _counting(answers, sample_weight), return_counts=True
        )
        if len(counts) < 2:
            raise InputError(f"y has one class, {classes[0]!r}, nothing to tell apart. Give rows of two classes.")
        self._fit(rows, answers, "binary" if len(classes) == 2 else "multiclass", sample_weight)
        self.classes_ = classes
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Labels, one per row."""
        check_is_fitted(self, "result_")
        place = self._places()
        told = self.result_.predict(self._rows(X, is_new=False))
        return np.asarray(self.classes_[[place[label] for label in told]])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities, one column per entry of `classes_`."""
        check_is_fitted(self, "result_")
        told = self.result_.predict_proba(self._rows(X, is_new=False))
        return np.asarray(told)[:, np.argsort([self._places()[label] for label in told.columns])]

    def predict_set(self, X: Any, level: float = 0.9) -> np.ndarray:
        """Which labels together hold the true one in that share of new rows: bool, a column per entry of `classes_`."""
        check_is_fitted(self, "result_")
        told = self.result_.predict_set(self._rows(X, is_new=False), level)
        return np.asarray(told)[:, np.argsort([self._places()[label] for label in told.columns])]

    def _places(self) -> dict[Any, int]:
        """Where each label of the engine, which sorts numbers by size also where they are text, is in `classes_`."""
        return {label: place for place, label in enumerate(self.classes_.tolist())}


class AutoMLRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Regression.

    `budget` as for automl.fit; every other option of automl.fit goes into `options`, for instance {"metric": "mae"};
    of `run_dir` each fit makes a folder of its own. `random_state`: the seed of the search; None: that of the options.

    After `fit`: `result_`, the run (its score, leaderboard and report); `n_features_in_`, and `feature_names_in_`
    where the columns have names.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Search for the best regressor within the budget."""
        self._fit(*self._checked(X, y), "regression", sample_weight)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Numbers, one per row; of quantiles a column per level."""
        check_is_fitted(self, "result_")
        return np.asarray(self.result_.predict(self._rows(X, is_new=False)))

    def predict_interval(self, X: Any, level: float = 0.9) -> np.ndarray:
        """Two columns: the ends between which the number of a row lies in that share of all new rows."""
        check_is_fitted(self, "result_")
        return np.asarray(self.result_.predict_interval(self._rows(X, is_new=False), level))


def _has_columns(X: Any) -> bool:
    """Whether columns have types of their own: frames of any library, dicts of columns, lists of dicts."""
    if isinstance(X, Mapping):
        return not issparse(X)  # a dictionary of keys, to scipy
    if type(X).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow"):
        return "Frame" in type(X).__name__ or type(X).__name__ == "Table"  # not a Series, which is no table
    return isinstance(X, list) and bool(X) and all(isinstance(row, Mapping) for row in X)


def _weights(sample_weight: Any, rows: Any) -> np.ndarray:
    """A number of zero or more for each row, not zero for all."""
    weights = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.shape != (len(rows),):
        raise InputError(
            f"sample_weight has the shape {weights.shape}, but X has {len(rows)} rows. Give one number for each row."
        )
    if (weights < 0).any():
        raise InputError(f"sample_weight must be 0 or more, got {weights.min():g}. Mend these weights.")
    if not weights.any():
        raise InputError("sample_weight is zero in every row, so nothing is left to learn from. Give weights above 0.")
    return np.asarray(weights)


def _counting(answers: np.ndarray, sample_weight: Any) -> np.ndarray:
    """The answers of the rows that count."""
    return np.asarray(answers[_weights(sample_weight, answers) > 0])


def _seed(random_state: Any) -> int:
    """A seed of the engine; of a generator of random numbers the next one."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(MOST_SEEDS))
