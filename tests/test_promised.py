"""The benchmark of promises: which runs it makes, how it goes on, and what it sums up. Its runs are dear, not these."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # scripts, not a package

import promise  # noqa: E402 - found only after the line above
from promise import Case, Line  # noqa: E402 - likewise

CASE = Case("wine", "wine.csv.gz", "class", "multiclass", "table", "log_loss", 0, "10s", 6_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two whole tables."""
    pd.DataFrame({"name": ["a", "b"], "target": ["y", "k"], "task": ["regression", "binary"]}).to_csv(
        tmp_path / "index.csv", index=False
    )
    pd.DataFrame({"x": range(90), "y": range(90)}).to_csv(tmp_path / "a.csv.gz", index=False)
    pd.DataFrame({"x": range(90), "k": ["s", "t", "?"] * 30}).to_csv(tmp_path / "b.csv.gz", index=False)
    return tmp_path


def made(folder: Path, *given: str) -> list[Case]:
    return list(promise.cases(promise._arguments(["--data", str(folder), *given])))


def test_sets_metrics_and_seconds_take_turns_and_no_run_comes_twice(folder: Path) -> None:
    """Every set under a seed before the next seed; more runs go on where fewer ended."""
    found = made(folder, "--runs", "24", "--seconds", "8,20")
    assert [case.set for case in found[:4]] == ["a", "b", "a", "b"]
    assert len({case.key for case in found}) == 24
    assert {case.metric for case in found} == {*promise.METRICS["regression"], *promise.METRICS["binary"]}
    assert {case.budget for case in found if case.set == "a"} == {"8s", "20s"}
    assert made(folder, "--runs", "1", "--trials", "12")[0].budget == "12 trials"
    assert made(folder, "--runs", "5", "--seconds", "8,20") == found[:5]
    with pytest.raises(SystemExit, match="no set to run"):
        made(folder, "--sets", "c")


def test_a_third_is_kept_apart_and_rows_without_an_answer_are_none(folder: Path) -> None:
    """Drawn anew for each seed."""
    first, second = (case for case in made(folder, "--runs", "4") if case.set == "b")
    parts = {}
    for case in (first, second):
        learn, test, y = promise._tables(case, folder)
        assert (len(learn), len(test)) == (40, 20)
        assert not set(learn["x"]) & set(test["x"])
        assert set(y) == {"s", "t"}
        parts[case.seed] = set(test["x"])
    assert parts[0] != parts[1]


def line(low: float, high: float, kept: float, *, higher: bool = True, **case: object) -> Line:
    told = Line({**asdict(CASE), **case}, promised=((low + high) / 2, low, high), kept=kept, higher_is_better=higher)
    told.held = told.strict = {str(level): [round(100 * level), 100, 1.5] for level in promise.LEVELS}
    told.groups = {"answer: a": [45, 50], "answer: b": [20, 50]}
    return told


def test_the_summary_counts_what_was_kept_by_metric_and_side() -> None:
    """Better and worse by the metric's direction; failures are told apart; groups far off are counted."""
    lines = [
        line(0.8, 0.9, 0.85), line(0.8, 0.9, 0.95), line(0.8, 0.9, 0.7),
        line(0.1, 0.2, 0.3, higher=False, metric="rmse", task="regression"),
        Line(asdict(CASE), failure="ended with code 1"),
    ]  # fmt: skip
    assert [one.verdict for one in lines] == ["inside", "better", "worse", "worse", "failed"]
    told = promise.summary(lines)
    assert "| all | 4 | 25.0% |" in told
    assert "| metric log_loss | 3 | 33.3% |" in told
    assert "| metric rmse | 1 | 0.0% |" in told
    assert "1 runs failed; wine: ended with code 1" in told
    assert "| 0.9 | 300 | 90.0% | 90.0% | 1 of 1 |" in told
    assert "off by more than five points beyond chance (95 %): 3 of 6" in told
    assert promise.wilson(9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-3)


def test_a_torn_line_is_run_again(tmp_path: Path) -> None:
    """Whole ones are read back as they were."""
    journal = tmp_path / "results.jsonl"
    whole = json.dumps(asdict(line(0.8, 0.9, 0.85)))
    journal.write_text(whole + "\n" + whole[:40])
    assert [one.verdict for one in promise.read(journal)] == ["inside"]


def test_a_run_that_fails_or_takes_too_long_is_a_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the last line that it printed; the next run goes on."""
    missing = promise.run(CASE, tmp_path)
    assert missing.verdict == "failed"
    assert missing.failure.startswith("ended with code 1: ")
    assert "wine.csv.gz" in missing.failure
    monkeypatch.setattr(promise, "LATE_S", -9.9)
    assert promise.run(CASE, tmp_path).failure.startswith("killed after 0 s")
    assert list(tmp_path.iterdir()) == []
    assert promise._limit_s("12 trials") == promise.COUNTED_S
