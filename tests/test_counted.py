"""Rows that repeat others are learned from once, with weights."""

import numpy as np
import pandas as pd
import pytest

import search_spaces
from automl.data.counted import counted_once, find_same, told
from automl.data.prepare import Shared, prepare
from automl.data.profiler import examine
from automl.data.reading import load
from automl.options import Options
from automl.search.trial import FoldJob, _encode
from search_spaces.spec import Matrix, Rows, Run

DISTINCT, TIMES = 120, 4


def few_values(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers with few values, so that histograms have the same bins however often a row is met; three classes."""
    random = np.random.default_rng(seed)
    X = random.integers(0, 9, (DISTINCT, 3)).astype(np.float32)
    return X, ((X[:, 0] > 4) + (X[:, 1] + random.normal(0, 1, DISTINCT) > 6)).astype(np.int64)


def as_rows(X: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> Rows:
    return Rows(Matrix(X, np.zeros((len(X), 0), dtype=np.int32), ()), y, weight)


def shared_of(copies: int, **options: object) -> Shared:
    X, y = few_values()
    X = X + np.arange(DISTINCT, dtype=np.float32)[:, None] / 1024  # no two rows of the first copy are the same
    frame = pd.DataFrame(np.tile(X, (copies, 1)), columns=list("abc"))
    frame["label"] = [f"class {answer}" for answer in np.tile(y, copies)]
    asked = Options(target="label", budget="2 trials", **options)
    dataset = load(frame, asked)
    profile, _ = examine(dataset, asked)
    return prepare(dataset, profile, asked, core_s=float("inf")).shared


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_a_booster_learns_the_same_from_rows_counted_once(name: str) -> None:
    """Without drawing rows or columns by chance, weights do what repeating does."""
    family = search_spaces.get(name)
    X, y = few_values()
    times = np.random.default_rng(1).integers(1, 2 * TIMES, DISTINCT) ** 2
    every = np.repeat(np.arange(DISTINCT), times)
    repeated = as_rows(X[every], y[every])
    once = counted_once(repeated, every)
    whole = {"bagging_fraction": 1.0, "feature_fraction": 1.0, "min_data_in_leaf": 1, "num_leaves": 7}
    whole |= {"subsample": 1.0, "colsample_bytree": 1.0}
    config = {k: v for k, v in {**family.configs()[0], **whole}.items() if k in family.space} | {"rounds": 12}
    run = Run("multiclass", 3, "log_loss", seed=0)
    predicted = []
    for rows in (repeated, once, as_rows(X, y)):
        learner = family.build(config)
        learner.fit(rows, None, run)
        predicted.append(learner.predict(as_rows(X, y).X))
    assert family.counts_weights
    assert (len(once), once.stands_for, once.weight.sum()) == (DISTINCT, len(every), len(every))
    assert np.abs(predicted[0] - predicted[1]).max() < 1e-6
    assert np.abs(predicted[0] - predicted[2]).mean() > 0.01, "without weights it would not"


def test_weights_of_the_user_are_summed() -> None:
    """What a row counts is what all its copies counted, in the order in which rows were first met."""
    rows = as_rows(
        np.array([[3.0], [1.0], [3.0], [2.0]], dtype=np.float32), np.array([1, 0, 1, 0]), np.arange(1.0, 5.0)
    )
    once = counted_once(rows, np.array([2, 0, 2, 1]))
    assert once.X.numbers.ravel().tolist() == [3.0, 1.0, 2.0]
    assert (once.y.tolist(), once.weight.tolist(), once.stands_for) == ([1, 0, 0], [4.0, 2.0, 4.0], 4)


def test_only_rows_with_the_same_answer_repeat_each_other_and_few_are_left_as_they_are() -> None:
    """Equal features with another answer are another row; a third of all rows must repeat others."""
    twins = np.array([0, 0, 0, 1, 1, 2])
    repeats = find_same(twins, np.array([0, 0, 1, 5, 5, 0]))
    assert repeats is not None
    assert [repeats[0] == repeats[1], repeats[1] == repeats[2], repeats[3] == repeats[4]] == [True, False, True]
    assert told(repeats).startswith("33% of the rows repeat others")
    assert find_same(twins, np.arange(6)) is None
    assert find_same(None, np.arange(6)) is None


def test_a_fold_of_a_booster_holds_distinct_rows_and_is_judged_on_all() -> None:
    """Other families meet every row, and the rows held out are the same for all."""
    shared = shared_of(TIMES)
    once, every = (
        _encode(shared, FoldJob(family=name, params={}, features={"recipe": "plain"}, seed=0, fold=0))
        for name in ("lightgbm", "linear")
    )
    assert len(every.train) == len(shared.folds.train(0))
    assert (len(once.train) * TIMES, once.train.stands_for) == (len(every.train), len(every.train))
    assert (once.train.weight == TIMES).all()
    assert len(once.held) == len(every.held) == len(shared.folds.held(0))
    assert shared_of(1).same_rows is None
