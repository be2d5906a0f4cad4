"""CatBoost: symmetric boosted trees with ordered statistics of categories. Strong untuned, slow to train; optional.

Takes codes as words, which is how it knows categories. The model is its own binary file.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from search_spaces.classical._answers import Answers, unit_weight
from search_spaces.classical._boosting import Patience, most_rounds
from search_spaces.classical._catboost_file import check
from search_spaces.spec import (
    OF_NUMBERS,
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
    "learning_rate": Float(0.02, 0.2, start=0.08, log=True),
    "depth": Int(4, 8, start=6),
    "l2_leaf_reg": Float(0.1, 10.0, start=3.0, log=True),
    "leaf_estimation_iterations": Int(1, 10, start=1, log=True),
    "subsample": Float(0.6, 1.0, start=0.85),
    "rsm": Float(0.5, 1.0, start=0.9),
    "max_ctr_complexity": Int(1, 4, start=1),
    "one_hot_max_size": Int(2, 40, start=25, log=True),
}

# After values that others learned on many public tables (AutoGluon's and TabArena's portfolios).
PORTFOLIO: tuple[Params, ...] = (
    {"learning_rate": 0.07, "depth": 6, "l2_leaf_reg": 2.15, "max_ctr_complexity": 4, "one_hot_max_size": 10},
    {"learning_rate": 0.06, "depth": 4, "l2_leaf_reg": 4.6, "max_ctr_complexity": 3, "one_hot_max_size": 3},
    {"learning_rate": 0.05, "depth": 8, "l2_leaf_reg": 1.6, "max_ctr_complexity": 3, "one_hot_max_size": 2},
    {"learning_rate": 0.04, "depth": 7, "l2_leaf_reg": 2.0, "leaf_estimation_iterations": 2, "one_hot_max_size": 23},
)


class CatBoost:
    """A native model, cut back to its best round."""

    is_cut = False
    rounds_ = 0

    def __init__(self, params: Params) -> None:
        self.params = params

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:
        """Boost until the validation error stalls, the rounds are used up or the time is over."""
        import catboost

        self.answers = Answers.of(train, run)
        loss = _loss(run)
        patience = Patience(self.params["learning_rate"], run.until, is_steady=True)

        class StopInTime:
            def after_iteration(self, info: Any) -> bool:
                error = info.metrics["validation"][loss][-1] if valid is not None else None
                return not patience.stops(info.iteration, error)

        model = catboost.CatBoost(self._settings(run, loss, valid is not None))
        model.fit(
            self._pool(train),
            eval_set=None if valid is None else self._pool(valid),
            callbacks=[StopInTime()],
            log_cerr=io.StringIO(),  # it warns there of absent classes however silent it is told to be
        )
        self.is_cut = patience.is_cut
        self.rounds_ = int(model.tree_count_)
        self.blob = _as_bytes(model)
        self.model = model

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict encoded rows."""
        if not len(X):
            return self.answers.nothing()
        kind = "RawFormulaVal" if self.answers.task in OF_NUMBERS else "Probability"
        return self.answers.decode(self.model.predict(_features(X), prediction_type=kind, thread_count=threads))

    def additions(self, X: Matrix, beside: Matrix | None = None, threads: int = 1) -> Additions | None:  # noqa: ARG002
        """By the paths of its trees; quantiles may cross, and are put in order."""
        import catboost

        if self.answers.task == "quantile" or not len(X):
            return None
        rows = catboost.Pool(_features(X))
        told = self.model.get_feature_importance(data=rows, type="ShapValues", thread_count=threads)
        return self.answers.from_library(told)

    def dump(self) -> dict[str, bytes]:
        """CatBoost's own binary file."""
        return {"answers.json": self.answers.pack(), "model.cbm": self.blob}

    def _pool(self, rows: Rows) -> Any:
        import catboost

        return catboost.Pool(_features(rows.X), self.answers.encode(rows.y), weight=unit_weight(rows))

    def _settings(self, run: Run, loss: str, has_valid: bool) -> dict[str, Any]:
        settings = {name: self.params[name] for name in SPACE}
        settings |= {
            "iterations": most_rounds(self.params, has_valid),
            "loss_function": loss,
            "eval_metric": loss,
            "bootstrap_type": "Bernoulli",
            "use_best_model": has_valid,
            "allow_const_label": True,
            "random_seed": run.seed % 2**31,
            "thread_count": run.threads,
            "allow_writing_files": False,
            "logging_level": "Silent",
        }
        if run.task == "multiclass":
            settings["classes_count"] = run.classes
        return settings


def _loss(run: Run) -> str:
    if run.task == "regression":
        return "MAE" if run.metric == "mae" else "RMSE"
    if run.task == "quantile":
        levels = ",".join(map(repr, run.levels))
        return f"{'Quantile' if len(run.levels) == 1 else 'MultiQuantile'}:alpha={levels}"
    return "Logloss" if run.task == "binary" else "MultiClass"


def _features(X: Matrix) -> Any:
    import catboost

    codes = np.empty(X.codes.shape, dtype=object)
    for column in range(len(X.sizes)):
        found, cells = np.unique(X.codes[:, column], return_inverse=True)
        codes[:, column] = np.array([str(code).encode() for code in found], dtype=object)[cells]
    return catboost.FeaturesData(
        num_feature_data=np.ascontiguousarray(X.numbers) if X.numbers.shape[1] else None,
        cat_feature_data=codes if X.sizes else None,
    )


def _as_bytes(model: Any) -> bytes:
    """The model's file; the moment and the random name of its making are left out, so that equal models are equal."""
    notes = model.get_metadata()
    for name in ("train_finish_time", "model_guid"):
        notes[name] = ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.cbm"
        model.save_model(str(path), format="cbm")
        return path.read_bytes()


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    import catboost

    learner = CatBoost({})
    learner.answers = Answers.read(parts)
    learner.blob = parts["model.cbm"]
    check(learner.blob, learner.answers)
    learner.model = catboost.CatBoost().load_model(blob=learner.blob)
    return learner


FAMILY = Family(
    name="catboost",
    title="CatBoost",
    route="classical",
    space=SPACE,
    build=CatBoost,
    load=load,
    needs=Needs(
        tasks=WITH_QUANTILES,
        rows=(20, 5_000_000),
        columns=(1, 5_000),
        classes=100,
        package="catboost",
        extra="catboost",
    ),
    portfolio=PORTFOLIO,
    price=Price(1.0, 20.0, 0.7),
    recipes=("reduced", "plain", "coded", "rich", "log"),
    imports=("catboost",),
)
