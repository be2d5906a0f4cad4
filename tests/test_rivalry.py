"""All candidates on the same redrawn rows: chances that add up, ties that chance explains, and costs of all."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.ensemble import rivalry
from automl.ensemble.candidates import HeldOutComparison
from automl.ensemble.frontier import dominates, mark
from automl.records import Candidate, Score
from automl.scoring import metrics

ROWS = 600


def one(number: int, value: float, row_ms: float = 1.0, metric: str = "rmse") -> Candidate:
    score = Score(metric=metric, value=value, low=value, high=value, higher_is_better=False)
    return Candidate(
        name=f"m{number}", weights={number: 1.0}, score=score, fit_s=1.0, row_ms=row_ms, batch_ms=1.0, size_mb=1.0,
        lean_ms=row_ms, lean_mb=1.0,
    )  # fmt: skip


def compared(noise: list[float], blocks: np.ndarray | None = None, weight: np.ndarray | None = None) -> tuple:
    """Models of a number that miss it by so much, and their comparison; misses of all are made of the same luck."""
    random = np.random.default_rng(0)
    y = random.normal(size=ROWS)
    luck = random.normal(size=ROWS)
    if blocks is not None:
        luck = random.normal(size=int(blocks.max()) + 1)[blocks]
    said = {k: y + by * luck + 0.01 * k * random.normal(size=ROWS) for k, by in enumerate(noise)}
    metric = metrics.get("rmse")
    given = HeldOutComparison(
        trials=(), metric=metric, folds=(0,), rows=np.arange(ROWS), y=y, weight=weight, predictions=said, blocks=blocks
    )
    field = [one(k, metric.score(y, said[k], weight)) for k in said]
    return field, given


@settings(max_examples=25)
@given(st.lists(st.floats(0.1, 2.0), min_size=1, max_size=6))
def test_the_chances_of_being_best_sum_to_one(noise: list[float]) -> None:
    """Each redrawing has one best, or several that share it; who is surely best is also surely on the frontier."""
    field, given_ = compared(noise)
    rivals = rivalry.compare(field, given_, math.inf)
    best, frontier = rivals.chances_of_best(), rivals.chances_of_frontier([c.row_ms for c in field])
    assert best.sum() == pytest.approx(1.0)
    assert ((best >= 0) & (frontier <= 1) & (frontier >= best - 1e-9)).all()


@settings(max_examples=25)
@given(st.lists(st.floats(0.1, 2.0), min_size=2, max_size=6), st.data())
def test_a_model_that_is_surely_dominated_has_no_chance_and_the_cheapest_always_has(noise, data) -> None:
    """As `dominates` says it of the scores themselves, were they certain."""
    field, given_ = compared(noise)
    costs = data.draw(st.lists(st.sampled_from([0.1, 1.0, 5.0, math.nan]), min_size=len(noise), max_size=len(noise)))
    rivals = replace(rivalry.compare(field, given_, math.inf), moves=np.zeros((3, len(field))))
    priced = [replace(c, row_ms=cost) for c, cost in zip(field, costs, strict=True)]
    for c, chance in zip(priced, rivals.chances_of_frontier(costs), strict=True):
        assert chance == (0.0 if any(dominates(other, c) for other in priced) else 1.0)


def test_two_that_answer_alike_share_and_cannot_be_told_apart() -> None:
    """The same predictions are the same model, whatever they are called."""
    field, given_ = compared([0.5, 0.9])
    twin = replace(field[0], name="twin")
    rivals = rivalry.compare([*field, twin], given_, math.inf)
    assert rivals.is_tied("m0", "twin")
    assert not rivals.is_tied("m0", "m1")
    assert rivals.chances_of_best() == pytest.approx([0.5, 0.0, 0.5])
    assert rivals.tied_pairs() == [("m0", "twin")]
    tied = [c.tied_with_best for c in mark([*field, twin], lambda a, b: rivals.is_tied(a.name, b.name))]
    assert tied == [True, False, True]


def test_what_errs_in_blocks_is_surer_of_less() -> None:
    """The same predictions tell less where a few groups made all the luck, and rows without weight tell nothing."""
    blocks = np.arange(ROWS) // 100
    random = np.random.default_rng(3)
    apart = [random.normal(size=6)[blocks] for _ in range(2)]
    y = np.zeros(ROWS)
    said = {0: 1.0 + 0.2 * apart[0], 1: 1.15 + 0.2 * apart[1]}
    field = [one(k, metrics.get("rmse").score(y, said[k])) for k in said]
    common = {"trials": (), "metric": metrics.get("rmse"), "folds": (0,), "rows": np.arange(ROWS), "y": y}
    by_row = HeldOutComparison(**common, weight=None, predictions=said)
    by_block = HeldOutComparison(**common, weight=None, predictions=said, blocks=blocks)
    assert not rivalry.compare(field, by_row, math.inf).is_tied("m0", "m1")
    assert rivalry.compare(field, by_block, math.inf).is_tied("m0", "m1")
    some = np.where(blocks == 0, 1.0, 0.0)
    lone = HeldOutComparison(**common, weight=some, predictions={0: said[0], 1: said[0] + 5.0 * (blocks > 0)})
    assert rivalry.compare([field[0], replace(field[1], score=field[0].score)], lone, math.inf).is_tied("m0", "m1")


def test_what_has_no_score_is_never_the_best() -> None:
    """A model whose predictions broke down loses every round, and ties with nothing but its like."""
    field, given_ = compared([0.5, 0.6])
    broken = replace(field[1], score=replace(field[1].score, value=math.nan))
    rivals = rivalry.compare([field[0], broken], given_, math.inf)
    assert rivals.chances_of_best() == pytest.approx([1.0, 0.0])
    assert not rivals.is_tied("m0", "m1")
