"""Calibration, residuals and rare classes: what is counted on held-out rows is true of rows that were made so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import automl
from automl import Result
from automl.report.gather import calibration, rare, residuals
from automl.report.gather.held import HeldRows
from automl.report.sections import calibration as calibration_page
from automl.report.sections import rare as rare_page
from automl.report.sections import residuals as residuals_page
from automl.scoring import chance

pytestmark = pytest.mark.usefixtures("lasting_workers")


def held(y: np.ndarray, said: np.ndarray, **given: Any) -> HeldRows:
    base: dict[str, Any] = {"shares": None, "levels": None, "weight": np.ones(len(y)), "blocks": None}
    return HeldRows(rows=np.arange(len(y)), y=y, said=said, **(base | given))


# --- intervals -------------------------------------------------------------------------------------------------------


def test_intervals_of_shares_hold_the_truth_with_weights_and_blocks() -> None:
    """Nineteen of twenty 95 % intervals or more, also of rare events and where rows come in groups that err alike."""
    rng, inside = np.random.default_rng(0), np.zeros(3)
    runs, rows = 400, 200
    for _ in range(runs):
        weight, group = rng.uniform(0.2, 2, rows), np.arange(rows) % 25
        plain = rng.random(rows) < 0.05
        grouped = rng.random(rows) < rng.beta(2, 8, 25)[group]
        found = [
            (chance.share(plain, np.ones(rows)), 0.05),
            (chance.share(plain, weight), 0.05),
            (chance.share(grouped, np.ones(rows), group), 0.2),
        ]
        inside += [one.low <= true <= one.high for one, true in found]
    assert (inside / runs >= 0.925).all()


# --- calibration -----------------------------------------------------------------------------------------------------


def two_classes(rng: np.random.Generator, rows: int, bend: float) -> tuple[np.ndarray, np.ndarray]:
    """Answers by true chances, and chances that are told too surely by that factor."""
    odds = rng.normal(size=rows)
    y = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    return y, 1 / (1 + np.exp(-bend * odds))


def test_what_is_as_sure_as_it_is_right_is_told_so_and_what_is_too_sure_is_not() -> None:
    """Of calibrated chances at most about one interval in twenty leaves zero out; of chances told too surely each."""
    rng, off = np.random.default_rng(1), []
    for _ in range(60):
        y, said = two_classes(rng, 600, 1.0)
        off.append(calibration.curve(said, y == 1, held(y, y), ("class", "yes"))["low"] > 0)
    assert np.mean(off) <= 0.1
    assert calibration.far_off(np.zeros(3), np.zeros(3), np.ones(3)) == (0.0, 0.0, 0.0, 0.0)
    y, said = two_classes(rng, 2_000, 3.0)
    found = calibration.curve(said, y == 1, held(y, y), ("class", "yes"))
    truth = float(np.abs(said - 1 / (1 + np.exp(-np.log(said / (1 - said)) / 3.0))).mean())
    assert 0 < found["low"] <= truth <= found["high"]
    assert found["by_chance"] < found["low"]
    assert sum(one["rows"] for one in found["bins"]) == 2_000
    assert min(one["rows"] for one in found["bins"]) >= calibration.LEAST_IN_BIN
    told = calibration_page.told({"calibration": {"curves": [found]}})
    assert told[0].startswith("When it says ")
    assert "Over all it is off by" in told[1]


def test_few_distinct_probabilities_are_bins_of_their_own() -> None:
    """A model that says one thing, or two, is counted too."""
    y = np.arange(200) % 4 == 0
    assert calibration.binned(np.full(200, 0.25)).max() == 0
    assert calibration.binned(np.where(np.arange(200) < 100, 0.1, 0.9)).max() == 1
    found = calibration.curve(np.full(200, 0.25), y, held(y, y), ("class", "x"))
    assert found["bins"][0]["found"] == pytest.approx(0.25)
    assert found["low"] == 0


def test_the_class_that_is_farthest_off_is_named_where_chance_is_not_enough() -> None:
    """Of three classes one is told twice as often as it is; without it none is named."""
    rng = np.random.default_rng(2)
    rows = 3_000
    shares = rng.dirichlet((2, 2, 2), rows)
    y = np.array([rng.choice(3, p=p) for p in shares])
    assert calibration.worst_class(shares, held(y, y), ["a", "b", "c"]) == []
    bent = shares * (1, 1, 2.5)
    found = calibration.worst_class(bent / bent.sum(axis=1, keepdims=True), held(y, y), ["a", "b", "c"])
    assert [one["label"] for one in found] == ["c"]


def test_coverage_of_quantiles_is_counted_by_level_and_between_them() -> None:
    """Normal answers and their true quantiles: each share lies at its level, within its interval."""
    y = np.random.default_rng(3).normal(size=4_000)
    told = np.tile([-1.2816, 0.0, 1.2816], (len(y), 1))
    single, pairs = calibration.coverage((0.1, 0.5, 0.9), told, held(y, y))
    assert all(one["low"] <= one["asked"] <= one["high"] for one in [*single, *pairs])
    assert pairs[0]["asked"] == pytest.approx(0.8)
    report = {"calibration": {"levels": single, "between": pairs}}
    assert calibration_page.told(report)[-1] == "No quantile is farther off than chance explains."


# --- residuals -------------------------------------------------------------------------------------------------------


def test_errors_that_grow_with_the_prediction_are_told_and_even_ones_are_not() -> None:
    """The band is three times as wide above; of even noise the interval holds one; weights of nought count nothing."""
    rng = np.random.default_rng(4)
    said = rng.uniform(0, 1, 3_000)
    ones = np.ones(3_000)
    grown = residuals.spread(said, rng.normal(size=3_000) * np.where(said > 0.5, 3, 1), ones, None)
    even = residuals.spread(said, rng.normal(size=3_000), ones, None)
    assert grown is not None
    assert even is not None
    assert 2.5 < grown["low"] < grown["high"] < 3.6
    assert even["low"] < 1 < even["high"]
    told = residuals_page.told({"residuals": {"middle": 1.0, "half": 2.0, "spread": grown}})
    assert told[1].startswith("Errors grow with the prediction: they spread ")
    off = np.where(np.arange(3_000) % 2 == 0, 100.0, rng.normal(size=3_000))
    found = residuals.bins(said, off, np.arange(3_000) % 2 * 1.0)
    assert all(-3 < one["low"] < one["middle"] < one["high"] < 3 for one in found)


# --- rare classes ----------------------------------------------------------------------------------------------------


def test_the_rows_at_the_top_are_counted_with_ties_shared_out() -> None:
    """Half of the rows are told the same: of a tenth of all a share of them counts, and a better half comes first."""
    rows = 1_000
    y = (np.arange(rows) % 20 == 0).astype(np.int64)
    same = np.full(rows, 0.05)
    found = rare.top(0.1, same, y == 1, held(y, y))
    assert found["precision"] == pytest.approx(0.05)
    assert found["recall"] == pytest.approx(0.1)
    sure = np.where(y == 1, 0.9, 0.1)
    found = rare.top(0.1, sure, y == 1, held(y, y))
    assert found["precision"] == pytest.approx(0.5)
    assert found["recall"] == pytest.approx(1.0)
    curve = rare.curve(sure, y == 1, np.ones(rows))
    assert [(one["marked"], one["precision"], one["recall"]) for one in curve] == [(0.05, 1.0, 1.0), (1.0, 0.05, 1.0)]


# --- of whole runs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A run on numbers whose noise grows, with weights."""
    rng = np.random.default_rng(5)
    x, w = rng.uniform(1, 4, 400), rng.uniform(0.5, 2, 400)
    frame = pd.DataFrame({"x": x, "w": w, "city": rng.choice(["<b>Rome</b>", "Oslo"], 400),
                          "y": 10 * x + x * rng.normal(size=400)})  # fmt: skip
    folder = tmp_path_factory.mktemp("numbers") / "run"
    return automl.fit(
        frame, "y", families="linear", budget="1 trials", weight="w", workers=1, run_dir=folder, verbose=0
    )


