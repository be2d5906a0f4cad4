"""The contract of a forecaster as checks that anyone can run, for families here and for networks trained elsewhere.

What search_spaces.contracts asks of any learner, and what only series bring: no value at or after an origin is seen,
histories may be empty, constant or huge, series may be new, steps may lie beyond the horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from search_spaces.contracts import Load, Make, check_fit, check_space, run_of
from search_spaces.series.panel import panel_of
from search_spaces.spec import OF_NUMBERS, Family, Learner, Matrix, Panel, Params, Rows, Run, Size, Task

COLUMN = "time"  # the name of the panel's column
HORIZON, SEASON = 4, 6
_FAR = 3 * HORIZON + 1  # steps after an origin, beyond the horizon
_MOST = 100.0  # times the largest value that was seen: what lies beyond has run away
_METRICS: dict[Task, tuple[str, ...]] = {"regression": ("mase", "rmse"), "quantile": ("pinball",)}


def check_forecaster(family: Family, params: Params | None = None) -> None:
    """Assert that a classical family of forecasters is well declared and that its learner keeps the contract.

    `params` are laid over the default, to make the check quick.
    """
    assert family.route == "classical", f"{family.name} is {family.route}; check its learner with check_forecasts"
    assert family.reads == {"panel"}, f"{family.name} reads {sorted(family.reads)}, not a panel"
    assert family.needs.tasks <= OF_NUMBERS, f"{family.name} forecasts, so it has no {sorted(family.needs.tasks)}"
    assert family.load is not None, f"{family.name} has no load"
    assert family.price.fit_s(Size(1000, 1)) >= 0, f"{family.name} has a price of {family.price}"
    check_space(family)
    config = {**family.configs()[0], **(params or {})}
    for task in sorted(family.needs.tasks):
        check_forecasts(lambda: family.build(config), family.load, task)


def check_forecasts(make: Make, load: Load, task: Task = "regression") -> None:
    """Assert every line of the contract of a forecaster, however it is made and read back."""
    for metric in _METRICS[task]:
        run = replace(run_of(task), metric=metric)
        check_fit(make, load, (*made_up_panel(seed=1), run))
    learner = _fitted(make, made_up_panel()[0], run)
    _check_alone(learner, run)
    _check_leaks(make, run)
    _check_odd_histories(learner, run)
    _check_weights(make, run)
    _check_odd_lessons(make, run)
    _check_signs(make, run)


# --- series that are made up -----------------------------------------------------------------------------------------


def made_up_panel(count: int = 10, length: int = 40, seed: int = 0, is_bare: bool = False) -> tuple[Rows, Rows]:
    """Series with a level, a trend, a season and gaps; the rows to learn from, and the newest window of each.

    Some begin later. `is_bare`: nothing is known beside the values.
    """
    random = np.random.default_rng(seed)
    series = []
    for at in range(count):
        steps = np.arange(length - (at % 3) * SEASON)
        swing = np.sin(2 * np.pi * (steps + at) / SEASON)
        values = 100.0 * (at + 1) * (1.0 + 0.3 * swing + 0.01 * steps + 0.05 * random.normal(size=len(steps)))
        values[random.random(len(steps)) < 0.05] = np.nan
        series.append(values)
    return rows_of(series, is_bare=is_bare)


def rows_of(
    series: Sequence[np.ndarray], held: int = HORIZON, season: int = SEASON, is_bare: bool = False
) -> tuple[Rows, Rows]:
    """Series as rows to learn from, their known values, and the newest `held` steps of each as rows to foretell.

    The latter are foretold from their first step on; their answers may be NaN. Arrays are read-only, as workers see
    them. Beside the values are a number known ahead, one known afterwards, and the series as a category.
    """
    lengths = np.array([len(values) for values in series], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    store = np.concatenate([*series, np.zeros(0)]).astype(np.float64)
    places, of_place = np.arange(len(store)), np.repeat(np.arange(len(series)), lengths)
    first_held = starts[1:][of_place] - np.minimum(held, lengths)[of_place]
    is_held = places >= first_held
    stamps = 240 + places - starts[of_place] + (lengths.max(initial=0) - lengths)[of_place]  # from January 1990 on
    panel = Panel(
        "panel", store, places, starts=starts, origins=np.where(is_held, first_held, places), stamps=stamps,
        numbers=np.arange(len(series)), past=None if is_bare else (places % 7)[:, None].astype(np.float32),
        frequency="MS", season=season, horizon=held,
    )  # fmt: skip
    width = 0 if is_bare else 1
    numbers = (stamps % 5)[:, None].astype(np.float32)[:, :width]
    codes = (of_place + 1)[:, None].astype(np.int32)[:, :width]
    for array in (store, places, starts, panel.origins, stamps, panel.numbers, panel.past, numbers, codes):
        if array is not None:
            array.flags.writeable = False
    X = Matrix(numbers, codes, (len(series) + 1,)[:width], {COLUMN: panel})
    return _taken(X, store, ~is_held & np.isfinite(store)), _taken(X, store, is_held)


def with_panel(X: Matrix, panel: Panel) -> Matrix:
    """The same rows, of another panel."""
    return replace(X, media={COLUMN: panel})


def _taken(X: Matrix, store: np.ndarray, is_one: np.ndarray) -> Rows:
    rows = np.flatnonzero(is_one)
    y = store[rows]
    y.flags.writeable = False
    return Rows(X.take(rows), y)


def _odd_histories() -> dict[str, np.ndarray]:
    """What real histories are like now and then."""
    wave = np.sin(np.arange(40.0))
    return {
        "empty": np.zeros(0),
        "one value": np.array([3.0]),
        "two values": np.array([3.0, 5.0]),
        "one before gaps": np.array([7.0, np.nan, np.nan, np.nan]),
        "nothing known": np.full(20, np.nan),
        "constant": np.full(30, 5.0),
        "all zero": np.zeros(30),
        "mostly zero": np.where(np.arange(40) % 9 == 4, 3.0, 0.0),
        "negative": -50.0 + wave,
        "of both signs": wave,
        "huge": 1e12 * (2.0 + wave),
        "tiny": 1e-12 * (2.0 + wave),
        "growing fast": np.exp(np.arange(40.0) / 2),
        "half missing": np.where(np.arange(40) % 2 == 0, 10.0 + wave, np.nan),
        "a leap at the end": np.where(np.arange(40) < 38, 1.0, 1e6),
        "long": 20.0 + np.sin(np.arange(150.0)),
    }


# --- what is asserted ------------------------------------------------------------------------------------------------


def _fitted(make: Make, train: Rows, run: Run) -> Learner:
    learner = make()
    learner.fit(train, None, run)
    return learner


def _foretold(learner: Learner, X: Matrix, run: Run, what: str) -> np.ndarray:
    said = learner.predict(X)
    tail = () if run.task == "regression" else (run.classes,)
    assert said.shape == (len(X), *tail), f"{what}: {len(X)} rows gave shape {said.shape}"
    assert said.dtype == np.float64, f"{what}: forecasts are {said.dtype}, not float64"
    assert np.isfinite(said).all(), f"{what}: a forecast is not finite"
    assert run.task == "regression" or (np.diff(said, axis=1) >= 0).all(), f"{what}: quantiles do not rise"
    return said


def _check_alone(learner: Learner, run: Run) -> None:
    """A row is foretold alone as among others, in any order."""
    X = made_up_panel()[1].X
    whole = _foretold(learner, X, run, "rows in order")
    order = np.random.default_rng(0).permutation(len(X))
    mixed = _foretold(learner, X.take(order), run, "rows in another order")
    alone = np.concatenate([_foretold(learner, X.take(order[at : at + 1]), run, "one row") for at in range(5)])
    slack = 1e-4 * np.abs(whole).max()
    assert np.allclose(mixed, whole[order], rtol=1e-4, atol=slack), "forecasts depend on the order of the rows"
    assert np.allclose(alone, whole[order[:5]], rtol=1e-4, atol=slack), "a row alone is foretold differently"


def _check_leaks(make: Make, run: Run) -> None:
    """Whatever stands at an origin and after it, in the store or beside it, changes neither the fit nor a forecast.

    Two windows are foretold at once: what the newer one may see, the older one may not.
    """
    train, held = made_up_panel()
    panel = panel_of(held.X.media)
    newest = panel.rows
    older = newest - HORIZON
    origins = np.array(panel.origins)
    origins[older] = origins[newest] - HORIZON
    keep = ~np.isin(panel_of(train.X.media).rows, older)
    train = replace(train, X=train.X.take(np.flatnonzero(keep)), y=train.y[keep])
    twice = held.X.take(np.tile(np.arange(len(held)), 2))
    both = with_panel(twice, replace(panel, rows=np.concatenate([older, newest]), origins=origins))
    before = _fitted(make, train, run).predict(both)
    count = len(older)
    for name, hidden, first in (("older", np.concatenate([older, newest]), 0), ("newer", newest, count)):
        for value in (np.nan, -1e6):
            store, past = np.array(panel.store), np.array(panel.past)
            store[hidden], past[hidden] = value, value
            other = replace(panel, store=store, past=past, origins=origins)
            spoilt = with_panel(train.X, replace(other, rows=panel_of(train.X.media).rows))
            X = with_panel(both, replace(other, rows=panel_of(both.media).rows))
            after = _fitted(make, replace(train, X=spoilt), run).predict(X)
            rows = slice(first, first + count)
            what = f"values of its own time or later changed what is foretold of the {name} window: a leak"
            assert np.array_equal(before[rows], after[rows]), what


def _check_odd_histories(learner: Learner, run: Run) -> None:
    """Any history, of a new series or of one that training knew, any step after it, and a gap between."""
    learned = np.nanmax(np.abs(panel_of(made_up_panel()[0].X.media).store))
    for name, history in _odd_histories().items():
        ahead = rows_of([np.concatenate([history, np.full(_FAR, np.nan)])], held=_FAR)[1]
        top = max(learned, float(np.nanmax(np.abs(history), initial=0.0)))
        for number in (-1, 0):
            X = replace(ahead.X, codes=ahead.X.codes * (number + 1), sizes=(11,))
            X = with_panel(X, replace(panel_of(X.media), numbers=np.array([number]), horizon=HORIZON))
            said = _foretold(learner, X, run, f"a history that is {name}")
            assert np.abs(said).max() <= _MOST * top, f"a history that is {name}: {said.max()} after {top} at most"
        late = _foretold(learner, X.take(np.array([_FAR - 1])), run, f"a gap after a history that is {name}")
        assert np.allclose(late, said[-1:], rtol=1e-3), f"a history that is {name}: a late step alone differs"
    whole = [np.concatenate([history, np.full(HORIZON, np.nan)]) for history in _odd_histories().values()]
    X = rows_of(whole)[1].X
    X = with_panel(X, replace(panel_of(X.media), numbers=np.full(len(whole), -1)))
    _foretold(learner, replace(X, codes=np.zeros_like(X.codes), sizes=(11,)), run, "odd histories together")


def _check_weights(make: Make, run: Run) -> None:
    """Weights are taken, at any scale."""
    train, held = made_up_panel(is_bare=True)
    for scale in (1e-9, 1e9):
        weight = scale * (1.0 + np.arange(len(train)) % 3)
        _foretold(_fitted(make, replace(train, weight=weight), run), held.X, run, f"weights of about {scale}")


def _check_odd_lessons(make: Make, run: Run) -> None:
    """One series, one value, a season longer than all, nothing but zeros, and all oddities learned from at once."""
    odd = [np.concatenate([history, history[-1:], np.ones(HORIZON)]) for history in _odd_histories().values()]
    wave = 10.0 + np.sin(np.arange(20.0))
    lessons = {
        "one series": rows_of([wave], is_bare=True),
        "one value": rows_of([np.array([3.0, *np.full(HORIZON, np.nan)])]),
        "a season longer than the history": rows_of([wave[:12], wave], season=52),
        "no season": rows_of([wave, wave], season=1),
        "all zero": rows_of([np.zeros(30), np.zeros(20)]),
        "odd histories": rows_of(odd),
    }
    for name, (train, held) in lessons.items():
        said = _foretold(_fitted(make, train, run), held.X, run, f"learned from {name}")
        assert name != "all zero" or np.allclose(said, 0.0, atol=1e-3), f"zeros alone are followed by {said.max()}"


def _check_signs(make: Make, run: Run) -> None:
    """What was never below zero is not foretold below it; what always was stays there."""
    steps = np.arange(30.0)
    falling = [np.maximum(0.0, scale * (27.0 - steps)) for scale in (1.0, 2.0, 3.0, 10.0)]
    train, held = rows_of(falling)
    said = _foretold(_fitted(make, train, run), held.X, run, "falling to zero")
    assert said.min() >= 0, f"what was never below zero is foretold at {said.min()}"
    train, held = rows_of([-30.0 - values + np.sin(steps) for values in falling])
    said = _foretold(_fitted(make, train, run), held.X, run, "negative")
    assert said.mean() < 0, f"what was always below zero is foretold at {said.mean()}"
