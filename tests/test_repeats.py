"""Rows with equal features stay together where they are copies, and go their own ways where chance repeats them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.data.prepare import Prepared, prepare
from automl.data.profiler import examine
from automl.data.reading import load
from automl.modalities.mixture import Raw
from automl.modalities.table.repeats import Repeats, judge
from automl.options import Options

pytestmark = pytest.mark.usefixtures("lasting_workers")

ROWS = 4_000


def made(codes=None, numbers=None) -> Raw:
    """Encoded columns."""
    rows = len(codes if codes is not None else numbers)
    codes = np.empty((rows, 0)) if codes is None else codes
    numbers = np.empty((rows, 0)) if numbers is None else numbers
    return Raw(np.ascontiguousarray(numbers, dtype=np.float32), np.ascontiguousarray(codes, dtype=np.int32))


def tables(kind: str, random: np.random.Generator) -> np.ndarray:
    """Tables of few discrete columns, whose rows are drawn one by one."""
    origin = random.integers(1, 11, ROWS)
    if kind == "even":
        return random.integers(1, 11, (ROWS, 3))
    if kind == "skewed":
        return 1 + (random.random((ROWS, 10)) < 0.05)
    if kind == "nested":  # a town tells its country
        town = random.zipf(1.5, ROWS) % 300
        return np.stack([town, town % 20, town % 5, random.integers(0, 3, ROWS)], axis=1) + 1
    if kind == "two nested":
        town = random.zipf(1.5, ROWS) % 300
        return np.stack([town, town % 20], axis=1) + 1
    noise = random.integers(1, 11, (ROWS, 6))  # six signs of one thing
    return np.where(random.random((ROWS, 6)) < 0.9, origin[:, None], noise)


@pytest.mark.parametrize("kind", ["even", "skewed", "nested", "two nested", "signs"])
@pytest.mark.parametrize("answers", ["a number", "a class", "told by the features"])
def test_combinations_that_chance_repeats_are_in_any_fold(kind, answers):
    """Nearly all rows have others like them, and so will new rows: whatever the answers are."""
    random = np.random.default_rng(0)
    codes = tables(kind, random)
    told = codes.astype(float) @ random.normal(size=codes.shape[1])
    y = {"a number": told + random.normal(size=ROWS), "told by the features": told}.get(answers)
    found = judge(made(codes), (told > told.mean()).astype(int) if y is None else y, "auto")
    assert found.twins is None
    assert "as often as so few combinations must" in found.why


@pytest.mark.parametrize("share", [0.02, 0.13, 1.0])
def test_copies_of_rows_stay_together(share):
    """Of numbers, of numbers beside categories, and of many rounded numbers; with the same answers or with others."""
    random = np.random.default_rng(1)
    again = np.r_[:ROWS, : int(share * ROWS)]
    codes, y = random.integers(1, 5, (ROWS, 3))[again], random.normal(size=ROWS)[again]
    for numbers in (random.normal(size=(ROWS, 4)), random.normal(size=(ROWS, 8)).round(1)):
        for raw in (made(numbers=numbers[again]), made(codes, numbers[again])):
            for answers in (y, random.integers(0, 2, len(again))):
                found = judge(raw, answers, "auto")
                assert found.twins is not None
                assert (found.twins[ROWS:] == found.twins[: len(again) - ROWS]).all()
                assert "more than chance explains" in found.why


def test_oversampled_rows_stay_together():
    """Rare rows of numbers that were given some twenty times over are still copies."""
    random = np.random.default_rng(2)
    again = np.r_[:ROWS, random.integers(0, 200, ROWS)]
    found = judge(made(numbers=random.normal(size=(ROWS, 4))[again]), np.zeros(len(again)), "auto")
    assert found.twins is not None


def test_copies_among_repeats_are_known_by_their_answers():
    """Where chance repeats features, but hardly ever the answer with them, only rows equal in both stay together."""
    random = np.random.default_rng(3)
    again = np.r_[:ROWS, :ROWS]
    codes, y = random.integers(1, 6, (ROWS, 3)), random.normal(size=ROWS)
    found = judge(made(codes[again]), y[again], "auto")
    assert found.twins is not None
    assert (found.twins[:ROWS] == found.twins[ROWS:]).all()
    assert len(np.unique(found.twins)) == ROWS
    assert "not those with an equal answer" in found.why


def test_the_user_decides():
    """Together or apart as asked; without a repeat there is nothing to say."""
    codes = np.arange(20)[:, None] // 2 + 1
    assert judge(made(codes), np.zeros(20), "together").twins is not None
    assert judge(made(codes), np.zeros(20), "apart").twins is None
    assert judge(made(codes[::2]), np.zeros(10), "auto") == Repeats(None)
    assert judge(made(np.empty((5, 0))), np.zeros(5), "auto").twins is None


@given(st.integers(0, 99), st.integers(1, 4), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_rows_are_called_equal_when_they_are(seed, columns, rows):
    """And only then, whichever columns and rows there are."""
    random = np.random.default_rng(seed)
    codes, numbers = random.integers(0, 3, (rows, columns)), random.integers(0, 2, (rows, columns)) * 0.5
    numbers[random.random(numbers.shape) < 0.2] = np.nan
    found = judge(made(codes, numbers), np.zeros(rows), "together").twins
    known = pd.DataFrame(np.hstack([codes, np.nan_to_num(numbers, nan=-1.0)])).groupby([*range(2 * columns)]).ngroup()
    pairs = set(zip(known, range(rows) if found is None else found, strict=True))
    assert len(pairs) == known.nunique() == (rows if found is None else len(np.unique(found)))


def ready(data: pd.DataFrame, **options) -> Prepared:
    """What a search would start from."""
    given = Options(target="y", budget="2 trials", **options)
    dataset = load(data, given)
    return prepare(dataset, examine(dataset, given)[0], given, core_s=float("inf"))


def test_held_rows_of_few_categories_have_their_like_in_training():
    """As new rows will; the line on folds says so, and the option turns it round."""
    random = np.random.default_rng(0)
    codes = random.integers(0, 10, (2_000, 3))
    data = pd.DataFrame({name: codes[:, k] for k, name in enumerate("abc")}).map(lambda code: f"level {code}")
    data["y"] = codes.sum(axis=1) + random.normal(size=2_000)
    cell = codes @ [100, 10, 1]
    for options, at_least, at_most in (({}, 0.8, 1.0), ({"repeats": "together"}, 0.0, 0.0)):
        start = ready(data, **options)
        folds = start.shared.folds
        known = np.mean(np.isin(cell[folds.held(0)], cell[folds.train(0)]))
        assert at_least <= known <= at_most
        assert ("in any fold" if not options else "together, as asked") in start.told
