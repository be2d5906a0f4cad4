"""What it costs to hold a machine: a rate card of money, watts and CO2, and the machines it is applied to.

Shipped are list prices and published figures of 2025/2026, rounded; a TOML file overrides any (deploy/rates.toml has
all, with their origin). Where a choice is open, the dearer one is taken: a budget that was promised must hold.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

HOUR_S = 3600.0
WH_PER_KWH = 1000.0

_DEFAULT = "default"
_GPU_RATES = ("per_hour", "busy_w", "idle_w")
_LIMITS = {"spot_factor_cpu": (0.0, 1.0), "spot_factor_gpu": (0.0, 1.0), "pue": (1.0, math.inf)}


class PriceError(ValueError):
    """A rate card or machine that makes no sense: what is wrong, the value seen, what to do, in one line."""


def _number(name: str, value: object, advice: str) -> float:
    """A finite number within the limits of its name, or PriceError."""
    low, high = _LIMITS.get(name, (0.0, math.inf))
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if low <= number <= high and number < math.inf:
        return number
    span = f"of {low:g} or more" if high == math.inf else f"from {low:g} to {high:g}"
    raise PriceError(f"{name} must be a number {span}, got {value!r}. {advice}")


def _refuse_less_when_busy(what: str, busy_w: float, idle_w: float) -> None:
    if busy_w < idle_w:
        raise PriceError(f"{what}busy_w must not be below idle_w, got {busy_w!r} and {idle_w!r}. Lower idle_w too.")


def _words(gpu: str) -> frozenset[str]:
    """The words of a GPU's name, upper case, sizes of memory in one spelling: '80G' and '80 GiB' are '80GB'."""
    spelled = re.sub(r"(?<![A-Z0-9])(\d+)\s*GI?B?(?![A-Z0-9])", r"\1GB", gpu.upper())
    return frozenset(re.findall("[A-Z0-9]+", spelled))


@dataclass(frozen=True)
class GpuRate:
    """One GPU of a type."""

    name: str
    per_hour: float
    busy_w: float
    idle_w: float

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]*", self.name):
            raise PriceError(f"the type of a GPU must be a plain name, got {self.name!r}. For instance 'H100'.")
        for name in _GPU_RATES:
            _number(f"gpus.{self.name}.{name}", getattr(self, name), "See rates.toml for usual figures.")
        _refuse_less_when_busy(f"gpus.{self.name}.", self.busy_w, self.idle_w)

    @property
    def is_default(self) -> bool:
        """Whether this is the row of all types that the card does not name."""
        return _words(self.name) == _words(_DEFAULT)


_GPUS = (
    GpuRate("T4", 0.35, 70.0, 10.0),
    GpuRate("L4", 0.56, 72.0, 12.0),
    GpuRate("A10G", 0.80, 300.0, 20.0),
    GpuRate("V100", 2.50, 300.0, 40.0),  # dearer than its successor: old machines are seldom repriced
    GpuRate("A100-40GB", 2.00, 400.0, 50.0),
    GpuRate("A100-80GB", 2.80, 400.0, 55.0),
    GpuRate("H100", 5.00, 700.0, 70.0),
    GpuRate("H200", 6.00, 700.0, 75.0),
    GpuRate("B200", 12.00, 1000.0, 140.0),
    GpuRate(_DEFAULT, 2.50, 300.0, 40.0),  # a data-centre card of the middle
)


@dataclass(frozen=True)
class Machine:
    """A machine, or the part of one that is ours: cores as the system counts them, GPUs as (type, count)."""

    name: str
    cores: float
    memory_gb: float
    gpus: tuple[tuple[str, float], ...] = ()
    is_spot: bool = False

    def __post_init__(self) -> None:
        for what, count in [("cores", self.cores), ("memory_gb", self.memory_gb), *self.gpus]:
            _number(f"{what!r} of machine {self.name!r}", count, "Give how much of it is held.")

    @property
    def gpu_count(self) -> float:
        """GPUs of all types."""
        return math.fsum(count for _, count in self.gpus)


