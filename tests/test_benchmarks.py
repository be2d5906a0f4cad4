"""The benchmark harness: scoring maths, reading of sets, and one tiny run."""

from __future__ import annotations

import gzip
import json
import math
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from drivers import start_s
from hypothesis import given
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # scripts, not a package: they import each other as they do when run

import rows  # noqa: E402 - found only after the line above
import scoring  # noqa: E402 - likewise
import sets  # noqa: E402 - likewise
import small_folders  # noqa: E402 - likewise
import tables  # noqa: E402 - likewise
from scoring import Record  # noqa: E402 - likewise

RECORD = Record("wine", "ours", 0, 60.0, "roc_auc", constant_loss=0.5, score=0.9)


def test_auc_asks_for_the_order_of_the_class_whatever_the_columns_order() -> None:
    """Columns are found by label, and one missing class counts as probability zero."""
    truth = pd.Series(["no", "yes", "yes", "no"])
    chances = pd.DataFrame({"yes": [0.1, 0.9, 0.3, 0.4], "no": [0.9, 0.1, 0.7, 0.6]})
    assert scoring.score("roc_auc", truth, chances) == pytest.approx(0.75)
    assert scoring.score("roc_auc", truth, chances[["no", "yes"]]) == pytest.approx(0.75)


def test_log_loss_is_that_of_the_true_class_and_a_class_never_named_costs_dearly() -> None:
    """The mean of -log of the true class's share; rows are made to sum to one first."""
    truth = pd.Series(["a", "b"])
    assert scoring.score("log_loss", truth, pd.DataFrame({"a": [1.0, 1.0], "b": [1.0, 3.0]})) == pytest.approx(
        -(math.log(0.5) + math.log(0.75)) / 2
    )
    assert scoring.score("log_loss", truth, pd.DataFrame({"a": [1.0, 1.0]})) > 10


def test_errors_of_numbers_are_in_the_targets_unit() -> None:
    """RMSE and MAE by hand."""
    truth, guess = pd.Series([0.0, 0.0]), pd.DataFrame({"prediction": [3.0, 4.0]})
    assert scoring.score("rmse", truth, guess) == pytest.approx(math.sqrt(12.5))
    assert scoring.score("mae", truth, guess) == pytest.approx(3.5)


def test_whole_tables_are_cut_once_and_keep_their_cells(tmp_path: Path) -> None:
    """Two thirds to learn from, classes in equal shares, and a cell stays as it was written."""
    table = pd.DataFrame({"x": ["01", "?"] * 45, "label": ["NA", *["a", "b"] * 44, "a"]})
    table.to_csv(tmp_path / "some.csv.gz", index=False)
    (tmp_path / "index.csv").write_text("name,target,task\nsome,label,binary\n")
    (found,) = sets.from_index(tmp_path, tmp_path / "out")
    train, test = (pd.read_csv(path, dtype=str, keep_default_na=False) for path in (found.train, found.test))
    assert (len(train), len(test)) == (59, 30)
    assert set(train["x"]) == {"01", "?"}
    assert abs((test["label"] == "a").mean() - 0.5) < 0.05
    assert (found.target, found.task, found.metric) == ("label", "binary", "roc_auc")


def test_broken_promises_are_counted_on_their_side() -> None:
    """A loss above its interval was promised too little of, an AUC above it was promised too low."""
    runs = [
        replace(RECORD, promised=0.9, low=0.85, high=0.95),
        replace(RECORD, set="beer", score=0.99, promised=0.9, low=0.85, high=0.95),
        replace(RECORD, set="ale", metric="log_loss", score=0.5, promised=0.3, low=0.2, high=0.4),
        replace(RECORD, set="tea", contestant="other"),
    ]
    told = scoring.summary(runs)
    rows = {
        cells[1]: cells[2:]
        for line in told.splitlines()
        if (cells := line.strip("| ").replace("|", " ").split())[:1] == ["ours"]
    }
    assert rows == {
        "all": ["3", "33.3%", "1", "1"],
        "roc_auc": ["2", "50.0%", "0", "1"],
        "log_loss": ["1", "0.0%", "1", "0"],
    }
    assert "- ale, ours, seed 0: 0.3 [0.2, 0.4] promised, 0.5 kept" in told


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        (pd.DataFrame({"a": [1.0]}), "1 predictions for 2"),
        (pd.DataFrame({"a": [np.nan, 1.0], "b": [0.5, 0.0]}), "no finite numbers"),
        (pd.DataFrame({"0": [0.5, 1.0], "1": [0.5, 0.0]}), "none of"),
    ],
)
def test_predictions_that_make_no_sense_are_refused(predictions: pd.DataFrame, message: str) -> None:
    """Wrong length, missing cells and unknown labels are failures, not scores."""
    with pytest.raises(ValueError, match=message):
        scoring.score("log_loss", pd.Series(["a", "b"]), predictions)


