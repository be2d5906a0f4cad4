"""Boosted trees (LightGBM) on lags, windows, dates and what is known beside: one model for all series and all steps.

It is told how many steps ahead it looks, and sees nothing newer than the origin. What it learns is by how much values
miss a simple rule, on a scale that all series share. A model of one step that is fed with its own forecasts was tried
and was no better on four sets of monthly and quarterly series.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from search_spaces.checked import need, whole
from search_spaces.classical import lightgbm_
from search_spaces.classical._parts import pack_json, unpack_json
from search_spaces.knobs import known
from search_spaces.series.calendar import calendar
from search_spaces.series.ground import MOST_CELLS, PanelGround, spread_over, width_for
from search_spaces.series.lags import BASES, LagReach, Moments, RunningPast, base_of, lag_table
from search_spaces.series.panel import Histories, asked, learned_from, panel_of, past_means, series_of
from search_spaces.series.scaling import SCALINGS, OriginScale
from search_spaces.spec import (
    OF_NUMBERS,
    Choice,
    Family,
    Int,
    Learner,
    Matrix,
    Needs,
    Panel,
    Params,
    Price,
    Rows,
    Run,
    Space,
    starts,
)

TREES = (
    "learning_rate", "num_leaves", "min_data_in_leaf", "feature_fraction", "bagging_fraction", "extra_trees",
    "lambda_l1", "lambda_l2",
)  # fmt: skip

SPACE: Space = {
    "scaling": Choice(SCALINGS, start="log"),
    "base": Choice(BASES, start="season"),
    "recent": Int(1, 64, start=12, log=True),
    "cycles": Int(1, 8, start=3),
    "dates": Choice((False, True), start=True),
    "statics": Choice((False, True), start=False),  # categories that never change in a series, as which one it is
    "examples": Int(10_000, 500_000, start=60_000, log=True),
    **{name: lightgbm_.SPACE[name] for name in TREES},
}

PORTFOLIO: tuple[Params, ...] = (
    {"scaling": "none"},
    {"scaling": "mean", "statics": True, "num_leaves": 15, "learning_rate": 0.08, "feature_fraction": 0.5},
    {"scaling": "std", "base": "last", "recent": 24, "cycles": 5, "learning_rate": 0.08, "feature_fraction": 0.4},
    {"base": "drift", "extra_trees": True, "num_leaves": 63, "learning_rate": 0.08},
    {"base": "mean", "dates": False, "statics": True, "examples": 150_000, "feature_fraction": 0.4},
)

LEAST_EXAMPLES = 20  # below it the simple rule answers
LEAST_SEASONS = 4  # from which rows are taken, where not all are: a month that was never learned is not foretold
MOST_STEPS_EACH = 8  # steps ahead for which a value is an example
FARTHEST = 50.0  # misses of the rule on the common scale, that are learned
MOST_STATICS = 1000  # categories of a column that never changes: more are slow, and each is seldom seen
MOST_COLUMNS = 1_000_000  # that a saved model may say it has


class LagBoosting:
    """Boosters of what a rule misses, and how their table is made."""

    is_cut = False
    rounds_ = 0

    def __init__(self, params: Params) -> None:
        self.params = dict(params)

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:
        """Make examples, as many as wanted, the newest first; boost as LightGBM does on a table."""
        panel = panel_of(train.X.media)
        self.ground, self.beside = PanelGround.of(train, run), 0 if panel.past is None else panel.past.shape[1]
        self.codes = _codes(train.X, self.params["statics"])
        self.reach = _reach(self.params, self.ground)
        seen = learned_from(train, _width(panel, width_for(self.reach.width + self.ground.horizon, len(panel.starts))))
        past = RunningPast(seen.values)
        rows, moments = _examples(panel, seen, past, (self.params["examples"], run.seed))
        self.booster: lightgbm_.LightGBM | None = None
        if len(rows) < LEAST_EXAMPLES:
            return
        weight = None if train.weight is None else train.weight[rows]
        lesson = self._lesson(Rows(train.X.take(rows), train.y[rows], weight), past, moments)
        held = None
        if valid is not None and len(valid):
            held = self._lesson(valid, *_asked(valid.X, self.reach.width))
        settings = {**starts(lightgbm_.SPACE), **{name: self.params[name] for name in TREES}}
        more = {"rounds": self.params["rounds"]} if "rounds" in self.params else {}
        self.booster = lightgbm_.LightGBM({**settings, **more})
        self.booster.fit(lesson, held, replace(run, metric="mae" if self.ground.is_absolute else "rmse"))
        self.is_cut, self.rounds_ = self.booster.is_cut, self.booster.rounds_

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Foretell rows, some at a time."""
        said = np.empty((len(X), len(self.ground.usual)))
        for part in _parts(len(X), self.reach.width):
            some = X.take(np.arange(len(X))[part])
            past, moments = _asked(some, self.reach.width)
            table, scale, base = self._table(some, past, moments)
            missed = np.zeros((len(some), 1)) if self.booster is None else self.booster.predict(table, threads)
            told = scale.back(base[:, None] + missed.reshape(len(some), -1))
            said[part] = self.ground.bounded(past, moments, told)
        return said if self.ground.is_of_levels else said[:, 0]

    def dump(self) -> dict[str, bytes]:
        """How tables are made, and LightGBM's own files."""
        facts = {"params": self.params, "ground": self.ground.as_json(), "beside": self.beside, "codes": self.codes}
        return {"lags.json": pack_json(facts), **({} if self.booster is None else self.booster.dump())}

    def _lesson(self, rows: Rows, past: RunningPast, moments: Moments) -> Rows:
        """As a table with what the rule misses."""
        table, scale, base = self._table(rows.X, past, moments)
        missed = np.clip(scale.to(rows.y) - base, -FARTHEST, FARTHEST)
        return Rows(table, missed, self.ground.weights(rows.weight, scale.slope(base)))

    def _table(self, X: Matrix, past: RunningPast, moments: Moments) -> tuple[Matrix, OriginScale, np.ndarray]:
        """Rows as the booster sees them, their scales, and what the rule says on these."""
        panel, ground = panel_of(X.media), self.ground
        scale = past.scale(moments, self.params["scaling"], ground.span, ground.unit)
        base = base_of(past, moments, self.params["base"], ground.season, scale)
        blocks = [lag_table(past, moments, self.reach, scale, base), X.numbers, self._told_beside(panel, moments)]
        if self.params["dates"]:
            blocks += [column[:, None] for column in calendar(panel.stamps[panel.rows], ground.frequency).values()]
        sizes = tuple(X.sizes[column] for column in self.codes)
        return Matrix(np.concatenate(blocks, axis=1, dtype=np.float32), X.codes[:, self.codes], sizes), scale, base

    def _told_beside(self, panel: Panel, moments: Moments) -> np.ndarray:
        """What else was known at each origin: the newest, and means over a season."""
        series = series_of(panel, panel.rows)
        origins = panel.rows - moments.steps + 1
        found = [
            past_means(panel, origins, series, window) for window in dict.fromkeys((1, max(2, self.ground.season)))
        ]
        if found[0].shape[1] != self.beside:  # history that was brought along without it
            return np.full((len(moments), self.beside * len(found)), np.nan, dtype=np.float32)
        return np.concatenate(found, axis=1, dtype=np.float32)


