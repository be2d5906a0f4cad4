"""Forecasters that foretell each series from its own past: what they share around a method, which is arrays in and out.

A fit learns only what all series have in common. Each series is learned when it is foretold, from the newest that is
known of it: as many as ten thousand at once take a second or two, so nothing of a series has to be kept, a series that
training never saw is foretold as well as any, and a forecast never rests on what was true at training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from search_spaces.checked import arrays, finite, json_object, need, whole
from search_spaces.classical._parts import pack_arrays, pack_json
from search_spaces.series.panel import Asked, asked, learned_from, panel_of
from search_spaces.spec import Choice, Learner, Matrix, Panel, Params, Rows, Run, Space

Arrays = Mapping[str, np.ndarray]

MOST_STEPS, CYCLES = 2048, 6  # of a history that are looked at, and at least so many of its seasons
MOST_CELLS = 50_000_000  # of histories held at once: 0.4 GB
MOST_SAMPLED = 4000  # series, from which it is learned what all have in common
FAR_HORIZONS, FAR_SEASONS = 4, 3  # ahead; what lies beyond repeats the last season
WIDEST = 5.0  # times the spread of a history, that a forecast may leave it
PARTS_OF_A_DAY = frozenset({"h", "min", "s"})  # frequencies whose season is a day, as pandas spells them
SQUARED = frozenset({"rmse", "rmsse", "r2", "mse"})  # metrics that ask for means; all others ask for medians


@dataclass(frozen=True)
class OwnPast:
    """Histories of about one scale that end together, the newest value in the last column."""

    values: np.ndarray  # float64 (series, steps); NaN where missing, and before the beginning
    season: int  # steps; 1: there is none
    is_absolute: bool  # medians are asked for, not means
    week: int = 0  # steps of a longer cycle beside the season; 0: there is none
    horizon: int = 1  # steps that are usually foretold at once

    def __len__(self) -> int:
        return len(self.values)


class Method(Protocol):
    """A way to foretell series, each from its own past. Every series has a known value, and most are about 1."""

    cells: int  # numbers that it holds of each series at each step: what a block of series is cut to

    def agree(self, past: OwnPast) -> Arrays:
        """What series have in common, for those of which little is known; empty where nothing is."""

    def foretell(self, past: OwnPast, shared: Arrays, steps: int) -> np.ndarray:
        """(series, steps) after the newest value."""

    def check(self, shared: Arrays) -> None:
        """ValueError where this is not what `agree` gives."""


class LocalForecaster:
    """A method, what it found in common among the series of training, and an answer where nothing is known."""

    def __init__(self, params: Params, make: Callable[[Params], Method]) -> None:
        self.params, self.method = dict(params), make(params)
        self.is_cut = False

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:  # noqa: ARG002 - part of the protocol
        """Learn what series have in common, from some of them where there are many."""
        panel = panel_of(train.X.media)
        self.is_absolute = run.metric not in SQUARED
        self.center = _center(train, self.is_absolute)
        seen = learned_from(train, _width(panel.starts, panel.season, len(panel.starts)))
        past, _ = self._scaled(seen.values[:: -(-len(seen) // MOST_SAMPLED) or 1], panel)
        self.is_cut = run.is_over
        self.shared = {} if run.is_over or not len(past) else self.method.agree(past)

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:  # noqa: ARG002 - part of the protocol
        """Foretell each history that rows ask for once, some rows at a time."""
        panel = panel_of(X.media)
        said = np.empty(len(X))
        width = _width(panel.starts, panel.season, 1)
        at_once = max(1, MOST_CELLS // max(1, width))
        for first in range(0, len(X), at_once):
            part = slice(first, first + at_once)
            some = replace(panel, rows=panel.rows[part])
            said[part] = self._answers(asked(some, width), panel)
        return said

    def _answers(self, rows: Asked, panel: Panel) -> np.ndarray:
        """One for each row."""
        season = max(1, panel.season)
        reach = max(FAR_HORIZONS * panel.horizon, FAR_SEASONS * season)
        steps = np.where(rows.steps <= reach, rows.steps, reach - season + 1 + (rows.steps - reach - 1) % season)
        values = rows.histories.values
        is_known = np.isfinite(values).any(axis=1)
        ahead = np.full((len(values), int(steps.max(initial=1))), self.center)
        for part in _blocks(values, is_known, self.method.cells):
            longest = int((~np.isnan(values[part]).all(axis=0)).argmax())
            past, scale = self._scaled(values[part, longest:], panel)
            told = self.method.foretell(past, self.shared, ahead.shape[1])
            ahead[part] = within(told, past.values) * scale[:, None]
        return np.asarray(ahead[rows.of_row, np.maximum(steps, 1) - 1])

    def _scaled(self, values: np.ndarray, panel: Panel) -> tuple[OwnPast, np.ndarray]:
        """Histories of which something is known, by their mean size; and that."""
        values = values[np.isfinite(values).any(axis=1)]
        scale = np.nanmean(np.abs(values), axis=1) if len(values) else np.zeros(0)
        scale = np.where((scale > 0) & np.isfinite(scale), scale, 1.0)
        season = max(1, panel.season)
        is_of_day = season > 1 and panel.frequency.lstrip("0123456789") in PARTS_OF_A_DAY
        week = 7 * season * is_of_day
        return OwnPast(values / scale[:, None], season, self.is_absolute, week, max(1, panel.horizon)), scale

    def dump(self) -> dict[str, bytes]:
        """Facts and arrays."""
        facts = {"params": self.params, "center": self.center, "is_absolute": self.is_absolute}
        return {"local.json": pack_json(facts), "shared.npz": pack_arrays(self.shared)}


def read_local(parts: Mapping[str, bytes], space: Space, make: Callable[[Params], Method]) -> Learner:
    """Read what `dump` wrote, of a family with this space."""
    facts = json_object(parts["local.json"])
    learner = LocalForecaster(_params(facts.get("params"), space), make)
    learner.center = finite(facts.get("center"), "center")
    is_absolute = facts.get("is_absolute")
    need(isinstance(is_absolute, bool), f"is_absolute is {is_absolute!r:.40}")
    learner.is_absolute = bool(is_absolute)
    learner.shared = arrays(parts["shared.npz"])
    if learner.shared:
        learner.method.check(learner.shared)
    return learner


def _params(facts: object, space: Space) -> dict[str, object]:
    """Values for all knobs of a space, each inside its bounds."""
    need(isinstance(facts, dict) and set(facts) == set(space), f"its knobs are {facts!r:.80}")
    assert isinstance(facts, dict)
    for name, knob in space.items():
        if isinstance(knob, Choice):
            need(any(type(facts[name]) is type(one) and facts[name] == one for one in knob.options), f"{name} is odd")
        elif isinstance(knob.start, int):
            whole(facts[name], name, int(knob.low), int(knob.high))
        else:
            finite(facts[name], name, knob.low, knob.high)
    return dict(facts)


# --- histories -------------------------------------------------------------------------------------------------------


def filled(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaps drawn straight between what is known, the ends carried on; and (series,) where each begins."""
    steps = np.arange(values.shape[1])
    is_known = np.isfinite(values)
    before = np.maximum.accumulate(np.where(is_known, steps, -1), axis=1)
    after = np.minimum.accumulate(np.where(is_known, steps, len(steps))[:, ::-1], axis=1)[:, ::-1]
    left = np.where(before < 0, after, before)
    right = np.where(after == len(steps), before, after)
    share = (steps - left) / np.maximum(right - left, 1)
    at = np.arange(len(values))[:, None]
    return (1 - share) * values[at, left] + share * values[at, right], is_known.argmax(axis=1)


