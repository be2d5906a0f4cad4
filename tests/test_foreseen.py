"""What more rows or seconds would do, from the trials of a run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from automl.decision.foreseen import curves, known_at
from automl.records import Fold, Plan, Trial, TrialStatus


def trial(
    number: int, family: str, error: float, share: float = 1.0, at: float = 1.0, *, is_cut: bool = False
) -> Trial:
    """One that did the first fold."""
    features: Mapping[str, float] = {} if share == 1 else {"share": share}
    plan = Plan(number=number, family=family, params={}, seed=0, because="", features=features)
    fold = Fold(
        fold=0, predictions=np.empty(0), error=error, is_cut=is_cut, fit_s=1.0, batch_s=0.1, row_s=0.1, size_mb=0.1
    )
    return Trial(plan=plan, status=TrialStatus.PARTIAL, folds={0: fold}, ended_s=at)


def test_a_route_whose_error_falls_with_rows_gains_by_more_of_them() -> None:
    """And one that stays where it is gains little; both are told with an error."""
    falling = [trial(k, "mlp", e, s) for k, (s, e) in enumerate([(1 / 9, 0.9), (1 / 3, 0.5), (1.0, 0.28)], start=1)]
    level = [trial(k, "lightgbm", e, s) for k, (s, e) in enumerate([(1 / 9, 0.41), (1 / 3, 0.4), (1.0, 0.4)], start=4)]
    told = curves([*falling, *level], rows=9_000, known={})
    network, boosting = told["neural"].rows, told["classical"].rows
    assert network is not None
    assert boosting is not None
    assert network.mean < -0.4 < -0.1 < boosting.mean <= 0
    assert network.sd > 0


def test_where_nothing_was_tried_on_fewer_rows_nothing_is_said_of_more() -> None:
    """Nor from a network that was cut there: it would seem to gain by rows what it gained by time."""
    told = curves([trial(1, "mlp", 0.5), trial(2, "mlp", 0.9, 1 / 3, is_cut=True)], rows=900, known={})
    assert told["neural"].rows is None
    assert told["neural"].seconds is None


def test_a_search_that_still_finds_more_gains_by_seconds() -> None:
    still = [trial(k, "lightgbm", 1.0 / k, at=float(k)) for k in range(1, 9)]
    flat = [trial(20 + k, "mlp", 0.5, at=float(k)) for k in range(1, 9)]
    known = {one.plan.number: one.ended_s for one in (*still, *flat)}
    told = curves([*still, *flat], 900, known)
    finding, done = told["classical"].seconds, told["neural"].seconds
    assert finding is not None
    assert done is not None
    assert finding.mean < done.mean <= 0


def test_a_first_fold_is_known_at_its_own_end() -> None:
    """Not when the last fold of its trial ended; what failed is no point of a curve."""
    events = [
        {"event": "finished", "trial": 1, "fold": 0, "error": 0.5, "elapsed_s": 2.0},
        {"event": "finished", "trial": 1, "fold": 1, "error": 0.5, "elapsed_s": 9.0},
        {"event": "finished", "trial": 2, "fold": 0, "error": None, "elapsed_s": 3.0},
        {"event": "stage", "stage": "search", "elapsed_s": 1.0},
    ]
    assert known_at(events) == {1: 2.0}
