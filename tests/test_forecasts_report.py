"""What a report tells of forecasts: counted on held-out steps; the worst, the median and the best series drawn."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from panels_made import sales

from automl.data.prepare import Prepared, prepare, weigh
from automl.data.profiler import examine
from automl.data.reading import load
from automl.ensemble.candidates import HeldOutComparison
from automl.modalities import mixture
from automl.options import Options
from automl.records import Calibration
from automl.report import fans, sections
from automl.report.gather import drawn_series, forecasts
from automl.report.gather.findings import GatherInputs
from automl.report.page import piece
from automl.report.sections.forecasts import told
from automl.scoring import grouped, metrics
from search_spaces.series.panel import season_again
from search_spaces.spec import Panel

OPTIONS = Options(target="sales", time_column="date", series_id="store", horizon=7, budget="10 trials")


def backtests(frame: pd.DataFrame, said: Any, options: Options = OPTIONS) -> tuple[GatherInputs, Prepared]:
    """The held-out steps of a run whose model says this of them: a function of answers, of places and of the panel."""
    dataset = load(frame, options, decode=mixture.read)
    profile, _ = examine(dataset, options)
    ready = prepare(weigh(dataset, profile, options), profile, options, core_s=float("inf"))
    shared, panel = ready.shared, mixture.panel(ready.shared.raw)
    folds = tuple(range(shared.folds.count))
    rows = np.concatenate([shared.folds.held(k) for k in folds])
    y = shared.y[rows]
    comparison = HeldOutComparison(
        trials=(), metric=ready.metric, folds=folds, rows=rows, y=y,
        weight=None if shared.weight is None else shared.weight[rows],
        predictions={1: said(y) if panel is None else said(y, panel, panel.rows[rows])},
        blocks=None if shared.folds.blocks is None else shared.folds.blocks[rows],
    )  # fmt: skip
    finish = SimpleNamespace(dataset=dataset, profile=profile, ready=ready, comparison=comparison)
    chosen = SimpleNamespace(weights={1: 1.0}, readout=Calibration())
    given = SimpleNamespace(finish=finish, end=SimpleNamespace(chosen=chosen), options=options, until=float("inf"))
    return cast(GatherInputs, given), ready


def noisy(y: np.ndarray, panel: Panel, places: np.ndarray) -> np.ndarray:
    """Off by more in later series and at later steps."""
    series = np.searchsorted(panel.starts, places, side="right")
    step = places - panel.origins[places] + 1
    return y + np.random.default_rng(0).normal(size=len(y)) * series * np.sqrt(step)


def gathered(frame: pd.DataFrame, said: Any = noisy, options: Options = OPTIONS) -> Mapping[str, Any]:
    found = forecasts.gather(backtests(frame, said, options)[0])
    assert found is not None
    return cast(Mapping[str, Any], found)


def test_errors_by_step_window_and_series_are_those_of_the_metric_on_their_rows() -> None:
    """The same function that ranks models, on parts of the same rows."""
    given, ready = backtests(sales(), noisy)
    found, comparison = forecasts.gather(given), given.finish.comparison
    assert found is not None
    panel = mixture.panel(ready.shared.raw)
    assert panel is not None
    places = panel.rows[comparison.rows]

    def error(some: np.ndarray) -> float:
        assert comparison.weight is not None
        return ready.metric.error(comparison.y[some], comparison.predictions[1][some], comparison.weight[some])

    assert found["error"] == pytest.approx(error(np.ones(len(places), dtype=bool)), rel=1e-4)
    step = places - panel.origins[places] + 1
    assert [one["error"] for one in found["steps"]] == pytest.approx([error(step == k) for k in range(1, 8)], rel=1e-4)
    window = ready.shared.folds.of_row[comparison.rows]
    assert [one["error"] for one in found["windows"]] == pytest.approx([error(window == k) for k in range(5)], rel=1e-4)
    assert found["windows"][0]["first"] == "2023-04-25"
    assert found["windows"][0]["last"] == "2023-05-01"
    series = np.searchsorted(panel.starts, places, side="right") - 1
    of_name = {one["name"]: one["error"] for one in found["worst"]}
    assert of_name == pytest.approx({f"s{k}": error(series == k) for k in range(4)}, rel=1e-4)
    assert [one["name"] for one in found["worst"]] == sorted(of_name, key=lambda name: -of_name[name])


@pytest.mark.parametrize("name", grouped.NAMES)
def test_groups_of_rows_have_the_error_of_the_metric(name: str) -> None:
    """Of every metric that is counted by groups, with weights; groups of nothing have none."""
    random = np.random.default_rng(3)
    y, said = random.normal(3, 2, 200), random.normal(3, 2, 200)
    y[::7] = 0.0
    weight, group = random.uniform(0.1, 3, 200), random.choice([0, 1, 3], 200)
    found = grouped.by_group(name, y, said, weight, group)
    metric = metrics.get(name)
    for k in (0, 1, 3):
        mine = group == k
        assert found[k] == pytest.approx(metric.error(y[mine], said[mine], weight[mine]))
    assert np.isnan(found[2])


def test_the_last_season_again_knows_nothing_of_what_was_to_come() -> None:
    """The newest cycle before the origin, the newest value where that is a gap, never one at or after the origin."""
    panel = mixture.panel(backtests(sales(), noisy)[1].shared.raw)
    assert panel is not None
    places = np.arange(113, 120)
    assert panel.origins[places].tolist() == [113] * 7
    assert np.array_equal(season_again(panel, places), panel.store[106:113])
    panel.store[108] = np.nan
    expected = panel.store[106:113].copy()
    expected[2] = panel.store[112]
    assert np.array_equal(season_again(panel, places), expected)
    panel.store[113:120] = 1e9
    assert np.array_equal(season_again(panel, places), expected)


def test_skill_is_what_is_saved_of_repeating_the_last_season() -> None:
    """All of it by a forecast that knows everything, none by that yardstick itself."""
    perfect = gathered(sales(), lambda y, *_: y.copy())
    assert perfect["skill"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    same = gathered(sales(), lambda _, panel, places: season_again(panel, places))
    assert same["skill"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert same["error"] == same["naive"]
    assert "which chance may explain" in " ".join(told({"forecasts": same}))
    half = gathered(sales(), lambda y, panel, places: (y + season_again(panel, places)) / 2)
    assert half["skill"] == {"value": 0.5, "low": pytest.approx(0.5), "high": pytest.approx(0.5)}


def test_intervals_that_other_rows_taught_hold_about_as_many_as_they_say() -> None:
    """At both levels, also where later steps are harder."""

    def harder(y: np.ndarray, panel: Panel, places: np.ndarray) -> np.ndarray:
        return y + np.random.default_rng(0).normal(size=len(y)) * np.sqrt(places - panel.origins[places] + 1)

    found = gathered(sales(stores=30, days=90), harder)
    shares = {one["level"]: one["share"] for one in found["held"]}
    assert shares[0.8] == pytest.approx(0.8, abs=0.06)
    assert shares[0.95] == pytest.approx(0.95, abs=0.03)
    assert all(one["held80"] == pytest.approx(0.8, abs=0.15) for one in found["steps"])
    assert all(one["width"] > 0 for one in found["held"])


def test_three_series_are_drawn_with_what_was_foretold_of_them() -> None:
    """The worst, the median and the best one, each with its end, all windows and intervals around what was said."""
    found = gathered(sales(stores=9))
    assert [one["role"] for one in found["drawn"]] == ["worst", "median", "best"]
    errors = [one["error"] for one in found["drawn"]]
    assert errors == sorted(errors, reverse=True)
    assert found["drawn"][0]["name"] == found["worst"][0]["name"]
    assert sum(one["series"] for one in found["bins"]) == 9
    frame = sales(stores=9)
    for one in found["drawn"]:
        own = frame[frame["store"] == one["name"]].set_index("date")["sales"]
        assert own[pd.to_datetime(one["times"])].tolist() == pytest.approx(one["values"], rel=1e-4)
        foretold = [at for window in one["windows"] for at in window["at"]]
        assert sorted(foretold) == list(range(len(one["times"])))[-len(foretold) :]
        for window in one["windows"]:
            ends = zip(*(window[key] for key in ("low95", "low80", "middle", "high80", "high95")), strict=True)
            assert all(list(line) == sorted(line) for line in ends)
        parts = np.array([one["trend"], one["season"], one["rest"]])
        assert parts.sum(axis=0) == pytest.approx(one["values"], abs=0.02)


def test_one_series_without_a_name_is_drawn_alone() -> None:
    """There is no worst one, and nothing to count by series."""
    options = Options(target="sales", time_column="date", horizon=7, budget="10 trials")
    found = gathered(sales(stores=1).drop(columns="store"), options=options)
    assert [(one["role"], one["name"]) for one in found["drawn"]] == [("only", "the series")]
    assert found["worst"] == found["bins"] == []
    assert "The series: the series" in str(piece(sections.get("forecasts"), {"forecasts": found}).drawn)


def test_a_gap_is_drawn_as_one() -> None:
    """No value stands in report.json, and the line is broken."""
    frame = sales(stores=1, days=90).drop(index=[60, 61])
    drawn = gathered(frame)["drawn"][0]
    at = drawn["times"].index("2023-03-03")
    assert drawn["values"][at : at + 2] == drawn["rest"][at : at + 2] == [None, None]
    assert fans.fan(drawn, 900, 0).count('class="happened"') == 2


def test_series_that_never_change_are_counted_and_left_out() -> None:
    """No error of theirs can be scaled, be it ever so large; they are neither best nor worst."""
    frame = sales(stores=5)
    frame.loc[frame["store"] == "s1", "sales"] = 7.0
    found = gathered(frame)
    assert found["unscaled"] == 1
    assert "s1" not in {one["name"] for one in (*found["worst"], *found["drawn"])}
    assert "1 of 5 series never change" in str(piece(sections.get("forecasts"), {"forecasts": found}).drawn)


def test_steps_of_a_long_horizon_are_told_together() -> None:
    """As many lines as can be read, with all rows in them."""
    found = gathered(sales(stores=2, days=300), options=Options(
        target="sales", time_column="date", series_id="store", horizon=100, budget="10 trials"
    ))  # fmt: skip
    assert len(found["steps"]) == forecasts.MOST_STEPS
    assert sum(one["rows"] for one in found["steps"]) == found["rows"]
    assert (found["steps"][0]["step"], found["steps"][-1]["last"]) == (1, 100)
    assert all(len(one["times"]) <= drawn_series.MOST_POINTS for one in found["drawn"])


@pytest.mark.parametrize("season", [1, 4, 7])
def test_parts_are_what_a_series_was_made_of(season: int) -> None:
    """A line and a pattern are found again away from the ends, and all parts sum to the values."""
    at = np.arange(20 * max(2, season))
    pattern = np.arange(season) - (season - 1) / 2
    values = 3.0 + 0.5 * at + pattern[at % season]
    trend, seasonal, rest = drawn_series.decompose(values, season)
    assert trend == pytest.approx(3.0 + 0.5 * at)
    assert (seasonal == pytest.approx(pattern[at % season])) if season > 1 else len(seasonal) == 0
    assert rest == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("values", [[], [np.nan], [np.nan, np.nan, 3.0], [1.0], [2.0, np.nan]])
def test_parts_of_nearly_nothing_are_given_too(values: list[float]) -> None:
    """As many as there are values, without a warning."""
    trend, seasonal, rest = drawn_series.decompose(np.array(values), 7)
    assert len(trend) == len(rest) == len(values)
    assert len(seasonal) == 0


def test_of_quantiles_the_middle_one_is_drawn() -> None:
    """Counted as misses, since their own metric is not one of numbers; the intervals are theirs, corrected."""
    levels = (0.1, 0.5, 0.9)
    options = Options(
        target="sales", time_column="date", series_id="store", horizon=7, quantiles=levels, budget="10 trials"
    )
    found = gathered(sales(), lambda y, *_: y[:, None] + np.array([-4.0, 1.0, 4.0]), options)
    assert (found["metric"], found["error"]) == ("mae", pytest.approx(1.0))
    assert found["held"][0]["share"] is not None
    assert found["drawn"][0]["windows"][0]["low80"][0] < found["drawn"][0]["windows"][0]["middle"][0]


def test_what_is_no_number_is_said_and_ends_nothing() -> None:
    """A model that says infinity has no fans; the page says why."""
    found = gathered(sales(), lambda y, *_: np.full(len(y), np.inf))
    assert found["drawn"] == []
    assert "not all that was foretold are numbers" in str(piece(sections.get("forecasts"), {"forecasts": found}).drawn)


def test_rows_that_are_no_steps_of_series_have_none() -> None:
    """A plain table has no such part."""
    frame = pd.DataFrame({"x": np.arange(60) % 13, "sales": np.arange(60) % 7 * 1.5})
    given, _ = backtests(frame, lambda y: y, Options(target="sales", budget="10 trials"))
    assert forecasts.gather(given) is None


def test_findings_about_tables_that_mean_nothing_for_series_are_left_out() -> None:
    """Neither a hint at the series' own column, nor at its many names, that tell its level, nor advice on squares."""
    frame = sales(stores=120, days=30)
    frame.loc[::300, "sales"] *= 30
    dataset = load(frame, OPTIONS, decode=mixture.read)
    codes = {finding.code for finding in examine(dataset, OPTIONS)[1].findings}
    assert not codes & {"group_hint", "time_hint", "high_cardinality", "target_tail", "leak"}
    assert "store" not in examine(dataset, OPTIONS)[1].alone  # nor does a score rest on it
    plain = load(frame, Options(target="sales"), decode=mixture.read)
    known = {finding.code for finding in examine(plain, Options(target="sales"))[1].findings}
    assert {"group_hint", "high_cardinality", "target_tail"} <= known


def test_what_tells_the_answer_and_is_no_part_of_its_series_is_still_a_leak() -> None:
    """Who says that a column is known ahead may be wrong."""
    frame = sales(stores=8, days=200).assign(guests=lambda f: 3 * f["sales"])
    options = Options(**{**vars(OPTIONS), "known_future": ("guests",)})
    audit = examine(load(frame, options, decode=mixture.read), options)[1]
    assert [finding.column for finding in audit.of("leak")] == ["guests"]
