"""Models that nobody changed: what is checked before a library sees it must let pass whatever training makes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hostile_made import read, rows, saved

import search_spaces
from automl.training import learners
from search_spaces.classical._parts import pack_arrays
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


@pytest.mark.parametrize("family", ["catboost", "xgboost", "lightgbm", "forest"])
@pytest.mark.parametrize("there", [(0, 1), (1, 2), (0, 2), (1,)])
def test_a_class_that_the_training_rows_do_not_hold_is_no_reason_to_refuse(family: str, there: tuple[int, ...]) -> None:
    """A rare class may be held out whole; CatBoost has no output for it then."""
    pytest.importorskip("sklearn" if family == "forest" else family)
    table = rows("multiclass").X
    y = np.array(there)[np.arange(len(table)) % len(there)]
    found = search_spaces.get(family)
    learner = learners.make(found, {**starts(found.space), "rounds": 3, "trees": 4})
    learner.fit(Rows(table, y), None, Run("multiclass", 3, "log_loss", seed=1))
    told = read(family, learner.dump()).predict(table)
    assert told.shape == (len(table), 3)
    assert np.array_equal(told, learner.predict(table))


@pytest.mark.parametrize("labels", [b"[0,9]", b"[1,1]", b"[2,0]", b"[-9]", b"[0.1]"])
def test_an_output_of_a_class_that_there_is_not_is_refused(labels: bytes) -> None:
    """CatBoost would write its answers to that place, wherever it is."""
    pytest.importorskip("catboost")
    family = search_spaces.get("catboost")
    learner = learners.make(family, {**starts(family.space), "rounds": 3})
    table = rows("multiclass").X
    learner.fit(Rows(table, np.arange(len(table)) % 2), None, Run("multiclass", 3, "log_loss", seed=1))
    parts = learner.dump()
    pad = b" " * (5 - len(labels))
    other = parts["model.cbm"].replace(b'"class_to_label":[0,1]', b'"class_to_label":' + labels + pad)
    assert other != parts["model.cbm"]
    with pytest.raises(ValueError, match="labels are of classes"):
        read("catboost", {**parts, "model.cbm": other})


def test_a_forest_of_two_hundred_classes_expands_far_and_is_read() -> None:
    """A leaf knows a few of them, and of the others that they are not: zeros take next to no room in its file."""
    leaves, classes = 90_000, 200
    parts, _ = saved("forest", "multiclass")
    wide = np.zeros((leaves, classes), dtype=np.float32)
    wide[:, 3] = 1
    nodes, inner = 2 * leaves - 1, np.arange(leaves - 1) * 2
    known = {name: np.zeros(nodes, dtype=np.int32) for name in ("feature", "threshold", "missing_left")}
    known |= {"left": np.full(nodes, -1), "right": np.full(nodes, -1), "threshold": np.zeros(nodes, dtype=np.float32)}
    known["left"][inner], known["right"][inner] = inner + 1, inner + 2
    one_tree = {"start": np.array([0]), "depth": np.array([leaves - 1]), "columns": np.array([5]), "answer": wide}
    blob = pack_arrays({**known, **one_tree}, compress=True)
    assert 32 * len(blob) < wide.nbytes
    answers = json.dumps({**json.loads(parts["answers.json"]), "classes": classes}).encode()
    told = read("forest", {"answers.json": answers, "trees.npz": blob}).predict(rows("multiclass").X)
    assert told[:, 3].min() == 1
