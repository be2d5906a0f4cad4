"""Demand that comes now and then: how much and how often, each smoothed on its own.

Croston (1972), its correction by Syntetos & Boylan (2005), TSB (Teunter, Syntetos & Babai 2011), whose demand dies out,
and ADIDA (Nikolopoulos et al. 2011), which smooths sums over the usual gap. Where medians are asked for, the answer is
that of a demand that comes with this chance and is as large as it was: none, where most steps are without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from search_spaces.checked import need
from search_spaces.series.local import Arrays, LocalForecaster, Method, OwnPast, filled, read_local
from search_spaces.spec import Choice, Family, Float, Learner, Needs, Params, Price, Space

SPACE: Space = {
    "kind": Choice(("tsb", "croston", "sba", "adida"), start="tsb"),
    "follows": Float(0.01, 0.5, start=0.1, log=True),  # how fast sizes and chances follow; 0.1 after Croston
    "aim": Choice(("asked", "mean"), start="asked"),  # the median where the metric asks for it, or the mean anyway
    "season": Choice(("shares", "none"), start="shares"),  # steps of a cycle by their share of it
}

PORTFOLIO: tuple[Params, ...] = (
    {"aim": "mean"},
    {"follows": 0.03},
    {"kind": "sba", "aim": "mean"},
    {"kind": "adida", "aim": "mean", "follows": 0.2},
)

USUAL = 4.0  # values of the usual size that a step of a cycle is thought to have had before its own


class Croston:
    """Sizes and chances of demand."""

    cells = 8

    def __init__(self, params: Params) -> None:
        self.params = params

    def agree(self, past: OwnPast) -> Arrays:  # noqa: ARG002 - part of the protocol
        """Nothing."""
        return {}

    def check(self, shared: Arrays) -> None:
        """As `agree` gives it."""
        need(not shared, f"its series share {sorted(shared)!s:.60}")

    def foretell(self, past: OwnPast, shared: Arrays, steps: int) -> np.ndarray:  # noqa: ARG002 - part of the protocol
        """One cycle again and again; without a season one answer for all steps."""
        follows = self.params["follows"]
        share = _shares(past) if self.params["season"] == "shares" else np.ones((len(past), 1))
        ages = (1 - follows) ** np.arange(share.shape[1])
        share = share / np.maximum(share[:, ::-1] @ (ages / ages.sum()), 1e-9)[:, None]  # of what is followed by now
        is_median = past.is_absolute and self.params["aim"] == "asked"
        if self.params["kind"] == "adida" and not is_median:
            told = _of_sums(*filled(past.values), follows)[:, None] * share
        else:
            demand = _follow(past.values, follows, self.params["kind"] == "tsb")
            chance = (demand.chance * (1 - follows / 2 * (self.params["kind"] == "sba")))[:, None] * share
            told = demand.size[:, None] * (_median(past.values, chance) if is_median else chance)
        return np.asarray(told[:, np.arange(steps) % share.shape[1]])


@dataclass(frozen=True)
class _Demand:
    size: np.ndarray  # (series,): of one
    chance: np.ndarray  # (series,): that there is one at a step


def _follow(values: np.ndarray, follows: float, by_step: bool) -> _Demand:
    """Sizes followed at each demand, and the chance at each step or, by way of the gap, at each demand."""
    is_known = np.isfinite(values)
    is_demand = np.asarray(is_known & (values != 0))
    whole = np.where(is_demand, values, 0.0)
    known = is_known.sum(axis=1)
    chance = np.maximum(is_demand.sum(axis=1), 0.5) / np.maximum(known, 1)
    size = np.where(is_demand.any(axis=1), whole.sum(axis=1) / np.maximum(is_demand.sum(axis=1), 1), 0.0)
    gap, since = 1 / chance, np.ones(len(values))
    for now, there, counts in zip(whole.T, is_demand.T, is_known.T, strict=True):
        size = size + follows * there * (now - size)
        chance = chance + follows * counts * (there - chance)
        gap = gap + follows * there * (since - gap)
        since = np.where(there, 1.0, since + counts)
    return _Demand(size, np.clip(chance if by_step else 1 / np.maximum(gap, 1.0), 0.0, 1.0))


def _median(values: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """(series, steps): of what comes with a chance and is else none, as a multiple of its mean size when it comes.

    A chance above one is that of more than one.
    """
    sizes = np.sort(np.where(np.isfinite(values) & (values != 0), values, np.nan), axis=1)  # NaN last
    count = np.isfinite(sizes).sum(axis=1)[:, None]
    mean = np.nansum(sizes, axis=1)[:, None] / np.maximum(count, 1)
    share = np.clip(1 - 0.5 / np.clip(chance, 1e-9, 1.0), 0.0, 1.0)
    at = np.clip(np.rint(share * (count - 1)), 0, None).astype(np.int64)
    found = np.take_along_axis(sizes, at, axis=1) * np.maximum(chance, 1.0)
    is_there = (chance > 0.5) & (count > 0) & (mean != 0)
    return np.where(is_there, found / np.where(is_there, mean, 1.0), 0.0)


def _of_sums(whole: np.ndarray, begins: np.ndarray, follows: float) -> np.ndarray:
    """Sums over the usual gap of each series, smoothed; their mean step. Those of one gap are done at once."""
    is_inside = np.arange(whole.shape[1])[None, :] >= begins[:, None]
    known = is_inside.sum(axis=1)
    demands = ((whole != 0) & is_inside).sum(axis=1)
    gaps = np.clip(np.rint(known / np.maximum(demands, 1)).astype(np.int64), 1, np.maximum(known, 1))
    said = np.zeros(len(whole))
    for gap in np.unique(gaps):
        those = np.flatnonzero(gaps == gap)
        kept = whole[those][:, whole.shape[1] % gap :].reshape(len(those), -1, gap)
        inside = np.asarray(is_inside[those][:, whole.shape[1] % gap :].reshape(len(those), -1, gap).all(axis=2))
        means, level = kept.mean(axis=2), np.zeros(len(those))
        started = np.zeros(len(those), dtype=bool)
        for now, there in zip(means.T, inside.T, strict=True):
            level = np.where(started, level + follows * there * (now - level), np.where(there, now, level))
            started |= there
        said[those] = level
    return said


def _shares(past: OwnPast) -> np.ndarray:
    """(series, season): the mean of each step of a cycle over the mean of all, drawn to one; the newest step last."""
    length, season = past.values.shape[1], past.season
    cycles = -(-length // season)
    values = np.pad(past.values, ((0, 0), (cycles * season - length, 0)), constant_values=np.nan)
    values = values.reshape(len(values), cycles, season)
    usual = np.nanmean(past.values, axis=1)[:, None]
    total, count = np.nansum(values, axis=1), np.isfinite(values).sum(axis=1)
    is_positive = (np.nanmin(past.values, axis=1) >= 0)[:, None] & (usual > 0)
    share = (total + USUAL * usual) / (count + USUAL) / np.where(is_positive, usual, 1.0)
    share = share / np.maximum(share.mean(axis=1, keepdims=True), 1e-9)
    return np.where(is_positive, share, 1.0)


def _make(params: Params) -> Method:
    return Croston(params)


def build(params: Params) -> Learner:
    """An unfitted learner."""
    return LocalForecaster(params, _make)


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    return read_local(parts, SPACE, _make)


FAMILY = Family(
    name="croston",
    title="intermittent demand",
    route="classical",
    space=SPACE,
    build=build,
    load=load,
    reads=frozenset({"panel"}),
    needs=Needs(tasks=frozenset({"regression"})),
    portfolio=PORTFOLIO,
    price=Price(0.02, 0.3, cell_bytes=60.0),
    recipes=("plain",),
    is_threaded=False,
)
