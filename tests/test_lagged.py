"""Tables of lags, scales of series, the calendar, and the two families that learn from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import search_spaces
from search_spaces.contracts import run_of
from search_spaces.series import contracts
from search_spaces.series.calendar import calendar, longer_season
from search_spaces.series.contracts import made_up_panel, rows_of, with_panel
from search_spaces.series.lags import BASES, LagReach, Moments, RunningPast, base_of, lag_table
from search_spaces.series.panel import panel_of, past_means
from search_spaces.series.scaling import SCALINGS, OriginScale
from search_spaces.spec import Learner, Matrix, Params, Rows, Run, starts

LAGGED = ("lag_boosting", "lag_linear")
QUICK = {"lag_boosting": {"rounds": 30, "learning_rate": 0.2, "num_leaves": 8}, "lag_linear": {}}
RUN = replace(run_of("regression"), metric="mae")


def fitted(name: str, train: Rows, params: Params | None = None, run: Run = RUN) -> Learner:
    """A family's learner after a quick fit."""
    family = search_spaces.get(name)
    if family.needs.package is not None:
        pytest.importorskip(family.needs.package)
    learner: Learner = family.build({**starts(family.space), **QUICK[name], **(params or {})})
    learner.fit(train, None, run)
    return learner


def missed(name: str, rows: tuple[Rows, Rows], params: Params | None = None) -> float:
    """The mean miss of a quick fit on the newest window."""
    train, held = rows
    return float(np.abs(fitted(name, train, params).predict(held.X) - held.y).mean())


def without(rows: Rows, *, numbers: bool = False, past: bool = False) -> Rows:
    """The same rows, less of what is known beside their series."""
    X = rows.X
    if past:
        X = with_panel(X, replace(panel_of(X.media), past=None))
    return replace(rows, X=replace(X, numbers=X.numbers[:, :0] if numbers else X.numbers))


# --- the calendar ----------------------------------------------------------------------------------------------------


def test_months_tell_their_place_in_the_year_and_their_days() -> None:
    """February 2024 had 29 days, four Fridays, Saturdays and Sundays each; March 2024 five of each."""
    said = calendar(np.array([12 * 54 + 1, 12 * 54 + 2]), "MS")
    assert {name: values.tolist() for name, values in said.items()} == {
        "month": [1, 2], "days": [29, 31], "Fridays": [4, 5], "Saturdays": [4, 5], "Sundays": [4, 5],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("frequency", "step"), [("D", 19_782), ("h", 19_782 * 24), ("15min", 19_782 * 96), ("B", 14_130)]
)
def test_a_day_has_one_weekday_and_one_place_in_the_year_at_any_frequency(frequency: str, step: int) -> None:
    """The 29th of February 2024 was a Thursday and the 60th day of its year."""
    said = calendar(np.array([step]), frequency)
    assert (said["weekday"].item(), said["day of year"].item()) == (3, 60)


@pytest.mark.parametrize("frequency", ["", "YS", "fortnight", "12"])
def test_nothing_is_said_of_steps_without_a_place_in_the_calendar(frequency: str) -> None:
    """Whole years, plain numbers and unknown words have no dates."""
    assert calendar(np.arange(3), frequency) == {}


def test_a_day_of_hours_has_a_week_beside_it() -> None:
    """The further season is the week of a day, the year of a week, and otherwise there is none."""
    assert [longer_season(*one) for one in (("h", 24), ("15min", 96), ("D", 7), ("MS", 12), ("h", 12), ("", 7))] == [
        168, 672, 364, 0, 0, 0,
    ]  # fmt: skip


# --- scales and lags -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SCALINGS)
@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_values_come_back_from_their_scale(kind: str, size: float) -> None:
    """At any size and with any sign; and series that differ in size alone look alike."""
    values = size * np.array([[3.0, -1.0, 0.0, 2.0, 5.0]])
    past = RunningPast(values)
    moments = Moments(np.zeros(1, dtype=int), np.array([5]), np.ones(1, dtype=int))
    scale = past.scale(moments, kind, 4, unit=size)
    assert np.allclose(scale.back(scale.to(values)), values, rtol=1e-9, atol=1e-9 * size)
    plain = RunningPast(values / size).scale(moments, kind, 4, unit=1.0)
    assert np.allclose(scale.to(values), plain.to(values / size))
    assert scale.slope(scale.to(values[:, 0])) > 0


