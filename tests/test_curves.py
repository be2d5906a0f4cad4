"""Curves of errors carried on to more rows and more seconds: finite, never rising, as unsure as few points leave it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.decision.curves import CurvePoint, ahead, more_time, outlook

TINY = 1e-300  # below it numbers have few digits left
AMOUNTS = st.floats(1, 1e7)
ERRORS = st.floats(0, 1e6) | st.sampled_from([0.0, 1e-300, 1e-9, 1e12])
POINTS = st.lists(st.builds(CurvePoint, AMOUNTS, ERRORS, st.floats(0, 1e3)), min_size=1, max_size=5)


def law(floor: float, scale: float, power: float, sd: float = 0.002) -> list[CurvePoint]:
    """Four points of a known curve."""
    return [CurvePoint(n, floor + scale * n**-power, sd) for n in (500, 1_000, 2_000, 4_000)]


@given(POINTS, st.floats(1, 100))
def test_a_curve_is_finite_never_below_zero_and_its_interval_in_order(points: list[CurvePoint], times: float) -> None:
    """Whatever was measured."""
    amount = times * max(one.amount for one in points)
    told = outlook(points, amount)
    assert told is not None
    assert all(math.isfinite(value) and value >= 0 for value in (told.mean, told.sd, told.low, told.high))
    assert told.low <= told.high


@given(POINTS, st.floats(1, 30), st.floats(1, 30))
def test_more_rows_never_mean_a_larger_error(points: list[CurvePoint], times: float, further: float) -> None:
    """Nor do they move an end of the interval up."""
    amount = times * max(one.amount for one in points)
    near, far = outlook(points, amount), outlook(points, amount * further)
    assert near is not None
    assert far is not None
    slack = 1e-9 * (1 + near.high)
    assert far.mean <= near.mean + slack
    assert far.low <= near.low + slack
    assert far.high <= near.high + slack


@given(st.lists(st.tuples(AMOUNTS, ERRORS), min_size=1, max_size=30), st.floats(0, 1e8))
def test_more_seconds_never_lose_what_was_found(trace: list[tuple[float, float]], seconds: float) -> None:
    """The best so far is the most that is foretold."""
    told = more_time(trace, seconds)
    assert told is not None
    best = min(error for _, error in trace)
    assert 0 <= told.low <= told.high <= best
    assert 0 <= told.mean <= best * (1 + 1e-9) + TINY


@given(POINTS, POINTS)
def test_of_two_routes_one_is_ahead_with_a_probability(one: list[CurvePoint], other: list[CurvePoint]) -> None:
    """And the other with the rest."""
    there = 10 * max(point.amount for point in [*one, *other])
    forth, back = ahead(one, other, there), ahead(other, one, there)
    assert forth is not None
    assert back is not None
    assert 0 <= forth.network_wins <= 1
    assert forth.network_wins + back.network_wins == pytest.approx(1, abs=1e-6)
    assert forth.gain == pytest.approx(-back.gain, abs=1e-9)
    assert math.isfinite(forth.gain_sd)


def test_a_known_law_is_found_again_within_the_interval() -> None:
    """Four exact points of 0.1 + 2 n^-0.5, ten times the rows."""
    told = outlook(law(0.1, 2.0, 0.5), 40_000)
    assert told is not None
    assert told.low < 0.1 + 2.0 * 40_000**-0.5 < told.high
    assert told.mean == pytest.approx(0.11, abs=0.015)


def test_fewer_points_leave_more_open() -> None:
    """Two know less than four, one less than two, and all are honest about it."""
    points = law(0.05, 3.0, 0.5)
    widths = [told.high - told.low for k in (1, 2, 4) if (told := outlook(points[-k:], 40_000)) is not None]
    assert widths[0] > widths[1] > widths[2] > 0


def test_the_route_whose_curve_still_falls_is_ahead_with_ten_times_the_rows() -> None:
    """The other one has flattened below it."""
    flat = [CurvePoint(n, 0.20, 0.003) for n in (500, 1_000, 2_000, 4_000)]
    told = ahead(flat, law(0.05, 6.0, 0.5, 0.003), 40_000)
    assert told is not None
    assert told.network_wins > 0.9
    assert told.gain < 0


def test_equal_routes_are_ahead_as_often() -> None:
    """A coin."""
    told = ahead(law(0.1, 2.0, 0.5), law(0.1, 2.0, 0.5), 40_000)
    assert told is not None
    assert told.network_wins == pytest.approx(0.5, abs=0.01)


def test_ten_times_the_seconds_help_a_trace_that_falls_more_than_one_that_stands() -> None:
    """As shares of the error."""
    falling = more_time([(t, 0.1 + t**-0.5) for t in (2, 4, 8, 16, 32, 60)], 600)
    standing = more_time([(3, 0.5), (5, 0.301), (9, 0.3), (60, 0.3)], 600)
    assert falling is not None
    assert standing is not None
    assert falling.mean < 0.85 * (0.1 + 60**-0.5)
    assert standing.mean > 0.9 * 0.3


def test_without_a_usable_point_nothing_is_told() -> None:
    """A metric of one's own may have errors below zero, which follow no such law."""
    assert outlook([], 10) is None
    assert outlook([CurvePoint(100, -0.3), CurvePoint(0, 0.3), CurvePoint(100, math.nan)], 1_000) is None
    assert more_time([(1.0, math.inf)], 10) is None
    assert ahead(law(0.1, 1, 0.5), [], 1_000) is None
