"""What a model says as a column moves, and the tree that imitates it: true of models that were made to be known."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from automl import Result
from automl.data.facets import Facet
from automl.explain import shapes, surrogate
from automl.explain.cells import places
from automl.explain.permutation import ImportanceRequest
from automl.explain.shapes import ShapeRequest, Sweep
from automl.modalities.mixture import Raw, learn_schema
from automl.modalities.table.kinds import describe
from automl.records import Calibration, Profile
from automl.report import conditions
from automl.report.gather import shapes as gathered
from automl.report.gather.surrogate import measured
from automl.report.sections import shapes as shapes_page
from automl.report.sections import surrogate as surrogate_page

ROWS = 400


class Known:
    """A model that is known: three times x, and z, and ten more in Rome; each fold is off by its number."""

    def __init__(self, rome: int, off: float = 0.0) -> None:
        self._rome, self._off = rome, off

    def predict(self, raw: Raw, fold: np.ndarray) -> np.ndarray:
        x = raw.numbers[:, 0].astype(np.float64)
        return (3 + self._off * fold) * x + raw.numbers[:, 1] + 10 * (raw.codes[:, 0] == self._rome)


def made(off: float = 0.0) -> tuple[Known, Raw, ShapeRequest, np.ndarray]:
    """Rows in which z is nearly x, asked about x in eight steps and about each city."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=ROWS)
    frame = pd.DataFrame(
        {"x": x, "z": x + 0.1 * rng.normal(size=ROWS), "city": rng.choice(["Rome", "Oslo", "Bern"], ROWS)}
    )
    profile = Profile(
        rows=ROWS, columns=describe(frame), task="regression", task_rule="", metric="rmse", metric_rule=""
    )
    schema = learn_schema(frame, profile)
    raw, fold = schema.encode(frame), (np.arange(ROWS) % 5).astype(np.int16)
    by_name = {place.name: place for place in places(schema)}
    city = frame["city"].to_numpy()
    effort = gathered._Effort(ROWS, 2, 8, 5)
    of_x = gathered._sweep(Facet("x", "x", x), by_name["x"], effort)
    assert of_x is not None
    labels = ("Rome", "Oslo", "Bern")
    codes = np.array([labels.index(one) for one in city], dtype=np.float64)
    of_city = gathered._sweep(Facet("city", "city", codes, labels), by_name["city"], effort)
    assert of_city is not None
    asked = ImportanceRequest(
        path="", members=(), readout=Calibration(), metric="rmse", levels=(), rows=np.arange(ROWS), fold=fold,
        places=(), repeats=1,
    )  # fmt: skip
    rome = int(raw.codes[np.flatnonzero(city == "Rome")[0], 0])
    return Known(rome, off), raw, ShapeRequest(asked, (of_x, of_city)), x


def test_the_curve_of_a_column_is_its_own_also_where_another_goes_along_with_it() -> None:
    """Three for each unit of x and nothing of z; the curve lies round what is said on average."""
    model, raw, ask, x = made()
    swept = shapes.sweep(model, raw, ask, float("inf"))  # type: ignore[arg-type] # asks as a panel does
    of_x: Sweep = ask.sweeps[0]
    assert of_x.steps is not None
    middle = float(swept.told.mean())
    curve = shapes.of_steps(swept.moved[0][:, 0], of_x.steps, ask.asked.fold, np.ones(ROWS), middle)
    at = x[list(of_x.donors)]
    assert np.all(np.diff(at) > 0)
    np.testing.assert_allclose(np.diff(curve.value), 3 * np.diff(at), rtol=1e-4)
    np.testing.assert_allclose(curve.high - curve.low, 0, atol=1e-3)
    assert curve.value.min() < middle < curve.value.max()
    assert (of_x.steps >= 0).mean() > 0.95


def test_categories_are_each_given_to_all_rows() -> None:
    """Rome says ten more than the others, which say the same."""
    model, raw, ask, _ = made()
    swept = shapes.sweep(model, raw, ask, float("inf"))  # type: ignore[arg-type] # asks as a panel does
    curve = shapes.of_each(swept.moved[1][:, :, 0], ask.asked.fold, np.ones(ROWS))
    np.testing.assert_allclose(curve.value - curve.value[1], [10, 0, 0], atol=1e-4)
    assert curve.change == pytest.approx(10, abs=1e-4)


