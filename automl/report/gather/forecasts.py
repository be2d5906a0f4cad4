"""What the chosen model foretold in its backtests, and what came: by steps ahead, by window, by series, three drawn.

Counted are the held-out predictions that there are; nothing is fitted. Ends of intervals are learned on half of the
rows and held against the other half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from automl.modalities import mixture
from automl.modalities.mixture import NamedPanel
from automl.refit import conforming
from automl.refit.conforming import HeldOutSample
from automl.report.gather import drawn_series
from automl.report.gather.coverage import halves
from automl.report.gather.findings import GatherInputs
from automl.report.sections.forecasts import (
    ErrorBinJson,
    ForecastsJson,
    HeldLevelJson,
    SeriesErrorJson,
    SkillJson,
    StepErrorJson,
    WindowErrorJson,
)
from automl.scoring import grouped, metrics
from automl.scoring.conformal import Said
from automl.scoring.metrics import SCALED, Redrawing
from search_spaces.series.panel import season_again, series_of

LEVELS = (0.8, 0.95)
MOST_STEPS = 48  # told apart; of longer horizons neighbours are told together
WORST, BINS, LEAST_BINNED = 10, 20, 5  # series
NEARLY_ALL = 0.98  # of the series are in bins of equal width; the last bin holds the others as well
UNSCALED = 1e-6  # of the usual weight of a row, below which its series has no scale
ROWS = 10_000  # to learn intervals from
SURE = 0.95
LEAST_NAIVE = 0.01  # of the yardstick's error on all rows, that redrawn ones have at least

Ends = Mapping[float, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Backtests:
    """Held-out steps: where they are, what came, what was foretold, and what repeating the last season would have."""

    named: NamedPanel
    metric: str  # that is counted
    places: np.ndarray  # in the store
    series: np.ndarray
    window: np.ndarray
    step: np.ndarray  # ahead, from 1
    y: np.ndarray
    said: np.ndarray
    naive: np.ndarray
    weight: np.ndarray | None
    ends: Ends  # by level; NaN where nothing taught them

    def errors(self, group: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each group the error, that of the last season again, and its rows."""
        told = (grouped.by_group(self.metric, self.y, one, self.weight, group) for one in (self.said, self.naive))
        own, naive = told
        return own, naive, np.bincount(group, minlength=len(own))


def gather(given: GatherInputs) -> ForecastsJson | None:
    """Everything there is to tell; None of rows that are no steps of series."""
    finish, comparison = given.finish, given.finish.comparison
    named = mixture.named_panel(finish.ready.shared.raw, finish.dataset.decoded)
    if named is None:
        return None
    whole = conforming.sample(comparison, finish.ready, most=len(comparison.y))
    said = conforming.said(given.end.chosen, comparison, whole)
    found: ForecastsJson = {
        "why_not": None, "metric": grouped.counted(comparison.metric.name), "series": len(named.panel.starts) - 1,
        "rows": len(whole.y), "step": named.step, "horizon": named.panel.horizon, "season": named.panel.season,
        "error": None, "naive": None, "skill": None, "held": [], "steps": [], "windows": [], "worst": [], "bins": [],
        "unscaled": 0, "drawn": [],
    }  # fmt: skip
    if not len(whole.y):
        return {**found, "why_not": "no step was held out"}
    if not np.isfinite(said.middle).all():
        return {**found, "why_not": "not all that was foretold are numbers"}
    tests = _backtests(given, named, whole, said)
    own, naive, _ = tests.errors(np.zeros(len(tests.y), dtype=np.int64))
    found["error"], found["naive"] = rough(own[0]), rough(naive[0])
    found["skill"] = _skill(given, tests, whole)
    found["held"] = [_held(tests, level) for level in LEVELS]
    found["steps"], found["windows"] = _steps(tests), _windows(tests)
    errors, repeats, rows = tests.errors(tests.series)
    errors = np.where(_is_scaled(tests, len(errors)), errors, np.nan)
    found["unscaled"] = int(((rows > 0) & ~np.isfinite(errors)).sum())
    if np.isfinite(errors).sum() > 1:
        found["worst"], found["bins"] = _worst(tests, (errors, repeats, rows)), _bins(errors)
    found["drawn"] = drawn_series.gather(tests, errors, rows)
    return found


def rough(value: float) -> float | None:
    """As far as it is worth telling; None of what is no number."""
    return float(f"{value:.5g}") if np.isfinite(value) else None


def _backtests(given: GatherInputs, named: NamedPanel, whole: HeldOutSample, said: Said) -> Backtests:
    finish, comparison, panel = given.finish, given.finish.comparison, named.panel
    places = panel.rows[comparison.rows]
    return Backtests(
        named=named,
        metric=grouped.counted(comparison.metric.name),
        places=places,
        series=series_of(panel, places),
        window=finish.ready.shared.folds.of_row[comparison.rows].astype(np.int64),
        step=np.maximum(places - panel.origins[places] + 1, 1),
        y=whole.y.astype(np.float64),
        said=said.middle,
        naive=season_again(panel, places),
        weight=comparison.weight if comparison.weight is not None and comparison.weight.any() else None,
        ends=_ends(whole, said),
    )


def _ends(whole: HeldOutSample, said: Said) -> Ends:
    """Of each row the ends of its intervals, by what the other half of the rows taught."""
    rows = len(whole.y)
    found = {level: (np.full(rows, np.nan), np.full(rows, np.nan)) for level in LEVELS}
    half = next(halves(whole.blocks, rows))
    for seen, asked in ((half, ~half), (~half, half)):
        if not seen.any() or not asked.any():
            break
        some, others = np.flatnonzero(seen), np.flatnonzero(asked)
        if len(some) > ROWS:
            some = np.sort(np.random.default_rng(0).choice(some, ROWS, replace=False))
        known = whole.learn(said, some)
        for level, (low, high) in found.items():
            low[others], high[others] = known.interval(said.take(others), level)
    return found