def _codes(X: Matrix, with_statics: bool) -> list[int]:
    """Columns of categories that are learned from: those that change within a series, and others if wanted."""
    panel = panel_of(X.media)
    _, first, of_row = np.unique(series_of(panel, panel.rows), return_index=True, return_inverse=True)
    is_static = (X.codes == X.codes[first][of_row]).all(axis=0) if len(X) else np.zeros(len(X.sizes), dtype=bool)
    is_few = np.array(X.sizes) <= MOST_STATICS
    return [int(column) for column in np.flatnonzero(~is_static | (is_few & with_statics))]


def _reach(params: Params, ground: PanelGround) -> LagReach:
    """Which values are looked at: windows of about a season and longer ones, and of the horizon."""
    season, horizon = ground.season, ground.horizon
    unit = season if season > 1 else 7
    windows = {3, max(2, unit // 2), unit, 2 * unit, 4 * unit, max(2, horizon), *((4 * horizon,) if season > 1 else ())}
    seasons = tuple(one for one in (season, ground.long_season) if one > 1)
    return LagReach(params["recent"], params["cycles"], seasons, tuple(sorted(windows)))


def _width(panel: Panel, most: int) -> int:
    return min(int(np.diff(panel.starts).max(initial=0)), most)


def _asked(X: Matrix, width: int) -> tuple[RunningPast, Moments]:
    """The histories of rows to foretell, no longer than wanted."""
    panel = panel_of(X.media)
    rows = asked(panel, _width(panel, width))
    past = RunningPast(rows.histories.values)
    return past, Moments(rows.of_row, np.full(len(X), past.width), rows.steps)


def _parts(count: int, width: int) -> Iterator[slice]:
    """Rows whose histories can be held at once, were they all different."""
    at_once = max(1, MOST_CELLS // max(1, width))
    yield from (slice(first, first + at_once) for first in range(0, count, at_once))


def _examples(panel: Panel, seen: Histories, past: RunningPast, wanted: tuple[int, int]) -> tuple[np.ndarray, Moments]:
    """Which rows are learned, and from which moments: the newest, of some whole seasons, for steps spread evenly.

    `wanted`: how many at most, and the seed of chance.
    """
    (most, seed), horizon = wanted, max(1, panel.horizon)
    of_series = np.zeros(len(panel.starts), dtype=np.int64)
    of_series[seen.series] = np.arange(len(seen))
    history = of_series[series_of(panel, panel.rows)]
    columns = panel.rows - seen.ends[history] + past.width
    rows = np.flatnonzero(columns > 0)
    if len(rows) > most:
        newest = rows[np.argsort(-columns[rows], kind="stable")]
        is_new = columns > past.width - LEAST_SEASONS * max(1, panel.season)
        rows = np.sort(spread_over(newest[: max(most, int(is_new.sum()))], most))
    each = int(np.clip(most // max(1, len(rows)), 1, min(horizon, MOST_STEPS_EACH)))
    first = np.random.default_rng(seed).random(len(rows)) * horizon
    steps = 1 + ((first + np.arange(each)[:, None] * horizon / each).astype(np.int64) % horizon).reshape(-1)
    rows = np.tile(rows, each)
    moments = Moments(history[rows], np.maximum(columns[rows] - steps + 1, 0), steps)
    is_told = np.flatnonzero(past.counts[moments.history, moments.ends] > 0)
    return rows[is_told], moments.take(is_told)


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    facts = unpack_json(parts["lags.json"])
    need(isinstance(facts.get("params"), dict) and isinstance(facts.get("ground"), dict), "its facts are incomplete")
    params = known(SPACE, facts["params"])
    need(set(params) >= set(SPACE), "a knob is missing")
    learner = LagBoosting(params)
    learner.ground = PanelGround.read(facts["ground"])
    learner.beside = whole(facts.get("beside"), "beside", 0, MOST_COLUMNS)
    codes = facts.get("codes")
    need(isinstance(codes, list), f"codes are {codes!r:.40}")
    learner.codes = [whole(column, "a column of codes", 0, MOST_COLUMNS) for column in codes or ()]
    learner.reach = _reach(params, learner.ground)
    learner.booster = None
    if "answers.json" in parts:
        booster = lightgbm_.load({name: blob for name, blob in parts.items() if name != "lags.json"})
        assert isinstance(booster, lightgbm_.LightGBM)
        learner.booster = booster
        task = "quantile" if learner.ground.is_of_levels else "regression"
        need(booster.answers.task == task, f"its task is {booster.answers.task}")
        need(booster.answers.outputs == len(learner.ground.usual), "answers do not fit")
    return learner


QUICK: Params = {"examples": 20_000, "learning_rate": 0.2, "num_leaves": 15, "rounds": 50}

FAMILY = Family(
    name="lag_boosting",
    title="boosting on lags",
    route="classical",
    space=SPACE,
    build=LagBoosting,
    load=load,
    reads=frozenset({"panel"}),
    needs=Needs(tasks=OF_NUMBERS, package="lightgbm"),
    portfolio=PORTFOLIO,
    quick=QUICK,
    price=Price(1.5, 10.0),
    recipes=("plain",),
    imports=("lightgbm",),
)