def report_of(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(result.folder) / "report.json").read_text(encoding="utf-8"))
    return found


def test_a_run_on_numbers_tells_its_errors(numbers: Result) -> None:
    """The largest ones are rows of the data; the page has the section, and none on probabilities."""
    found = report_of(numbers)["residuals"]
    assert found["rows"] == 400
    assert found["why_not"] is None
    assert len(found["points"]) == residuals.POINTS
    assert all(1 <= one["row"] <= 400 for one in found["largest"])
    assert found["spread"]["ratio"] > 1
    page = (Path(numbers.folder) / "report.html").read_text(encoding="utf-8")
    assert 'id="residuals"' in page
    assert 'id="calibration"' not in page
    assert 'id="rare"' not in page


def test_a_run_on_two_classes_tells_how_sure_it_is(finished: Result) -> None:
    """Counted on all held-out rows; no class is rare there, so no section says how it is found."""
    report = report_of(finished)
    found = report["calibration"]
    assert found["why_not"] is None
    assert sum(one["rows"] for one in found["curves"][0]["bins"]) == found["rows"] == report["arena"]["rows"]
    assert report["residuals"]["kind"] == "classes"
    assert rare_page.told(report) == [] or report["rare"]["share"] < rare.RARE
    page = (Path(finished.folder) / "report.html").read_text(encoding="utf-8")
    for line in calibration_page.told(report):
        assert line in page.replace("\n", " ")
