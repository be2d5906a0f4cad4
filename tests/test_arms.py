"""Routes as arms: who is compared with whom, on which folds, and how far the best is ahead of what is returned."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import search_spaces
from automl.data.prepare import Prepared, Shared
from automl.decision import families
from automl.ensemble import arms
from automl.ensemble.candidates import HeldOutComparison, enter
from automl.ensemble.frontier import Limits
from automl.modalities.mixture import Prior, Raw, Schema
from automl.records import Candidate, Fold, FoldPlan, Plan, Score, Spent, Trial, TrialStatus
from automl.records.verdict import Change
from automl.scoring import metrics
from automl.scoring.folds import make_folds
from automl.scoring.metrics import Redrawing
from search_spaces.spec import Size

ROWS, COUNT = 400, 5
RNG = np.random.default_rng(0)
Y = RNG.normal(size=ROWS)
RMSE = metrics.get("rmse")
FOLDS = make_folds(Y, "regression", count=COUNT, seed=0)
READY = Prepared(
    schema=Schema(()),
    shared=Shared(
        raw=Raw(np.zeros((ROWS, 1), np.float32), np.zeros((ROWS, 0), np.int32)),
        labels=(), y=Y, weight=None, folds=FOLDS, task="regression", outputs=1, metric="rmse", size=Size(ROWS, 1, 1),
    ),
    fold_plan=FoldPlan(COUNT, COUNT, ""), prior=Prior((), 0.0, ()), metric=RMSE, told="",
)  # fmt: skip


def said(scale: float, seed: int) -> np.ndarray:
    """Answers with noise."""
    return Y + np.random.default_rng(seed).normal(scale=scale, size=ROWS)


def trial(
    number: int, family: str, predictions: np.ndarray, folds: Iterable[int] = range(COUNT), row_s: float = 1e-3
) -> Trial:
    held = {k: FOLDS.held(k) for k in folds}
    done: Mapping[int, Fold] = {
        k: Fold(fold=k, predictions=predictions[rows], error=RMSE.error(Y[rows], predictions[rows]), is_cut=False,
                fit_s=1.0, batch_s=0.01, row_s=row_s, size_mb=0.1)
        for k, rows in held.items()
    }  # fmt: skip
    status = TrialStatus.DONE if done else TrialStatus.FAILED
    plan = Plan(number=number, family=family, params={}, seed=0, because="test")
    return Trial(plan=plan, status=status, folds=done, spent=Spent(cpu_s=2.0))


def route_of(one: Trial) -> str:
    return search_spaces.get(one.plan.family).route


def alone(number: int) -> Candidate:
    score = Score(metric="rmse", value=1.0, low=0.9, high=1.1, higher_is_better=False)
    return Candidate(name=f"#{number}", weights={number: 1.0}, score=score, fit_s=1, row_ms=1, batch_ms=1, size_mb=1,
                     lean_ms=1, lean_mb=1)  # fmt: skip


BASE = trial(0, "constant", np.zeros(ROWS))
FAIR, GOOD, BAD = (said(scale, seed) for seed, scale in enumerate((0.3, 0.1, 0.9)))


def test_a_route_that_did_not_finish_is_compared_on_the_folds_that_it_did() -> None:
    """Two of five folds are evidence: on their rows alone, with how many there were."""
    ours, theirs = trial(1, "linear", FAIR), trial(2, "mlp", GOOD, folds=(1, 3))
    both = arms.pair([ours], [theirs])
    assert both is not None
    found = arms.differ("neural", both, READY)
    rows = np.concatenate([FOLDS.held(1), FOLDS.held(3)])
    assert (found.folds, found.of, found.rows) == (2, 5, len(rows))
    assert found.our_error == pytest.approx(RMSE.error(Y[rows], FAIR[rows]))
    assert found.gap == pytest.approx(RMSE.error(Y[rows], GOOD[rows]) - RMSE.error(Y[rows], FAIR[rows]))
    assert found.low <= found.gap <= found.high < 0
    assert (found.ours, found.theirs) == ("linear #1", "mlp #2")


def test_what_chance_explains_is_not_real() -> None:
    """Two models that err alike on other rows."""
    both = arms.pair([trial(1, "linear", FAIR)], [trial(2, "mlp", said(0.3, 9))])
    assert both is not None
    assert not arms.differ("neural", both, READY).is_real


def test_only_without_a_common_fold_nothing_is_compared() -> None:
    """A second model of ours that shares one is asked before that."""
    first, second = trial(1, "linear", GOOD, folds=(0,)), trial(3, "forest", FAIR, folds=(1,))
    theirs = trial(2, "mlp", GOOD, folds=(1, 2))
    assert arms.pair([first], [theirs]) is None
    assert arms.pair([first, second], [theirs]) == (second, theirs, (1,))
    assert arms.pair([first], []) is None


def test_one_lucky_fold_does_not_stand_for_a_route() -> None:
    """Of the others' models the best of those with half of the most common folds."""
    ours = trial(1, "linear", FAIR)
    lucky, whole = trial(2, "mlp", GOOD, folds=(0,)), trial(3, "mlp", BAD)
    both = arms.pair([ours], [lucky, whole])
    assert both is not None
    assert both[1] is whole