@dataclass(frozen=True)
class Draw:
    """The watts that a machine draws, part by part, losses of the building included."""

    cpu_w: float
    memory_w: float
    gpu_w: float


@dataclass(frozen=True)
class Rates:
    """The rate card. Rows of `gpus` replace the shipped rows of the same type, or add a type; the others stay."""

    currency: str = "USD"
    per_core_hour: float = 0.033  # general-purpose cloud machines, list price divided by what is in them
    per_gb_hour: float = 0.004  # what machines of equal cores and more memory cost more
    spot_factor_cpu: float = 0.35  # of the price of cores and memory: usual discounts are 60 to 70 %
    spot_factor_gpu: float = 0.5  # of the price of GPUs: smaller discounts, which come and go with demand
    core_busy_w: float = 4.0  # a server's power limit over its threads; published cloud averages are 3.5 to 4.3
    core_idle_w: float = 0.75  # published cloud averages are 0.7 to 0.8
    memory_w_per_gb: float = 0.39  # average of server memory, used or not
    pue: float = 1.0  # the building's watts per watt computed: 1 for an own machine, 1.1 to 1.2 for large clouds
    co2_g_per_kwh: float = 475.0  # average of the world's electricity; countries go from 20 to above 700
    gpus: tuple[GpuRate, ...] = _GPUS

    def __post_init__(self) -> None:
        if not isinstance(self.currency, str) or not re.fullmatch("[A-Z]{3}", self.currency):
            raise PriceError(f"currency must be three capital letters, got {self.currency!r}. For instance 'USD'.")
        for spec in fields(self)[1:-1]:  # all but the currency and the GPUs
            _number(spec.name, getattr(self, spec.name), f"Leave it out for {spec.default}.")
        _refuse_less_when_busy("core_", self.core_busy_w, self.core_idle_w)
        if len({_words(row.name) for row in self.gpus}) < len(self.gpus):
            raise PriceError(f"gpus has two rows of one type, got {[row.name for row in self.gpus]}. Keep one of them.")
        rows = {_words(row.name): row for row in (*_GPUS, *self.gpus)}
        object.__setattr__(self, "gpus", tuple(rows.values()))

    @classmethod
    def load(cls, path: str | Path) -> Rates:
        """The shipped card, overridden by a TOML file; PriceError names whatever in it cannot be."""
        try:
            given = _parsed(Path(path))
            _refuse_unknown("rate", given, tuple(spec.name for spec in fields(cls)))
            gpus = given.pop("gpus", {})
            if not isinstance(gpus, dict):
                raise PriceError(f"gpus must be a table of types, got {gpus!r}. Write [gpus] as in rates.toml.")
            return cls(**given, gpus=tuple(_row(name, values) for name, values in gpus.items()))
        except PriceError as error:
            raise PriceError(f"rate card {str(path)!r}: {error}") from None

    def as_toml(self) -> str:
        """A file that `load` turns into this card again."""
        lines = [f'currency = "{self.currency}"']
        lines += [f"{spec.name} = {getattr(self, spec.name)!r}" for spec in fields(self)[1:-1]]
        lines.append("\n[gpus]")
        for row in self.gpus:
            values = ", ".join(f"{name} = {getattr(row, name)!r}" for name in _GPU_RATES)
            lines.append(f'"{row.name}" = {{ {values} }}')
        return "\n".join(lines) + "\n"

    def gpu(self, name: str) -> GpuRate:
        """The row for a GPU as drivers, clouds or Ray call it: if two fit the dearer, if none one that `is_default`."""
        return max(self.gpus, key=lambda row: _fit(row, _words(name)))

    def per_hour(self, machine: Machine) -> float:
        """Money for an hour of holding a machine, busy or not."""
        cpu = machine.cores * self.per_core_hour + machine.memory_gb * self.per_gb_hour
        gpu = sum(count * self.gpu(kind).per_hour for kind, count in machine.gpus)
        return cpu * self.spot_factor_cpu + gpu * self.spot_factor_gpu if machine.is_spot else cpu + gpu

    def draw(self, machine: Machine, busy_cores: float | None = None, busy_gpus: float | None = None) -> Draw:
        """Watts by part. None, or more than there are: all busy. Busy GPUs are spread evenly over the types."""
        busy = machine.cores if busy_cores is None else max(0.0, min(machine.cores, busy_cores))
        cpu_w = busy * self.core_busy_w + (machine.cores - busy) * self.core_idle_w
        share = 1.0 if busy_gpus is None else max(0.0, min(1.0, busy_gpus / (machine.gpu_count or 1.0)))
        rows = [(self.gpu(kind), count) for kind, count in machine.gpus]
        gpu_w = sum(count * (share * row.busy_w + (1 - share) * row.idle_w) for row, count in rows)
        return Draw(cpu_w * self.pue, machine.memory_gb * self.memory_w_per_gb * self.pue, gpu_w * self.pue)

    def watts(self, machine: Machine, busy_cores: float | None = None, busy_gpus: float | None = None) -> float:
        """The sum of `draw`."""
        return math.fsum(astuple(self.draw(machine, busy_cores, busy_gpus)))

    def money_for_seconds(self, seconds: float, machines: Iterable[Machine]) -> float:
        """What it costs to hold these machines that long."""
        return _number("seconds", seconds, "For instance 3600.") * sum(map(self.per_hour, machines)) / HOUR_S

    def seconds_for_money(self, money: float, machines: Iterable[Machine]) -> float:
        """How long these machines can be held for a sum; infinite where they cost nothing."""
        return _seconds(_number("money", money, "For instance 1.5."), sum(map(self.per_hour, machines)))

    def energy_for_seconds(self, seconds: float, machines: Iterable[Machine]) -> float:
        """The kWh that these machines use in that time with everything busy."""
        return _number("seconds", seconds, "For instance 3600.") * sum(map(self.watts, machines)) / WH_PER_KWH / HOUR_S

    def seconds_for_energy(self, kwh: float, machines: Iterable[Machine]) -> float:
        """How long these machines can run on that energy with everything busy: the safe side."""
        return _seconds(_number("kwh", kwh, "For instance 0.2."), sum(map(self.watts, machines)) / WH_PER_KWH)

    def co2_g(self, kwh: float) -> float:
        """Grams of CO2 that come with an amount of energy."""
        return kwh * self.co2_g_per_kwh


