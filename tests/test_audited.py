"""The audit with what it would change: by itself in seconds, and at the end of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import automl
from automl import Result
from automl.data.prepare import prepare
from automl.data.profiler import examine
from automl.data.reading import load
from automl.doors.auditing import AuditReport
from automl.doors.cli import main
from automl.explain.cells import places
from automl.options import Options
from automl.records import FoldPlan
from automl.refit.relearn import Omission, changed
from automl.report import draw, words

ROWS = 900


def people(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """How long somebody stays follows from a column, without a doubt; another one helps to read it."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "visits": random.normal(size=rows).round(4),
            "spent": random.normal(size=rows).round(4),
            "town": random.choice(["Ulm", "Bonn", "Jena"], rows),
        }
    )
    frame["stays"] = np.select([frame["visits"] < -0.5, frame["visits"] < 0.5], ["short", "middling"], "long")
    return frame


def mistaken(frame: pd.DataFrame, share: float = 0.1) -> tuple[pd.DataFrame, np.ndarray]:
    """Some answers given wrong; and the numbers of these rows, counted from 1."""
    random = np.random.default_rng(1)
    rows = random.choice(len(frame), round(share * len(frame)), replace=False)
    names, codes = np.unique(frame["stays"].to_numpy(str), return_inverse=True)
    codes[rows] = (codes[rows] + random.integers(1, 3, len(rows))) % 3
    return frame.assign(stays=names[codes]), rows + 1


def leaky(rows: int = 500) -> pd.DataFrame:
    """A column that is the answer in other words, beside others that know less."""
    frame = people(rows)
    frame["stays"] = np.where(frame["visits"] + np.random.default_rng(2).normal(0, 1, rows) > 0, "yes", "no")
    return frame.assign(closed=np.where(frame["stays"] == "yes", "c7", "k2"))


@pytest.fixture(scope="module")
def audited() -> AuditReport:
    """Five rows without an answer in front, so that numbers of rows have to be those of the user's table."""
    frame, _ = mistaken(people())
    return automl.audit(pd.concat([frame.head(5).assign(stays=None), frame], ignore_index=True), "stays")


def test_wrong_labels_are_listed_by_the_numbers_of_the_users_rows(audited: AuditReport) -> None:
    """Rows without an answer count too: what is listed is what its user finds there."""
    _, wrong = mistaken(people())
    listed = audited.suspects
    assert len(listed) >= 0.4 * len(wrong)
    assert listed["row"].isin(wrong + 5).mean() >= 0.8
    assert set(listed["suggested"]) == {"short", "middling", "long"}
    told = audited.told["suspects"]
    assert told["count"] == len(listed)
    assert len(told["rows"]) == min(20, len(listed))
    assert told["low"] <= 0.1 <= told["high"]
    assert {"all", "trusted"} <= set(told)
    assert told["all"]["metric"] == "log_loss"
    assert isinstance(told["is_advised"], bool)
    assert "look at the listed rows" in told["advice"]


def test_suspects_are_saved_for_whoever_looks_at_them(audited: AuditReport, tmp_path: Path) -> None:
    """A row each, with no column for the names that tables do not have."""
    saved = pd.read_csv(audited.save_suspects(tmp_path / "suspects.csv"))
    assert saved.columns.tolist() == ["row", "given", "suggested", "chance"]
    assert saved["row"].tolist() == audited.suspects["row"].tolist()


def test_the_page_and_the_lines_say_the_same(audited: AuditReport, tmp_path: Path) -> None:
    """How many, the first rows, and the advice; in HTML and in the terminal."""
    page = audited.report(tmp_path / "audit.html").read_text(encoding="utf-8")
    count = words.number(audited.told["suspects"]["count"])
    for text in (page, str(audited)):
        assert f"{count} of {words.number(ROWS)} held-out labels look wrong" in text
        assert "look at the listed rows" in text.lower()
    assert "src=" not in page
    assert page.count("<section") == 2


def test_a_leak_is_danger_with_the_score_without_it() -> None:
    """The column that is the answer: without it the score is what can really be had."""
    told = automl.audit(leaky(), "stays").told
    finding = next(one for one in told["audit"] if one["code"] == "leak")
    effect = finding["effect"]
    assert effect["before"] > 0.99
    assert 0.6 < effect["after"] < 0.95
    assert effect["high"] < 0
    assert finding["advice"].startswith("if it cannot be known when you predict")
    (line,) = words.dangers(told)
    assert line.startswith("Danger: the score rests on column 'closed'. Without: roc_auc 0.")
    assert line in draw(told).replace("&#39;", "'")


def test_two_leaks_are_also_left_out_together() -> None:
    """Without one of two that tell the same nothing is lost; without both it is."""
    frame = leaky()
    told = automl.audit(frame.assign(ended=frame["closed"].map({"c7": 4, "k2": 9})), "stays").told["audit"]
    each = [one for one in told if one["code"] == "leak"]
    (both,) = (one for one in told if one["code"] == "leaks")
    assert len(each) == 2
    assert all(one["effect"]["after"] > 0.99 for one in each)
    assert all("other columns may tell the same" in one["advice"] for one in each)
    assert both["effect"]["after"] < 0.95
    assert both["severity"] == "danger"


