"""The energy that this machine uses: read from its counters where it has them, estimated from the rate card where not.

Counters are Linux powercap (RAPL: processor packages, memory) and NVML (NVIDIA cards). Each part of the answer says
whether it was measured, and if not why. A part is measured by all of its counters or by none: half a sum looks cheap.
"""

from __future__ import annotations

import importlib
import math
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from cluster.prices import Machine, Rates

POWERCAP = Path("/sys/class/powercap")

_J_PER_KWH = 3.6e6
_UJ_PER_J = 1e6
_CEILING_W = 600.0  # no processor package draws more for minutes; bounds how fast a counter can go round
_STILL_S = 1.0  # a counter that has not moved in this time is not connected, as in many virtual machines


class MeterSource(StrEnum):
    """Where a figure is from."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    NONE = "none"  # the machine has no such part


@dataclass(frozen=True)
class MeterPart:
    """The energy of one part of the machine, losses of the building (PUE) included."""

    kwh: float
    source: MeterSource
    note: str = ""  # why it was not measured, one line


@dataclass(frozen=True)
class Energy:
    """What the machine has used, part by part."""

    cpu: MeterPart
    memory: MeterPart
    gpu: MeterPart

    @property
    def kwh(self) -> float:
        """All parts together."""
        return self.cpu.kwh + self.memory.kwh + self.gpu.kwh


class EnergyMeter:
    """Runs from its making. Only for the machine it runs on.

    RAPL measures whole packages and NVML whole cards: the share of other programs is in the figures; fans, disks and
    the losses of the power supply are not. The estimate is of the given busy seconds, and idle watts for the rest.
    """

    def __init__(self, rates: Rates, machine: Machine, powercap: Path = POWERCAP) -> None:
        self._rates = rates
        self._machine = machine
        self._cpu = _Tally(*_zones(powercap, "package"))
        self._memory = _Tally(*_zones(powercap, "dram"))
        self._gpu = _Tally(*(_cards(machine.gpu_count) if machine.gpu_count else ((), "")))

    def sample(self) -> None:
        """Take the counters in. Once a minute is enough; `read` does it too.

        Counters start again from zero after some minutes at full power. One that may have done so twice since the last
        sample is given up, and its part estimated.
        """
        for tally in (self._cpu, self._memory, self._gpu):
            tally.sample()

    def read(self, busy_core_s: float, wall_s: float, gpu_s: float | None = None) -> Energy:
        """The energy since the start; the arguments, for what must be estimated, are totals since the start too.

        They are the core-seconds that computed, the seconds that passed, and the GPU-seconds that computed (None: all
        GPUs all the time, the safe side).
        """
        self.sample()
        busy_gpus = None if gpu_s is None else _ratio(gpu_s, wall_s)
        draw = self._rates.draw(self._machine, _ratio(busy_core_s, wall_s), busy_gpus)
        gpu = self._part(self._gpu, draw.gpu_w, wall_s) if self._machine.gpu_count else MeterPart(0.0, MeterSource.NONE)
        return Energy(self._part(self._cpu, draw.cpu_w, wall_s), self._part(self._memory, draw.memory_w, wall_s), gpu)

    def _part(self, tally: _Tally, estimate_w: float, wall_s: float) -> MeterPart:
        """The counters' word if they have one; what they saw before they were lost is never taken back."""
        measured_kwh = tally.gained_uj / _UJ_PER_J / _J_PER_KWH * self._rates.pue
        note = tally.lost
        if not note and not tally.gained_uj and wall_s > _STILL_S:
            note = "the counters stand still"
        if not note:
            return MeterPart(measured_kwh, MeterSource.MEASURED)
        return MeterPart(max(measured_kwh, estimate_w * wall_s / _J_PER_KWH), MeterSource.ESTIMATED, note)


class _Counter(Protocol):
    """Something that counts microjoules; OSError or ValueError when it cannot be read."""

    @property
    def name(self) -> str: ...

    @property
    def range_uj(self) -> int:
        """It starts again from zero after this many; 0: never."""

    def read_uj(self) -> int: ...


