"""The nouns of what a model costs: to train once, to ask once or many rows at once, and to ask a million times."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Calls:
    """Milliseconds that a call takes, of so many rows at once."""

    rows: int
    p50: float
    p95: float | None = None  # None: too few calls were timed, or none of other models suggests it
    calls: int = 0  # that were timed; of an estimate none
    low: float  # where the median lies: its 95 % interval over the calls; of an estimate what the folds span
    high: float


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long a model takes to answer."""

    one: Calls
    many: Calls | None = None
    measured: bool = False  # on the saved model; else what its folds took, and what comes on top in those measured


@dataclass(frozen=True, kw_only=True)
class Million:
    """What a million predictions cost, asked many rows at once."""

    s: float  # of a core
    money: float
    kwh: float
    currency: str
    machine: str  # whose cores they are, and whose tariff


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a model's folds cost."""

    s: float  # of CPU cores
    money: float
    kwh: float
    gpu_s: float = 0.0
