"""Forecasts of several local methods, averaged for each series by what they missed of its own newest windows.

Which method suits a series shows in its past, but faintly: one or two windows are mostly luck. So what a method missed
of all series counts beside it, and no method is ever left out altogether.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from search_spaces.checked import need, table
from search_spaces.classical import arima, ets, seasonal_naive, theta
from search_spaces.series.local import Arrays, LocalForecaster, Method, OwnPast, read_local, within
from search_spaces.series.season import check_common, common_season
from search_spaces.spec import Choice, Family, Float, Int, Learner, Needs, Params, Price, Space, starts

SPACE: Space = {
    "members": Choice(("few", "many"), start="few"),
    "windows": Int(1, 3, start=2),  # of the horizon's length, foretold from what was before them
    "sharpness": Float(0.0, 12.0, start=6.0),  # to which power misses lower a weight; 0: all weigh the same
    "trust": Float(0.1, 10.0, start=1.0, log=True),  # in what methods missed of all series
}

PORTFOLIO: tuple[Params, ...] = (
    {"members": "many"},
    {"sharpness": 0.0},
)

MOST_CELLS = 100_000  # of the histories on which it is found what methods miss of all series
LEAST_KNOWN = 2  # values beyond a season before a window, for it to be foretold
LOWEST = 0.2  # of the usual miss, to which one may count: a method that was right by chance is not all


class Consensus:
    """Methods side by side."""

    cells = 64

    def __init__(self, params: Params) -> None:
        self.params = params
        self.members = _members(params["members"] == "many")

    def agree(self, past: OwnPast) -> Arrays:
        """What is missed by ways of telling the season, and by each method."""
        season = common_season(past) if past.season > 1 else {}
        some = past.values[:: -(-past.values.size // MOST_CELLS)]
        missed = self._missed(replace(past, values=some), season)
        return {**season, "missed": missed.mean(axis=1) / missed.mean()}

    def check(self, shared: Arrays) -> None:
        """As `agree` gives it."""
        missed = table(shared, "missed", (len(self.members),), "f")
        need(bool(np.isfinite(missed).all() and (missed > 0).all()), "what its methods missed is not above zero")
        if len(shared) > 1:
            check_common(_but_missed(shared))

    def foretell(self, past: OwnPast, shared: Arrays, steps: int) -> np.ndarray:
        """Each method's forecasts, weighed for each series."""
        season = _but_missed(shared)
        weight = self._weights(past, shared) if self.params["sharpness"] > 0 else np.ones((len(self.members), 1))
        weight = weight / weight.sum(axis=0)
        told = np.zeros((len(past), steps))
        for one, counts in zip(self.members, weight, strict=True):
            told += counts[:, None] * within(one.foretell(past, season, steps), past.values)
        return told

    def _weights(self, past: OwnPast, shared: Arrays) -> np.ndarray:
        missed, trust = self._missed(past, _but_missed(shared)), self.params["trust"]
        if shared:
            missed = (missed + trust * shared["missed"][:, None]) / (1 + trust)
        return np.asarray(np.maximum(missed, LOWEST) ** -self.params["sharpness"])

    def _missed(self, past: OwnPast, season: Arrays) -> np.ndarray:
        """(members, series): of the newest windows, as multiples of what members missed on the whole; 1 if unknown."""
        total, count = np.zeros((len(self.members), len(past))), np.zeros(len(past))
        for window in range(1, self.params["windows"] + 1):
            end = past.values.shape[1] - window * past.horizon
            if end <= 0:
                break
            before, truth = past.values[:, :end], past.values[:, end : end + past.horizon]
            known = np.isfinite(before).sum(axis=1) >= past.season + LEAST_KNOWN
            rows = np.flatnonzero(known & np.isfinite(truth).any(axis=1))
            if not len(rows):
                continue
            own = replace(past, values=before[rows])
            for at, one in enumerate(self.members):
                told = within(one.foretell(own, season, past.horizon), own.values)
                total[at, rows] += _miss(told - truth[rows], past.is_absolute)
            count[rows] += 1
        usual = total.mean(axis=0)
        is_told = (count > 0) & (usual > 0)
        return np.where(is_told, total / np.where(is_told, usual, 1.0), 1.0)


def _miss(apart: np.ndarray, is_absolute: bool) -> np.ndarray:
    """(series,): absolute or squared, of what is known."""
    if is_absolute:
        return np.asarray(np.nanmean(np.abs(apart), axis=1))
    return np.asarray(np.sqrt(np.nanmean(apart**2, axis=1)))


def _but_missed(shared: Arrays) -> Arrays:
    return {name: array for name, array in shared.items() if name != "missed"}


def _members(is_many: bool) -> tuple[Method, ...]:
    """Methods with their defaults, and with what makes them differ most."""
    few: tuple[Method, ...] = (
        theta.Theta(starts(theta.SPACE)),
        ets.Ets(starts(ets.SPACE)),
        arima.Arima(starts(arima.SPACE)),
        arima.Arima({**starts(arima.SPACE), "differences": "any"}),
        seasonal_naive.SeasonalNaive({**starts(seasonal_naive.SPACE), "drift": 1.0}),
    )
    if not is_many:
        return few
    return (
        *few,
        theta.Theta({**starts(theta.SPACE), "season": "added"}),
        ets.Ets({**starts(ets.SPACE), "season": "followed"}),
        ets.Ets({**starts(ets.SPACE), "trend": "damped"}),
        arima.Arima({**starts(arima.SPACE), "season": "differenced", "differences": "any"}),
    )


def _make(params: Params) -> Method:
    return Consensus(params)


def build(params: Params) -> Learner:
    """An unfitted learner."""
    return LocalForecaster(params, _make)


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    return read_local(parts, SPACE, _make)


FAMILY = Family(
    name="consensus",
    title="consensus of local forecasts",
    route="classical",
    space=SPACE,
    build=build,
    load=load,
    reads=frozenset({"panel"}),
    needs=Needs(tasks=frozenset({"regression"})),
    portfolio=PORTFOLIO,
    price=Price(0.3, 17.0, cell_bytes=100.0),
    recipes=("plain",),
    is_threaded=False,
)