def test_the_constant_predictor_knows_only_the_target() -> None:
    """Shares of classes, or the mean."""
    assert scoring.constant(pd.Series(["a", "a", "b", "a"]), "binary", 2).to_dict("list") == {
        "a": [0.75, 0.75], "b": [0.25, 0.25],
    }  # fmt: skip
    assert scoring.constant(pd.Series([1.0, 3.0]), "regression", 1).to_dict("list") == {"prediction": [2.0]}


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=8), st.floats(0.1, 10))
def test_a_steady_advantage_is_the_ratio_with_no_interval(values: list[float], factor: float) -> None:
    """If we have `factor` times the other's loss on every set, that is the geometric mean and both its bounds."""
    other = pd.Series(values)
    ratio = scoring.compare(other * factor, other)
    assert [ratio.value, ratio.low, ratio.high] == pytest.approx([factor] * 3)
    assert ratio.wins + ratio.ties + ratio.losses == len(values)


def test_wins_need_more_than_a_fifth_of_a_percent() -> None:
    """Differences below 0.2 % are ties in both directions, and the interval holds the mean."""
    ratio = scoring.compare(pd.Series([0.9, 0.999, 1.001, 1.1]), pd.Series([1.0] * 4))
    assert (ratio.wins, ratio.ties, ratio.losses) == (1, 2, 1)
    assert ratio.low < ratio.value < ratio.high


def test_a_failure_counts_as_the_constant_and_seeds_are_averaged() -> None:
    """A run without predictions has the constant's loss; near-zero losses stop at a thousandth of it."""
    lost = replace(RECORD, contestant="flaml", score=None, failure="boom")
    perfect = replace(RECORD, contestant="histgb", score=1.0)
    table = scoring.losses([RECORD, replace(RECORD, seed=1, score=0.8), lost, perfect])
    assert table.loc["wine"].to_dict() == pytest.approx({"ours": 0.15, "flaml": 0.5, "histgb": 0.0005})


def test_the_summary_tells_scores_failures_and_comparisons() -> None:
    """Failed runs are named with their reason, and every other contestant is compared with ours."""
    lost = replace(RECORD, contestant="flaml", score=None, failure="boom")
    text = scoring.summary([RECORD, lost, replace(RECORD, contestant="histgb", score=0.9001)])
    assert "- wine, flaml, seed 0: boom" in text
    rows = [[cell.strip() for cell in line.split("|")[1:5]] for line in text.splitlines()]
    assert ["flaml", "1", "1", "0"] in rows
    assert ["histgb", "1", "1", "0"] not in rows
    assert ["best of them per set", "1", "0", "1"] in rows
    assert "0.2000 |" in text, "a single set has a ratio but no interval"


def test_stored_scores_join_the_comparison_where_set_and_metric_agree() -> None:
    """The peers' table names ten sets; only those that are being measured by the same metric are used."""
    file = BENCHMARKS / "references" / "peers_60s.json"
    found = scoring.stored(file, {"letter": "log_loss", "adult": "accuracy", "other": "rmse"})
    assert {(r.set, r.contestant, r.score) for r in found} == {
        ("letter", "autogluon_best (stored)", 0.0790),
        ("letter", "autogluon_medium (stored)", 0.0693),
        ("letter", "flaml (stored)", 0.1245),
    }


def test_a_folder_gives_its_tabular_sets_packed_or_not(tmp_path: Path) -> None:
    """Sub-folders with meta.json of modality tabular are sets; labels are read as text, even one that reads NA."""
    write_set(tmp_path / "b", "tabular")
    write_set(tmp_path / "a", "tabular")
    write_set(tmp_path / "c", "image")
    (tmp_path / "a" / "test.csv").unlink()
    (tmp_path / "a" / "test.csv.gz").write_bytes(gzip.compress(b"x,label\n3,NA\n4,1\n"))
    found = sets.from_folder(tmp_path)
    assert [table.name for table in found] == ["a", "b"]
    assert found[0].answers("test").tolist() == ["NA", "1"]
    assert [table.name for table in sets.from_folder(tmp_path, ("b",))] == ["b"]
    with pytest.raises(SystemExit, match="unknown set 'c'"):
        sets.from_folder(tmp_path, ("c",))