def test_folds_that_differ_widen_the_interval_and_time_that_is_over_ends_the_asking() -> None:
    """Models whose slopes are 3, 4, 5, 6 and 7: the mean slope is inside, and the interval is wide."""
    model, raw, ask, x = made(off=1.0)
    swept = shapes.sweep(model, raw, ask, float("inf"))  # type: ignore[arg-type] # asks as a panel does
    steps = ask.sweeps[0].steps
    assert steps is not None
    curve = shapes.of_steps(swept.moved[0][:, 0], steps, ask.asked.fold, np.ones(ROWS), 0.0)
    width = float(np.ptp(x[list(ask.sweeps[0].donors)]))
    assert curve.change_low < 3 * width < 7 * width < curve.change_high
    assert shapes.sweep(model, raw, ask, 0.0).moved == ()  # type: ignore[arg-type] # as above


def test_columns_that_go_along_with_each_other_are_told() -> None:
    """By their ranks, whatever the scale; missing cells and columns without variation tell nothing."""
    x = np.random.default_rng(1).normal(size=300)
    assert gathered.rank_correlation(x, np.exp(3 * x)) == pytest.approx(1.0)
    assert gathered.rank_correlation(x, -x) == pytest.approx(-1.0)
    assert gathered.rank_correlation(x, np.full(300, 2.0)) == 0.0
    assert gathered.rank_correlation(np.full(300, np.nan), x) == 0.0


def shape(values: list[float], low: float = 0.1) -> dict[str, Any]:
    points = [
        {"at": float(k), "label": None, "value": v, "low": v, "high": v, "share": 0.2} for k, v in enumerate(values)
    ]
    return {"column": "age", "is_date": False, "output": "yes", "middle": 0.3, "change": max(values) - min(values),
            "change_low": low, "change_high": 1.0, "points": points, "together": ["tenure"]}  # fmt: skip


@pytest.mark.parametrize(
    ("values", "low", "said"),
    [
        ([0.1, 0.3, 0.6], 0.1, "age: from 0 to 2 the probability of yes rises from 10 % to 60 %."),
        ([0.6, 0.3, 0.1], 0.1, "age: from 0 to 2 the probability of yes falls from 60 % to 10 %."),
        ([0.1, 0.6, 0.2], 0.1, "age: the probability of yes is lowest about 0, 10 %, and highest about 1, 60 %."),
        ([0.1, 0.3, 0.6], 0.0, "age: the probability of yes hardly moves with it, no more than"),
    ],
)
def test_a_curve_is_told_in_a_sentence(values: list[float], low: float, said: str) -> None:
    """Where it goes, or that it goes nowhere; columns that go along with it are named."""
    told = shapes_page.told({"shapes": {"is_share": True, "columns": [shape(values, low)]}})
    assert told[0].startswith(said)
    assert "goes along with tenure" in told[0]


# --- the tree --------------------------------------------------------------------------------------------------------


def columns(rows: int = 1_000) -> list[Facet]:
    rng = np.random.default_rng(3)
    age, city = rng.uniform(18, 80, rows), rng.integers(0, 5, rows).astype(np.float64)
    age[rng.random(rows) < 0.2] = np.nan
    return [
        Facet("noise", "noise", rng.normal(size=rows)),
        Facet("age", "age", age),
        Facet("city", "city", city, ("Rome", "Oslo", "Bern", "Kyiv", "Riga")),
    ]


