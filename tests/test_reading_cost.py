"""What a trained network takes for a row counts where it is asked, and nowhere else."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd

from automl.ensemble.frontier import Limits
from automl.records import Candidate, Plan, Score, Trial, TrialStatus
from automl.refit.reading import ReadingCost, measure_reading


def candidate(number: int, row_ms: float) -> Candidate:
    score = Score(metric="log_loss", value=0.5, low=0.4, high=0.6, higher_is_better=False)
    return Candidate(
        name=f"#{number}", weights={number: 1.0}, score=score, fit_s=1.0, row_ms=row_ms, batch_ms=1.0, size_mb=4.0,
        lean_ms=row_ms / 4, lean_mb=1.0,
    )  # fmt: skip


def trial(number: int, family: str) -> Trial:
    plan = Plan(number=number, family=family, params={}, seed=0, because="made up")
    return Trial(plan=plan, status=TrialStatus.DONE)


TRIALS = (trial(1, "svm"), trial(2, "finetuned"), trial(3, "text_linear"), trial(4, "convnet"))


def test_models_of_numbers_wait_for_the_network_that_tells_them() -> None:
    """A network that reads rows itself does not, and where no network is asked nothing changes."""
    cost = ReadingCost(3.0, told_ms=35.0, told_mb=14.0)
    for number, waits in ((1, True), (2, False), (3, True), (4, False)):
        one = cost.within(candidate(number, 4.0), TRIALS)
        assert (one.row_ms, one.lean_ms) == ((39.0, 36.0) if waits else (4.0, 1.0))
        assert (one.size_mb, one.lean_mb) == ((18.0, 15.0) if waits else (4.0, 1.0))
    assert ReadingCost(3.0).within(candidate(1, 4.0), TRIALS) == candidate(1, 4.0)


def test_a_blend_waits_once_and_folds_left_out_do_not_shorten_it() -> None:
    """Two folds of a member take twice its own time, and the network's only once."""
    cost = ReadingCost(3.0, told_ms=35.0, told_mb=14.0)
    blend = cost.within(replace(candidate(1, 4.0), weights={1: 0.5, 2: 0.5}), TRIALS)
    assert blend.row_ms == 39.0
    assert Limits(37.0).hold_for(blend, folds=2)
    assert not Limits(36.5).hold_for(blend, folds=2)
    assert Limits(size_mb=16.0).hold_for(blend, folds=2)
    assert not Limits(size_mb=15.5).hold_for(blend, folds=2)


def test_building_the_network_is_no_price_of_a_row() -> None:
    """The first row after a search asks a network that is built anew: ten times what any row after it takes."""
    took_s = iter([0.2])

    class Schema:
        decoders = (SimpleNamespace(codec=SimpleNamespace(encoder=SimpleNamespace(key="k", weights=b"12"))),)

        def encode(self, _rows: pd.DataFrame, *, is_described: bool) -> None:
            time.sleep(next(took_s, 0.0) if is_described else 0.0)

    dataset, ready = SimpleNamespace(frame=pd.DataFrame({"a": [1, 2]})), SimpleNamespace(schema=Schema())
    cost = measure_reading(dataset, ready)
    assert cost.told_ms < 100
    assert cost.told_mb > 0
