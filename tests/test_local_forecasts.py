"""Forecasts of each series from its own past: against references, and each as its file promises.

References were computed once with statsforecast 2.1.1 and statsmodels 0.15.0 in an environment of their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import search_spaces
from search_spaces.classical.consensus import Consensus
from search_spaces.classical.croston import Croston
from search_spaces.classical.seasonal_naive import SeasonalNaive
from search_spaces.series import contracts, local
from search_spaces.series.autoregression import Lags, regress
from search_spaces.series.local import OwnPast, filled
from search_spaces.series.panel import panel_of
from search_spaces.series.season import common_season, season_of, seasons_of
from search_spaces.series.smoothing import Constants, States, ahead, constants, damped, smooth
from search_spaces.spec import Matrix, Run, starts

LOCAL = ["seasonal_naive", "theta", "ets", "arima", "croston", "consensus"]
RUN = Run("regression", 1, "mase", seed=0)
SHORT = np.array([3.0, 5, 4, 8, 6, 9, 7, 12, 8, 13, 11, 15])
NOW_AND_THEN = np.tile([5.0, 0, 3, 0, 0, 4, 2, 0, 6, 0, 0, 0, 3, 1, 0, 2], 15)


def noise(series: int, length: int) -> np.ndarray:
    """Between -0.5 and 0.5, the same with every version of every library."""
    at = np.arange(1.0, length + 1)[None, :] + 1000.0 * np.arange(1, series + 1)[:, None]
    return (np.sin(at * 12.9898) * 43758.5453) % 1.0 - 0.5


def drawn(series: int = 12, length: int = 108) -> np.ndarray:
    """Monthly series: levels that wander, trends that end, seasons that grow with the level and change slowly."""
    steps, which = np.arange(length)[None, :], np.arange(series)[:, None]
    wander = np.cumsum(noise(series, length), axis=1) * (which % 4)
    trend = np.minimum(steps, 70) * 0.4 * (which % 3)
    swing = 1 + (0.1 + 0.03 * (which % 5)) * np.sin(2 * np.pi * (steps + which) / 12 + 0.002 * steps)
    return (60 + wander + trend) * swing + 12 * noise(series, length)[:, ::-1]


def learned(name: str, series: Sequence[np.ndarray], held: int, **params: Any) -> tuple[Any, Matrix]:
    """A learner of a family, fitted to series without their newest steps, and these."""
    train, newest = contracts.rows_of(list(series), held, season=12, is_bare=True)
    family = search_spaces.get(name)
    learner = family.build({**starts(family.space), **params})
    learner.fit(train, None, RUN)
    return learner, newest.X


def foretold(name: str, series: Sequence[np.ndarray], steps: int, **params: Any) -> np.ndarray:
    """(series, steps) after the end of series."""
    learner, X = learned(name, [np.concatenate([one, np.full(steps, np.nan)]) for one in series], steps, **params)
    return learner.predict(X).reshape(len(series), steps)


def past_of(values: np.ndarray, season: int = 1, is_absolute: bool = True) -> OwnPast:
    return OwnPast(np.atleast_2d(values), season, is_absolute)


# --- against references ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("theta", 0.7333),  # DynamicOptimizedTheta; AutoTheta misses 0.8047
        ("ets", 0.7790),  # AutoETS
        ("arima", 0.7254),  # SARIMAX (0, 1, 1)(0, 1, 1, 12)
        ("seasonal_naive", 0.8068),
    ],
)
def test_a_forecaster_misses_no_more_than_its_published_reference(name: str, reference: float) -> None:
    """MASE of twelve months of twelve series."""
    series = drawn()
    told = foretold(name, series[:, :96], 12)
    scale = np.abs(series[:, 12:96] - series[:, :84]).mean(axis=1)
    assert (np.abs(told - series[:, 96:]).mean(axis=1) / scale).mean() <= 1.005 * reference


def test_theta_lines_are_those_of_the_reference() -> None:
    """The fourth series, by DynamicOptimizedTheta; the season is told in another way, so some hundredths apart."""
    told = foretold("theta", drawn()[:, :96], 12)[3, :3]
    np.testing.assert_allclose(told, [80.318, 75.318, 71.123], rtol=0.03)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [8.0, 13, 11, 15, 8]),
        ({"again": "value"}, [15.0, 15, 15, 15, 15]),
        ({"again": "value", "drift": 1.0}, [16.0909, 17.1818, 18.2727, 19.3636, 20.4545]),
        ({"cycles": 2}, [7.0, 11, 9, 13.5, 7]),
        ({"again": "window", "cycles": 2}, [10.125, 10.125, 10.125, 10.125, 10.125]),
    ],
)
def test_what_was_comes_again_as_in_the_reference(params: dict[str, Any], expected: list[float]) -> None:
    """SeasonalNaive(4), Naive, RandomWalkWithDrift, SeasonalWindowAverage(4, 2) and WindowAverage(8)."""
    method = SeasonalNaive({**starts(search_spaces.get("seasonal_naive").space), **params})
    np.testing.assert_allclose(method.foretell(past_of(SHORT, 4), {}, 5)[0], expected, atol=1e-4)


@pytest.mark.parametrize(("kind", "expected"), [("croston", 1.5012), ("sba", 1.4261), ("tsb", 1.5768)])
def test_demand_now_and_then_is_that_of_the_reference(kind: str, expected: float) -> None:
    """CrostonClassic, CrostonSBA and TSB, after so many steps that their first values are forgotten."""
    method = Croston({"kind": kind, "follows": 0.1, "aim": "mean", "season": "none"})
    np.testing.assert_allclose(method.foretell(past_of(NOW_AND_THEN), {}, 3), expected, atol=2e-3)


def test_simple_smoothing_is_that_of_the_reference() -> None:
    """SimpleExponentialSmoothing(0.3), which starts at the first value."""
    found = smooth(
        SHORT[None], np.zeros(1, dtype=int), States(SHORT[:1], np.zeros(1)), constants((0.3,), (0,), (0,)), False
    )
    assert found.ends.level[0, 0] == pytest.approx(11.5159, abs=1e-4)


@pytest.mark.parametrize("is_ratio", [False, True])
def test_smoothing_many_series_is_smoothing_each(is_ratio: bool) -> None:
    """Against the recursion written for one series and one cell; the second one begins later."""
    values = np.stack([drawn(1, 30)[0], drawn(2, 30)[1]])
    begins = np.array([0, 5])
    cells = damped(constants((0.2, 0.6), (0.1,), (0.3,)), (0.9, 1.0))
    first = np.array([1.1, 0.9, 1.2, 0.8]) if is_ratio else np.array([3.0, -2.0, 1.0, -2.0])
    start = States(np.array([50.0, 60.0]), np.array([1.0, -0.5]), np.tile(first[:, None], (1, 2)))
    found = smooth(values, begins, start, cells, is_ratio)
    for cell in range(len(cells)):
        for at in range(2):
            level, slope, profile = float(start.level[at]), float(start.slope[at]), first.copy()
            missed = 0.0
            for step in range(begins[at], 30):
                slot = (step - 30) % 4
                base = level + cells.damping[cell] * slope
                miss = values[at, step] - (base * profile[slot] if is_ratio else base + profile[slot])
                missed += miss**2
                of_level = miss / profile[slot] if is_ratio else miss
                profile[slot] += cells.season[cell] * (miss / base if is_ratio else miss)
                level = base + cells.level[cell] * of_level
                slope = cells.damping[cell] * slope + cells.trend[cell] * of_level
            assert found.missed[cell, at] == pytest.approx(missed)
            assert found.ends.level[cell, at] == pytest.approx(level)
            assert found.ends.profile is not None
            np.testing.assert_allclose(found.ends.profile[:, cell, at], profile)


def test_states_go_on_with_slope_and_season() -> None:
    """Half of the slope is left at each step; the profile begins anew."""
    ends = States(np.array([10.0]), np.array([4.0]), np.array([[2.0], [0.5]]))
    assert ahead(ends, np.array([0.5]), 3, is_ratio=True).tolist() == [[24.0, 6.5, 27.0]]


# --- seasons ---------------------------------------------------------------------------------------------------------


def test_a_season_that_changes_is_forgotten_faster_than_one_that_stays() -> None:
    """Only the newest cycles tell what comes."""
    steps = np.arange(120)
    stays = 100 + 20 * np.sin(2 * np.pi * steps / 12)
    turns = 100 + 20 * np.sin(2 * np.pi * steps / 12 + 0.2 * (steps // 12))
    found = season_of(past_of(np.stack([stays, turns]) + 5 * noise(2, 120), 12), {}, "added")
    ahead_ = np.arange(120, 132)
    truth = np.stack([20 * np.sin(2 * np.pi * ahead_ / 12), 20 * np.sin(2 * np.pi * ahead_ / 12 + 2.0)])
    apart = np.abs(found.onto(np.zeros((2, 12))) - truth).mean(axis=1)
    assert apart[0] < 2.0
    assert apart[1] < 6.5, "a mean of all cycles is 12 away"


def test_what_has_no_season_is_given_none() -> None:
    """Most of the profiles of noise are not believed."""
    found = season_of(past_of(noise(50, 96), 12), {}, "added")
    assert np.median(np.abs(found.profile)) == 0.0


def test_a_short_series_has_the_season_that_others_have() -> None:
    """One and a half years cannot show that their season returns."""
    many = past_of(drawn(20, 96), 12)
    short = past_of(drawn(1, 96)[:, -18:], 12)
    alone, together = season_of(short, {}, "ratio"), season_of(short, common_season(many), "ratio")
    assert np.ptp(alone.profile) == 0.0
    assert np.ptp(together.profile) > 0.1


def test_days_and_weeks_are_both_seen() -> None:
    """Hours of a weekend are lower; the day's profile alone cannot say so."""
    hours = np.arange(24 * 7 * 6)
    values = 100 + 30 * np.sin(2 * np.pi * hours / 24) - 40 * (hours // 24 % 7 >= 5) + 4 * noise(1, len(hours))[0]
    day, both = past_of(values, 24), replace(past_of(values, 24), week=168)
    left = [np.std(seasons_of(past, {}, "added", 1.0).without(past.values)) for past in (day, both)]
    assert left[1] < 0.35 * left[0]


# --- histories -------------------------------------------------------------------------------------------------------


def test_gaps_are_drawn_straight_and_ends_carried_on() -> None:
    """The beginning is where the first value is."""
    values, begins = filled(np.array([[np.nan, 2.0, np.nan, np.nan, 8.0, np.nan]]))
    assert values.tolist() == [[2.0, 2.0, 4.0, 6.0, 8.0, 8.0]]
    assert begins.tolist() == [1]


@pytest.mark.parametrize("name", [name for name in LOCAL if name != "seasonal_naive"])
def test_scales_do_not_matter(name: str) -> None:
    """A thousand times the values are a thousand times the forecasts."""
    series = drawn(3, 60)
    np.testing.assert_allclose(foretold(name, 1000 * series, 6), 1000 * foretold(name, series, 6), rtol=1e-6)


@pytest.mark.parametrize("name", ["theta", "ets", "arima"])
def test_a_straight_line_goes_on(name: str) -> None:
    """Without a season and without noise there is nothing else to foretell."""
    line = 20.0 + 3.0 * np.arange(40)
    told = foretold(name, [line], 3, season="none")[0]
    np.testing.assert_allclose(told, 20.0 + 3.0 * np.arange(40, 43), rtol=0.04)


@pytest.mark.parametrize("name", [name for name in LOCAL if name != "consensus"])
def test_series_are_foretold_alike_in_blocks_of_any_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither who stands beside a series in memory matters, nor how many rows are asked for at once."""
    series = [one[at % 5 * 7 :] for at, one in enumerate(drawn(40, 70))]
    learner, X = learned(name, series, 4)
    whole = learner.predict(X)
    monkeypatch.setattr(local, "MOST_CELLS", 500)
    np.testing.assert_allclose(learner.predict(X), whole, rtol=1e-9)


def test_far_beyond_the_horizon_the_last_season_comes_again() -> None:
    """What is asked for in a hundred years costs no more, and does not run away."""
    learner, X = learned("theta", [np.concatenate([one, np.full(600, np.nan)]) for one in drawn(2, 60)], 600)
    panel = replace(panel_of(X.media), horizon=12)
    told = learner.predict(contracts.with_panel(X, panel)).reshape(2, 600)
    np.testing.assert_allclose(told[:, 300:312], told[:, 588:])


def test_an_empty_history_has_the_middle_of_what_was_learned() -> None:
    """The median for absolute errors, the mean for squared ones."""
    train, _ = contracts.rows_of([np.array([1.0, 1.0, 1.0, 9.0, 9.0, 0.0])], held=1, season=1)
    empty = contracts.rows_of([np.full(2, np.nan)], held=2, season=1)[1]
    answers = {}
    for metric in ("mase", "rmse"):
        family = search_spaces.get("theta")
        learner = family.build(starts(family.space))
        learner.fit(train, None, replace(RUN, metric=metric))
        answers[metric] = learner.predict(empty.X).tolist()
    assert answers == {"mase": [1.0, 1.0], "rmse": [4.2, 4.2]}


# --- methods side by side --------------------------------------------------------------------------------------------


class Says:
    """The same of every series."""

    cells = 1

    def __init__(self, value: float) -> None:
        self.value = value

    def agree(self, past: OwnPast) -> local.Arrays:
        return {}

    def check(self, shared: local.Arrays) -> None:
        pass

    def foretell(self, past: OwnPast, shared: local.Arrays, steps: int) -> np.ndarray:
        return np.full((len(past), steps), self.value)


def test_a_method_that_missed_less_weighs_more() -> None:
    """Three times the misses at a sharpness of one are a third of the weight; at none all weigh the same."""
    past = OwnPast(np.tile([0.0, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], (1, 1)), 1, True, horizon=2)
    told = {}
    for sharpness in (0.0, 1.0):
        params = {**starts(search_spaces.get("consensus").space), "sharpness": sharpness}
        method = Consensus(params)
        method.members = (Says(1.1), Says(1.3))
        assert method.agree(past)["missed"].tolist() == pytest.approx([0.5, 1.5])
        told[sharpness] = method.foretell(past, {}, 1)[0, 0]
    assert told == pytest.approx({0.0: 1.2, 1.0: (1.1 * 3 + 1.3) / 4})


def test_a_consensus_misses_no_more_than_its_members_do() -> None:
    """Twelve months of twelve series, whose best references miss 0.73."""
    series = drawn()
    told = foretold("consensus", series[:, :96], 12, windows=1)
    scale = np.abs(series[:, 12:96] - series[:, :84]).mean(axis=1)
    assert (np.abs(told - series[:, 96:]).mean(axis=1) / scale).mean() < 0.70


@pytest.mark.parametrize("name", ["theta", "ets", "arima", "consensus"])
def test_a_fit_that_is_late_still_foretells(name: str) -> None:
    """What series have in common is not looked for then, and the learner says so."""
    train, held = contracts.rows_of(list(drawn(3, 60)), is_bare=True)
    family = search_spaces.get(name)
    learner = family.build(starts(family.space))
    learner.fit(train, None, replace(RUN, until=0.0))
    assert learner.is_cut
    assert np.isfinite(learner.predict(held.X)).all()
    assert np.array_equal(family.load(learner.dump()).predict(held.X), learner.predict(held.X))


# --- demand now and then ---------------------------------------------------------------------------------------------


def test_the_median_of_rare_demand_is_none() -> None:
    """And of frequent demand a usual size."""
    rare, often = np.where(np.arange(60) % 4 == 0, 8.0, 0.0), np.where(np.arange(60) % 4 == 0, 0.0, 8.0)
    method = Croston({"kind": "tsb", "follows": 0.1, "aim": "asked", "season": "none"})
    told = method.foretell(past_of(np.stack([rare, often])), {}, 1)[:, 0]
    assert told.tolist() == pytest.approx([0.0, 8.0])
    assert method.foretell(past_of(rare, is_absolute=False), {}, 1)[0, 0] == pytest.approx(2.0, rel=0.3)


def test_demand_that_ended_dies_out_where_chances_are_followed() -> None:
    """Croston's method goes on as if the last demand had been yesterday."""
    ended = np.concatenate([np.full(40, 5.0), np.zeros(40)])
    told = {
        kind: Croston({"kind": kind, "follows": 0.1, "aim": "mean", "season": "none"}).foretell(past_of(ended), {}, 1)[
            0, 0
        ]
        for kind in ("tsb", "croston", "adida")
    }
    assert told["tsb"] < 0.2
    assert told["adida"] < 1.0
    assert told["croston"] > 3.0


@pytest.mark.parametrize("aim", ["mean", "asked"])
def test_shares_of_a_cycle_tell_its_busy_steps(aim: str) -> None:
    """Demand comes on every seventh day alone, so that it is likely there and nowhere else."""
    values = np.where(np.arange(140) % 7 == 0, 10.0, 0.0)
    method = Croston({"kind": "tsb", "follows": 0.1, "aim": aim, "season": "shares"})
    told = method.foretell(past_of(values, 7), {}, 7)[0]
    assert told[0] > 5.0
    assert told[1:].max() < 1.0


# --- autoregression --------------------------------------------------------------------------------------------------


def test_weights_of_an_autoregression_are_found() -> None:
    """Of values that depend on the two before, and of those that depend on the miss before."""
    shock = noise(2, 4000)
    values = np.zeros((2, 4000))
    for step in range(2, 4000):
        values[0, step] = 0.5 * values[0, step - 1] + 0.3 * values[0, step - 2] + shock[0, step]
        values[1, step] = shock[1, step] - 0.6 * shock[1, step - 1]
    begins = np.zeros(2, dtype=int)
    np.testing.assert_allclose(regress(values, begins, Lags((1, 2))).weights[0], [0.5, 0.3], atol=0.06)
    np.testing.assert_allclose(regress(values, begins, Lags((), (1,))).weights[1], [-0.6], atol=0.06)


def test_differences_over_a_season_are_taken_back() -> None:
    """A season that repeats itself exactly, on a line, goes on."""
    steps = np.arange(72)
    exact = 50 + steps + 10 * np.sin(2 * np.pi * steps / 12)
    told = foretold("arima", [exact[:60]], 12, season="differenced")[0]
    np.testing.assert_allclose(told, exact[60:], rtol=0.02)


# --- saved state -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOCAL)
def test_damaged_state_is_refused_in_one_line(name: str) -> None:
    """Knobs out of bounds, others than there are, arrays of another shape."""
    learner, _ = learned(name, list(drawn(3, 60)), 4)
    parts, load = learner.dump(), search_spaces.get(name).load
    facts = json.loads(parts["local.json"])
    knob = next(iter(facts["params"]))
    odd = [
        {**facts, "params": {**facts["params"], knob: -7.5}},
        {**facts, "params": {"rounds": 3}},
        {**facts, "params": 3},
        {**facts, "center": None},
        {**facts, "is_absolute": 1},
    ]
    for one in odd:
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            load({**parts, "local.json": json.dumps(one).encode()})
    with pytest.raises(ValueError, match=r"share|array"):
        load({**parts, "shared.npz": local.pack_arrays({"added": np.zeros(3)})})


def test_constants_are_all_triples() -> None:
    """Trends count from the level's constant on, seasons from what is left beside it."""
    found = constants((0.5,), (0.1, 0.2), (0.3,))
    assert isinstance(found, Constants)
    assert [found.level.tolist(), found.trend.tolist(), found.season.tolist()] == [[0.5] * 2, [0.05, 0.1], [0.15] * 2]
