"""Amounts as people type them: budgets, and spans of time."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from automl.errors import OptionError

_UNITS_S = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Budget:
    """What a run may use; of several limits the first one reached ends it. Trials stand alone: such runs can repeat.

    `time` counts from the call to its return: seconds, or text such as "5m". `money` in the rate card's currency and
    `energy` in kWh are those of all machines held meanwhile.
    """

    time: Any = None
    trials: int | None = None
    money: float | None = None
    energy: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.time, str):
            object.__setattr__(self, "time", Budget.parse(self.time).time)
        given = [name for name in ("time", "trials", "money", "energy") if getattr(self, name) is not None]
        if not given:
            raise OptionError("budget is empty, got neither time, trials, money nor energy. For instance budget='5m'.")
        if self.trials is not None and len(given) > 1:
            raise OptionError(
                f"budget mixes trials with {given[0]}, got {self.trials} trials. A run that counts trials looks at "
                "nothing else: give one of them."
            )
        for name, unit, hint in (("time", "seconds", "60s"), ("money", "", "$1.50"), ("energy", "kWh", "0.2kWh")):
            value = getattr(self, name)
            if value is not None and not (0 < value < math.inf):
                what = f"{name} {value!r} {unit}".rstrip()
                raise OptionError(f"budget must be above 0 and finite, got {what}. For instance '{hint}'.")
        if self.trials is not None and self.trials < 1:
            raise OptionError(f"budget must allow at least 1 trial, got {self.trials!r}. For instance '20 trials'.")

    @property
    def time_s(self) -> float | None:
        """The limit in seconds, if there is one."""
        return None if self.time is None else float(self.time)

    @classmethod
    def parse(cls, value: Any) -> Budget:
        """Read '90s', '10m', '2h', '1h30m', 60 (seconds), '50 trials', '$1.50', '0.2kWh', or some with commas."""
        if isinstance(value, Budget):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise OptionError(f"budget must be text or a number of seconds, got {value!r}. For instance '5m'.")
        if isinstance(value, int | float):
            return cls(time=float(value))
        limits = dict(_limit(part, value) for part in value.lower().split(","))
        return cls(**limits)

    def __str__(self) -> str:
        told = {"time": f"{_short(self.time)}s", "trials": f"{self.trials} trials", "money": f"${_short(self.money)}",
                "energy": f"{_short(self.energy)}kWh"}  # fmt: skip
        return ", ".join(text for name, text in told.items() if getattr(self, name) is not None)


def _limit(part: str, value: Any) -> tuple[str, Any]:
    """One limit in a budget's text: what it is of, and how much."""
    text = part.strip()
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return "time", float(text)
    if trials := re.fullmatch(r"(-?\d+)\s*trials?", text):
        return "trials", int(trials[1])
    if money := re.fullmatch(r"(?:\$\s*(-?\d+(?:\.\d+)?)|(-?\d+(?:\.\d+)?)\s*usd)", text):
        return "money", float(money[1] or money[2])
    if energy := re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*(k?)wh", text):
        return "energy", float(energy[1]) / (1.0 if energy[2] else 1000.0)
    if (seconds := _seconds(text)) is not None:
        return "time", seconds
    raise OptionError(
        f"budget not understood, got {value!r}. Write '90s', '10m', '2h', 60, '50 trials', '$1.50' or '0.2kWh'."
    )


def _short(number: float | None) -> str:
    """A number with no more digits than it needs."""
    return "" if number is None else f"{number:.6f}".rstrip("0").rstrip(".")


def _seconds(text: str) -> float | None:
    """A span of time such as 1h30m; None where it is none."""
    pieces = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text)
    is_span = pieces and re.fullmatch(r"(\d+(?:\.\d+)?\s*[a-z]+\s*)+", text)
    if not is_span or any(unit not in _UNITS_S for _, unit in pieces):
        return None
    return sum(float(number) * _UNITS_S[unit] for number, unit in pieces)


def span_s(name: str, value: Any) -> float:
    """Seconds of a span of time: '12h', '1d', '7d', or a number of seconds."""
    found: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value)
    elif isinstance(value, str):
        text = value.strip().lower()
        found = float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else _seconds(text)
    if found is None or not 0 < found < math.inf:
        raise OptionError(f"{name} must be a span of time above 0, got {value!r}. For instance '12h', '1d' or '7d'.")
    return found
