"""What there is already, beside the model of a run: on fair rows where there are some, else with a doubt."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import automl
from automl import Result
from automl.errors import OptionError
from automl.options import Options
from automl.records import Audit, Finding
from automl.refit import existing
from automl.runtime.resume import on_disk


def test_a_place_without_a_model_is_refused_before_the_run(tmp_path: Path, customers: pd.DataFrame) -> None:
    """With the value and an example; a score needs no place."""
    with pytest.raises(OptionError, match=r"baseline must be a score, .*got '.*', in which there is no model"):
        automl.fit(customers, "churned", baseline=tmp_path, budget="1 trials", verbose=0, run_dir=tmp_path / "run")
    assert existing.place_of(Options(baseline=0.8)) is None
    assert existing.place_of(Options()) is None


def test_a_run_and_its_model_are_the_same_place(finished: Result) -> None:
    """A Result may be given, too."""
    expected = finished.folder / "model"
    for given in (finished, finished.folder, expected):
        assert existing.place_of(Options(baseline=given)) == expected


def test_the_worst_findings_of_the_audit_come_first_and_harmless_ones_not_at_all() -> None:
    """Three at most."""
    found = [Finding(str(k), severity, f"{severity} {k}.") for k, severity in
             enumerate(["info", "warning", "danger", "warning", "warning"])]  # fmt: skip
    assert existing.findings(Audit(tuple(found))) == ("danger 2", "warning 1", "warning 3")


def test_its_classes_are_found_in_whatever_order_it_has_them() -> None:
    """One that it does not know is a reason to give it no score."""
    assert existing._order(["no", "yes"], ["yes", "no", "maybe"]) == [1, 0]
    assert existing._order([], []) == []
    with pytest.raises(existing._NoScoreError, match="does not know the class 'yes'"):
        existing._order(["no", "yes"], ["no", "maybe"])
    readout = existing._readout({"readout": {"label_weights": [0.25, 0.75]}}, [1, 0])
    assert readout.label_weights == (0.75, 0.25)


@pytest.mark.long
@pytest.mark.usefixtures("lasting_workers")
def test_a_saved_model_gets_a_row_of_its_own_and_a_run_with_a_verdict_goes_on(
    finished: Result, customers: pd.DataFrame, tmp_path: Path
) -> None:
    """On the test rows where there are some; decision.json with a verdict is read by whoever goes on."""
    test = customers.sample(300, random_state=1)
    result = automl.fit(
        customers[:600], "churned", baseline=finished, test=test, budget="2 trials", verbose=0,
        run_dir=tmp_path / "run", route="classical", retrain_every="1d", min_score=0.99,
    )  # fmt: skip
    verdict = result.decision["verdict"]
    found = verdict["existing"]
    expected = finished.model.evaluate(test).set_index("metric").loc["roc_auc", "value"]
    assert found["score"] == pytest.approx(expected, abs=1e-6)
    assert (found["how"], found["is_fair"]) == ("on the test data", True)
    assert found["gain_low"] <= found["gain"] <= found["gain_high"]
    board = result.leaderboard()
    row = board[board["picks"] == "baseline"].iloc[0]
    assert row["name"] == f"the model in {str(finished.folder)!r}"
    assert np.isnan(row["row_ms"])
    assert board["score"].is_monotonic_decreasing
    assert row["name"] not in set(result.frontier()["name"])
    goal = verdict["goal"]
    assert (goal["asked"], goal["promised"], goal["is_met"]) == (0.99, result.score.value, False)
    assert goal["low"] < goal["promised"] < goal["high"]
    assert verdict["retraining"]["times"] == 365
    assert {rule["name"] for rule in result.decision["rules"]} >= {"retraining", "min_score", "baseline"}
    assert "networks took no part (route='classical' was asked for)" in verdict["told"][0]

    kept = json.loads((result.folder / "decision.json").read_text())
    assert kept["verdict"] == verdict
    again = automl.resume(result.folder, "+1 trials", data=customers[:600], test=test, verbose=0)
    assert again.decision["rules"] == result.decision["rules"]
    assert again.decision["verdict"]["existing"]["score"] == found["score"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"task": "regression"}, "it does regression, and this is binary"),
        ({"target": "weight"}, "it predicts 'weight', and this is 'churned'"),
        ({"levels": [0.1, 0.9]}, r"it predicts the quantiles \[0.1, 0.9\], and these are \[\]"),
    ],
)
def test_a_model_of_another_question_gets_no_score(changed: dict[str, object], told: str) -> None:
    """Whatever it says would be compared with answers to this one."""
    profile, dataset = SimpleNamespace(levels=()), SimpleNamespace(target_name="churned")
    inputs = SimpleNamespace(profile=profile, dataset=dataset)
    same = {"task": "binary", "target": "churned", "levels": []}
    existing._check_alike(same, inputs, "binary")
    with pytest.raises(existing._NoScoreError, match=told):
        existing._check_alike({**same, **changed}, inputs, "binary")


def test_a_damaged_model_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no score, and the reason is told."""
    (tmp_path / "manifest.json").write_text("{not json")
    monkeypatch.setattr(existing, "_asked", lambda *_: SimpleNamespace())
    inputs = SimpleNamespace(ready=SimpleNamespace(metric=None))
    found = existing.weigh(inputs, SimpleNamespace(), Options(baseline=tmp_path), Audit())
    assert found is not None
    assert found.score is None
    assert found.why_not.startswith("it cannot be read: ")


def test_a_run_gone_on_with_from_elsewhere_finds_the_same_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a folder whose name is a number."""
    monkeypatch.chdir(tmp_path)
    for given in ("runs/old", Path("7")):
        assert on_disk(Options(baseline=given))["baseline"] == str(tmp_path.resolve() / given)
    assert on_disk(Options(baseline=0.7))["baseline"] == 0.7
