"""Answers learned on a bent scale: there and back, and worth it where the tail is long."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import search_spaces
from automl.training import learners
from automl.training.bent import find_bend, has_long_tail
from search_spaces.spec import Matrix, Rows, Run

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", ["log", "rank"])
@settings(deadline=None)  # the first call imports scipy
@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=60))
def test_a_bent_answer_comes_back_as_it_was(kind: str, values: list[float]) -> None:
    """Rising all the way: order is kept, and inside the range seen the way back leads to where it began."""
    y = np.array(values)
    bend = find_bend(kind, y)
    there = bend.there(np.sort(y))
    assert (np.diff(there) >= -1e-12).all()  # answers that differ by less than a double's last digits may swap
    back = bend.back(bend.there(y))
    assert np.isfinite(back).all()
    if kind == "log":
        np.testing.assert_allclose(back, y, rtol=1e-6, atol=1e-6)
    else:
        assert back.min() >= y.min()
        assert back.max() <= y.max()


def test_a_long_tail_is_told_from_a_short_one() -> None:
    """Lognormal incomes have one, a bell has none, nor do answers that are all equal."""
    assert has_long_tail(RNG.lognormal(size=1000))
    assert not has_long_tail(RNG.normal(size=1000))
    assert not has_long_tail(np.ones(1000))


@pytest.mark.parametrize("kind", ["log", "rank"])
def test_a_bent_learner_is_better_where_effects_multiply_and_is_the_same_after_loading(kind: str) -> None:
    """A linear model learns factors as sums on the bent scale; its file holds the curve."""
    numbers = RNG.normal(size=(2000, 3)).astype(np.float32)
    y = np.exp(numbers @ np.array([1.0, -0.7, 0.5]) + 0.1 * RNG.normal(size=2000)) * 1e4
    rows = Rows(Matrix(numbers, np.empty((2000, 0), dtype=np.int32), ()), y)
    family = search_spaces.get("linear")
    run = Run("regression", 1, "mae", seed=0)
    held = rows.X.take(np.arange(1500, 2000))
    train = Rows(rows.X.take(np.arange(1500)), y[:1500])
    errors = {}
    for bend in ("", kind):
        learner = learners.make(family, family.configs()[0], bend)
        learner.fit(train, None, run)
        told = learner.predict(held)
        errors[bend] = np.abs(told - y[1500:]).mean()
        np.testing.assert_array_equal(learners.load(family, learner.dump()).predict(held), told)
    assert errors[kind] < 0.7 * errors[""]


def test_a_line_on_the_bent_scale_does_not_explode_beyond_the_training_rows() -> None:
    """Twice as large as any training row: the prediction is the largest answer that was ever seen, and finite."""
    numbers = np.linspace(0, 1, 300, dtype=np.float32)[:, None]
    y = 1e4 * np.exp(6 * numbers[:, 0].astype(np.float64))
    family = search_spaces.get("linear")
    learner = learners.make(family, family.configs()[0], "log")
    nothing = np.empty((300, 0), dtype=np.int32)
    learner.fit(Rows(Matrix(numbers, nothing, ()), y), None, Run("regression", 1, "rmse", seed=0))
    far = Matrix(np.array([[2.0], [50.0]], dtype=np.float32), nothing[:2], ())
    assert learner.predict(far).max() <= y.max() * (1 + 1e-9)
