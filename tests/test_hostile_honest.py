"""Models that nobody changed: what is checked before a library sees it must let pass whatever training makes."""

from __future__ import annotations

import numpy as np
import pytest
from test_hostile import read

import search_spaces
from automl.training import learners
from search_spaces.spec import Matrix, Rows, Run, starts


def test_a_split_that_parts_gaps_from_all_values_is_read() -> None:
    """LightGBM writes its threshold as inf: whether there is a value at all tells the answer."""
    pytest.importorskip("lightgbm")
    random = np.random.default_rng(0)
    numbers = random.normal(size=(300, 2)).astype(np.float32)
    numbers[::3, 1] = np.nan
    y = np.isnan(numbers[:, 1]) * 5.0 + random.normal(size=300)
    table = Matrix(numbers, np.zeros((300, 0), dtype=np.int32), ())
    family = search_spaces.get("lightgbm")
    learner = learners.make(family, {**starts(family.space), "rounds": 5})
    learner.fit(Rows(table, y), None, Run("regression", 1, "rmse", seed=1))
    parts = learner.dump()
    assert b"inf" in parts["model.txt"].partition(b"threshold=")[2].partition(b"\n")[0]
    assert np.array_equal(read("lightgbm", parts).predict(table), learner.predict(table))
