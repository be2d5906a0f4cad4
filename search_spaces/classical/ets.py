"""Exponential smoothing: forms with and without trend and season, weighed for each series by a criterion (AICc).

Hyndman & Khandakar (2008), "Automatic time series forecasting", with two differences: the season may be taken out
before, as of the theta method, and forms are averaged by how likely they are instead of one being chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from search_spaces.series.local import Arrays, LocalForecaster, Method, OwnPast, filled, read_local
from search_spaces.series.season import check_common, common_season, first_season, seasons_of
from search_spaces.series.smoothing import (
    Constants,
    Smoothed,
    States,
    ahead,
    constants,
    damped,
    first_states,
    smooth,
)
from search_spaces.spec import Choice, Family, Float, Learner, Needs, Params, Price, Space

SPACE: Space = {
    "season": Choice(("adjusted", "followed", "none"), start="adjusted"),  # taken out before, or one of the states
    "trend": Choice(("any", "damped", "none"), start="any"),
    "breadth": Float(0.3, 100.0, start=5.0, log=True),  # how many forms count: likelihoods to the power of one over it
    "trust": Float(0.0, 10.0, start=1.0),  # in the season that suits other series
}

PORTFOLIO: tuple[Params, ...] = (
    {"season": "followed"},
    {"trend": "damped"},
    {"season": "followed", "breadth": 20.0},
    {"breadth": 1.0},
)

# Constants on a grid, finer where the season is none of the states, for its constant would be a third one.
LEVELS, FEW_LEVELS = (0.02, 0.06, 0.12, 0.25, 0.4, 0.6, 0.8, 0.98), (0.05, 0.15, 0.35, 0.6, 0.9)
TRENDS, FEW_TRENDS = (0.02, 0.1, 0.3), (0.03, 0.2)
DAMPINGS, FEW_DAMPINGS = (0.8, 0.9, 0.97), (0.85, 0.97)
SEASONS = (0.02, 0.1, 0.25, 0.5)
LEAST_MISS = 1e-12  # squared, of values of about 1: less is no miss at all
HOPELESS = 1e9  # added for each constant of a form that has more of them than there are values


class Ets:
    """Forms of exponential smoothing, weighed."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.cells = 72

    def agree(self, past: OwnPast) -> Arrays:
        """What is missed by ways of telling the season."""
        return common_season(past) if past.season > 1 else {}

    def check(self, shared: Arrays) -> None:
        """As `agree` gives it."""
        check_common(shared)

    def foretell(self, past: OwnPast, shared: Arrays, steps: int) -> np.ndarray:
        """Each form's forecasts, averaged by their weights."""
        kind = "auto" if self.params["season"] == "adjusted" else "none"
        season = seasons_of(past, shared, kind, self.params["trust"])
        values, begins = filled(season.without(past.values))
        lesson = _Lesson(values, begins, np.nanmin(past.values, axis=1) > 0)
        told, criterion = [], []
        for form in self._forms(past, shared):
            for one, ends, damping in form.best(lesson):
                criterion.append(one)
                told.append(ahead(ends, damping, steps, form.is_ratio))
        unlikely = np.stack(criterion)
        weight = np.exp(-0.5 * (unlikely - unlikely.min(axis=0)) / self.params["breadth"])
        weight /= weight.sum(axis=0)
        return season.onto((weight[:, :, None] * np.stack(told)).sum(axis=0))

    def _forms(self, past: OwnPast, shared: Arrays) -> Iterator[_Form]:
        """What is tried: each trend without a season and, where the season is followed, with each kind of one."""
        sloped = {"any": (None, (1.0,), DAMPINGS), "damped": (None, DAMPINGS), "none": (None,)}[self.params["trend"]]
        for dampings in sloped:
            yield _Form(_grid(dampings, (0.0,), is_fine=True), dampings, past.season)
        if self.params["season"] == "followed" and past.season > 1:
            for kind in ("added", "ratio"):
                first = first_season(past, shared, kind, self.params["trust"])
                for dampings in sloped:
                    few = FEW_DAMPINGS if dampings == DAMPINGS else dampings
                    cells = _grid(few, SEASONS, is_fine=False)
                    yield _Form(cells, few, past.season, first.profile, first.is_ratio, kind == "ratio")