def _fit(row: GpuRate, words: frozenset[str]) -> tuple[int, bool, bool, float]:
    """How well a row fits the words of a name, to be compared; the default row fits any, worse than a type does."""
    memory = {word for word in _words(row.name) if re.fullmatch(r"\d+GB", word)}
    model = _words(row.name) - memory
    length = 0 if row.is_default else len(model) if model <= words else -1
    return length, bool(memory & words), not memory, row.per_hour


def _refuse_unknown(kind: str, given: Iterable[str], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            close = "".join(f" Did you mean {match!r}?" for match in difflib.get_close_matches(name, known, n=1))
            raise PriceError(f"unknown {kind} {name!r}.{close} Known: {', '.join(known)}.")


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise PriceError(f"cannot be read, got {error.strerror!r}. Give the path of a TOML file.") from None
    except (ValueError, RecursionError) as error:  # not TOML, or not even text
        raise PriceError(f"is not TOML, got {str(error)!r}. Compare it with rates.toml.") from None


def _row(name: str, values: Any) -> GpuRate:
    """A row of the file: what it leaves out is as shipped, where that type is shipped."""
    if not isinstance(values, dict):
        raise PriceError(f"{name!r} in gpus must be a table of figures, got {values!r}. Write it as in rates.toml.")
    _refuse_unknown(f"figure of {name!r} in gpus", values, _GPU_RATES)
    shipped = next((asdict(row) for row in _GPUS if _words(row.name) == _words(name)), {})
    if not shipped and len(values) < len(_GPU_RATES):
        known = ", ".join(row.name for row in _GPUS)
        raise PriceError(f"new type {name!r} in gpus has only {sorted(values)}. Give {_GPU_RATES}, or one of {known}.")
    return GpuRate(**(shipped | values | {"name": name}))


def _seconds(amount: float, per_hour: float) -> float:
    return amount / per_hour * HOUR_S if per_hour > 0 else math.inf
