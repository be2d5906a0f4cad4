"""The season of each series: a profile around its trend, kept as far as older cycles foretold newer ones.

How fast old cycles fade, and how much of the profile is believed, is chosen for each series by what that would have
missed of each cycle, knowing those before it; where a series has few cycles, by what suits the others. A profile of no
weight is one of the choices, and so no test for a season is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from search_spaces.checked import need, table
from search_spaces.series.local import Arrays, OwnPast, filled

# How much a cycle counts against the one after it, and the share of the profile that is believed.
FADINGS, SHARES = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5]), np.array([0.5, 0.8, 1.0])
CHOICES = np.array([(1.0, 0.0), *((fades, share) for fades in FADINGS for share in SHARES)])
WORST = 3.0  # times the least miss, that counts: one odd series does not speak for all
GOES_ON = (
    0.5  # of the trend's last slope, beyond its last centred mean; backtests of four public sets are flat around it
)
LOWEST = 0.02  # of the trend, to which a ratio may fall


@dataclass(frozen=True)
class Season:
    """Of each series: what its trend is to be multiplied with, or what is to be added to it."""

    profile: np.ndarray  # (series, season): the last one is that of the newest step
    is_ratio: np.ndarray  # (series,)

    def without(self, values: np.ndarray) -> np.ndarray:
        """Values of histories, adjusted."""
        length, season = values.shape[1], self.profile.shape[1]
        whole = self.profile[:, (np.arange(length) - length) % season]
        ratio = np.where(self.is_ratio[:, None], whole, 1.0)
        return np.asarray(np.where(self.is_ratio[:, None], values / ratio, values - whole))

    def onto(self, ahead: np.ndarray) -> np.ndarray:
        """Forecasts of adjusted values, with the season again."""
        whole = self.profile[:, np.arange(ahead.shape[1]) % self.profile.shape[1]]
        return np.asarray(np.where(self.is_ratio[:, None], ahead * whole, ahead + whole))


@dataclass(frozen=True)
class Seasons:
    """One after the other: what the first has left is adjusted by the next."""

    parts: tuple[Season, ...]

    def without(self, values: np.ndarray) -> np.ndarray:
        """Values of histories, adjusted."""
        for part in self.parts:
            values = part.without(values)
        return values

    def onto(self, ahead: np.ndarray) -> np.ndarray:
        """Forecasts of adjusted values, with the seasons again."""
        for part in reversed(self.parts):
            ahead = part.onto(ahead)
        return ahead


def seasons_of(past: OwnPast, shared: Arrays, kind: str, trust: float) -> Seasons:
    """The season and, where steps are parts of a day, the week, of which nothing is held in common."""
    day = season_of(past, shared, kind, trust)
    if past.week == 0 or kind == "none":
        return Seasons((day,))
    left = replace(past, values=day.without(past.values), season=past.week)
    return Seasons((day, season_of(left, {}, kind, trust)))


def common_season(past: OwnPast) -> Arrays:
    """What each choice missed on the whole, as a multiple of the least of each series; and ratios against sums."""
    is_positive = _is_positive(past)
    added, ratio = _tried(past, np.zeros(len(past), dtype=bool)), _tried(past, is_positive)
    found = {name: _mean(tried.against_best, tried.is_told) for name, tried in (("added", added), ("ratio", ratio))}
    better = np.log(_least(ratio)) - np.log(_least(added))
    return {**found, "better": _mean(better[None, :], is_positive & added.is_told)}


def check_common(shared: Arrays) -> None:
    """ValueError where this is not what `common_season` gives."""
    need(set(shared) == {"added", "ratio", "better"}, f"what its series share is called {sorted(shared)!s:.60}")
    for name, length in (("added", len(CHOICES)), ("ratio", len(CHOICES)), ("better", 1)):
        missed = table(shared, name, (length,), "f")
        need(bool(np.isfinite(missed).all()), f"{name} is not finite")


def season_of(past: OwnPast, shared: Arrays, kind: str = "auto", trust: float = 1.0) -> Season:
    """The profile of each series. `kind`: ratio (where values are above zero), added, the better one, or none.

    `trust`: how much the choice that suits all counts against that which suits the series.
    """
    is_ratio = _is_positive(past) & (kind in ("ratio", "auto"))
    if kind == "none" or past.season < 2:
        return Season(np.where(is_ratio, 1.0, 0.0)[:, None], is_ratio)
    tried = _tried(past, is_ratio)
    if kind == "auto" and is_ratio.any():
        added = _tried(past, np.zeros(len(past), dtype=bool))
        better = np.log(_least(tried)) - np.log(_least(added))
        is_ratio = is_ratio & (better + trust * (shared["better"][0] if shared else 0.0) <= 0)
        misses = np.where(is_ratio, tried.misses, added.misses)
        tried = _Tried(misses, np.where(is_ratio[:, None], tried.profiles, added.profiles))
    missed = tried.against_best
    if shared:
        missed = missed + trust * np.where(is_ratio[None, :], shared["ratio"][:, None], shared["added"][:, None])
    best = missed.argmin(axis=0)
    of_fading = np.maximum(best - 1, 0) // len(SHARES)
    chosen = CHOICES[best, 1][:, None] * tried.profiles[of_fading, np.arange(len(past))]
    return Season(np.where(is_ratio[:, None], np.maximum(1 + chosen, LOWEST), chosen), is_ratio)


@dataclass(frozen=True)
class _Tried:
    misses: np.ndarray  # (choices, series): what each missed of cycles to come, squared, in the unit of the values
    profiles: np.ndarray  # (fadings, series, season)

    @property
    def is_told(self) -> np.ndarray:
        """(series,): whether there was anything to miss."""
        return np.asarray(self.misses.min(axis=0) > 0)

    @property
    def against_best(self) -> np.ndarray:
        """Misses as multiples of the least; 1 where nothing could be tried."""
        least = self.misses.min(axis=0)
        return np.where(least > 0, np.minimum(self.misses / np.where(least > 0, least, 1.0), WORST), 1.0)


def _least(tried: _Tried) -> np.ndarray:
    return np.where(tried.is_told, tried.misses.min(axis=0), 1.0)


def _mean(told: np.ndarray, among: np.ndarray) -> np.ndarray:
    """(rows of it,), over some series; 0 where there are none."""
    return np.asarray(told[:, among].mean(axis=1) if among.any() else np.zeros(len(told)))


def first_season(past: OwnPast, shared: Arrays, kind: str, trust: float) -> Season:
    """The profile of the beginning of each series, as its oldest cycles have it."""
    turned = season_of(replace(past, values=past.values[:, ::-1]), shared, kind, trust)
    season = turned.profile.shape[1]
    slots = (-1 - np.arange(season) - past.values.shape[1]) % season
    return replace(turned, profile=turned.profile[:, slots])


def _is_positive(past: OwnPast) -> np.ndarray:
    return np.asarray(np.nanmin(past.values, axis=1, initial=np.inf) > 0)


def _tried(past: OwnPast, is_ratio: np.ndarray) -> _Tried:
    """Each choice on each cycle, knowing those before it."""
    cycles, unit = _around_trend(past, is_ratio)
    fades = FADINGS[:, None, None]
    total, count = np.zeros((2, len(FADINGS), len(past), past.season))
    cross, size = np.zeros((2, len(FADINGS), len(past)))
    own = np.zeros(len(past))
    for now, weighs in zip(cycles.transpose(1, 0, 2), unit.transpose(1, 0, 2), strict=True):
        profile = _balanced(total, count)
        counts = weighs**2 * (count[0] > 0)
        own += (counts * now**2).sum(axis=1)
        cross += (counts * now * profile).sum(axis=2)
        size += (counts * profile**2).sum(axis=2)
        total, count = fades * total + now, fades * count + (weighs > 0)
    share = SHARES[:, None]
    misses = own - 2 * share * cross[:, None] + share**2 * size[:, None]
    misses = np.concatenate([own[None], misses.reshape(-1, len(past))])
    return _Tried(np.maximum(misses, 0.0), _balanced(total, count))


def _balanced(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Means, less the mean over the cycle."""
    means = total / np.where(count > 0, count, 1.0)
    return np.asarray(means - means.mean(axis=-1, keepdims=True))


