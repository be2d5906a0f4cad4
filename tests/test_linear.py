"""The linear family: what it solves, how it is cut, and what its bends catch."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from families_made import a_run, config_of, error_of, family_of

from search_spaces import contracts
from search_spaces.classical._dense import DenseEncoder
from search_spaces.spec import Matrix, Rows


def test_linear_classes_are_cut_between_iterations() -> None:
    """A cut logistic fit differs from a finished one."""
    family = family_of("linear")
    run = a_run()
    train = contracts.made_up_rows(run, 300)
    cut, whole = family.build(config_of(family)), family.build(config_of(family))
    cut.fit(train, None, replace(run, until=time.monotonic()))
    whole.fit(train, None, run)
    assert (cut.is_cut, whole.is_cut) == (True, False)
    assert error_of("binary", train.y, whole.predict(train.X)) < error_of("binary", train.y, cut.predict(train.X))


def test_ridge_is_cut_between_blocks_of_rows() -> None:
    """Past its deadline a ridge on many rows keeps the rows that it has seen."""
    family = family_of("linear")
    run = a_run("regression")
    train = contracts.made_up_rows(run, 20_000)
    learner = family.build(config_of(family))
    learner.fit(train, None, replace(run, until=time.monotonic()))
    assert learner.is_cut
    assert error_of("regression", train.y, learner.predict(train.X)) < 0.5 * train.y.var()


def test_ridge_finds_the_slopes_of_a_straight_line() -> None:
    """Predictions follow the line also beyond the training rows."""
    family = family_of("linear")
    x = np.linspace(0, 10, 300, dtype=np.float32)[:, None]
    rows = Rows(Matrix(x, np.empty((300, 0), dtype=np.int32), ()), 3.0 * x[:, 0].astype(float) + 7.0)
    learner = family.build(config_of(family, penalty=0.01, bends=0))
    learner.fit(rows, None, a_run("regression"))
    beyond = Matrix(np.array([[12.0]], dtype=np.float32), np.empty((1, 0), dtype=np.int32), ())
    assert learner.predict(beyond)[0] == pytest.approx(43.0, abs=0.1)


def test_bends_follow_a_curve_that_a_line_cannot() -> None:
    """A parabola is flat to a line, not to a line with bends."""
    family = family_of("linear")
    x = np.linspace(-1, 1, 400, dtype=np.float32)[:, None]
    rows = Rows(Matrix(x, np.empty((400, 0), dtype=np.int32), ()), x[:, 0].astype(float) ** 2)
    errors = []
    for bends in (0, 7):
        learner = family.build(config_of(family, bends=bends))
        learner.fit(rows, None, a_run("regression"))
        errors.append(error_of("regression", rows.y, learner.predict(rows.X)))
    assert errors[1] < 0.05 * errors[0]


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_a_ridge_of_more_columns_than_rows_is_solved_row_by_row_alike(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of numbers of a picture and some dozen pictures: the same slopes, from a much smaller system."""
    family, random = family_of("linear"), np.random.default_rng(0)
    x = random.normal(size=(60, 90)).astype(np.float32)
    rows = Rows(
        Matrix(x, np.empty((60, 0), dtype=np.int32), ()), x[:, :3].sum(axis=1) + random.normal(size=60),
        random.uniform(0.5, 2.0, 60),
    )  # fmt: skip
    run = replace(a_run("regression"), metric=metric)
    said = []
    for is_by_rows in (True, False):
        if not is_by_rows:
            monkeypatch.setattr(DenseEncoder, "columns", property(lambda _self: 0))
        learner = family.build(config_of(family, penalty=3.0, bends=0))
        learner.fit(rows, None, run)
        said.append(learner.predict(rows.X))
    np.testing.assert_allclose(said[0], said[1], rtol=1e-4, atol=1e-4)
