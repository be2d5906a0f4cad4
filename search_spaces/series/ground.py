"""What models learned over many series have in common: their season, what misses weigh, how far forecasts may go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from search_spaces.checked import finite, need, whole
from search_spaces.series.calendar import longer_season
from search_spaces.series.lags import Moments, RunningPast
from search_spaces.series.local import SQUARED, WIDEST
from search_spaces.series.panel import panel_of
from search_spaces.spec import Rows, Run

SCALED = frozenset({"mase", "rmsse", "smape"})  # metrics of which each series has its own unit
MOST_CELLS = 8_000_000  # of histories held at once: with what is made of them about 0.5 GB
LONGEST = 100_000  # season or horizon, that a saved model may say it has
MOST_LEVELS = 1000


@dataclass(frozen=True, kw_only=True)
class PanelGround:
    """What the rows to learn from and the run that asks for it tell before anything is learned."""

    season: int
    horizon: int
    frequency: str
    long_season: int  # a further one, such as the week of hours; 0: none, or too little is known for it
    unit: float  # mean size of what is learned, above 0
    usual: tuple[float, ...]  # the answers where nothing is known: one, or that of each level
    is_of_levels: bool  # quantiles are asked for
    is_absolute: bool  # medians are asked for, not means
    is_scaled: bool  # where no weights are given, all series count alike

    @classmethod
    def of(cls, train: Rows, run: Run) -> PanelGround:
        """Read off the rows to learn from."""
        panel = panel_of(train.X.media)
        season = max(1, panel.season)
        longest = int(np.diff(panel.starts).max(initial=0))
        further = longer_season(panel.frequency, season)
        unit = float(np.average(np.abs(train.y), weights=train.weight)) if len(train) else 0.0
        return cls(
            season=season,
            horizon=max(1, panel.horizon),
            frequency=panel.frequency,
            long_season=further if longest > 2 * further else 0,
            unit=unit if np.isfinite(unit) and unit > 0 else 1.0,
            usual=_usual(train, run),
            is_of_levels=run.task == "quantile",
            is_absolute=run.metric not in SQUARED,
            is_scaled=run.metric in SCALED,
        )

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> PanelGround:
        """What `as_json` wrote; ValueError where it could not have."""
        season, horizon = (whole(facts.get(name), name, 1, LONGEST) for name in ("season", "horizon"))
        frequency, usual = facts.get("frequency"), facts.get("usual")
        need(isinstance(frequency, str) and len(frequency) <= 40, f"frequency is {frequency!r:.40}")
        most = MOST_LEVELS if facts.get("is_of_levels") else 1
        need(isinstance(usual, list) and 0 < len(usual) <= most, f"usual is {usual!r:.40}")
        for name in ("is_of_levels", "is_absolute", "is_scaled"):
            need(isinstance(facts.get(name), bool), f"{name} is {facts.get(name)!r:.40}")
        return cls(
            season=season,
            horizon=horizon,
            frequency=str(frequency),
            long_season=whole(facts.get("long_season"), "long_season", 0, LONGEST),
            unit=finite(facts.get("unit"), "unit", 0.0),
            usual=tuple(finite(value, "usual") for value in usual or ()),
            is_of_levels=facts["is_of_levels"],
            is_absolute=facts["is_absolute"],
            is_scaled=facts["is_scaled"],
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "usual": list(self.usual)}

    @property
    def span(self) -> int:
        """Columns before an origin that set its scale."""
        return max(2 * self.season, 8)

    def weights(self, given: np.ndarray | None, slope: np.ndarray) -> np.ndarray | None:
        """What misses on the common scale weigh, so that they sum to those in the values' own unit."""
        if given is None and self.is_scaled:
            return None
        weight = (slope if self.is_absolute else slope * slope) * (1.0 if given is None else given)
        mean = weight.mean() if len(weight) else 0.0
        return np.asarray(weight / mean) if np.isfinite(mean) and mean > 0 else None

    def bounded(self, past: RunningPast, moments: Moments, said: np.ndarray) -> np.ndarray:
        """Forecasts (moments, answers) that do not run away from their history, nor below zero where it never was.

        Where nothing is known they are the usual answers.
        """
        high, low = past.tops[moments.history, moments.ends], past.lows[moments.history, moments.ends]
        is_known = high >= low
        high, low = np.where(is_known, high, 0.0), np.where(is_known, low, 0.0)
        room = WIDEST * (high - low)
        least = np.where(low >= 0, np.maximum(0.0, low - room), low - room)
        inside = np.clip(said, least[:, None], (high + room)[:, None])
        return np.asarray(np.where(is_known[:, None], inside, np.array(self.usual)))


def width_for(needed: int, series: int) -> int:
    """Columns of histories to learn from: as many as there is room for, and at least those needed."""
    return max(needed, MOST_CELLS // max(1, series))


def spread_over(order: np.ndarray, most: int) -> np.ndarray:
    """So many of them at most, evenly from the first to the last."""
    if len(order) <= most:
        return order
    return np.asarray(order[np.linspace(0, len(order) - 1, most).astype(np.int64)])


def _usual(train: Rows, run: Run) -> tuple[float, ...]:
    """What is answered of a series of which nothing is known."""
    levels = run.levels if run.task == "quantile" else (0.5,)
    if not len(train):
        return (0.0,) * len(levels)
    if run.task != "quantile" and run.metric in SQUARED:
        return (float(np.average(train.y, weights=train.weight)),)
    found = np.quantile(train.y, levels, method="inverted_cdf", weights=train.weight)
    return tuple(float(value) for value in np.atleast_1d(found))
