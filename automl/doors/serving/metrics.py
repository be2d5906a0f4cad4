"""Counters, gauges and histograms, told in Prometheus' text format. A few dozen lines instead of a library.

Labels are names of ours: a route as it is declared, a status, a column. Nothing that a caller sends becomes one.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)

Labels = tuple[str, ...]


class CounterMetric:
    """Numbers that only grow, one for each set of labels."""

    kind = "counter"

    def __init__(self, name: str, told: str, labels: Sequence[str] = ()) -> None:
        self.name, self.told, self.labels = name, told, tuple(labels)
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}
        self._lock = threading.Lock()

    def add(self, amount: float = 1.0, *labels: str) -> None:
        """Count something."""
        with self._lock:
            self._values[labels] = self._values.get(labels, 0.0) + amount

    def lines(self) -> Iterator[str]:
        """As the format has them."""
        with self._lock:
            known = list(self._values.items())
        for labels, value in known:
            yield f"{self.name}{_braces(self.labels, labels)} {_number(value)}"


class GaugeMetric:
    """Numbers as they are now, asked for when they are told."""

    kind = "gauge"

    def __init__(self, name: str, told: str, labels: Sequence[str], now: Callable[[], Mapping[Labels, float]]) -> None:
        self.name, self.told, self.labels, self._now = name, told, tuple(labels), now

    def lines(self) -> Iterator[str]:
        """As the format has them."""
        for labels, value in self._now().items():
            yield f"{self.name}{_braces(self.labels, labels)} {_number(value)}"


class HistogramMetric:
    """How often something was how large."""

    kind = "histogram"

    def __init__(self, name: str, told: str, bounds: Sequence[float], labels: Sequence[str] = ()) -> None:
        self.name, self.told, self.bounds, self.labels = name, told, tuple(bounds), tuple(labels)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        self._lock = threading.Lock()

    def observe(self, value: float, *labels: str) -> None:
        """Count a value."""
        with self._lock:
            counts = self._counts.setdefault(labels, [0] * (len(self.bounds) + 1))
            counts[bisect_left(self.bounds, value)] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + value

    def lines(self) -> Iterator[str]:
        """As the format has them: of each bound how many were at most that."""
        with self._lock:
            known = [(labels, list(counts), self._sums[labels]) for labels, counts in self._counts.items()]
        for labels, counts, total in known:
            reached = 0
            for bound, count in zip((*self.bounds, math.inf), counts, strict=True):
                reached += count
                yield f"{self.name}_bucket{_braces((*self.labels, 'le'), (*labels, _number(bound)))} {reached}"
            yield f"{self.name}_sum{_braces(self.labels, labels)} {_number(total)}"
            yield f"{self.name}_count{_braces(self.labels, labels)} {reached}"


def told(metrics: Sequence[CounterMetric | GaugeMetric | HistogramMetric]) -> str:
    """All of them as a page."""
    lines: list[str] = []
    for one in metrics:
        lines += [f"# HELP {one.name} {one.told}", f"# TYPE {one.name} {one.kind}", *one.lines()]
    return "\n".join(lines) + "\n"


def _braces(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