def test_no_column_of_a_table_tells_of_what_was_unknown() -> None:
    """Values after the origin may be anything, whatever the step, the season and the rule."""
    random = np.random.default_rng(0)
    values = random.normal(size=(1, 60)) + 5
    spoilt = np.where(np.arange(60) < 40, values, -1e9)
    steps = np.arange(1, 20)
    moments = Moments(np.zeros(19, dtype=int), np.full(19, 40), steps)
    reach = LagReach(5, 3, (7, 14), (3, 7, 30))
    tables = []
    for block in (values, spoilt):
        past = RunningPast(block)
        scale = past.scale(moments, "log", 14, 1.0)
        bases = [base_of(past, moments, kind, 7, scale) for kind in BASES]
        tables.append(np.column_stack([lag_table(past, moments, reach, scale, bases[2]), *bases]))
    assert np.array_equal(*tables, equal_nan=True)


def test_rules_foretell_what_they_say() -> None:
    """Of a season of three that grows: the mean, the last, the one of the season before, and this with growth."""
    past = RunningPast(np.array([[1.0, 2.0, 6.0, 2.0, 3.0, 7.0]]))
    moments = Moments(np.zeros(2, dtype=int), np.array([6, 6]), np.array([1, 5]))
    scale = OriginScale(np.zeros(2), np.ones(2))
    said = {kind: base_of(past, moments, kind, 3, scale).tolist() for kind in BASES}
    assert said == {"mean": [4, 4], "last": [7, 7], "season": [2, 3], "drift": [3, 5]}


def test_what_is_known_beside_a_series_is_read_before_an_origin_only() -> None:
    """Means end right before the place, begin no earlier than the series, leave gaps out, and may be of nothing."""
    train, _ = rows_of([np.ones(8), np.ones(8)])
    past = np.arange(16.0, dtype=np.float32)[:, None].copy()
    past[6] = np.nan
    panel = replace(panel_of(train.X.media), past=past)
    found = past_means(panel, np.array([7, 8, 10, 5]), np.array([0, 1, 1, 0]), 3)[:, 0]
    assert np.array_equal(found, [4.5, np.nan, 8.5, 3.0], equal_nan=True)


# --- the families ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAGGED)
def test_a_season_with_a_trend_is_foretold_better_than_by_the_season_before(name: str) -> None:
    """Both families learn that series grow, each by its own size."""
    train, held = made_up_panel(count=20, length=80)
    panel = panel_of(held.X.media)
    known = np.isfinite(held.y)
    before = panel.store[panel.rows - panel.season]
    naive = np.nanmean(np.abs(before - held.y))
    said = fitted(name, train).predict(held.X)
    assert np.abs(said - held.y)[known].mean() < 0.8 * naive


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("name", LAGGED)
def test_each_scale_keeps_the_contract(name: str, scaling: str) -> None:
    """Not the default one alone."""
    family = search_spaces.get(name)
    if family.needs.package is not None:
        pytest.importorskip(family.needs.package)
    base = BASES[SCALINGS.index(scaling)]
    params = {**starts(family.space), "rounds": 2, "scaling": scaling, "base": base}
    contracts.check_forecasts(lambda: family.build(params), family.load)


def driven(seed: int = 0) -> tuple[Rows, Rows]:
    """Series that follow a number known ahead, and one that was known a step before."""
    random = np.random.default_rng(seed)
    series = [10.0 + np.zeros(80) for _ in range(12)]
    train, held = rows_of(series, held=1)
    panel = panel_of(train.X.media)
    ahead, before = random.normal(size=(2, len(panel.store))).astype(np.float32)
    store = panel.store + 3 * ahead + 3 * np.concatenate([[0.0], before[:-1]])
    told = []
    for rows in (train, held):
        places = panel_of(rows.X.media).rows
        X = with_panel(rows.X, replace(panel_of(rows.X.media), store=store, past=before[:, None]))
        X = replace(X, numbers=ahead[places, None])
        told.append(replace(rows, X=X, y=store[places]))
    return told[0], told[1]


def test_boosting_uses_what_is_known_ahead_and_what_was_known_before() -> None:
    """Without either it misses more."""
    rows = driven()
    everything = missed("lag_boosting", rows, {"base": "mean"})
    for less in ({"numbers": True}, {"past": True}):
        train, held = (without(one, **less) for one in rows)
        assert everything < 0.8 * missed("lag_boosting", (train, held), {"base": "mean"})


def test_the_linear_map_uses_what_was_known_before() -> None:
    """Without it it misses more."""
    train, held = driven()
    assert missed("lag_linear", (train, held)) < 0.9 * missed(
        "lag_linear", (without(train, past=True), without(held, past=True))
    )


