"""Metrics of numbers that squares do not serve: every family learns, and stops by, what the metric counts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import automl
import search_spaces
from automl.scoring import metrics
from automl.training import learners
from automl.training.aimed import relative
from search_spaces.spec import Matrix, Rows, Run, starts

NAMES = ("lightgbm", "xgboost", "catboost", "mlp", "linear", "forest", "constant")
FEWER = {"mlp": {"rounds": 15, "width": 64}, "catboost": {"rounds": 150}, "forest": {"trees": 100}}


def prices(count: int, seed: int) -> Rows:
    """Answers with a long tail and noise that grows with them: mean, median and what mape asks for lie far apart."""
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(count, 3)).astype(np.float32)
    y = 100 * np.exp(numbers @ np.array([0.8, -0.5, 0.3]) + 0.8 * random.normal(size=count))
    return Rows(Matrix(numbers, np.empty((count, 0), dtype=np.int32), ()), y)


@cache
def error(name: str, aim: str, metric: str) -> float:
    """The metric on new rows of a model that was made for `aim`."""
    family = search_spaces.get(name)
    if family.needs.package is not None:
        pytest.importorskip(family.needs.package)
    learner = learners.make(family, {**starts(family.space), **FEWER.get(name, {})}, metric=aim)
    learner.fit(prices(500, 0), prices(200, 1), Run("regression", 1, aim, seed=0))
    new = prices(1000, 2)
    told = learner.predict(new.X)
    assert np.array_equal(learners.load(family, learner.dump()).predict(new.X), told)
    return metrics.get(metric).error(new.y, told)


@pytest.mark.long
@pytest.mark.parametrize(("metric", "most"), [("mae", 1.0), ("mape", 0.7), ("medae", 0.9), ("rmsle", 0.93)])
@pytest.mark.parametrize("name", NAMES)
def test_a_model_made_for_its_metric_beats_one_made_for_squares(name: str, metric: str, most: float) -> None:
    """On rows that neither has seen. Of these answers mae asks for the median, mape for far less, rmsle for more."""
    assert error(name, metric, metric) < most * error(name, "rmse", metric)


@pytest.mark.parametrize("name", ["svm", "neighbors", "extra_trees"])
@pytest.mark.parametrize("metric", ["mape", "rmsle"])
def test_families_that_know_no_other_loss_gain_by_weights_and_by_the_scale(name: str, metric: str) -> None:
    """A mean of rows that weigh one over their answers is nearer to what mape asks for than the plain mean."""
    assert error(name, metric, metric) < 0.95 * error(name, "rmse", metric)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost", "mlp", "linear"])
def test_answers_of_zero_take_no_part_in_percentages(name: str) -> None:
    """Half of the answers are zero; alone they say nothing, and then misses count as they are."""
    family = search_spaces.get(name)
    if family.needs.package is not None:
        pytest.importorskip(family.needs.package)
    rows, run = prices(400, 0), Run("regression", 1, "mape", seed=0)
    rows.y[::2] = 0.0
    learner = learners.make(family, {**starts(family.space), **FEWER.get(name, {}), "rounds": 10}, metric="mape")
    learner.fit(rows, None, run)
    told = learner.predict(rows.X)
    assert np.isfinite(told).all()
    assert np.median(told) > 10  # half of the answers are zero, and as many ask for more
    nothing = Rows(rows.X, np.zeros(400))
    learner.fit(nothing, nothing, run)
    np.testing.assert_allclose(learner.predict(rows.X), 0.0, atol=1e-6)


def test_a_row_counts_as_one_over_its_answer_but_none_counts_as_nearly_all() -> None:
    """Weights that were given stay in; an answer next to nothing does not drown the others."""
    X = prices(4, 0).X
    rows = Rows(X, np.array([0.0, 1e-9, -2.0, 4.0]), np.array([1.0, 1.0, 1.0, 8.0]))
    weight = relative(rows, floor=0.01)
    assert weight is not None
    np.testing.assert_allclose(weight, [0.0, 100.0, 0.5, 2.0])


def test_answers_below_zero_count_as_zero_on_the_scale_of_rmsle() -> None:
    """As the metric counts them."""
    rows = prices(300, 0)
    rows.y[:100] = -5.0
    learner = learners.make(search_spaces.get("constant"), {}, "rank", "rmsle")
    learner.fit(rows, None, Run("regression", 1, "rmsle", seed=0))
    found = np.log1p(learner.predict(rows.X))
    np.testing.assert_allclose(found, np.log1p(np.maximum(rows.y, 0)).mean())


@pytest.mark.long
@pytest.mark.parametrize(("metric", "most"), [("mape", 0.7), ("rmsle", 0.9)])
def test_a_run_learns_what_its_metric_counts(metric: str, most: float, tmp_path: Path) -> None:
    """The baseline too, so that no model wins by its loss alone; and the saved model says the same."""
    rows, new = prices(500, 0), prices(1000, 2)
    options = {"budget": "1 trials", "families": ("linear",), "run_dir": tmp_path / "run", "verbose": 0}
    result = automl.fit((rows.X.numbers, rows.y), metric=metric, **options)
    baseline, model = (result.leaderboard().set_index("name")["score"][name] for name in ("constant", "linear #1"))
    assert baseline == pytest.approx(error("constant", metric, metric), rel=0.2)
    assert model < baseline
    found = metrics.get(metric).error(new.y, np.asarray(result.predict(new.X.numbers)))
    assert found < most * error("linear", "rmse", metric)