def _around_trend(past: OwnPast, is_ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(series, cycles, season): how far values are from their trend; and in which unit, 0: unknown."""
    season, length = past.season, past.values.shape[1]
    trend = _trend(past)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.where(is_ratio[:, None], past.values / trend - 1.0, past.values - trend)
    unit = np.where(np.isfinite(apart), np.where(is_ratio[:, None], trend, 1.0), 0.0)
    cycles = -(-length // season)
    before = ((0, 0), (cycles * season - length, 0))
    shape = (len(apart), cycles, season)
    return np.pad(np.where(unit > 0, apart, 0.0), before).reshape(shape), np.pad(unit, before).reshape(shape)


def _trend(past: OwnPast) -> np.ndarray:
    """Centred means over a season; of the newest half season the line that they were on, and NaN of the oldest."""
    whole, begins = filled(past.values)
    season, length = past.season, past.values.shape[1]
    sums = np.cumsum(np.pad(whole, ((0, 0), (1, 0))), axis=1)
    half = season // 2
    trend = np.full_like(whole, np.nan)
    if length >= 2 * half + 1:
        inner = sums[:, season:] - sums[:, :-season]  # of each window of one season
        means = inner / season if season % 2 else (inner[:, 1:] + inner[:, :-1]) / (2 * season)
        trend[:, half : half + means.shape[1]] = means
    steps, each = np.arange(length)[None, :], np.arange(len(trend))
    ends = length - np.isfinite(past.values)[:, ::-1].argmax(axis=1)
    last, first = ends - half - 1, begins + half
    trend[(steps < first[:, None]) | (steps > last[:, None])] = np.nan
    newest, older = trend[each, np.maximum(last, 0)], trend[each, np.maximum(last - season, 0)]
    slope = np.where(last - season >= first, GOES_ON * (newest - older) / season, 0.0)
    line = newest[:, None] + slope[:, None] * (steps - last[:, None])
    return np.where((steps > last[:, None]) & (steps < ends[:, None]) & (last >= first)[:, None], line, trend)