def test_what_moved_is_told_beside_the_score_on_the_test_data() -> None:
    """One column is drawn elsewhere in the test data; the others and a second sample of the same are quiet."""
    frame, same = people(), people(seed=5)
    moved = same.assign(spent=same["spent"] + 1.5)
    quiet, loud = (automl.audit(frame, "stays", test=test).told for test in (same, moved))
    assert quiet["shift"]["moved"] == 0
    assert quiet["shift"]["low"] < 0.6
    assert [one["code"] for one in quiet["audit"] if one["code"] == "drift"] == []
    assert [one["column"] for one in loud["shift"]["columns"] if one["is_alarming"]] == ["spent"]
    assert loud["shift"]["low"] > 0.6
    (finding,) = (one for one in loud["audit"] if one["code"] == "drift")
    assert "'spent'" in finding["message"]
    assert 0 < loud["shift"]["test"]["value"] < 1


def test_twins_across_folds_have_a_score_of_their_own() -> None:
    """Answers that nothing foretells, and rows that are there twice and kept apart: twins alone can be answered."""
    frame = people(600)
    frame["stays"] = np.random.default_rng(3).choice(["yes", "no"], len(frame))
    told = automl.audit(pd.concat([frame, frame.head(200)]), "stays", repeats="apart").told["twins"]
    assert 250 < told["rows"] <= 400
    assert told["agreeing"] == told["rows"]
    assert told["with_twin"]["value"] > told["without_twin"]["value"] + 0.1
    assert told["told"].startswith("if new rows will not repeat")


def test_a_column_done_without_says_nothing_and_rows_are_only_not_learned_from() -> None:
    """The held-out rows of a fold stay, whoever is doubted among them."""
    options = Options.of({"target": "stays"})
    dataset = load(people(200), options)
    profile, _ = examine(dataset, options)
    ready = prepare(dataset, profile, options, core_s=float("inf"), fold_plan=FoldPlan(4, 4, ""))
    shared, known = ready.shared, {place.name: place for place in places(ready.schema)}
    silent = changed(shared, Omission("both", (known["spent"], known["town"])), 0)
    for array in (silent.raw.numbers[:, list(known["spent"].numbers)], silent.raw.codes[:, known["town"].code]):
        assert np.unique(array).size == 1
    assert np.unique(silent.raw.numbers[:, list(known["visits"].numbers)]).size > 100
    rows = np.concatenate([shared.folds.held(0)[:3], shared.folds.held(1)[:5]])
    less = changed(shared, Omission("some", rows=rows), 0)
    assert len(less.y) == len(shared.y) - 5
    assert (less.y[less.folds.held(0)] == shared.y[shared.folds.held(0)]).all()


def test_the_command_prints_json_and_writes_page_and_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For machines the keys are those of a run's report."""
    data, page, rows = (str(tmp_path / name) for name in ("data.csv", "audit.html", "suspects.csv"))
    leaky(300).to_csv(data, index=False)
    assert main(["audit", data, "-t", "stays", "--json", "--html", page, "--suspects", rows]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"data", "audit", "suspects", "twins", "shift"}
    assert told["audit"][0]["code"] == "leak"
    assert "Danger: the score rests on" in Path(page).read_text(encoding="utf-8")
    assert Path(rows).is_file()
    assert main(["audit", data, "-t", "stays", "--html", str(tmp_path)]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, lasting_workers: None) -> Result:
    """A run of one configuration on labels of which an eighth are wrong."""
    frame, _ = mistaken(people(1_500), 0.12)
    return automl.fit(
        frame, "stays", budget="1 trials", families=("lightgbm",), run_dir=tmp_path_factory.mktemp("audited") / "run",
        verbose=0,
    )  # fmt: skip


@pytest.mark.soak
def test_a_run_lists_its_suspects_and_learns_again_without_them(run: Result) -> None:
    """By its best model's held-out answers; the score with and without on the same rows, and the file beside it."""
    _, wrong = mistaken(people(1_500), 0.12)
    report = json.loads((run.folder / "report.json").read_text(encoding="utf-8"))
    told = report["suspects"]
    listed = pd.read_csv(run.folder / told["file"])
    assert len(listed) == told["count"] > 0.4 * len(wrong)
    assert listed["row"].isin(wrong).mean() >= 0.8
    assert 0 < told["all"]["rows"] <= told["looked_at"] == 1_500
    assert told["trusted"]["rows"] < told["all"]["rows"]
    assert told["learner"].startswith("lightgbm #")
    assert "look wrong" in (run.folder / "report.html").read_text(encoding="utf-8")


def test_an_older_report_without_these_keys_is_drawn(run: Result) -> None:
    """Findings as they were, without an effect and without suspects."""
    report = json.loads((run.folder / "report.json").read_text(encoding="utf-8"))
    old = {key: value for key, value in report.items() if key not in ("suspects", "twins", "shift")}
    old["audit"] = [{"code": "leak", "severity": "danger", "message": "m", "column": "c", "evidence": {}}]
    assert "look wrong" not in draw(old)
    assert words.dangers(old) == []