def _grid(dampings: tuple[float, ...] | None, seasons: tuple[float, ...], is_fine: bool) -> Constants:
    levels, trends = (LEVELS, TRENDS) if is_fine else (FEW_LEVELS, FEW_TRENDS)
    if dampings is None:
        return constants(levels, (0.0,), seasons)
    return damped(constants(levels, trends, seasons), dampings)


@dataclass(frozen=True)
class _Lesson:
    values: np.ndarray  # filled
    begins: np.ndarray
    is_positive: np.ndarray  # (series,): misses may be shares of what was foretold


@dataclass(frozen=True)
class _Form:
    cells: Constants
    dampings: tuple[float, ...] | None  # None: there is no trend
    season: int
    profile: np.ndarray | None = None  # (series, season), where the season is one of the states
    is_positive: np.ndarray | None = None  # (series,): whether such a profile can be a ratio
    is_ratio: bool = False

    def best(self, lesson: _Lesson) -> Iterator[tuple[np.ndarray, States, np.ndarray]]:
        """For each kind of misses: the criterion of the best cell of each series, its last states and its damping."""
        values, begins = lesson.values, lesson.begins
        profile = self.profile
        if profile is not None and self.is_ratio:
            profile = np.where(lesson.is_positive[:, None], profile, 1.0)
        plain = values if profile is None else _less(values, profile, self.is_ratio)
        width = max(6, self.season) if self.dampings is None else max(10, 2 * self.season * (profile is not None))
        start = first_states(plain, begins, width, self.dampings is not None)
        turned = None if profile is None else np.ascontiguousarray(profile.T)
        found = smooth(values, begins, States(start.level, start.slope, turned), self.cells, self.is_ratio)
        counts = values.shape[1] - begins
        if not self.is_ratio:
            yield self._of_best(_unlikely(found.missed, counts), found, counts)
        if self.is_ratio or (profile is None and lesson.is_positive.any()):
            unlikely = _unlikely(found.missed_shares, counts) + 2 * found.sizes
            yield self._of_best(np.where(lesson.is_positive, unlikely, HOPELESS**2), found, counts)

    def _of_best(
        self, unlikely: np.ndarray, found: Smoothed, counts: np.ndarray
    ) -> tuple[np.ndarray, States, np.ndarray]:
        best, each = unlikely.argmin(axis=0), np.arange(len(counts))
        free = 3 + (0 if self.dampings is None else 2 + (self.dampings != (1.0,)))
        free += 0 if self.profile is None else self.season
        left = counts - free - 1
        many = np.where(left > 0, 2 * free + 2 * free * (free + 1) / np.maximum(left, 1), HOPELESS * free)
        ends = found.ends
        profile = None if ends.profile is None else ends.profile[:, best, each]
        states = States(ends.level[best, each], ends.slope[best, each], profile)
        return unlikely[best, each] + many, states, self.cells.damping[best]


def _unlikely(missed: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Minus twice the logarithm of the likelihood of normal errors, but for a constant."""
    return np.asarray(counts * np.log(missed / counts + LEAST_MISS))


def _less(values: np.ndarray, profile: np.ndarray, is_ratio: bool) -> np.ndarray:
    length = values.shape[1]
    whole = profile[:, (np.arange(length) - length) % profile.shape[1]]
    return np.asarray(values / whole if is_ratio else values - whole)


def _make(params: Params) -> Method:
    return Ets(params)


def build(params: Params) -> Learner:
    """An unfitted learner."""
    return LocalForecaster(params, _make)


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    return read_local(parts, SPACE, _make)


FAMILY = Family(
    name="ets",
    title="exponential smoothing",
    route="classical",
    space=SPACE,
    build=build,
    load=load,
    reads=frozenset({"panel"}),
    needs=Needs(tasks=frozenset({"regression"})),
    portfolio=PORTFOLIO,
    price=Price(0.1, 3.5, cell_bytes=80.0),
    recipes=("plain",),
    is_threaded=False,
)