def within(told: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Forecasts that do not run away, nor below zero where the history never was."""
    low, high = np.nanmin(values, axis=1), np.nanmax(values, axis=1)
    room = WIDEST * (high - low)
    least = np.where(low >= 0, np.maximum(0.0, low - room), low - room)
    return np.asarray(np.clip(told, least[:, None], (high + room)[:, None]))


def _blocks(values: np.ndarray, is_known: np.ndarray, cells: int) -> Iterator[np.ndarray]:
    """Histories of about one length, few enough for what is held of them at a step to stay in a processor's cache."""
    begins = np.isfinite(values).argmax(axis=1) if values.shape[1] else np.zeros(len(values), dtype=np.int64)
    order = np.argsort(begins, kind="stable")
    order = order[is_known[order]]
    size = max(16, 32_768 // cells)
    yield from (order[first : first + size] for first in range(0, len(order), size))


def _width(starts: np.ndarray, season: int, series: int) -> int:
    """Steps of histories that are looked at."""
    longest = int(np.diff(starts).max(initial=0))
    most = min(max(MOST_STEPS, CYCLES * season), max(2 * season, MOST_CELLS // max(1, series)))
    return min(longest, most)


def _center(train: Rows, is_absolute: bool) -> float:
    """What is foretold of a series of which nothing is known."""
    if not len(train):
        return 0.0
    if is_absolute:
        return float(np.quantile(train.y, 0.5, method="inverted_cdf", weights=train.weight))
    return float(np.average(train.y, weights=train.weight))
