"""Training anew: the same pipeline on old and new rows, honestly compared, as a run that every command understands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import automl
from automl import Result
from automl.data.joined import joined
from automl.doors.cli import main
from automl.errors import InputError
from automl.records.verdict import Existing
from automl.refit import renew
from automl.runtime.folder import RunFolder
from automl.runtime.journal import ENDED

ROWS, MORE = 600, 1_200


@pytest.fixture(scope="module")
def folder(customers: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory, lasting_workers: None) -> Path:
    """A run on some of the bundled rows, and a file with more of them."""
    place = tmp_path_factory.mktemp("refit")
    customers.iloc[:ROWS].to_csv(place / "old.csv", index=False)
    customers.iloc[ROWS:MORE].to_csv(place / "new.csv", index=False)
    automl.fit(
        place / "old.csv", target="churned", budget="2 trials", families=("lightgbm",), run_dir=place / "run", verbose=0
    )
    return place


@pytest.fixture(scope="module")
def anew(folder: Path) -> Result:
    """The run trained anew by the command."""
    given = ["refit", str(folder / "run"), str(folder / "new.csv"), "--out", str(folder / "anew"), "--quiet"]
    assert main(given) == 0
    return Result(folder / "anew")


def test_the_same_pipeline_is_fitted_twice_and_no_more(folder: Path, anew: Result) -> None:
    """One fit to be compared, one on all rows; members, weights, rounds and readout are those of before."""
    before = Result(folder / "run")
    old, new = before.model.manifest, anew.model.manifest
    assert [member["family"] for member in new["members"]] == [member["family"] for member in old["members"]]
    for member, same in zip(new["members"], old["members"], strict=True):
        assert member["weight"] == pytest.approx(same["weight"])
        params = {name: value for name, value in member["params"].items() if name != "rounds"}
        assert params == {name: value for name, value in same["params"].items() if name != "rounds"}
        assert len(member["parts"]) == 1
    assert new["readout"] == old["readout"]
    ended = [event for event in RunFolder(anew.folder).events() if event["event"] == ENDED and "job" in event]
    assert len(ended) == 2 * len(new["members"])
    report = json.loads((anew.folder / "report.json").read_text())
    assert report["data"]["rows"] == MORE


def test_it_says_where_it_comes_from_and_whether_it_is_better(folder: Path, anew: Result) -> None:
    told = anew.lineage
    assert told is not None
    assert told["before"] == str((folder / "run").resolve())
    assert (told["generation"], told["old_rows"], told["new_rows"]) == (1, ROWS, MORE - ROWS)
    assert told["held_rows"] == pytest.approx((MORE - ROWS) / 3, abs=3)
    assert told["verdict"] in ("better", "tied", "worse")
    assert told["gain_low"] <= told["gain"] <= told["gain_high"]
    assert told["sources"] == [str((folder / name).resolve()) for name in ("old.csv", "new.csv")]
    assert "trained anew" in (anew.folder / "report.html").read_text().lower()
    card = (anew.folder / "model" / "model_card.md").read_text()
    assert "Trained anew from" in card
    assert Result(folder / "run").lineage is None


def test_what_is_compared_saw_none_of_the_rows_that_it_is_compared_on(folder: Path, anew: Result) -> None:
    """The held-out rows choose no rounds: those of before are taken."""
    trials = json.loads((anew.folder / "report.json").read_text())["trials"]
    before = {trial["number"]: trial for trial in json.loads((folder / "run" / "report.json").read_text())["trials"]}
    for trial in (trial for trial in trials if trial["number"] > 0):
        number = int(trial["because"].split()[1])
        rounds = [fold["rounds"] for fold in before[number]["folds"]]
        assert trial["params"]["rounds"] == max(1, round(sum(rounds) / len(rounds)))
        assert [fold["rounds"] for fold in trial["folds"]] == [trial["params"]["rounds"]]


def test_every_command_understands_the_new_run(
    folder: Path, anew: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, new = str(anew.folder), str(folder / "new.csv")
    assert main(["predict", run, new, "-o", str(tmp_path / "said.csv")]) == 0
    assert main(["report", run]) == 0
    assert main(["evaluate", run, new]) == 0
    assert main(["monitor", run, new]) in (0, 4)
    assert main(["save", run, str(tmp_path / "model")]) == 0
    assert (tmp_path / "model" / "model_card.md").is_file()
    capsys.readouterr()
    assert len(anew.leaderboard()) >= 1


def test_a_worse_model_is_told_as_more_error_on_rows_that_are_known_to_be_new() -> None:
    """The interval is that of the number beside it; where the old rows are gone nothing vouches for the new ones."""
    found = Existing(name="the old one", score=0.8, gain=-0.3, gain_low=-0.5, gain_high=-0.1)
    verdict, told = renew._compared(found, is_checked=True)
    assert verdict == "worse"
    assert "on new rows that neither learned from" in told
    assert "0.3 more error (95 % interval 0.1 to 0.5)" in told
    assert "unless they are not new" in renew._compared(found, is_checked=False)[1]


def test_nothing_is_said_of_a_search_that_was_none(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No quote and no word on routes that had no chance; each note once."""
    begun = json.loads((folder / "run" / "beginning.json").read_text())
    shutil.copytree(folder / "run", tmp_path / "run")
    (tmp_path / "run" / "beginning.json").write_text(json.dumps({**begun, "source": None}))
    assert main(["refit", str(tmp_path / "run"), str(folder / "new.csv"), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().err
    assert "quote:" not in told
    assert "too slow" not in told
    assert told.count("from memory") == 1
    assert not (tmp_path / "out" / "quote.json").exists()
    families = {one["family"] for one in Result(tmp_path / "out").model.manifest["members"]}
    assert set(json.loads((tmp_path / "out" / "options.json").read_text())["families"]) == families


def test_it_can_be_trained_anew_again_and_learns_what_answers_have_come_to_mean(
    folder: Path, anew: Result, customers: pd.DataFrame, tmp_path: Path
) -> None:
    """Where answers turned into their opposite the new model is better, and says so."""
    rest = customers.iloc[MORE:]
    turned = rest.assign(churned=rest["churned"].map({"yes": "no", "no": "yes"}))
    found = anew.refit(turned, tmp_path / "again", only_new=True, verbose=0)
    told = found.lineage
    assert told is not None
    assert (told["generation"], told["old_rows"], told["new_rows"]) == (2, 0, len(rest))
    assert told["verdict"] == "better"
    assert told["gain_low"] > 0
    assert told["sources"] == []
    assert list(found.model.classes) == list(anew.model.classes)


def test_bad_input_is_refused_in_one_line(
    folder: Path, customers: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows without answers, too few, the old ones again, no run; nothing is written."""
    new = customers.iloc[ROWS:MORE]
    cases = {
        "answers": new.drop(columns="churned"), "price": new.drop(columns="price"), "at least": new.iloc[:10],
        "nothing new": customers.iloc[:ROWS],
    }  # fmt: skip
    for words, rows in cases.items():
        rows.to_csv(tmp_path / "bad.csv", index=False)
        out = tmp_path / "never"
        assert main(["refit", str(folder / "run"), str(tmp_path / "bad.csv"), "--out", str(out), "--quiet"]) == 2
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 1, told
        assert words in told[0]
        assert not out.exists()
    assert main(["refit", str(tmp_path), str(folder / "new.csv"), "--quiet"]) == 2
    capsys.readouterr()


def test_old_rows_that_are_gone_are_told_and_done_without(folder: Path, tmp_path: Path) -> None:
    """Also a metric that was a function is refused before anything is fitted."""
    shutil.copytree(folder / "run", tmp_path / "run")
    begun = json.loads((tmp_path / "run" / "beginning.json").read_text())
    (tmp_path / "run" / "beginning.json").write_text(json.dumps({**begun, "source": str(tmp_path / "gone.csv")}))
    found = Result(tmp_path / "run").refit(folder / "new.csv", tmp_path / "out", verbose=0)
    assert found.lineage is not None
    assert found.lineage["old_rows"] == 0
    assert "cannot be had" in found.lineage["notes"][0]
    options = json.loads((tmp_path / "run" / "options.json").read_text())
    (tmp_path / "run" / "options.json").write_text(json.dumps({**options, "metric_is_function": True}))
    with pytest.raises(automl.AutomlError, match="function"):
        Result(tmp_path / "run").refit(folder / "new.csv", tmp_path / "never", verbose=0)


def test_an_export_of_all_rows_counts_the_old_ones_once() -> None:
    """Rows that merely look alike stay."""
    random = np.random.default_rng(0)
    old, later = (pd.DataFrame({"a": random.normal(size=50), "y": 1}) for _ in range(2))
    whole, first, notes = joined(old, pd.concat([old, later], ignore_index=True))
    assert (len(whole), first) == (100, 50)
    assert "count once" in notes[0]
    few = pd.DataFrame({"a": random.integers(0, 30, 50), "y": 1})
    whole, first, notes = joined(few, few.iloc[:20])
    assert (len(whole), first, notes) == (70, 50, [])
    with pytest.raises(InputError, match="nothing new"):
        joined(old, old)
