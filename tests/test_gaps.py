"""How far trials are behind the best of a search, and what luck on few rows explains of it."""

import numpy as np
import pytest

from automl.records import Fold, Plan
from automl.search.gaps import levelled, times_behind
from automl.search.steps import Attempt, Load
from search_spaces.spec import Size


def attempt(number: int, *errors: float, folds: tuple[int, ...] = ()) -> Attempt:
    plan = Plan(number=number, family="lightgbm", params={}, seed=0, because="test")
    done = {
        k: Fold(
            fold=k, predictions=np.empty(0), error=error, is_cut=False, fit_s=1.0, batch_s=0.1, row_s=0.1, size_mb=1.0
        )
        for k, error in zip(folds or range(len(errors)), errors, strict=True)
    }
    return Attempt(plan, done)


def against(held: int, *, is_number: bool = False) -> Load:
    return Load(folds=5, goal=5, size=Size(4 * held, 5), slots=2, is_careful=True, held=held, is_number=is_number)


BASELINE = attempt(0, 0.5, 0.5, 0.5, 0.5, 0.5)


def test_an_error_of_nothing_on_a_few_rows_does_not_shut_out_all_others() -> None:
    """One fold of 47 rows without a miss is luck: a model that misses a row there may be as good."""
    trials = [attempt(1, 0.0), attempt(2, 0.01), attempt(3, 0.2)]
    few = times_behind(trials, [*trials, BASELINE], against(47))
    assert few[1] == pytest.approx(1.0)
    assert few[2] < 1.15
    assert few[3] > 1.6
    many = times_behind(trials, [*trials, BASELINE], against(20_000))
    assert many[2] > 1.6


def test_more_folds_leave_less_to_luck() -> None:
    """The same distance on five folds says more than on one."""
    one = [attempt(1, 0.1), attempt(2, 0.14)]
    five = [attempt(1, *[0.1] * 5), attempt(2, *[0.14] * 5)]
    gaps = [times_behind(trials, [*trials, BASELINE], against(100))[2] for trials in (one, five)]
    assert gaps[0] < gaps[1] < 1.4


def test_errors_of_numbers_are_shares_of_themselves() -> None:
    """What cannot be told from the best has no gap; twice its error on a hundred rows has."""
    trials = [attempt(1, 1.0), attempt(2, 1.05), attempt(3, 2.0)]
    gaps = times_behind(trials, [*trials, attempt(0, 5.0)], against(100, is_number=True))
    assert gaps[2] < 1.15
    assert gaps[3] > 1.6


def test_only_folds_in_common_count_and_some_are_easier() -> None:
    """A trial that did the easy fold alone is told as if on all folds of the best one."""
    best = attempt(1, 0.01, 0.10, 0.10)
    lucky = attempt(2, 0.02)
    assert times_behind([best, lucky], [best, lucky, BASELINE], against(20_000))[2] > 1.5
    assert levelled(lucky, [BASELINE, best, lucky]) == pytest.approx(0.07 + 0.01)
    assert levelled(best, [BASELINE, best, lucky]) == pytest.approx(0.07)
    assert levelled(attempt(3), [BASELINE, best]) == float("inf")


def test_a_fold_that_no_leader_did_tells_nothing() -> None:
    """Probes lead nothing: one may have done the first fold before any trial has."""
    probe, leader = attempt(2, 0.3), attempt(1, 0.2, folds=(1,))
    assert times_behind([probe], [leader, BASELINE], against(100)) == {}
    assert times_behind([probe], [BASELINE], against(100)) == {}