class _Tally:
    """What a part's counters have gained since the start, together, until one of them is lost."""

    def __init__(self, counters: Sequence[_Counter], reason: str) -> None:
        self.gained_uj = 0
        self.lost = reason  # why there is nothing to read; empty while all is well
        self._counters = counters
        self._at_s = time.monotonic()
        self._last_uj = self._read() or []

    def sample(self) -> None:
        """Add what was gained since the last sample."""
        elapsed_s = time.monotonic() - self._at_s
        now_uj = None if self.lost else self._read()
        if now_uj is None:
            return
        gained_uj = 0
        for counter, before, now in zip(self._counters, self._last_uj, now_uj, strict=True):
            gain_uj = now - before if now >= before else now - before + counter.range_uj
            if gain_uj < 0:
                self.lost = f"{counter.name} went backwards"
                return
            if 0 < counter.range_uj <= elapsed_s * _CEILING_W * _UJ_PER_J:
                self.lost = f"{counter.name} may have gone round more than once in {elapsed_s:.0f} s without a sample"
                return
            gained_uj += gain_uj
        self.gained_uj += gained_uj
        self._last_uj, self._at_s = now_uj, self._at_s + elapsed_s

    def _read(self) -> list[int] | None:
        """All counters; or None, and the reason in `lost`."""
        values: list[int] = []
        for counter in self._counters:
            try:
                values.append(counter.read_uj())
            except (OSError, ValueError) as error:
                self.lost = f"{counter.name} cannot be read ({_one_line(error)})"
                return None
        return values


@dataclass(frozen=True)
class _Zone:
    """A RAPL domain."""

    name: str
    folder: Path
    range_uj: int

    def read_uj(self) -> int:
        return _whole_number(self.folder / "energy_uj")


def _zones(powercap: Path, prefix: str) -> tuple[list[_Zone], str]:
    """The RAPL domains whose name starts so, or none and the reason.

    Only packages and memory are asked for: cores and graphics are counted within their package, psys holds packages.
    The folders lie side by side, sub-domains too; intel-rapl-mmio, a second view of the same packages, is left out.
    """
    zones = []
    for folder in sorted(powercap.glob("intel-rapl:*")):
        try:
            name = (folder / "name").read_text().strip()
            if name.startswith(prefix):
                zones.append(_Zone(f"{folder.name} ({name})", folder, _whole_number(folder / "max_energy_range_uj")))
        except (OSError, ValueError) as error:
            return [], f"{folder.name} cannot be read ({_one_line(error)})"
    return zones, "" if zones else f"no {prefix} counter in {powercap}"


@dataclass(frozen=True)
class _Card:
    """An NVIDIA card, counting since its driver was loaded."""

    name: str
    nvml: Any
    handle: Any
    range_uj: int = 0

    def read_uj(self) -> int:
        try:
            return int(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)) * 1000  # it counts millijoules
        except self.nvml.NVMLError as error:
            raise OSError(_one_line(error)) from error


def _cards(expected: float) -> tuple[list[_Card], str]:
    """The cards that this process may use, or none and the reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an older package of that name warns that it is old
            nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return [], "NVML is not installed (pip install nvidia-ml-py)"
    try:
        nvml.nvmlInit()
        cards = [_Card(f"GPU {name}", nvml, handle) for name, handle in _visible(nvml)]
    except nvml.NVMLError as error:
        return [], f"NVML: {_one_line(error)}"
    if len(cards) != math.ceil(expected):
        return [], f"NVML shows {len(cards)} cards where {expected:g} were expected"
    return cards, ""


def _visible(nvml: Any) -> list[tuple[str, Any]]:
    """Names and handles, as CUDA_VISIBLE_DEVICES chooses them: by number or by UUID."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    every = range(nvml.nvmlDeviceGetCount())
    names = list(map(str, every)) if chosen is None else [name.strip() for name in chosen.split(",") if name.strip()]
    by_number, by_uuid = nvml.nvmlDeviceGetHandleByIndex, nvml.nvmlDeviceGetHandleByUUID
    return [(name, by_number(int(name)) if name.isdecimal() else by_uuid(name)) for name in names]


def _whole_number(path: Path) -> int:
    return int(path.read_text())


def _one_line(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else error
    return " ".join(str(said).split()) or type(error).__name__


def _ratio(amount: float, span: float) -> float:
    return amount / span if span > 0 else 0.0