def test_a_probe_on_a_part_of_the_rows_counts_where_there_is_nothing_else() -> None:
    """However lucky it was."""
    probe, whole = trial(1, "mlp", GOOD), trial(2, "mlp", FAIR)
    probe = replace(probe, plan=replace(probe.plan, features={"share": 1 / 9}))
    assert arms.by_route([probe, whole], route_of) == {"neural": [whole]}
    assert arms.by_route([BASE, probe], route_of) == {"neural": [probe]}
    both = arms.pair([trial(3, "linear", FAIR)], [probe])
    assert both is not None
    assert arms.differ("neural", both, READY).share == 1 / 9


def compared(*trials: Trial) -> HeldOutComparison:
    return enter([BASE, *trials], READY)


def test_the_regret_is_how_far_the_returned_model_is_behind_the_best_route() -> None:
    """Never below zero; the route that nothing within the limits was found of is no alternative."""
    linear, network = trial(1, "linear", FAIR), trial(2, "mlp", GOOD, row_s=0.05)
    behind = arms.regret(alone(1), compared(linear, network), route_of, Limits())
    assert behind is not None
    assert behind.against == "neural"
    expected = RMSE.error(Y, FAIR) - RMSE.error(Y, GOOD)
    assert behind.value == pytest.approx(expected, rel=0.6)  # it is cross-fitted: some parts would have chosen better
    ahead = arms.regret(alone(2), compared(linear, network), route_of, Limits())
    assert ahead is not None
    assert ahead.value == ahead.low == 0.0
    limited = arms.regret(alone(1), compared(linear, network), route_of, Limits(row_ms=10.0))
    assert limited is not None
    assert (limited.against, limited.value) == ("classical", 0.0)
    assert arms.regret(alone(0), compared(), route_of, Limits()) is None


def test_a_route_that_had_little_time_is_taken_as_if_it_had_had_all() -> None:
    """At the upper end alone: what its curve tells was not measured."""
    field = compared(trial(1, "linear", FAIR), trial(2, "mlp", BAD))
    plain, more = (
        arms.regret(alone(1), field, route_of, Limits(), had) for had in ({}, {"neural": Change(np.log(0.1), 0.3)})
    )
    assert plain is not None
    assert more is not None
    assert (more.against, more.value, more.low) == (plain.against, plain.value, plain.low)
    assert more.high > plain.high + 0.1


def test_the_luck_of_the_better_of_two_equal_routes_is_taken_off() -> None:
    """Always following one of two equal routes costs nothing: less regret is measured than is seen."""
    measured, seen = [], []
    for seed in range(12):
        linear, network = trial(1, "linear", said(0.3, 50 + seed)), trial(2, "mlp", said(0.3, 90 + seed))
        field = compared(linear, network)
        ground = arms.ArmGround(metric=RMSE, y=field.y, weight=None, blocks=None)
        told = [field.predictions[1], field.predictions[1], field.predictions[2]]
        found = arms.told(ground, told, ("classical", "neural"))
        assert found is not None
        measured.append(found.value)
        seen.append(ground.error(told[0]) - min(map(ground.error, told)))
    assert 0 <= np.mean(measured) < np.mean(seen)


def test_a_family_shows_its_best_candidate() -> None:
    """Blends are nobody's; without a candidate the best mean over folds counts, and without a fold nothing does."""
    trials = [trial(1, "linear", FAIR), trial(2, "linear", GOOD), trial(3, "mlp", BAD), trial(4, "forest", BAD, ())]
    listed = [alone(1), alone(2)]
    linear, mlp, forest = (families.evidence(name, trials, listed, RMSE) for name in ("linear", "mlp", "forest"))
    assert (linear.route, linear.trials, linear.cpu_s) == ("classical", 2, 4.0)
    assert linear.best == listed[0].score
    assert linear.mean is None
    assert (mlp.route, mlp.best) == ("neural", None)
    assert mlp.mean == pytest.approx(trials[2].error)
    assert (forest.trials, forest.best, forest.mean, forest.cpu_s) == (1, None, None, 2.0)


def test_a_function_that_fails_on_some_redrawn_rows_leaves_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that fails on all of them no regret at all."""
    moves = Redrawing.moves

    def failing(self: Redrawing, *asked: Any) -> np.ndarray:
        found = moves(self, *asked)
        found[::7, 0] = math.inf
        return found

    monkeypatch.setattr(Redrawing, "moves", failing)
    ground = arms.ArmGround(metric=RMSE, y=Y, weight=None, blocks=None)
    found = arms.told(ground, [said(0.5, 1), said(0.4, 2), said(0.6, 3)], ("classical", "neural"))
    assert found is not None
    assert found.low <= found.value <= found.high < math.inf
    broken = [np.full(ROWS, np.nan), said(0.4, 2)]
    assert arms.told(ground, broken, ("classical",)) is None