def test_a_torn_last_line_is_skipped_and_the_next_line_is_whole(tmp_path: Path) -> None:
    """A crash while writing loses that one result and no other."""
    journal = tmp_path / "results.jsonl"
    tables.append(journal, RECORD)
    with journal.open("a") as file:
        file.write('{"set": "wi')
    tables.append(journal, replace(RECORD, seed=1))
    assert tables.read_records(journal) == [RECORD, replace(RECORD, seed=1)]


def test_a_contestant_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    """The hard limit ends the whole tree, and memory was watched meanwhile."""
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(600)"
    )
    (tmp_path / "work").mkdir()
    log = tmp_path / "log.txt"
    for limit_s in (1.0, 4.0, 16.0, 64.0):  # until it had the time to tell of its child
        ending = tables.run_limited([sys.executable, "-c", code], log, limit_s=limit_s)
        assert ending.is_killed
        if log.read_text().endswith("\n"):
            break
    assert ending.peak_mb > 1
    child = int(log.read_text())
    until = time.monotonic() + 60
    while is_alive(child) and time.monotonic() < until:  # the system takes a moment to end it
        time.sleep(0.05)
    assert not is_alive(child)


def test_a_contestant_that_dies_is_a_result_with_a_reason(tmp_path: Path) -> None:
    """No result.json and no predictions: no score, and the exit code is told."""
    write_set(tmp_path / "a", "tabular")
    (table,) = sets.from_folder(tmp_path)
    record = tables.judge("ours", table, 5, 0, tmp_path, tables.Ending(-9, is_killed=False, peak_mb=1, wall_s=1))
    assert record.score is None
    assert record.failure == "ended with code -9, see log.txt"
    assert record.loss == record.constant_loss == 0.5


def test_every_contestant_has_a_script_and_an_unknown_one_is_refused() -> None:
    """Names are those of the scripts; the shared module is no contestant."""
    assert tables.contestant("histgb").python == sys.executable
    with pytest.raises(SystemExit, match=r"unknown contestant 'common'.*flaml.*ours"):
        tables.contestant("common")


