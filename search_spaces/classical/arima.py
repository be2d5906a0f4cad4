"""ARIMA that can be afforded: a handful of forms by least squares, differenced or not, weighed by a criterion (AICc).

Forms are those that automatic searches mostly end with; averaging over them takes the place of the search.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from search_spaces.series.autoregression import Lags, Regressed, regress
from search_spaces.series.local import Arrays, LocalForecaster, Method, OwnPast, filled, read_local
from search_spaces.series.season import check_common, common_season, seasons_of
from search_spaces.spec import Choice, Family, Float, Learner, Needs, Params, Price, Space

SPACE: Space = {
    "season": Choice(("adjusted", "differenced", "none"), start="adjusted"),
    "differences": Choice(("any", "once", "never"), start="once"),
    "scale": Choice(("values", "logs"), start="values"),  # logs of what is above zero
    "breadth": Float(0.3, 100.0, start=5.0, log=True),  # how many forms count: likelihoods to the power of one over it
    "trust": Float(0.0, 10.0, start=1.0),  # in the season that suits other series
}

PORTFOLIO: tuple[Params, ...] = (
    {"differences": "any"},
    {"season": "differenced", "differences": "any"},
    {"scale": "logs", "breadth": 20.0},
    {"season": "differenced", "differences": "any", "scale": "logs"},
)

LEAST_MISS = 1e-12  # squared, of values of about 1: less is no miss at all
HOPELESS = 1e9  # added for each number of a form that has more of them than there are values


class Arima:
    """Forms with differences, weighed."""

    cells = 32

    def __init__(self, params: Params) -> None:
        self.params = params

    def agree(self, past: OwnPast) -> Arrays:
        """What is missed by ways of telling the season."""
        return common_season(past) if past.season > 1 else {}

    def check(self, shared: Arrays) -> None:
        """As `agree` gives it."""
        check_common(shared)

    def foretell(self, past: OwnPast, shared: Arrays, steps: int) -> np.ndarray:
        """Each form's forecasts, averaged by their weights."""
        is_log = (np.nanmin(past.values, axis=1) > 0) & (self.params["scale"] == "logs")
        values = np.where(is_log[:, None], np.log(np.where(is_log[:, None], past.values, 1.0)), past.values)
        own = OwnPast(values, past.season, past.is_absolute)
        kind = "none" if self.params["season"] != "adjusted" else "added" if self.params["scale"] == "logs" else "auto"
        season = seasons_of(own, shared, kind, self.params["trust"])
        whole, begins = filled(season.without(own.values))
        period = past.season if self.params["season"] == "differenced" and past.season > 1 else 0
        told, unlikely = [], []
        for is_differenced in {"any": (False, True), "once": (True,), "never": (False,)}[self.params["differences"]]:
            route = _Route(whole, begins, period, is_differenced)
            for lags in _forms(is_differenced, period):
                found = regress(route.values, route.begins, lags)
                unlikely.append(route.unlikely(found))
                told.append(route.back(found.ahead(route.values, steps)))
        weight = np.exp(-0.5 * (np.stack(unlikely) - np.min(unlikely, axis=0)) / self.params["breadth"])
        weight /= weight.sum(axis=0)
        ahead = season.onto((weight[:, :, None] * np.stack(told)).sum(axis=0))
        return np.where(is_log[:, None], np.exp(np.clip(ahead, -30, 30)), ahead)


def _forms(is_differenced: bool, period: int) -> list[Lags]:
    """The simplest comes first."""
    if period:
        around = (1, period, period + 1) if is_differenced else (period,)
        values: tuple[tuple[int, ...], ...] = ((), (1,), (1, 2)) if is_differenced else ((1,), (1, 2), (1, 2, 3))
        return [Lags(each, around, has_constant=not is_differenced) for each in values]
    if is_differenced:
        plain = [Lags((), (1,)), Lags((1,)), Lags((1,), (1,)), Lags((1, 2), (1,)), Lags((1, 2, 3, 4))]
        return [*plain, Lags((), (1,), has_constant=True), Lags((1,), (1,), has_constant=True)]
    return [Lags(each, (1,) * (len(each) == 1), has_constant=True) for each in ((1,), (1, 2), (1, 2, 3))]


class _Route:
    """Values differenced over a season, over a step, over both or not at all, and the way back."""

    def __init__(self, whole: np.ndarray, begins: np.ndarray, period: int, is_differenced: bool) -> None:
        self.period, self.is_differenced = min(period, whole.shape[1]), is_differenced
        self.whole, self.counts = whole, whole.shape[1] - begins
        self.seasonal = _over(whole, self.period, begins) if self.period else whole
        self.begins = begins + self.period
        self.values = _over(self.seasonal, 1, self.begins) if is_differenced else self.seasonal
        self.begins = self.begins + is_differenced

    def unlikely(self, found: Regressed) -> np.ndarray:
        """(series,): the criterion of a form; misses are of the values themselves on every route."""
        used = np.maximum(self.values.shape[1] - self.begins - found.lags.longest, 0)
        miss = (found.misses**2).sum(axis=1) / np.maximum(used, 1)
        free = found.lags.free
        left = np.minimum(used, self.counts) - free - 1
        many = np.where(left > 0, 2 * free + 2 * free * (free + 1) / np.maximum(left, 1), HOPELESS * free)
        return np.asarray(self.counts * np.log(miss + LEAST_MISS) + many)

    def back(self, ahead: np.ndarray) -> np.ndarray:
        """Forecasts of differences as those of values."""
        if self.is_differenced:
            ahead = self.seasonal[:, -1:] + np.cumsum(ahead, axis=1)
        if not self.period:
            return ahead
        told = np.concatenate([self.whole[:, -self.period :], ahead], axis=1)
        for step in range(self.period, told.shape[1]):
            told[:, step] += told[:, step - self.period]
        return told[:, self.period :]


def _over(values: np.ndarray, period: int, begins: np.ndarray) -> np.ndarray:
    """Differences, zero where there is nothing to differ from."""
    apart = np.zeros_like(values)
    apart[:, period:] = values[:, period:] - values[:, : values.shape[1] - period]
    apart[np.arange(values.shape[1])[None, :] < (begins + period)[:, None]] = 0.0
    return apart


def _make(params: Params) -> Method:
    return Arima(params)


def build(params: Params) -> Learner:
    """An unfitted learner."""
    return LocalForecaster(params, _make)


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    return read_local(parts, SPACE, _make)


FAMILY = Family(
    name="arima",
    title="ARIMA by least squares",
    route="classical",
    space=SPACE,
    build=build,
    load=load,
    reads=frozenset({"panel"}),
    needs=Needs(tasks=frozenset({"regression"})),
    portfolio=PORTFOLIO,
    price=Price(0.15, 3.0, cell_bytes=80.0),
    recipes=("plain",),
    is_threaded=False,
)