def test_a_rule_is_found_again_with_its_names_its_values_and_its_missing_cells() -> None:
    """Two cities, and there those below forty or of unknown age: the tree says what was said."""
    looked = columns()
    _, age, city = looked
    is_so = np.isin(city.values, (1, 3)) & ((age.values < 40) | np.isnan(age.values))
    told = np.where(is_so, 0.9, 0.2)[:, None]
    tree = surrogate.grow(looked, told, np.ones(1_000), 20)
    off = np.abs(surrogate.said(tree, looked, np.arange(1_000)) - told)
    assert (off > 0.05).mean() < 0.01  # a cut lies between two of the values that are tried
    assert tree.split is not None
    assert {tree.split.facet, *(side.split.facet for side in tree.sides if side.split)} == {1, 2}
    of_city = next(node.split for _, node in tree.flat() if node.split and node.split.facet == 2)
    assert set(of_city.labels) in ({1, 3}, {0, 2, 4})
    of_age = next(node.split for _, node in tree.flat() if node.split and node.split.facet == 1)
    assert of_age.takes_missing
    assert of_age.below is not None
    assert 36 < of_age.below < 44
    assert max(depth for depth, _ in tree.flat()) <= surrogate.DEPTH


def test_noise_is_given_no_questions_and_no_fidelity() -> None:
    """What is said at random stays one answer, or is told as not faithful on other rows."""
    rng, looked = np.random.default_rng(4), columns()
    told = rng.random((1_000, 1))
    tree = surrogate.grow(looked, told[:1_000], np.ones(1_000), 20)
    other = rng.random((1_000, 1))
    fidelity, low, _ = measured(other, surrogate.said(tree, looked, np.arange(1_000)), np.ones(1_000), None)
    assert low <= fidelity < 0.05
    report = {"surrogate": {"fidelity": fidelity, "low": low, "high": 0.1, "tested": 1_000, "nodes": [{"depth": 1}]}}
    assert surrogate_page.told(report)[0].startswith("No short tree says what the model does")
    assert surrogate_page.shown(report, None)["tree"] == []


def test_what_is_missing_can_be_a_question_of_its_own() -> None:
    """All numbers say one thing, missing cells another."""
    looked = [columns()[1]]
    gone = np.isnan(looked[0].values)
    tree = surrogate.grow(looked, np.where(gone, 5.0, 1.0)[:, None], np.ones(1_000), 20)
    assert tree.split is not None
    assert tree.split.takes_missing
    np.testing.assert_array_equal(surrogate.said(tree, looked, np.arange(1_000))[:, 0], np.where(gone, 5.0, 1.0))


def test_cuts_are_round_and_divide_the_same_rows() -> None:
    """Between two values the roundest one; of dates a day."""
    for low, high, cut in ((37.4, 42.9, 40.0), (0.9951, 1.0049, 1.0), (-3.2, -2.8, -3.0), (1234.1, 1234.9, 1234.5)):
        found = surrogate.round_between(low, high)
        assert low < found <= high
        assert abs(found - cut) < 0.5 * (high - low)
    assert surrogate.round_between(37.4, 42.9) == 40.0
    day = surrogate.round_between(1.7e9, 1.7e9 + 90_000, is_date=True)
    assert day % surrogate.DAY_S == 0
    assert conditions.value(day, is_date=True) == "2023-11-15"


# --- of a whole run --------------------------------------------------------------------------------------------------


def test_a_run_tells_how_its_columns_move_it_and_what_it_says_in_three_questions(finished: Result) -> None:
    """The columns that count most come first; each curve has its interval; the page has every sentence."""
    report = json.loads((Path(finished.folder) / "report.json").read_text(encoding="utf-8"))
    found = report["shapes"]
    assert found["why_not"] is None
    important = [row["column"] for row in report["importance"]["columns"]]
    shown = [one["column"] for one in found["columns"]]
    assert shown == [name for name in important if name in shown]
    assert len(shown) >= 2
    for one in found["columns"]:
        assert all(point["low"] <= point["value"] <= point["high"] for point in one["points"])
        assert all(0 <= point["share"] <= 1 for point in one["points"][1:])
    tree = report["surrogate"]
    assert tree["rows"] + tree["tested"] == report["arena"]["rows"]
    assert tree["low"] <= tree["fidelity"] <= tree["high"] <= 1
    page = unescape((Path(finished.folder) / "report.html").read_text(encoding="utf-8"))
    assert 'id="shapes"' in page
    assert 'id="surrogate"' in page
    for line in (*shapes_page.told(report), *surrogate_page.told(report)):
        assert line[:100] in page
