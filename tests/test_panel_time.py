"""Times of series: how they are read, what their frequency is, and which step each of them is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import InputError, OptionError
from automl.modalities.panel import frequency, stamps
from automl.modalities.panel.frequency import Frequency, frequency_from, infer
from automl.modalities.panel.stamps import read_stamps

RANGES = {
    "D": ("D", 7), "B": ("B", 5), "W-MON": ("W", 52), "W-SAT": ("W", 52), "MS": ("MS", 12), "ME": ("ME", 12),
    "QS": ("QS", 4), "QE": ("QE", 4), "YS": ("YS", 1), "h": ("h", 24), "2h": ("2h", 12), "15min": ("15min", 96),
    "min": ("min", 1440), "s": ("s", 1), "3D": ("3D", 1), "2W": ("2W", 26),
}  # fmt: skip


@pytest.mark.parametrize("alias", RANGES)
def test_a_frequency_is_found_in_its_stamps_and_gives_them_back(alias: str) -> None:
    """With gaps, in several series, and with the usual season."""
    moments = pd.date_range("2021-03-01", periods=60, freq=alias).to_numpy().astype("datetime64[s]")
    kept = np.delete(moments, [7, 8, 30])
    both, series = np.concatenate([kept, moments[20:]]), np.repeat([0, 1], [len(kept), 40])
    found = infer(both, series)
    assert (found.alias, found.season) == RANGES[alias]
    steps = found.steps(both)
    assert np.array_equal(np.diff(found.steps(moments)), np.ones(59))
    assert np.array_equal(found.stamps(steps), both)
    assert frequency_from(found.as_json()) == found


@pytest.mark.parametrize("alias", RANGES)
def test_the_frequency_that_a_user_names_is_the_one_that_is_found(alias: str) -> None:
    moments = pd.date_range("2021-03-01", periods=60, freq=alias).to_numpy().astype("datetime64[s]")
    assert frequency.given(alias, moments) == infer(moments, np.zeros(60, dtype=np.int64))


@pytest.mark.parametrize(
    ("alias", "told"),
    [("D", "2021-03-01"), ("MS", "2021-03"), ("QS", "2021-01"), ("YS", "2021"), ("h", "2021-03-01 00:00"),
     ("15min", "2021-03-01 00:00"), ("s", "2021-03-01 00:00:00"), ("W-MON", "2021-03-01")],
)  # fmt: skip
def test_steps_are_told_as_short_as_they_can_be(alias: str, told: str) -> None:
    moments = pd.date_range(told, periods=30, freq=alias).to_numpy().astype("datetime64[s]")
    found = infer(moments, np.zeros(30, dtype=np.int64))
    assert found.told(found.steps(moments[:1])) == [told]


def test_whole_numbers_are_steps_by_their_usual_distance() -> None:
    found = infer(np.array([1990.0, 1992, 1994, 1998, 1990, 1992]), np.array([0, 0, 0, 0, 1, 1]))
    assert found == Frequency("i", 2, 0)
    assert found.steps(np.array([1990.0, 1994])).tolist() == [995, 997]
    assert found.stamps(np.array([995, 997])).tolist() == [1990.0, 1994.0]
    assert found.told(np.array([995, 997])) == ["1990", "1994"]


@given(st.lists(st.integers(-5_000, 60_000), min_size=2, max_size=40, unique=True))
@settings(max_examples=50)
def test_days_in_any_order_of_any_age_come_back_as_they_were(days: list[int]) -> None:
    """Before 1970, after 2100, with gaps of any length."""
    moments = np.array(sorted(days), dtype="datetime64[D]").astype("datetime64[s]")
    found = frequency.given("D", moments)
    assert np.array_equal(found.stamps(found.steps(moments)), moments)


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["2024-01-01", "2024-01-02"], "2024-01-01"),
        (["2024-01-01 13:00", "2024-01-01 14:00:00"], "2024-01-01T13:00:00"),
        (["01/02/2024", "03/02/2024"], "2024-01-02"),
        (["2024-01", "2024-02"], "2024-01-01"),
        (["20240131", "20240229"], "2024-01-31"),
        (pd.period_range("2024-01", periods=2, freq="M"), "2024-01-01"),
        (pd.date_range("2024-01-01", periods=2, tz="Asia/Tokyo"), "2024-01-01"),
        (pd.date_range("2024-01-01 05:00", periods=2, freq="h", tz="Asia/Tokyo"), "2023-12-31T20:00:00"),
        (["2024-01-01T00:00:00+09:00", "2024-01-01T00:00:00-03:00"], "2023-12-31T15:00:00"),
        (pd.Series(pd.date_range("2024-01-01", periods=2), dtype=object), "2024-01-01"),
        (pd.Series(pd.date_range("2024-01-01", periods=2, tz="Asia/Tokyo"), dtype=object), "2024-01-01"),
    ],
)
def test_times_are_read_however_they_are_written(cells: object, first: str) -> None:
    """Dates, texts of one format, periods, zones: whole days as they are called there, moments in UTC."""
    found, _ = read_stamps(pd.Series(cells))
    assert found.dtype == np.dtype("datetime64[s]")
    assert found[0] == np.datetime64(first)


def test_dates_that_came_as_objects_are_not_read_as_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As frames made of rows hold them; a million take seconds otherwise."""
    dates = pd.Series(pd.date_range("2024-01-01", periods=2), dtype=object)
    monkeypatch.setattr(stamps, "_dates", lambda *_: pytest.fail("read as texts"))
    assert stamps.read_stamps(dates)[0].tolist() == dates.tolist()


def test_numbers_stay_numbers_also_as_texts() -> None:
    for cells in ([3, 4], [3.0, 4.0], ["3", "4"]):
        assert read_stamps(pd.Series(cells))[0].tolist() == [3.0, 4.0]


def test_offsets_that_differ_are_told() -> None:
    _, note = read_stamps(pd.Series(["2024-01-01T00:00:00+09:00", "2024-01-01T00:00:00-03:00"]))
    assert note == "times with different offsets were read as UTC"


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["2024-01-01", "13.02.2024"], r"'13.02.2024' in row 2 is unlike '2024-01-01'"),
        (["2024-01-01", None], r"missing or no time in 1 rows|'nan' in row 2|'None' in row 2"),
        ([1.0, np.nan], "missing or no time in 1 rows"),
        (["soon", "later"], "'soon' in row 1"),
    ],
)
def test_what_is_no_time_is_refused_in_one_line(cells: list[object], told: str) -> None:
    """With the first such value and its row."""
    with pytest.raises(InputError, match=told) as refused:
        read_stamps(pd.Series(cells))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("alias", ["fortnight", "0D", "-1D", "", "DD"])
def test_an_unknown_frequency_is_refused_with_known_ones(alias: str) -> None:
    with pytest.raises(OptionError, match="Use for instance 'D'"):
        frequency.given(alias, np.array(["2024-01-01"], dtype="datetime64[s]"))


def test_series_of_one_time_are_refused() -> None:
    with pytest.raises(InputError, match="no series has two different times"):
        infer(np.array(["2024-01-01"] * 2, dtype="datetime64[s]"), np.array([0, 1]))


@pytest.mark.parametrize("changed", [{"unit": "x"}, {"every": 0}, {"every": "1"}, {"phase": 2**60}, {"month": -1}])
def test_a_damaged_frequency_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a frequency of"):
        frequency_from({**Frequency("D").as_json(), **changed})
