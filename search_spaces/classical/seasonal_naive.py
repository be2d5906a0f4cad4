"""The newest cycles of each series again, their mean, or its newest value, with or without its drift: the yardsticks.

Hard to beat where a series is short or wild, and what errors of forecasts are measured against.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from search_spaces.checked import need
from search_spaces.series.local import Arrays, LocalForecaster, Method, OwnPast, filled, read_local
from search_spaces.spec import Choice, Family, Float, Int, Learner, Needs, Params, Price, Space

SPACE: Space = {
    "again": Choice(("cycle", "value", "window"), start="cycle"),  # each step of a cycle, the newest value, or one mean
    "cycles": Int(1, 60, start=1, log=True),  # of the newest, that are averaged
    "seasons": Choice((1, 7, 52), start=1),  # in one cycle: seven of hours are a week, 52 of days about a year
    "average": Choice(("mean", "median"), start="mean"),
    "drift": Float(0.0, 1.0, start=0.0),  # how much of the mean step from cycle to cycle goes on
}

PORTFOLIO: tuple[Params, ...] = (
    {"drift": 1.0},
    {"cycles": 3, "average": "median", "drift": 0.5},
    {"again": "window", "average": "median", "cycles": 28},
    {"seasons": 7},
    {"again": "value", "drift": 1.0},
)


class SeasonalNaive:
    """What was, again."""

    cells = 16

    def __init__(self, params: Params) -> None:
        self.params = params

    def agree(self, past: OwnPast) -> Arrays:  # noqa: ARG002 - part of the protocol
        """Nothing."""
        return {}

    def check(self, shared: Arrays) -> None:
        """As `agree` gives it."""
        need(not shared, f"its series share {sorted(shared)!s:.60}")

    def foretell(self, past: OwnPast, shared: Arrays, steps: int) -> np.ndarray:  # noqa: ARG002 - part of the protocol
        """Repeat what is averaged, and go on drifting."""
        period = 1 if self.params["again"] == "value" else past.season * self.params["seasons"]
        cycles = 1 if self.params["again"] == "value" else self.params["cycles"]
        whole, begins = filled(past.values)
        newest = _newest(past.values, cycles, period)
        middle = (cycles - 1) / 2 * period  # steps from the middle of what is averaged to the newest cycle
        if self.params["again"] == "window":
            newest, middle = newest.reshape(len(newest), -1, 1), (cycles * period - 1) / 2
        each = _averaged(newest, self.params["average"] == "median")
        each = np.where(np.isfinite(each), each, _averaged(each[:, :, None], False))  # a step that no cycle has
        each = np.where(np.isfinite(each), each, whole[:, -1:])
        told = each[:, np.arange(steps) % each.shape[1]]
        ahead = period * (1 + np.arange(steps) // period) if self.params["again"] == "cycle" else 1 + np.arange(steps)
        return np.asarray(told + self.params["drift"] * _drift(whole, begins, period)[:, None] * (ahead + middle))


def _newest(values: np.ndarray, cycles: int, period: int) -> np.ndarray:
    """(series, cycles, period), NaN before the beginning."""
    length = cycles * period
    kept = values[:, -length:]
    kept = np.pad(kept, ((0, 0), (length - kept.shape[1], 0)), constant_values=np.nan)
    return kept.reshape(len(values), cycles, period)


def _averaged(cycles: np.ndarray, is_median: bool) -> np.ndarray:
    """Over the second axis, of those that are known; NaN where none is."""
    is_known = np.isfinite(cycles)
    count = is_known.sum(axis=1)
    if not is_median:
        return np.where(count > 0, cycles.sum(axis=1, where=is_known) / np.maximum(count, 1), np.nan)
    ordered = np.sort(cycles, axis=1)  # NaN last
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, cycles.shape[1] - 1)
    below, above = (np.take_along_axis(ordered, at[:, None], axis=1)[:, 0] for at in (low, high))
    return np.asarray((below + above) / 2)


def _drift(whole: np.ndarray, begins: np.ndarray, period: int) -> np.ndarray:
    """(series,): the mean step of a history, from its oldest cycle to its newest; 0 where it has not two of them."""
    length = whole.shape[1]
    if length < 2 * period:
        return np.zeros(len(whole))
    sums = np.cumsum(np.pad(whole, ((0, 0), (1, 0))), axis=1)
    each, first = np.arange(len(whole)), np.minimum(begins, length - period)
    oldest = (sums[each, first + period] - sums[each, first]) / period
    newest = (sums[:, -1] - sums[:, -1 - period]) / period
    apart = length - period - begins
    return np.where(apart >= period, (newest - oldest) / np.maximum(apart, 1), 0.0)


def _make(params: Params) -> Method:
    return SeasonalNaive(params)


def build(params: Params) -> Learner:
    """An unfitted learner."""
    return LocalForecaster(params, _make)


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    return read_local(parts, SPACE, _make)


FAMILY = Family(
    name="seasonal_naive",
    title="seasonal naive",
    route="classical",
    space=SPACE,
    build=build,
    load=load,
    reads=frozenset({"panel"}),
    needs=Needs(tasks=frozenset({"regression"})),
    portfolio=PORTFOLIO,
    price=Price(0.02, 0.25, cell_bytes=60.0),
    recipes=("plain",),
    is_threaded=False,
)
