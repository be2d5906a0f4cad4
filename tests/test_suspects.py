"""Answers that look wrong: found where they were planted, and not where rows are only hard."""

from __future__ import annotations

import numpy as np
import pytest

from automl.scoring.odd_answers import of_numbers
from automl.scoring.suspects import of_classes

ROWS = 4_000


def easy(classes: int, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """True labels, and what a good model says: sure of nearly all rows, unsure near the borders."""
    random = np.random.default_rng(0)
    y = random.integers(0, classes, rows)
    logits = random.normal(0, 1, (rows, classes))
    logits[np.arange(rows), y] += random.gamma(4.0, 2.0, rows)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return y, shares / shares.sum(axis=1, keepdims=True)


def hard(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Two classes that overlap, and a model that knows exactly by how much."""
    random = np.random.default_rng(1)
    logit = random.normal(0, 1.5, rows)
    chance = 1 / (1 + np.exp(-logit))
    return (random.random(rows) < chance).astype(np.int64), np.stack([1 - chance, chance], axis=1)


def planted(y: np.ndarray, classes: int, share: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """The labels with some of them wrong, and which."""
    random = np.random.default_rng(2)
    wrong = random.choice(len(y), round(share * len(y)), replace=False)
    given = y.copy()
    given[wrong] = (y[wrong] + random.integers(1, classes, len(wrong))) % classes
    return given, np.isin(np.arange(len(y)), wrong)


def noisy(shares: np.ndarray, share: float = 0.05) -> np.ndarray:
    """What a model says that learned from labels of which so many are wrong."""
    classes = shares.shape[1]
    return shares * (1 - share) + share * (1 - shares) / (classes - 1)


@pytest.mark.parametrize("classes", [2, 5])
def test_planted_labels_are_listed_with_what_they_were(classes: int) -> None:
    """Most of what is listed was planted, most of what was planted is listed, and the true label is suggested."""
    y, shares = easy(classes)
    given, is_wrong = planted(y, classes)
    found = of_classes(given, noisy(shares))
    listed = found.rows
    assert is_wrong[listed].mean() > 0.9
    assert is_wrong[listed].sum() > 0.5 * is_wrong.sum()
    assert (found.suggested == y[listed])[is_wrong[listed]].mean() > 0.95
    assert found.low <= 0.05 <= found.high
    assert (np.diff(found.chance) <= 1e-12).all()
    assert found.precision <= is_wrong[listed].mean() + 0.05  # it promises no more than it holds


@pytest.mark.parametrize("make", [lambda: easy(2), lambda: easy(5), hard], ids=["easy", "five", "hard"])
def test_hard_rows_are_not_taken_for_wrong_ones(make) -> None:
    """Classes that overlap contradict a model often, but where it is unsure; then nothing is listed."""
    found = of_classes(*make())
    assert len(found.rows) == 0
    assert "hard rows" in found.why or "cannot be told" in found.why


def test_a_class_that_cannot_be_learned_is_no_heap_of_mistakes() -> None:
    """Of rare events that nothing foretells, every row contradicts the model: none of them is listed."""
    random = np.random.default_rng(3)
    y = (random.random(ROWS) < 0.05).astype(np.int64)
    chance = np.clip(0.05 + random.normal(0, 0.005, ROWS), 0.01, 0.2)
    assert len(of_classes(y, np.stack([1 - chance, chance], axis=1)).rows) == 0


def test_few_rows_say_nothing() -> None:
    """A dozen contradictions among a hundred rows may be anything."""
    y, shares = easy(2, 100)
    given, _ = planted(y, 2)
    found = of_classes(given, shares)
    assert len(found.rows) == 0
    assert found.why == "too few rows to tell wrong labels from hard rows"


def test_labels_that_went_one_way_are_found() -> None:
    """A tenth of one class called by the other's name, and none the other way."""
    y, shares = easy(2)
    random = np.random.default_rng(4)
    wrong = random.choice(np.flatnonzero(y == 0), 200, replace=False)
    given = y.copy()
    given[wrong] = 1
    found = of_classes(given, noisy(shares))
    assert np.isin(found.rows, wrong).mean() > 0.9
    assert (given[found.rows] == 1).all()


def test_odd_answers_are_listed_and_heavy_tails_are_not() -> None:
    """Ten answers typed with a digit too many are found; misses that fall as a heavy tail does are not."""
    random = np.random.default_rng(5)
    said = random.uniform(10, 20, 2_000)
    plain = said + random.normal(0, 1, 2_000)
    assert len(of_numbers(plain, said).rows) == 0
    assert len(of_numbers(said + random.standard_t(3, 2_000), said).rows) <= 3
    odd = plain.copy()
    odd[:10] *= 10
    found = of_numbers(odd, said)
    assert set(found.rows) == set(range(10))
    assert found.suggested == pytest.approx(said[found.rows])


def test_large_answers_may_be_missed_by_more() -> None:
    """Misses that grow with the answer are no oddity."""
    random = np.random.default_rng(6)
    said = random.uniform(1, 1_000, 2_000)
    assert len(of_numbers(said * (1 + random.normal(0, 0.1, 2_000)), said).rows) == 0
