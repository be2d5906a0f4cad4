"""How long calls take and what memory they need: repeated while there is time, told with their spread.

Other programs on the machine are left out as far as they can be: a call counts no more seconds than the process worked.
"""

from __future__ import annotations

import ctypes
import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from automl.records.costs import Calls
from cluster.meter import Meter

MOST_CALLS = 60  # of one row: enough for a 95th percentile
FEWEST_OF_MANY, MOST_OF_MANY = 3, 12  # calls with many rows
TAIL_CALLS = 3  # from which on a 95th percentile is told; of so few it is about the slowest
LEVEL = 0.95


@dataclass(frozen=True)
class Timed:
    """Milliseconds of calls, and the core seconds of all of them together."""

    ms: tuple[float, ...]
    core_s: float

    def told(self, rows: int) -> Calls:
        """The median with the interval that order statistics give it, and the tail where enough calls were timed."""
        ms = np.sort(np.asarray(self.ms))
        half = NormalDist().inv_cdf((1 + LEVEL) / 2) * math.sqrt(len(ms)) / 2
        low, high = max(0, math.floor(len(ms) / 2 - half)), min(len(ms) - 1, math.ceil(len(ms) / 2 + half))
        tail = float(np.quantile(ms, 0.95)) if len(ms) >= TAIL_CALLS else None
        return Calls(
            rows=rows, p50=float(np.median(ms)), p95=tail, calls=len(ms), low=float(ms[low]), high=float(ms[high])
        )


def timed(call: Callable[[], object], seconds: float, counts: tuple[int, int]) -> Timed:
    """At least and at most so many calls; between these as many as fit into the seconds."""
    fewest, most = counts
    until, worked, taken = time.monotonic() + seconds, time.process_time(), list[float]()
    while len(taken) < fewest or (len(taken) < most and time.monotonic() < until):
        taken.append(busy_ms(call))
    return Timed(tuple(taken), time.process_time() - worked)


def busy_ms(call: Callable[[], object]) -> float:
    """Milliseconds of a call without those in which other programs held the cores: a limit is on the model alone."""
    worked = time.process_time()
    took = clocked(call)
    return min(took, 1e3 * (time.process_time() - worked))


def clocked(call: Callable[[], object]) -> float:
    """Milliseconds of a call."""
    started = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - started)


class Memory:
    """How far the memory of this process rises from its making on; what was freed before is given back first."""

    def __init__(self) -> None:
        gc.collect()
        try:
            ctypes.CDLL(None).malloc_trim(0)  # else a model would fit into what an earlier one left, and weigh nothing
        except (OSError, AttributeError, TypeError):
            gc.collect()  # not glibc: then this much is all that can be done
        self._meter = Meter()
        self._before_mb = self._meter.read().peak_mb

    def rise_mb(self) -> float:
        """Megabytes at the highest, above those at the beginning."""
        return max(0.0, self._meter.read().peak_mb - self._before_mb)
