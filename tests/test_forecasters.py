"""Every classical forecaster keeps the contract; the contract itself catches those that do not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import search_spaces
from search_spaces.classical import constant
from search_spaces.classical._parts import pack_arrays, unpack_arrays
from search_spaces.series import contracts
from search_spaces.series.panel import asked, panel_of
from search_spaces.spec import Learner, Matrix, Params, Rows, Run

SLOW = {"consensus"}  # five methods at each of a hundred forecasts
FORECASTERS = [
    pytest.param(family.name, marks=[pytest.mark.long] if family.name in SLOW else [])
    for family in search_spaces.all_families()
    if family.route == "classical" and family.reads == {"panel"}
]  # fmt: skip
BRIEF: dict[str, Params] = {"lag_boosting": {"rounds": 5}, "consensus": {"windows": 1}}  # what takes long is cut short


class LastValue:
    """The newest known value again; of an empty history the mean of what was learned."""

    is_cut = False

    def __init__(self, params: Params) -> None:
        self.params = params

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:
        self.mean = float(np.mean(train.y))

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        rows = asked(panel_of(X.media))
        newest = np.full(len(rows.histories), np.nan)
        for column in rows.histories.values.T:
            newest = np.where(np.isnan(column), newest, column)
        return self.filled(newest)[rows.of_row]

    def filled(self, newest: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(newest), self.mean, newest)

    def dump(self) -> dict[str, bytes]:
        return {"mean.npz": pack_arrays({"mean": np.array([self.mean])})}


class Peeking(LastValue):
    def predict(self, X, threads=1):
        panel = panel_of(X.media)
        return self.filled(panel.store[panel.rows])


class LearningAhead(LastValue):
    def fit(self, train, valid, run):
        self.mean = float(np.nanmean(panel_of(train.X.media).store))

    def predict(self, X, threads=1):
        return np.full(len(X), self.mean)


class Lost(LastValue):
    def filled(self, newest):
        return newest


class Forgetful(LastValue):
    def dump(self):
        return {"mean.npz": pack_arrays({"mean": np.zeros(1)})}

    def predict(self, X, threads=1):
        return super().predict(X) + self.mean


class Runaway(LastValue):
    def predict(self, X, threads=1):
        return super().predict(X) * 10.0 ** asked(panel_of(X.media)).steps


class Falling(LastValue):
    def predict(self, X, threads=1):
        return super().predict(X) - asked(panel_of(X.media)).steps


class Stuck(LastValue):
    def predict(self, X, threads=1):
        return np.abs(super().predict(X))


class InTurn(LastValue):
    def predict(self, X, threads=1):
        return super().predict(X) * (1 + 0.1 * np.arange(len(X)) / max(1, len(X)))


def load(kind: type[LastValue], parts: Mapping[str, bytes]) -> Learner:
    learner = kind({})
    learner.mean = float(unpack_arrays(parts["mean.npz"])["mean"][0])
    return learner


def check(kind: type[LastValue]) -> None:
    contracts.check_forecasts(lambda: kind({}), lambda parts: load(kind, parts))


def test_the_contract_is_kept_by_the_newest_value_again() -> None:
    """A forecaster of three lines passes."""
    check(LastValue)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (Peeking, "a leak|not finite"),
        (LearningAhead, "a leak"),
        (Lost, "empty: a forecast is not finite"),
        (Forgetful, "loaded model predicts differently"),
        (Runaway, "at most"),
        (Falling, "never below zero|zeros alone"),
        (Stuck, "always below zero"),
        (InTurn, "order of the rows"),
    ],
)
def test_the_contract_catches_a_forecaster_that_breaks_it(broken: type[LastValue], complaint: str) -> None:
    """Who looks ahead, fails on an empty history, forgets its state, runs away or mistakes signs does not pass."""
    with pytest.raises(AssertionError, match=complaint):
        check(broken)


@pytest.mark.long
@pytest.mark.parametrize("name", FORECASTERS)
def test_a_forecaster_keeps_its_contract(name: str) -> None:
    """Each family of the registry that reads series over time is found under its name and passes."""
    family = search_spaces.get(name)
    if family.needs.package is not None:
        pytest.importorskip(family.needs.package)
    assert family.name == name
    contracts.check_forecaster(family, BRIEF.get(name))


def test_the_yardstick_of_series_is_their_newest_season() -> None:
    """It keeps the contract too, and says what the seasonal naive family says."""
    contracts.check_forecasts(lambda: constant.Constant({}), constant.load)
    train, valid = contracts.made_up_panel()
    run = Run("regression", 1, "mase", 0)
    said = []
    for family in ("constant", "seasonal_naive"):
        learner = search_spaces.get(family).build(search_spaces.get(family).configs()[0])
        learner.fit(train, None, run)
        said.append(learner.predict(valid.X))
    assert np.array_equal(*said)