def test_a_run_measures_everything_and_is_resumed_without_repeating(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One contestant on one bundled set: score, times, size and memory are there; resuming adds nothing."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # two threads wait for each other on a busy machine
    argv = ["--sets", "diabetes", "--contestants", "histgb", "--seconds", "30", "--out", str(tmp_path)]
    assert tables.main(argv) == 0
    (record,) = tables.read_records(tmp_path / "results.jsonl")
    assert record.failure is None
    assert record.loss < record.constant_loss
    for cost in ("fit_s", "row_ms", "batch_ms", "size_mb", "peak_mb", "wall_s"):
        assert getattr(record, cost) > 0, cost
    assert "diabetes" in (tmp_path / "summary.md").read_text()
    assert tables.main([*argv, "--resume"]) == 0
    assert len(tables.read_records(tmp_path / "results.jsonl")) == 1
    with pytest.raises(SystemExit, match="already holds results"):
        tables.main(argv)


class Fussy:
    """A model that tells a row by the company it keeps, or refuses it alone."""

    classes = ()

    def __init__(self, refuses: bool) -> None:
        self.refuses = refuses

    def predict(self, data: object) -> pd.Series:
        given = pd.DataFrame(data) if isinstance(data, list | np.ndarray) else data
        given = pd.read_csv(given) if isinstance(given, Path) else given
        if self.refuses and len(given) == 1:
            raise ValueError("too few")
        return pd.Series(given.iloc[:, 0].astype(float) + (len(given) == 1), index=given.index)


def test_rows_that_are_refused_or_told_otherwise_alone_are_failures() -> None:
    """Each way of giving a row has its line, with how often and the first case."""
    held = pd.DataFrame({"x": [1.0, 2.0, 3.0]}, index=[7, 8, 9])
    for model, told in ((Fussy(True), "ValueError: too few"), (Fussy(False), "differs from the batch by up to 1")):
        problems = rows.compare(model, held)
        assert len(problems) == 5
        assert problems[0] == f"one row of the frame: 3 times, first row 7: {told}"


def test_every_table_is_told_and_a_failure_ends_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table that cannot be fitted is a failure, not the end; an unknown name is refused."""
    pd.DataFrame({"name": ["lone", "gone"], "target": ["y", "y"]}).to_csv(tmp_path / "index.csv", index=False)
    pd.DataFrame({"x": [1, 2, 3], "y": [0, 1, 0]}).to_csv(tmp_path / "lone.csv", index=False)
    assert rows.main(["--data", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "fit: InputError: 2 of 2 rows have a target in 'y', at least 10 are needed" in printed
    assert "its file is missing" in printed
    assert printed.endswith("2 of 2 tables failed\n")
    with pytest.raises(SystemExit, match="other not in"):
        rows.main(["--data", str(tmp_path), "--sets", "other"])


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def write_set(folder: Path, modality: str) -> None:
    folder.mkdir()
    meta = {"modality": modality, "target": "label", "task": "binary", "metric": "roc_auc"}
    (folder / "meta.json").write_text(json.dumps(meta))
    (folder / "train.csv").write_text("x,label\n1,NA\n2,1\n")
    (folder / "test.csv").write_text("x,label\n3,NA\n4,1\n")


@pytest.mark.slow
@pytest.mark.soak
def test_a_quick_benchmark_of_ours_beats_the_constant_by_far_on_every_bundled_set(tmp_path: Path) -> None:
    """Three sets, 15 seconds each on a quiet machine: no failure, and clearly less than the constant's error."""
    argv = ["--contestants", "ours", "--seconds", f"{max(15.0, 5 * start_s()):.0f}", "--out", str(tmp_path)]
    assert tables.main(argv) == 0
    records = tables.read_records(tmp_path / "results.jsonl")
    assert {record.set for record in records} == set(sets.BUNDLED)
    for record in records:
        assert record.failure is None, record.set
        assert record.loss < 0.85 * record.constant_loss, (record.set, record.loss, record.constant_loss)
        assert record.size_mb is not None
        assert record.size_mb < 100


def test_a_small_folder_is_drawn_in_the_shares_of_its_classes_and_the_same_each_time(tmp_path: Path) -> None:
    """Another draw has other files; a set with too few gives none."""
    for name, count in (("cat", 60), ("dog", 30), ("emu", 1)):
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"{number}.png").touch()
    first, again, other = (small_folders.draw(tmp_path, small_folders.Case("pets", 45, n)) for n in (0, 0, 1))
    assert first is not None
    assert first == again != other
    assert len(set(first)) == len(first)
    counts = pd.Series([file.parent.name for file in first]).value_counts()
    assert counts.to_dict() == {"cat": 29, "dog": 15, "emu": 1}
    assert small_folders.draw(tmp_path, small_folders.Case("pets", 92, 0)) is None


@pytest.mark.parametrize(
    ("metric", "is_higher_better", "kept", "verdict"),
    [
        ("accuracy", True, 0.82, "inside"), ("accuracy", True, 0.7, "too good"), ("accuracy", True, 0.95, "too low"),
        ("log_loss", False, 0.95, "too good"), ("log_loss", False, 0.7, "too low"),
    ],
)  # fmt: skip
def test_a_promise_is_too_good_where_new_files_are_worse(
    metric: str, is_higher_better: bool, kept: float, verdict: str
) -> None:
    """Whichever way the metric goes."""
    one = small_folders.Outcome("pets", 60, 0, 10.0, metric, is_higher_better, 0.8, 0.75, 0.9, kept, 9.0, "svm", 3, 60)
    assert one.verdict == verdict
    told = small_folders.summary([one, replace(one, kept=0.8, files=240, took_s=5.0)])
    assert f"| all | 2 | {'100%' if verdict == 'inside' else '50%'} |" in told
    assert told.rstrip().endswith("| 70% |")


def test_cases_that_are_done_are_read_back_and_a_torn_one_is_not(tmp_path: Path) -> None:
    """A run that was ended goes on."""
    one = small_folders.Outcome("pets", 60, 0, 10.0, "accuracy", True, 0.8, 0.7, 0.9, 0.8, 9.0, "svm", 3, 60)
    (tmp_path / "results.jsonl").write_text(json.dumps(asdict(one)) + "\n" + json.dumps(asdict(one))[:40])
    assert small_folders.read(tmp_path / "results.jsonl") == [one]
    assert small_folders.read(tmp_path / "none.jsonl") == []
