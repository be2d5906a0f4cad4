"""How often a series has a value: found in its stamps, said by the user, and kept to turn stamps into steps and back.

A step is a whole number: months, weeks, days, working days or seconds since 1970 in units of so many, or, where stamps
are plain numbers, these divided by their distance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from automl.errors import InputError, OptionError
from automl.messages import shown

Unit = Literal["M", "W", "D", "B", "s", "i"]  # months, weeks, days, working days, seconds, plain numbers
DAY_S = 86_400
MONTHS = {"M": 1, "ME": 1, "MS": 1, "Q": 3, "QE": 3, "QS": 3, "Y": 12, "YE": 12, "YS": 12, "A": 12}
SECONDS = {"h": 3_600, "H": 3_600, "min": 60, "T": 60, "s": 1, "S": 1}
SEASONS = {"M": 12, "W": 52, "D": 7, "B": 5}  # steps of a usual season where the unit stands alone
NAMES = {"M": "month", "W": "week", "D": "day", "B": "working day"}
NEAR_MONTH, NEAR_QUARTER, NEAR_YEAR = (28, 31), (89, 92), (365, 366)  # days between stamps
_GIVEN = re.compile(r"(\d*)\s*([A-Za-z]+)(?:-[A-Z]{3})?")


@dataclass(frozen=True)
class Frequency:
    """So many of a unit from one step to the next; `phase`: where in it stamps usually lie."""

    unit: Unit
    every: int = 1
    phase: int = 0  # seconds after a multiple of the step; of months the day of the month, -1 the last; of days days
    month: int = 0  # of quarters and years, the one in them

    @property
    def alias(self) -> str:
        """As pandas spells it; empty where stamps are plain numbers."""
        if self.unit == "i":
            return ""
        if self.unit == "M":
            stem = {1: "M", 3: "Q", 12: "Y"}.get(self.every)
            end = "E" if self.phase == -1 else "S"
            return f"{stem}{end}" if stem else f"{self.every}M{end}"
        if self.unit != "s":
            return f"{self.every}{self.unit}" if self.every > 1 else self.unit
        for name, length in (("h", 3_600), ("min", 60)):
            if self.every % length == 0:
                return f"{self.every // length}{name}" if self.every > length else name
        return f"{self.every}s" if self.every > 1 else "s"

    def __str__(self) -> str:
        if self.unit == "i":
            return "a step of the stamps' numbers" if self.every == 1 else f"{self.every} of the stamps' numbers"
        if self.unit == "s":
            return self.alias
        named = {("M", 3): "quarter", ("M", 12): "year"}.get((self.unit, self.every))
        return named or (NAMES[self.unit] if self.every == 1 else f"{self.every} {NAMES[self.unit]}s")

    @property
    def season(self) -> int:
        """Steps of the season that is usual for it; one where none is."""
        if self.unit == "M":
            return max(1, 12 // self.every)
        if self.unit == "s":
            return DAY_S // self.every if DAY_S % self.every == 0 and self.every >= 60 else 1
        usual = SEASONS.get(self.unit, 1)
        return usual // self.every if usual % self.every == 0 else 1

    def steps(self, stamps: np.ndarray) -> np.ndarray:
        """The number of the step that each stamp falls into: datetime64[s], or float64 where they are plain numbers."""
        if self.unit == "i":
            return np.asarray(np.round((stamps - self.phase) / self.every).astype(np.int64))
        if self.unit == "M":
            return np.asarray((stamps.astype("datetime64[M]").astype(np.int64) - self.month) // self.every)
        days = stamps.astype("datetime64[D]")
        if self.unit == "B":
            return np.asarray(np.busday_count(np.datetime64("1970-01-01"), days).astype(np.int64))
        if self.unit == "D":
            return np.asarray(np.floor_divide(days.astype(np.int64) - self.phase, self.every))
        length = self.every * (7 * DAY_S if self.unit == "W" else 1)
        return np.asarray(np.round((stamps.astype(np.int64) - self.phase) / length).astype(np.int64))

    def stamps(self, steps: np.ndarray) -> np.ndarray:
        """The stamps of steps, as `steps` takes them."""
        if self.unit == "i":
            return np.asarray(steps * float(self.every) + self.phase)
        if self.unit == "M":
            first = (steps * self.every + self.month).astype("datetime64[M]")
            if self.phase == -1:
                return np.asarray(((first + 1).astype("datetime64[D]") - 1).astype("datetime64[s]"))
            last = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
            return np.asarray(
                (first.astype("datetime64[D]") + np.minimum(self.phase or 1, last) - 1).astype("datetime64[s]")
            )
        if self.unit == "B":
            return np.asarray(
                np.busday_offset(np.datetime64("1970-01-01"), steps, roll="forward").astype("datetime64[s]")
            )
        if self.unit == "D":
            return np.asarray((steps * self.every + self.phase).astype("datetime64[D]").astype("datetime64[s]"))
        length = self.every * (7 * DAY_S if self.unit == "W" else 1)
        return np.asarray((steps * length + self.phase).astype("datetime64[s]"))

    def told(self, steps: np.ndarray) -> list[str]:
        """When steps are, as short as it can be said: 2024, 2024-05, 2024-05-31, 2024-05-31 12:00."""
        moments = self.stamps(steps)
        if self.unit == "i":
            return [f"{number:g}" for number in moments.tolist()]
        length = {"M": 4 if self.every == 12 else 7, "s": 16 if self.every % 60 == 0 else 19}.get(self.unit, 10)
        return [text[:length].replace("T", " ") for text in np.datetime_as_string(moments).tolist()]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"unit": self.unit, "every": self.every, "phase": self.phase, "month": self.month}


def frequency_from(plain: Mapping[str, Any]) -> Frequency:
    """What `as_json` wrote; ValueError where it could not have."""
    unit, numbers = plain["unit"], [plain[name] for name in ("every", "phase", "month")]
    if unit not in ("M", "W", "D", "B", "s", "i") or not all(isinstance(number, int) for number in numbers):
        raise ValueError(f"a frequency of {numbers!r:.60} {unit!r:.20}")
    every, phase, month = numbers
    if not 0 < every < 2**40 or abs(phase) > 2**53 or not 0 <= month < 1_200:
        raise ValueError(f"a frequency of {every} {unit}")
    return Frequency(unit, every, phase, month)


def given(alias: str, stamps: np.ndarray) -> Frequency:
    """The frequency that a user names, with the place in it where these stamps lie."""
    found = _GIVEN.fullmatch(alias.strip())
    count, name = (int(found[1] or 1), found[2]) if found else (0, "")
    if count and name in MONTHS:
        return _of_months(count * MONTHS[name], stamps)
    if count and name in ("W", "D", "B"):
        return _phased(name, count if name != "B" else 1, stamps)  # type: ignore[arg-type]
    if count and name in SECONDS:
        return _phased("s", count * SECONDS[name], stamps)
    raise OptionError(
        f"frequency={alias!r} is not known. Use for instance 'D', 'B', 'W', 'MS', 'QS', 'YS', 'h' or '15min'."
    )


def infer(stamps: np.ndarray, series: np.ndarray) -> Frequency:
    """The frequency of most steps; `series`: which one each stamp is of. Sorted by series and time."""
    is_plain = stamps.dtype.kind == "f"
    numbers = stamps if is_plain else stamps.astype(np.int64).astype(np.float64)
    gaps = np.diff(numbers)[np.diff(series) == 0]
    gaps = gaps[gaps > 0]
    if not len(gaps):
        raise InputError("no series has two different times, so there is nothing to foretell. Give longer series.")
    values, counts = np.unique(gaps, return_counts=True)
    usual = float(values[counts.argmax()])
    if is_plain:
        every = _whole_step(numbers, usual)
        return Frequency("i", every, int(numbers[0] % every))
    days = usual / DAY_S
    for months, (low, high) in ((1, NEAR_MONTH), (3, NEAR_QUARTER), (12, NEAR_YEAR)):
        if low <= days <= high and _is_of_months(stamps, months):
            return _of_months(months, stamps)
    if days >= 1 and days % 1 == 0:
        if days == 1 and _is_of_working_days(stamps):
            return Frequency("B")
        return _phased("W" if days % 7 == 0 else "D", int(days // 7 if days % 7 == 0 else days), stamps)
    return _phased("s", max(1, round(usual)), stamps)


def _whole_step(numbers: np.ndarray, usual: float) -> int:
    if usual < 1 or (numbers[:1000] % 1 != 0).any():
        raise InputError(
            f"times are numbers such as {shown(float(numbers[0]))}, which count no steps. Give dates or whole numbers."
        )
    return int(usual)


def _is_of_months(stamps: np.ndarray, months: int) -> bool:
    """Whether no month, or quarter, holds far more stamps of a series than one: dates 30 days apart drift."""
    days = _days_of_month(stamps)
    is_end = (stamps.astype("datetime64[D]") + 1).astype("datetime64[M]") > stamps.astype("datetime64[M]")
    same = np.bincount(days).max() / len(days)
    return bool(same > 0.5 or is_end.mean() > 0.5 or months > 1)


def _days_of_month(stamps: np.ndarray) -> np.ndarray:
    days = stamps.astype("datetime64[D]")
    return np.asarray((days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1)


def _day_of_month(stamps: np.ndarray) -> int:
    """The usual one; -1: the last of each month."""
    if stamps.dtype.kind != "M":
        raise OptionError("a frequency of months needs times that are dates. Leave frequency out.")
    is_end = (stamps.astype("datetime64[D]") + 1).astype("datetime64[M]") > stamps.astype("datetime64[M]")
    return -1 if is_end.mean() > 0.5 else int(np.bincount(_days_of_month(stamps)).argmax())


def _of_months(every: int, stamps: np.ndarray) -> Frequency:
    """With the month and the day on which most stamps lie."""
    day = _day_of_month(stamps)
    return Frequency(
        "M", every, day, int(np.bincount(stamps.astype("datetime64[M]").astype(np.int64) % every).argmax())
    )


def _is_of_working_days(stamps: np.ndarray) -> bool:
    weekday = (stamps.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return bool(len(stamps) > 10 and (weekday < 5).all())


def _phased(unit: Unit, every: int, stamps: np.ndarray) -> Frequency:
    """With the place in a step where most stamps lie."""
    if stamps.dtype.kind != "M":
        raise OptionError("this frequency needs times that are dates. Leave frequency out.")
    if unit == "B":
        return Frequency("B")
    if unit == "D":
        numbers, length = stamps.astype("datetime64[D]").astype(np.int64), every
    else:
        numbers, length = stamps.astype(np.int64), every * (7 * DAY_S if unit == "W" else 1)
    values, counts = np.unique(numbers % length, return_counts=True)
    return Frequency(unit, every, int(values[counts.argmax()]))
