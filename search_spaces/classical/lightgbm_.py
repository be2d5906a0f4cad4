"""LightGBM: leaf-wise boosted trees. The fastest strong learner on tables; what other families are priced against.

Through its native interface: category codes stay categories (0, missing, is one of them) and the model is its own text
file. Deterministic for given seed and threads. It learns one quantile at a time, so each level has a booster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from search_spaces.checked import need
from search_spaces.classical._answers import Answers, joined, unit_weight
from search_spaces.classical._boosting import Patience, most_rounds, share_of
from search_spaces.classical._lightgbm_text import reduced
from search_spaces.spec import (
    WITH_QUANTILES,
    Additions,
    Choice,
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
    "learning_rate": Float(0.01, 0.2, start=0.05, log=True),
    "num_leaves": Int(4, 256, start=31, log=True),
    "min_data_in_leaf": Int(1, 100, start=20, log=True),
    "feature_fraction": Float(0.3, 1.0, start=0.8),
    "bagging_fraction": Float(0.6, 1.0, start=0.9),
    "extra_trees": Choice((False, True), start=False),
    "lambda_l1": Float(1e-3, 5.0, start=1e-3, log=True),
    "lambda_l2": Float(1e-3, 10.0, start=0.3, log=True),
    "min_data_per_group": Int(2, 100, start=40, log=True),
    "cat_l2": Float(5e-3, 20.0, start=5.0, log=True),
    "cat_smooth": Float(1e-3, 100.0, start=10.0, log=True),
    "max_cat_to_onehot": Int(4, 80, start=8, log=True),
}

# Values learned by others on many public tables (portfolios of AutoGluon 1.5, tuned defaults of pytabkit), put in an
# order for small budgets: fast learning rates first, the patient ones at the end.
PORTFOLIO: tuple[Params, ...] = (
    {
        "learning_rate": 0.1, "num_leaves": 32, "min_data_in_leaf": 3, "feature_fraction": 0.5,
        "bagging_fraction": 0.95, "extra_trees": True, "lambda_l1": 0.8, "lambda_l2": 1.2,
        "min_data_per_group": 4, "cat_l2": 1.0, "cat_smooth": 0.005, "max_cat_to_onehot": 13,
    },
    {
        "learning_rate": 0.05, "num_leaves": 64, "min_data_in_leaf": 1, "feature_fraction": 0.67,
        "bagging_fraction": 0.93, "lambda_l1": 0.0125, "lambda_l2": 0.72,
        "min_data_per_group": 2, "cat_l2": 0.073, "cat_smooth": 0.14, "max_cat_to_onehot": 20,
    },
    {
        "learning_rate": 0.06, "num_leaves": 8, "min_data_in_leaf": 24, "feature_fraction": 0.73,
        "bagging_fraction": 0.8, "lambda_l1": 0.44, "lambda_l2": 0.3,
        "min_data_per_group": 3, "cat_l2": 0.006, "cat_smooth": 0.03, "max_cat_to_onehot": 28,
    },
    {
        "learning_rate": 0.08, "num_leaves": 180, "min_data_in_leaf": 12, "feature_fraction": 0.4,
        "bagging_fraction": 0.95, "extra_trees": True, "lambda_l1": 0.77, "lambda_l2": 1.6,
        "min_data_per_group": 3, "cat_l2": 0.22, "cat_smooth": 0.064, "max_cat_to_onehot": 11,
    },
    {
        "learning_rate": 0.04, "num_leaves": 100, "min_data_in_leaf": 3, "feature_fraction": 1.0,
        "bagging_fraction": 0.75, "lambda_l2": 0.01,
    },
    {
        "learning_rate": 0.04, "num_leaves": 16, "min_data_in_leaf": 1, "feature_fraction": 0.58,
        "bagging_fraction": 0.96, "lambda_l1": 0.94, "lambda_l2": 1.0,
        "min_data_per_group": 39, "cat_l2": 1.9, "cat_smooth": 0.02, "max_cat_to_onehot": 27,
    },
    {
        "learning_rate": 0.0114, "num_leaves": 84, "min_data_in_leaf": 3, "feature_fraction": 0.53,
        "bagging_fraction": 0.98, "lambda_l1": 0.027, "lambda_l2": 0.84,
        "min_data_per_group": 75, "cat_l2": 0.155, "cat_smooth": 0.0093, "max_cat_to_onehot": 42,
    },
)  # fmt: skip


class LightGBM:
    """A native booster, cut back to its best round; for quantiles one per level."""

    is_cut = False
    rounds_ = 0

    def __init__(self, params: Params) -> None:
        self.params = params

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:
        """Boost until the validation error stalls, the rounds are used up or the time is over."""
        import lightgbm

        self.answers = Answers.of(train, run)
        settings = self._settings(len(train), run)
        data = self._dataset(train, settings)
        seen = [self._dataset(valid, settings, data)] if valid is not None else []
        each = [{"alpha": level} for level in run.levels] or [{}]
        rounds, self.texts = [], []
        for place, more in enumerate(each):
            patience = Patience(self.params["learning_rate"], share_of(run.until, len(each) - place))
            self.texts.append(self._boost({**settings, **more}, data, seen, patience))
            self.is_cut = self.is_cut or patience.is_cut
            rounds.append(patience.rounds)
        self.rounds_ = round(sum(rounds) / len(rounds))
        self.boosters = [lightgbm.Booster(model_str=text) for text in self.texts]  # predict from what is saved

    def _boost(self, settings: dict[str, Any], data: Any, seen: list[Any], patience: Patience) -> str:
        """One booster, as its text."""
        import lightgbm

        def after_round(env: Any) -> None:
            results = env.evaluation_result_list
            if patience.stops(env.iteration + 1, results[0][2] if results else None):
                raise lightgbm.callback.EarlyStopException(patience.best - 1, results)
            if patience.learning_rate != env.params["learning_rate"]:
                env.params["learning_rate"] = patience.learning_rate
                env.model.reset_parameter({"learning_rate": patience.learning_rate})

        booster = lightgbm.train(
            settings, data, most_rounds(self.params, bool(seen)), valid_sets=seen, callbacks=[after_round]
        )
        return str(booster.model_to_string(num_iteration=patience.best))

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict encoded rows."""
        if not len(X):
            return self.answers.nothing()
        table = joined(X)
        raw = [booster.predict(table, num_threads=threads) for booster in self.boosters]
        return self.answers.decode(raw[0] if len(raw) == 1 else np.column_stack(raw))

    def additions(self, X: Matrix, beside: Matrix | None = None, threads: int = 1) -> Additions | None:  # noqa: ARG002
        """By the paths of its trees; boosters of one level each answer no question together."""
        if len(self.boosters) > 1 or not len(X):
            return None
        told = np.asarray(self.boosters[0].predict(joined(X), pred_contrib=True, num_threads=threads))
        if not np.isfinite(told).all():  # a file that does not tell how many rows its leaves had
            return None
        return self.answers.from_library(told.reshape(len(X), self.answers.outputs, -1))

    def dump(self) -> dict[str, bytes]:
        """LightGBM's own text file."""
        files = zip(_names(len(self.texts)), self.texts, strict=True)
        return {"answers.json": self.answers.pack(), **{name: text.encode() for name, text in files}}

    def _dataset(self, rows: Rows, settings: dict[str, Any], train: Any = None) -> Any:
        import lightgbm

        first_code = rows.X.numbers.shape[1]
        return lightgbm.Dataset(
            joined(rows.X),
            self.answers.encode(rows.y),
            weight=unit_weight(rows),
            categorical_feature=list(range(first_code, first_code + len(rows.X.sizes))),
            params=settings,
            reference=train,
        )

    def _settings(self, rows: int, run: Run) -> dict[str, Any]:
        settings = {name: self.params[name] for name in SPACE}
        objective, watched = _objective(run)
        few = max(1, rows // 10)  # a leaf of 20 rows would leave nothing to split on a table of 60
        return {
            **settings,
            "min_data_in_leaf": min(settings["min_data_in_leaf"], few),
            "min_data_per_group": min(settings["min_data_per_group"], few),
            "bagging_freq": 1,
            "objective": objective,
            "metric": watched,
            "num_class": self.answers.outputs if run.task == "multiclass" else 1,
            "num_threads": run.threads,
            "seed": run.seed % 2**31,
            "deterministic": True,
            "force_row_wise": True,
            "feature_pre_filter": False,
            "verbosity": -1,
        }


def _names(count: int) -> list[str]:
    """The files of so many boosters."""
    return ["model.txt"] if count == 1 else [f"model{place}.txt" for place in range(count)]


def _objective(run: Run) -> tuple[str, str]:
    """What to learn and what to watch, in the library's words."""
    if run.task == "quantile":
        return "quantile", "quantile"
    if run.task == "regression":
        return ("regression_l1", "l1") if run.metric == "mae" else ("regression", "l2")
    return ("binary", "binary_logloss") if run.task == "binary" else ("multiclass", "multi_logloss")


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    import lightgbm

    learner = LightGBM({})
    learner.answers = Answers.read(parts)
    count = sum(name.startswith("model") for name in parts)
    need(count == (learner.answers.classes if learner.answers.task == "quantile" else 1), f"{count} boosters")
    learner.texts = [parts[name].decode() for name in _names(count)]
    checked = [reduced(text, learner.answers) for text in learner.texts]
    learner.boosters = [lightgbm.Booster(model_str=text) for text in checked]
    return learner


QUICK: Params = {"learning_rate": 0.2, "num_leaves": 15, "rounds": 60}

FAMILY = Family(
    name="lightgbm",
    title="LightGBM",
    route="classical",
    space=SPACE,
    build=LightGBM,
    load=load,
    needs=Needs(tasks=WITH_QUANTILES, rows=(20, 20_000_000), columns=(1, 20_000), classes=200, package="lightgbm"),
    portfolio=PORTFOLIO,
    quick=QUICK,
    price=Price(0.15, 5.0, 0.95),
    counts_weights=True,
    imports=("lightgbm",),
)
