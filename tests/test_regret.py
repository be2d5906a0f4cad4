"""What the choice between the routes came to: what each family showed, how far the route that lost is behind."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from automl.decision import regret
from automl.ensemble.candidates import HeldOutComparison
from automl.records import Candidate, Fold, Plan, Score, Spent, Trial, TrialStatus
from automl.scoring.metrics import get

RNG = np.random.default_rng(0)
Y = RNG.normal(size=400)
GOOD, FAIR, BAD = (Y + RNG.normal(scale=scale, size=len(Y)) for scale in (0.1, 0.3, 0.9))


def trial(number: int, family: str, predictions: np.ndarray | None) -> Trial:
    """One that did a single fold of all rows; None: it failed."""
    folds = {}
    if predictions is not None:
        error = get("rmse").error(Y, predictions)
        folds[0] = Fold(
            fold=0, predictions=predictions, error=error, is_cut=False, fit_s=1, batch_s=1, row_s=1, size_mb=1
        )
    return Trial(
        plan=Plan(number=number, family=family, params=MappingProxyType({}), seed=0, because="test"),
        status=TrialStatus.DONE if folds else TrialStatus.FAILED, folds=folds, spent=Spent(cpu_s=2.0),
    )  # fmt: skip


def compared(*trials: Trial) -> HeldOutComparison:
    return HeldOutComparison(
        trials=trials, metric=get("rmse"), folds=(0,), rows=np.arange(len(Y)), y=Y, weight=None,
        predictions={one.plan.number: one.folds[0].predictions for one in trials},
    )  # fmt: skip


def candidate(weights: dict[int, float], value: float) -> Candidate:
    score = Score(metric="rmse", value=value, low=value - 0.1, high=value + 0.1, higher_is_better=False)
    return Candidate(
        name=str(weights), weights=weights, score=score, fit_s=1, row_ms=1, batch_ms=1, size_mb=1, lean_ms=1, lean_mb=1
    )


def test_the_best_of_both_routes_are_compared() -> None:
    """The route whose best has less error won; the gap is theirs on the same rows, with an interval that holds it."""
    found = regret.regret(compared(trial(1, "linear", FAIR), trial(2, "mlp", GOOD), trial(3, "mlp", BAD)))
    assert found is not None
    assert (found.winner, found.loser) == ("neural", "classical")
    assert (found.best.plan.number, found.other.plan.number) == (2, 1)
    assert found.gap == pytest.approx(get("rmse").error(Y, FAIR) - get("rmse").error(Y, GOOD))
    assert found.low <= found.gap <= found.high
    assert found.is_real


def test_what_chance_explains_is_not_real() -> None:
    """Two models that err alike on other rows."""
    twin = Y + np.random.default_rng(1).normal(scale=0.3, size=len(Y))
    found = regret.regret(compared(trial(1, "linear", FAIR), trial(2, "mlp", twin)))
    assert found is not None
    assert found.low < 0 < found.high
    assert not found.is_real


@pytest.mark.parametrize("families", [(), ("linear",), ("linear", "forest"), ("constant", "mlp")])
def test_without_two_routes_there_is_no_regret(families: tuple[str, ...]) -> None:
    """The baseline belongs to no route."""
    assert regret.regret(compared(*(trial(at, family, FAIR) for at, family in enumerate(families)))) is None


def test_a_route_that_was_tried_in_vain_was_not_looked_at() -> None:
    """Only what finished a fold shows something; the baseline is no route's."""
    assert regret.looked_at([trial(0, "constant", BAD), trial(1, "mlp", None)]) == set()
    assert regret.looked_at([trial(1, "mlp", FAIR), trial(2, "linear", FAIR)]) == {"neural", "classical"}


def test_a_family_shows_its_best_candidate() -> None:
    """Blends are nobody's; without a candidate the best mean over folds counts, and without a fold nothing does."""
    trials = [trial(1, "linear", FAIR), trial(2, "linear", GOOD), trial(3, "mlp", BAD), trial(4, "forest", None)]
    listed = [candidate({1: 1.0}, 0.3), candidate({2: 1.0}, 0.1), candidate({1: 0.5, 2: 0.5}, 0.01)]
    linear, mlp, forest = (
        regret.evidence(family, trials, listed, get("rmse")) for family in ("linear", "mlp", "forest")
    )
    assert (linear.route, linear.trials, linear.cpu_s) == ("classical", 2, 4.0)
    assert linear.best == listed[1].score
    assert linear.mean is None
    assert (mlp.route, mlp.best) == ("neural", None)
    assert mlp.mean == pytest.approx(get("rmse").error(Y, BAD))
    assert (forest.trials, forest.best, forest.mean, forest.cpu_s) == (1, None, None, 2.0)
