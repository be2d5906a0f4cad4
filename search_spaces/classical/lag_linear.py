"""One linear map from a window of values to all steps of the horizon, shared by all series: done in a second.

Windows are scaled by what was known at their end, so that a map holds at any level. What is learned is by how much
values miss a simple rule; where medians are asked for, each origin weighs by one over its miss. It takes what was known
beside a series at the origin, not what is known ahead: boosting does.
As Zeng, Chen, Zhang & Xu (2023), "Are transformers effective for time series forecasting?", but solved at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from search_spaces.checked import need, table, whole
from search_spaces.classical._parts import pack_arrays, pack_json, unpack_arrays, unpack_json
from search_spaces.knobs import known
from search_spaces.series.ground import LONGEST, MOST_CELLS, PanelGround, spread_over, width_for
from search_spaces.series.lags import BASES, Moments, RunningPast, base_of
from search_spaces.series.panel import Asked, asked, learned_from, panel_of, past_means, series_of
from search_spaces.series.scaling import SCALINGS, OriginScale
from search_spaces.spec import (
    Choice,
    Family,
    Float,
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
)

SPACE: Space = {
    "scaling": Choice(SCALINGS, start="log"),
    "base": Choice(BASES, start="season"),
    "context": Int(1, 16, start=6, log=True),  # seasons in the window
    "is_long": Choice((False, True), start=True),  # means of longer windows beside it
    "halving": Float(0.05, 5.0, start=0.3, log=True),  # age at which an origin counts half, in longest histories
    "penalty": Float(1e-3, 100.0, start=0.1, log=True),
}

PORTFOLIO: tuple[Params, ...] = (
    {"scaling": "std", "halving": 0.2},
    {"scaling": "mean", "halving": 0.2},
    {"context": 8, "halving": 0.1},
    {"context": 5, "is_long": False, "halving": 1.0},
    {"scaling": "none", "context": 3, "penalty": 10.0},
)

SEASONLESS = 4  # steps that count as a season where there is none
MOST_ORIGINS = 30_000  # learned from
MOST_PAIRS = 20_000_000  # of an origin and a number that it is told by, or that follows it: 160 MB
FEW_ORIGINS = 2_000  # where the time is over before it began
FARTHEST_IN, FARTHEST_OUT = 8.0, 5.0  # on the common scale, from the window's mean and from the rule
PASSES = 3  # to turn squared misses into absolute ones; further ones change little
LEAST_MISS = 0.05  # of the median miss: below it an origin weighs no more
MOST_ROLLS = 8  # horizons ahead; what lies beyond repeats the last season


class LagLinear:
    """A map, and the scales of what is known beside the series."""

    is_cut = False

    def __init__(self, params: Params) -> None:
        self.params = dict(params)

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:  # noqa: ARG002 - part of the protocol
        """Solve for the map, three times where medians are asked for, as far as the time goes."""
        from threadpoolctl import threadpool_limits

        panel = panel_of(train.X.media)
        self.ground = PanelGround.of(train, run)
        longest = int(np.diff(panel.starts).max(initial=0))
        self.context = max(1, min(self.params["context"] * self._season, longest))
        width = min(longest, width_for(self._width + self.ground.horizon, len(panel.starts)))
        seen = learned_from(train, width)
        past = RunningPast(seen.values)
        moments = self._origins(past, FEW_ORIGINS if run.is_over else MOST_ORIGINS)
        places = seen.ends[moments.history] - past.width + moments.ends
        told = self._told_beside(panel, places, seen.series[moments.history])
        with np.errstate(all="ignore"):
            self.middle = np.nan_to_num(_mean(told))
            self.spread = np.sqrt(np.nan_to_num(_mean((told - self.middle) ** 2)))
        self.spread = np.where(self.spread > 0, self.spread, 1.0)
        inputs, scale, base = self._inputs(past, moments, told)
        missed = self._missed(past, moments, scale, base)
        weight = self._weight(train, seen.series[moments.history], scale.slope(base[:, 0]))
        weight = weight * 0.5 ** ((past.width - moments.ends) / (self.params["halving"] * past.width))
        self.is_cut = run.is_over
        with threadpool_limits(run.threads):
            self._solve(inputs, missed, weight, run)

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Foretell rows, some at a time."""
        from threadpoolctl import threadpool_limits

        said = np.empty(len(X))
        with threadpool_limits(threads):
            for part in self._parts(len(X)):
                some = X.take(np.arange(len(X))[part])
                panel = panel_of(some.media)
                rows = asked(panel, min(int(np.diff(panel.starts).max(initial=0)), self._width))
                said[part] = self._answers(panel, rows)
        return said

    def dump(self) -> dict[str, bytes]:
        """Facts and arrays."""
        facts = {"params": self.params, "ground": self.ground.as_json(), "context": self.context}
        state = {"map": self.map, "middle": self.middle, "spread": self.spread}
        return {"lags.json": pack_json(facts), "map.npz": pack_arrays(state)}

    # --- what it is told ---------------------------------------------------------------------------------------------

    @property
    def _season(self) -> int:
        season: int = self.ground.season
        return season if season > 1 else SEASONLESS

    @property
    def _width(self) -> int:
        """Columns of a history that matter."""
        return int(max(self.context, *self._long_windows, 6 * self.ground.season, self.ground.span)) + 1

    @property
    def _long_windows(self) -> tuple[int, ...]:
        """Longer ones, of which means alone are told."""
        return tuple(times * self.context for times in (2, 4, 8)) if self.params["is_long"] else ()

    @property
    def _windows(self) -> list[int]:
        """Over which means are told beside single values: the penalty then spares what is smooth."""
        season = self._season
        return [window for window in (season // 2, season, 2 * season, 4 * season) if 1 < window <= self.context]

    def _parts(self, count: int) -> Iterator[slice]:
        at_once = max(1, MOST_CELLS // (self._width + len(self.map) + self.ground.horizon))
        yield from (slice(first, first + at_once) for first in range(0, count, at_once))

    def _origins(self, past: RunningPast, most: int) -> Moments:
        """Columns after which something is known, and before which about a season; of many some of all ages."""
        most = min(most, max(1, MOST_PAIRS // (self.context + self.ground.horizon)))
        least = min(self.ground.season + 1, max(1, past.width // 2))
        history, ends = np.nonzero(past.counts[:, :-1] >= least)
        is_followed = past.newest[history, -1] >= ends
        history, ends = history[is_followed], ends[is_followed]
        order = spread_over(np.argsort(-ends, kind="stable"), most)
        return Moments(history[order], ends[order], np.ones(len(order), dtype=np.int64))

    def _told_beside(self, panel: Panel, places: np.ndarray, series: np.ndarray) -> np.ndarray:
        """What else was known at each origin: the newest, and means over a season."""
        return np.concatenate([past_means(panel, places, series, one) for one in (1, self._season)], axis=1)

    def _inputs(
        self, past: RunningPast, moments: Moments, told: np.ndarray
    ) -> tuple[np.ndarray, OriginScale, np.ndarray]:
        """Windows as the map takes them, their scales, and what the rule says of all steps on these."""
        scale = past.scale(moments, self.params["scaling"], self.ground.span, self.ground.unit)
        center = scale.to(past.mean(moments, max(2, self.ground.season)))
        center = np.where(np.isfinite(center), center, scale.to(past.last(moments)))
        columns = np.maximum(moments.ends[:, None] - np.arange(self.context), 0)
        history = moments.history[:, None]
        window = _near(scale.to(past.at(history, past.newest[history, columns])) - center[:, None])
        means = [np.sqrt(one) * window[:, :one].mean(axis=1, keepdims=True) for one in self._windows]
        means += [_near(scale.to(past.mean(moments, one)) - center)[:, None] for one in self._long_windows]
        beside = _near((told - self.middle) / self.spread)
        steps = [np.full(len(moments), step) for step in range(1, self.ground.horizon + 1)]
        base = [
            base_of(past, Moments(moments.history, moments.ends, step), self.params["base"], self.ground.season, scale)
            for step in steps
        ]
        inputs = np.concatenate([window, *means, beside, np.ones((len(window), 1))], axis=1)
        return inputs, scale, np.stack(base, axis=1)

    # --- learning ----------------------------------------------------------------------------------------------------

    def _missed(self, past: RunningPast, moments: Moments, scale: OriginScale, base: np.ndarray) -> np.ndarray:
        """(origins, horizon): what follows, as it differs from the rule; NaN where it is not known."""
        columns = moments.ends[:, None] + np.arange(self.ground.horizon)
        missed = scale.to(past.at(moments.history[:, None], columns)) - base
        return np.asarray(np.clip(missed, -FARTHEST_OUT, FARTHEST_OUT))

    def _weight(self, train: Rows, series: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Of each origin: the mean weight of its series' rows, in the values' own unit."""
        given = None
        if train.weight is not None:
            panel = panel_of(train.X.media)
            of_row = series_of(panel, panel.rows)
            counts = np.bincount(of_row, minlength=len(panel.starts))
            given = (np.bincount(of_row, train.weight, len(panel.starts)) / np.maximum(counts, 1))[series]
        weight = self.ground.weights(given, slope)
        return np.ones(len(series)) if weight is None else weight

    def _solve(self, inputs: np.ndarray, missed: np.ndarray, weight: np.ndarray, run: Run) -> None:
        """Ridge again and again; what is not known is taken as foretold, and so says nothing."""
        self.map = np.zeros((inputs.shape[1], self.ground.horizon))
        is_known = np.isfinite(missed)
        answers, each = np.where(is_known, missed, 0.0), weight
        penalty = np.full(inputs.shape[1], self.params["penalty"] * max(1.0, len(inputs) / 1000))
        penalty[-1] = 1e-6
        for at in range(PASSES if len(inputs) else 0):
            if at and run.is_over:
                self.is_cut = True
                return
            weighted = inputs * each[:, None]
            self.map = np.linalg.solve(weighted.T @ inputs + np.diag(penalty), weighted.T @ answers)
            foretold = inputs @ self.map
            off = np.where(is_known, answers - foretold, 0.0)
            answers = np.where(is_known, answers, foretold)
            if self.ground.is_absolute:
                miss = np.abs(off).sum(axis=1) / is_known.sum(axis=1)
                each = weight / np.maximum(miss, max(LEAST_MISS * float(np.median(miss)), 1e-9))
                each = each / each.mean()

    # --- answering ---------------------------------------------------------------------------------------------------

    def _answers(self, panel: Panel, rows: Asked) -> np.ndarray:
        """Of each row; beyond the horizon the map goes on from its own forecasts."""
        horizon, season, histories = self.ground.horizon, self.ground.season, rows.histories
        most = MOST_ROLLS * horizon
        cycle = season if season <= most else 1
        steps = np.where(rows.steps <= most, rows.steps, most - (most - rows.steps) % cycle)
        told = self._told_beside(panel, histories.ends, histories.series)
        if told.shape[1] != len(self.middle):  # history that was brought along without it
            told = np.full((len(histories), len(self.middle)), np.nan)
        values, ahead = histories.values, np.zeros((len(histories), 0))
        first, start = RunningPast(values), _at_end(histories.values)
        while ahead.shape[1] < steps.max(initial=0):
            past, moments = (first, start) if not ahead.shape[1] else (RunningPast(values), _at_end(values))
            inputs, scale, base = self._inputs(past, moments, told)
            said = self.ground.bounded(first, start, scale.back(base + inputs @ self.map))
            ahead, values = np.concatenate([ahead, said], axis=1), np.concatenate([values, said], axis=1)
        return np.asarray(ahead[rows.of_row, np.maximum(steps, 1) - 1])


def _at_end(values: np.ndarray) -> Moments:
    """Histories, all their columns known."""
    count = len(values)
    return Moments(np.arange(count), np.full(count, values.shape[1]), np.ones(count, dtype=np.int64))


def _near(values: np.ndarray) -> np.ndarray:
    """No input so far from the middle that it decides alone; what is missing lies in the middle."""
    return np.asarray(np.clip(np.nan_to_num(values), -FARTHEST_IN, FARTHEST_IN))


def _mean(values: np.ndarray) -> np.ndarray:
    """Of each column what is known."""
    is_known = np.isfinite(values)
    return np.asarray(np.where(is_known, values, 0.0).sum(axis=0) / np.maximum(is_known.sum(axis=0), 1))


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    facts = unpack_json(parts["lags.json"])
    need(isinstance(facts.get("params"), dict) and isinstance(facts.get("ground"), dict), "its facts are incomplete")
    params = known(SPACE, facts["params"])
    need(set(params) >= set(SPACE), "a knob is missing")
    learner = LagLinear(params)
    learner.ground = PanelGround.read(facts["ground"])
    need(len(learner.ground.usual) == 1, "it answers with one number")
    learner.context = whole(facts.get("context"), "context", 1, LONGEST)
    state = unpack_arrays(parts["map.npz"])
    learner.middle = table(state, "middle", (None,), "f")
    learner.spread = table(state, "spread", (len(learner.middle),), "f")
    inputs = learner.context + len(learner._windows) + len(learner._long_windows) + len(learner.middle) + 1
    learner.map = table(state, "map", (inputs, learner.ground.horizon), "f")
    need(all(bool(np.isfinite(one).all()) for one in state.values()), "a number is not finite")
    need(bool((learner.spread > 0).all()), "a spread is not above zero")
    return learner


FAMILY = Family(
    name="lag_linear",
    title="linear map of lags",
    route="classical",
    space=SPACE,
    build=LagLinear,
    load=load,
    reads=frozenset({"panel"}),
    needs=Needs(tasks=frozenset({"regression"})),
    portfolio=PORTFOLIO,
    price=Price(0.1, 3.0),
    recipes=("plain",),
    is_threaded=False,
    imports=("threadpoolctl",),
)
