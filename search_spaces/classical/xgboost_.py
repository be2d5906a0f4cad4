"""XGBoost: level-wise boosted trees on histograms. Close to LightGBM in quality, different enough to blend with it.

Codes of columns with few values are categories (missing stays missing); with many values they are ordinal numbers,
because partitions of hundreds of categories, each of few rows, fit noise. The model is its own binary JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from search_spaces.classical._answers import Answers, joined, unit_weight
from search_spaces.classical._boosting import Patience, most_rounds
from search_spaces.classical._xgboost_file import check
from search_spaces.spec import (
    WITH_QUANTILES,
    Additions,
    Family,
    Float,
    Int,
    Learner,
    Matrix,
    Needs,
    Params,
    Price,
    Rows,
    Run,
    Space,
)

SPACE: Space = {
    "learning_rate": Float(0.01, 0.2, start=0.08, log=True),
    "max_depth": Int(3, 10, start=6),
    "min_child_weight": Float(1e-3, 10.0, start=1.0, log=True),
    "subsample": Float(0.6, 1.0, start=0.8),
    "colsample_bytree": Float(0.4, 1.0, start=0.8),
    "reg_alpha": Float(1e-3, 5.0, start=1e-3, log=True),
    "reg_lambda": Float(1e-3, 10.0, start=1.0, log=True),
    "max_cat_to_onehot": Int(2, 64, start=8, log=True),
}

# After values that others learned on many public tables (AutoGluon's portfolios, pytabkit's tuned defaults).
PORTFOLIO: tuple[Params, ...] = (
    {"learning_rate": 0.09, "max_depth": 5, "min_child_weight": 0.63, "colsample_bytree": 0.66, "subsample": 0.95},
    {"learning_rate": 0.05, "max_depth": 9, "min_child_weight": 2.0, "subsample": 0.7, "colsample_bytree": 1.0},
    {"learning_rate": 0.04, "max_depth": 7, "min_child_weight": 0.56, "colsample_bytree": 0.75, "reg_alpha": 1.0},
    {"learning_rate": 0.05, "max_depth": 4, "min_child_weight": 0.92, "colsample_bytree": 0.75, "reg_lambda": 3.0},
    {"learning_rate": 0.02, "max_depth": 10, "min_child_weight": 0.14, "colsample_bytree": 0.6, "reg_alpha": 3.5},
)

MOST_CATEGORIES = 256


class XGBoost:
    """A native booster, cut back to its best round."""

    is_cut = False
    rounds_ = 0

    def __init__(self, params: Params) -> None:
        self.params = params

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:
        """Boost until the validation error stalls, the rounds are used up or the time is over."""
        import xgboost

        self.answers = Answers.of(train, run)
        data = self._dataset(train, run.threads)
        seen = [(self._dataset(valid, run.threads, data), "valid")] if valid is not None else []
        objective, watched = _objective(run)
        patience = Patience(self.params["learning_rate"], run.until)

        class Watch(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # the library is untyped
            def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 - its signature
                model.set_param("learning_rate", patience.learning_rate)
                return False

            def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 - its signature
                return patience.stops(epoch + 1, evals_log["valid"][watched][-1] if evals_log else None)

        settings = self._settings(run, train) | {"objective": objective, "eval_metric": watched}
        booster = xgboost.train(
            settings,
            data,
            most_rounds(self.params, valid is not None),
            evals=seen,
            verbose_eval=False,
            callbacks=[Watch()],
        )
        self.is_cut = patience.is_cut
        self.rounds_ = patience.rounds
        self.blob = bytes(booster[: patience.best].save_raw("ubj"))
        self.booster = xgboost.Booster(model_file=bytearray(self.blob))  # predict from what is saved, nothing else

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict encoded rows."""
        if not len(X):
            return self.answers.nothing()
        self.booster.set_param({"nthread": threads})
        return self.answers.decode(self.booster.inplace_predict(_table(X)))

    def additions(self, X: Matrix, beside: Matrix | None = None, threads: int = 1) -> Additions | None:  # noqa: ARG002
        """By the paths of its trees; quantiles may cross, and are put in order."""
        import xgboost

        if self.answers.task == "quantile" or not len(X):
            return None
        self.booster.set_param({"nthread": threads})
        rows = xgboost.DMatrix(_table(X), feature_types=_kinds(X), enable_categorical=True, nthread=threads)
        return self.answers.from_library(self.booster.predict(rows, pred_contribs=True))

    def dump(self) -> dict[str, bytes]:
        """XGBoost's own binary file."""
        return {"answers.json": self.answers.pack(), "model.ubj": self.blob}

    def _dataset(self, rows: Rows, threads: int, train: Any = None) -> Any:
        import xgboost

        return xgboost.QuantileDMatrix(
            _table(rows.X),
            self.answers.encode(rows.y),
            weight=unit_weight(rows),
            feature_types=_kinds(rows.X),
            enable_categorical=True,
            nthread=threads,
            ref=train,
        )

    def _settings(self, run: Run, train: Rows) -> dict[str, Any]:
        settings = {name: self.params[name] for name in SPACE}
        settings |= {
            "tree_method": "hist",
            "nthread": run.threads,
            "seed": run.seed % 2**31,
            "verbosity": 0,
        }
        if run.task == "multiclass":
            settings["num_class"] = run.classes
        if run.task == "quantile":
            settings["quantile_alpha"] = list(run.levels)
        if run.task == "binary":  # its own guess is infinite where the training rows hold one class only
            share = float(np.average(train.y, weights=train.weight))
            settings["base_score"] = min(max(share, 1e-4), 1 - 1e-4)
        return settings


def _is_category(size: int) -> bool:
    return size <= MOST_CATEGORIES


def _kinds(X: Matrix) -> list[str]:
    return ["float"] * X.numbers.shape[1] + ["c" if _is_category(size) else "float" for size in X.sizes]


def _table(X: Matrix) -> np.ndarray:
    table = joined(X)
    codes = table[:, X.numbers.shape[1] :]
    codes[X.codes == 0] = np.nan  # missing or never seen: the side that missing values take
    return table


def _objective(run: Run) -> tuple[str, str]:
    """What to learn and what to watch, in the library's words."""
    if run.task == "regression":
        return ("reg:absoluteerror", "mae") if run.metric == "mae" else ("reg:squarederror", "rmse")
    if run.task == "quantile":
        return "reg:quantileerror", "quantile"
    return ("binary:logistic", "logloss") if run.task == "binary" else ("multi:softprob", "mlogloss")


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    import xgboost

    learner = XGBoost({})
    learner.answers = Answers.read(parts)
    learner.blob = parts["model.ubj"]
    check(learner.blob, learner.answers)
    learner.booster = xgboost.Booster(model_file=bytearray(learner.blob))
    return learner


FAMILY = Family(
    name="xgboost",
    title="XGBoost",
    route="classical",
    space=SPACE,
    build=XGBoost,
    load=load,
    needs=Needs(tasks=WITH_QUANTILES, rows=(20, 20_000_000), columns=(1, 20_000), classes=200, package="xgboost"),
    portfolio=PORTFOLIO,
    price=Price(0.15, 6.0, 0.95),
    counts_weights=True,
    imports=("xgboost",),
)
