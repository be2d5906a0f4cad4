"""What the calendar says of a step: its place in the day, the week, the month and the year, and the days of a month.

Steps are counted from the beginning of 1970 in the frequency's own unit; where the frequency is not known, or stamps
are plain numbers, there is nothing to say.
"""

from __future__ import annotations

import re

import numpy as np

_FREQUENCY = re.compile(r"(\d{0,6})([A-Za-z]+)(?:-[A-Z]{3})?")
_MONTHS = {"M": 1, "ME": 1, "MS": 1, "Q": 3, "QE": 3, "QS": 3, "Y": 12, "YE": 12, "YS": 12}
_SECONDS = {"h": 3600, "min": 60, "s": 1}
_DAY_S, _WEEK = 86_400, 7
_MONDAY = 3  # the first of 1970 was a Thursday: days since then, plus this, are whole weeks on Mondays


def calendar(stamps: np.ndarray, frequency: str) -> dict[str, np.ndarray]:
    """What there is to say of each step, by name, as float32; what never changes at this frequency is left out."""
    every, unit = _parsed(frequency)
    steps = np.asarray(stamps, dtype=np.int64)
    if unit in _MONTHS:
        said = _of_months(steps * (every * _MONTHS[unit]), every * _MONTHS[unit])
    elif unit == "W":
        said = _in_year(steps * (every * _WEEK))
    elif unit in ("D", "B"):
        days = _working_days(steps * every) if unit == "B" else steps * every
        said = {**_in_week(days), **_in_month(days), **_in_year(days)}
    elif unit in _SECONDS:
        seconds = steps * (every * _SECONDS[unit])
        days = np.floor_divide(seconds, _DAY_S)
        said = {"time of day": (seconds - days * _DAY_S) / 3600.0, **_in_week(days), **_in_year(days)}
    else:
        return {}
    return {name: np.asarray(values, dtype=np.float32) for name, values in said.items()}


def longer_season(frequency: str, season: int) -> int:
    """Steps of a further season beside the usual one: the week where that is a day, the year where it is a week.

    0: there is none.
    """
    every, unit = _parsed(frequency)
    if unit in _SECONDS and season * every * _SECONDS[unit] == _DAY_S:
        return _WEEK * season
    return {("D", _WEEK): 52 * _WEEK, ("B", 5): 260}.get((unit, season), 0)


def _parsed(frequency: str) -> tuple[int, str]:
    """So many of which unit; none where it is not known."""
    found = _FREQUENCY.fullmatch(frequency)
    return (max(1, int(found[1] or 1)), found[2]) if found else (1, "")


def _of_months(months: np.ndarray, every: int) -> dict[str, np.ndarray]:
    """Of months the days in them, too: how many, and how many Fridays, Saturdays and Sundays are among them."""
    if every % 12 == 0:
        return {}
    said = {"month": months % 12}
    if every == 1:
        first = _first_days(months)
        length = _first_days(months + 1) - first
        said["days"] = length
        for name, weekday in (("Fridays", 4), ("Saturdays", 5), ("Sundays", 6)):
            said[name] = (length - (weekday - first - _MONDAY) % _WEEK + _WEEK - 1) // _WEEK
    return said


def _first_days(months: np.ndarray) -> np.ndarray:
    return np.asarray(months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64))


def _working_days(steps: np.ndarray) -> np.ndarray:
    weeks, rest = np.divmod(steps + _MONDAY, 5)
    return np.asarray(weeks * _WEEK + rest - _MONDAY)


def _in_week(days: np.ndarray) -> dict[str, np.ndarray]:
    return {"weekday": (days + _MONDAY) % _WEEK}


def _in_month(days: np.ndarray) -> dict[str, np.ndarray]:
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return {"day of month": days - _first_days(months) + 1}


def _in_year(days: np.ndarray) -> dict[str, np.ndarray]:
    years = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
    return {"day of year": days - _first_days(years * 12) + 1}