@pytest.mark.parametrize("name", LAGGED)
def test_history_may_come_without_what_was_known_beside_it(name: str) -> None:
    """What training knew beside its series is missing then, and forecasts are finite."""
    train, held = made_up_panel()
    assert np.isfinite(fitted(name, train).predict(without(held, past=True).X)).all()


@pytest.mark.parametrize("name", LAGGED)
def test_large_weights_decide(name: str) -> None:
    """Where half of the series rise and half fall from the same wave, those that weigh more are followed."""
    wave = 50 + np.sin(np.arange(40.0))
    turns = np.where(np.arange(40) % 6 == 3, 10.0, 0.0)
    train, held = rows_of([wave + turns] * 5 + [wave - turns] * 5, is_bare=True)
    of_row = np.searchsorted(panel_of(train.X.media).starts, panel_of(train.X.media).rows, side="right") - 1
    first = fitted(name, replace(train, weight=np.where(of_row < 5, 1.0, 1e-3))).predict(held.X)
    other = fitted(name, replace(train, weight=np.where(of_row < 5, 1e-3, 1.0))).predict(held.X)
    assert not np.allclose(first, other)


def test_no_more_examples_are_taken_than_asked_for_and_the_newest_first() -> None:
    """Series that changed long ago are learned as they are now."""
    from search_spaces.classical.lag_boosting import _examples
    from search_spaces.series.panel import learned_from

    train, _ = made_up_panel(count=30, length=60, is_bare=True)
    panel = panel_of(train.X.media)
    seen = learned_from(train)
    rows, moments = _examples(panel, seen, RunningPast(seen.values), (300, 0))
    assert 250 < len(rows) <= 300
    age = seen.ends[moments.history] - panel.rows[rows]
    assert age.max() <= 4 * panel.season
    assert set(panel.stamps[panel.rows[rows]] % panel.season) == set(range(panel.season)), (
        "no place of a season is left out"
    )
    assert (moments.ends + moments.steps - 1 == seen.values.shape[1] - age).all()
    few, some = _examples(panel, seen, RunningPast(seen.values), (10**6, 0))
    assert len(few) > 3 * len(train), "each value is an example at each step"
    assert set(some.steps.tolist()) == {1, 2, 3, 4}


@pytest.mark.parametrize("name", LAGGED)
def test_a_deadline_that_has_passed_is_said(name: str) -> None:
    """Many rounds, or passes, end at once; what there is foretells."""
    train, held = made_up_panel(count=20, length=80)
    learner = fitted(name, train, {"rounds": 1000}, replace(RUN, until=0.0))
    assert learner.is_cut
    assert np.isfinite(learner.predict(held.X)).all()


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("lags.json", b'"season": 6', b'"season": -6'),
        ("lags.json", b'"scaling": "log"', b'"scaling": "odd"'),
        ("lags.json", b'"usual": [', b'"usual": [null, '),
        ("lags.json", b'"frequency": "MS"', b'"frequency": 7'),
    ],
)
@pytest.mark.parametrize("name", LAGGED)
def test_damaged_facts_are_refused(name: str, part: str, old: bytes, new: bytes) -> None:
    """In a line, before anything is foretold."""
    parts = fitted(name, made_up_panel()[0]).dump()
    assert old in parts[part]
    load = search_spaces.get(name).load
    assert load is not None
    with pytest.raises(ValueError, match=r"is|knob|usual"):
        load({**parts, part: parts[part].replace(old, new)})


def test_a_model_of_another_table_is_refused() -> None:
    """Trees that ask for columns which the lags do not have, and a map of another window."""
    parts = fitted("lag_linear", made_up_panel()[0]).dump()
    load = search_spaces.get("lag_linear").load
    assert load is not None
    with pytest.raises(ValueError, match="map has the shape"):
        load({**parts, "lags.json": parts["lags.json"].replace(b'"context": 36', b'"context": 35')})


def test_categories_that_change_are_learned_and_those_of_a_series_if_wanted() -> None:
    """Which series it is says little that its values do not; which day it is may say much."""
    train, held = made_up_panel()
    X = held.X
    other = Matrix(X.numbers, np.zeros_like(X.codes), X.sizes, X.media)
    for statics in (False, True):
        learner = fitted("lag_boosting", train, {"statics": statics, "min_data_in_leaf": 5})
        assert learner.codes == [0] * statics
        assert np.array_equal(learner.predict(X), learner.predict(other)) == (not statics)
    changing = np.random.default_rng(0).integers(1, 4, (len(train), 1)).astype(np.int32)
    codes = np.concatenate([train.X.codes, changing], axis=1)
    both = replace(train, X=replace(train.X, codes=codes, sizes=(*train.X.sizes, 4)))
    assert fitted("lag_boosting", both).codes == [1]
