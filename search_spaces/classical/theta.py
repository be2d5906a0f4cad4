"""The dynamic optimised theta method on series without their season: a line that bends, and a level that follows.

Fiorucci, Pellegrini, Louzada, Petropoulos & Koehler (2016), "Models for optimising the theta method". All pairs on a
grid of how fast the level follows and how far the line counts are run at once; each counts by what it missed, one step
ahead, so that no single pair is believed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from search_spaces.series.local import Arrays, LocalForecaster, Method, OwnPast, filled, read_local
from search_spaces.series.season import check_common, common_season, seasons_of
from search_spaces.spec import Choice, Family, Float, Learner, Needs, Params, Price, Space

SPACE: Space = {
    "season": Choice(("auto", "ratio", "added", "none"), start="auto"),
    "breadth": Float(0.3, 50.0, start=2.0, log=True),  # how many pairs count: likelihoods to the power of one over it
    "trust": Float(0.0, 10.0, start=1.0),  # in the season that suits other series
    "line": Choice((0.0, 0.5, 1.0), start=1.0),  # how much of the line goes on beyond the newest value
}

PORTFOLIO: tuple[Params, ...] = (
    {"breadth": 10.0, "trust": 3.0},
    {"line": 0.5},
    {"season": "added"},
)

# Pairs as optimisers are usually bounded: a level that hardly follows is a straight line, and loses against one.
FOLLOWS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99])[:, None]
SHARES = 1 - 1 / np.array([1.01, 1.5, 2.0, 3.0, 5.0, 20.0])  # of the line; of theta as it is usually given
SETTLING = 3  # steps whose misses do not count: two points make any line right


class Theta:
    """Seasonal adjustment around theta lines."""

    cells = 2 * len(FOLLOWS)

    def __init__(self, params: Params) -> None:
        self.params = params

    def agree(self, past: OwnPast) -> Arrays:
        """What is missed by ways of telling the season."""
        return common_season(past) if past.season > 1 else {}

    def check(self, shared: Arrays) -> None:
        """As `agree` gives it."""
        check_common(shared)

    def foretell(self, past: OwnPast, shared: Arrays, steps: int) -> np.ndarray:
        """Adjust, follow, weigh, go on, and put the season back."""
        season = seasons_of(past, shared, self.params["season"], self.params["trust"])
        values, begins = filled(season.without(past.values))
        lines = _Lines(values, begins)
        weight = _weights(lines.missed, values.shape[1] - begins, self.params["breadth"])
        return season.onto(lines.ahead(weight, steps, self.params["line"]))


def _weights(missed: np.ndarray, counts: np.ndarray, breadth: float) -> np.ndarray:
    """(follows, shares, series): likelihoods of normal errors, tempered; they sum to one."""
    most = missed.max(axis=(0, 1))
    unlikely = counts * np.log(np.maximum(missed, 1e-12 * (1 + most)))
    weight = np.exp(-0.5 * (unlikely - unlikely.min(axis=(0, 1))) / breadth)
    return np.asarray(weight / weight.sum(axis=(0, 1)))


class _Lines:
    """All pairs, run through all series; the level before the beginning is that which misses least.

    A miss is u - share * v, with u and v the same for all shares, and falls with the first level as `fading` does: so
    sums of six products tell what every pair has missed.
    """

    def __init__(self, values: np.ndarray, begins: np.ndarray) -> None:
        shape = (len(FOLLOWS), len(values))
        self.level, self.fading = np.zeros(shape), np.ones(shape)  # of a level of zero before the beginning
        self.base, self.slope, self.mean, self.count = values[:, 0].copy(), *np.zeros((3, len(values)))
        sums = np.zeros((6, *shape))
        latest = int(begins.max(initial=0))
        for step, now in enumerate(np.ascontiguousarray(values.T)):
            u, v, fading = now - self.level, self._line(), self.fading
            if step < latest + SETTLING:
                counts = step >= begins + SETTLING
                u, v, fading = u * counts, v * counts, fading * counts
            for at, (left, right) in enumerate(((u, u), (u, v), (v, v), (u, fading), (v, fading), (fading, fading))):
                sums[at] += left * right
            self._follow(now, step >= begins if step < latest else None)
        self._look_back(sums[:, :, None, :], values[:, 0])

    def _look_back(self, sums: np.ndarray, begun: np.ndarray) -> None:
        """What each pair missed with its best first level, and the level that follows from it."""
        share = SHARES[:, None]
        uu, uv, vv, uf, vf, ff = sums
        own, cross = uu - 2 * share * uv + share**2 * vv, uf - share * vf
        is_told = ff > 1e-12
        first = np.where(is_told, cross / np.where(is_told, ff, 1.0), begun * (1 - share))
        self.missed = np.maximum(own - first * (2 * cross - first * ff), 0.0)
        self.levels = self.level[:, None] + first * self.fading[:, None]

    def _line(self) -> np.ndarray:
        """(follows, series): what the line adds to the level one step ahead, of which a share is taken."""
        return np.asarray(self.fading * (self.base - (1 / FOLLOWS - 1) * self.slope) + self.slope / FOLLOWS)

    def _follow(self, now: np.ndarray, has_begun: np.ndarray | None) -> None:
        """Take the next values in; those of series that have not begun are left out."""
        count = self.count + 1
        mean = self.mean + (now - self.mean) / count
        slope = ((count - 2) * self.slope + 6 * (now - self.mean) / count) / (count + 1)
        slope = np.where(count > 1, slope, 0.0)
        base = mean - slope * (count + 1) / 2
        level, fading = self.level + FOLLOWS * (now - self.level), self.fading * (1 - FOLLOWS)
        if has_begun is not None:
            level, fading = np.where(has_begun, level, self.level), np.where(has_begun, fading, self.fading)
            mean, count = np.where(has_begun, mean, self.mean), np.where(has_begun, count, self.count)
            base, slope = np.where(has_begun, base, self.base), np.where(has_begun, slope, self.slope)
        self.level, self.fading, self.mean, self.count = level, fading, mean, count
        self.base, self.slope = base, slope

    def ahead(self, weight: np.ndarray, steps: int, line: float) -> np.ndarray:
        """(series, steps): each pair goes on from its own forecasts."""
        told = np.empty((len(self.base), steps))
        for step in range(steps):
            each = self.levels + SHARES[:, None] * self._line()[:, None]
            told[:, step] = (weight * each).sum(axis=(0, 1))
            self.levels = self.levels + FOLLOWS[:, None] * (each - self.levels)
            self.fading = self.fading * (1 - FOLLOWS)
        return np.asarray(told[:, :1] + line * (told - told[:, :1]))


def _make(params: Params) -> Method:
    return Theta(params)


def build(params: Params) -> Learner:
    """An unfitted learner."""
    return LocalForecaster(params, _make)


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    return read_local(parts, SPACE, _make)


FAMILY = Family(
    name="theta",
    title="theta method",
    route="classical",
    space=SPACE,
    build=build,
    load=load,
    reads=frozenset({"panel"}),
    needs=Needs(tasks=frozenset({"regression"})),
    portfolio=PORTFOLIO,
    price=Price(0.1, 2.2, cell_bytes=80.0),
    recipes=("plain",),
    is_threaded=False,
)