def _skill(given: GatherInputs, tests: Backtests, whole: HeldOutSample) -> SkillJson | None:
    """What is saved of the error of repeating the last season, with its interval over redrawn rows."""
    metric = metrics.get(tests.metric)
    own, naive = (metric.error(tests.y, told, tests.weight) for told in (tests.said, tests.naive))
    if not np.isfinite(own + naive) or naive <= 0:
        return None
    saved = 1 - own / naive
    redrawn = Redrawing(tests.y, tests.weight, whole.blocks, until=given.until)
    moved = redrawn.moves(metric, [tests.said, tests.naive]) + np.array([own, naive])
    shares = 1 - moved[:, 0] / np.maximum(moved[:, 1], LEAST_NAIVE * naive)
    ends = saved + redrawn.wider(SURE) * (np.quantile(shares, ((1 - SURE) / 2, (1 + SURE) / 2)) - saved)
    low, high = min(saved, ends[0]), min(1.0, max(saved, ends[1]))
    return {"value": rough(saved), "low": rough(low), "high": rough(high)}


def _held(tests: Backtests, level: float) -> HeldLevelJson:
    low, high = tests.ends[level]
    is_held, is_told = _are_held(tests, level), np.isfinite(low) & np.isfinite(high)
    width = float((high - low)[is_told].mean()) if is_told.any() else np.nan
    return {
        "level": level,
        "share": rough(float(np.nanmean(is_held))) if _any(is_held) else None,
        "width": rough(width),
    }


def _are_held(tests: Backtests, level: float) -> np.ndarray:
    """1 or 0 of each row; NaN where its interval is not known."""
    low, high = tests.ends[level]
    inside = (low <= tests.y) & (tests.y <= high)
    return np.where(np.isnan(low) | np.isnan(high), np.nan, inside)


def _any(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).any())


def _steps(tests: Backtests) -> list[StepErrorJson]:
    """By steps ahead, neighbours together where the horizon is long."""
    steps = np.unique(tests.step)
    parts = np.array_split(steps, min(MOST_STEPS, len(steps)))
    firsts, lasts = np.array([part[0] for part in parts]), np.array([part[-1] for part in parts])
    group = np.searchsorted(firsts, tests.step, side="right") - 1
    own, naive, rows = tests.errors(group)
    shares = [_share(_are_held(tests, level), group, len(parts)) for level in LEVELS]
    return [
        {
            "step": int(firsts[k]), "last": int(lasts[k]), "error": rough(own[k]), "naive": rough(naive[k]),
            "rows": int(rows[k]), "held80": rough(shares[0][k]), "held95": rough(shares[1][k]),
        }
        for k in range(len(parts))
    ]  # fmt: skip


def _share(is_held: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """Of each group the share that is held."""
    is_known = np.isfinite(is_held)
    known = np.bincount(group[is_known], minlength=count)
    held = np.bincount(group[is_known], is_held[is_known], minlength=count)
    return np.where(known > 0, held / np.maximum(known, 1), np.nan)


def _windows(tests: Backtests) -> list[WindowErrorJson]:
    """By backtest, the newest first."""
    numbers, group = np.unique(tests.window, return_inverse=True)
    own, naive, rows = tests.errors(group)
    found: list[WindowErrorJson] = []
    for k in range(len(numbers)):
        places = tests.places[group == k]
        stamps = tests.named.panel.stamps[places]
        first, last = tests.named.times(places[[stamps.argmin(), stamps.argmax()]])
        found.append(
            {"first": first, "last": last, "error": rough(own[k]), "naive": rough(naive[k]), "rows": int(rows[k])}
        )
    return found


def _is_scaled(tests: Backtests, count: int) -> np.ndarray:
    """Which series have an error that means something: where weights scale it, those that have a weight."""
    if tests.metric not in SCALED or tests.weight is None:
        return np.ones(count, dtype=bool)
    most = np.zeros(count)
    np.maximum.at(most, tests.series, tests.weight)
    return most > UNSCALED * float(np.median(tests.weight[tests.weight > 0]))


def _worst(tests: Backtests, told: tuple[np.ndarray, np.ndarray, np.ndarray]) -> list[SeriesErrorJson]:
    errors, naive, rows = told
    order = np.argsort(-np.where(np.isfinite(errors), errors, -np.inf), kind="stable")[:WORST].tolist()
    return [
        {
            "name": tests.named.names[at], "error": float(f"{errors[at]:.5g}"), "naive": rough(naive[at]),
            "rows": int(rows[at]),
        }
        for at in order
        if np.isfinite(errors[at])
    ]  # fmt: skip


def _bins(errors: np.ndarray) -> list[ErrorBinJson]:
    """How many series err how much, in bins of equal width."""
    known = errors[np.isfinite(errors)]
    low, high = float(known.min()), float(np.quantile(known, NEARLY_ALL))
    if len(known) < LEAST_BINNED or not high > low:
        return []
    counts, edges = np.histogram(np.minimum(known, high), min(BINS, max(LEAST_BINNED, len(known) // 5)), (low, high))
    return [
        {"low": float(f"{edges[k]:.5g}"), "high": float(f"{edges[k + 1]:.5g}"), "series": int(counts[k])}
        for k in range(len(counts))
    ]
