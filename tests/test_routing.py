"""The learned prior and what benchmarks/routing.py makes of results: maths on made outcomes, no runs."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl.decision import learned
from automl.records import Column, Kind, Profile
from automl.records.choice import Gain

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # scripts, not a package

import arms  # noqa: E402 - found only after the line above
import outcomes  # noqa: E402 - likewise
import routing  # noqa: E402 - likewise
from outcomes import Outcome  # noqa: E402 - likewise
from scoring import Record  # noqa: E402 - likewise

COLUMNS = tuple(Column(name=f"c{at}", kind=Kind.NUMBER, why="", missing=0.0, unique=10) for at in range(6))
RULES = Gain(mean=0.06, sd=0.25, source="rules", told="table")


def made(number: int, ratio: float, tails: float, rows: int = 2_000) -> Outcome:
    profile = Profile(
        rows=rows, columns=COLUMNS, task="regression", task_rule="", metric="rmse", metric_rule="",
        facts={"kurtosis_std": tails, "share_number": 1.0, "missing": 0.0, "max_cardinality": 0.0},
    )  # fmt: skip
    return Outcome(name=f"t{number}", source=f"s{number}", profile=profile, core_s=20.0, ratio=ratio)


def seen(slope: float, rows: int = 60) -> list[Outcome]:
    random = np.random.default_rng(0)
    tails = random.uniform(0, 4, rows)
    noise = random.normal(size=rows) * 0.05
    return [
        made(at, slope * (one - 2) + off, math.expm1(one))
        for at, (one, off) in enumerate(zip(tails, noise, strict=True))
    ]


def test_what_follows_from_a_fact_is_learned_on_top_of_the_rules() -> None:
    """Tables with long tails, where networks lost, are told apart from those without, where they won."""
    found = seen(0.2)
    line = outcomes.fit(found)
    gains = [outcomes.by_line(line)(one) for one in found]
    assert np.corrcoef([gain.mean for gain in gains], [one.ratio for one in found])[0, 1] > 0.8
    assert 0.03 < gains[0].sd < 0.2


def test_where_facts_tell_nothing_the_rules_stay_but_for_their_level() -> None:
    """Slopes shrink to nought, and nobody is surer for them."""
    line = outcomes.fit(
        [made(at, float(r), float(t)) for at, (r, t) in enumerate(np.random.default_rng(1).normal(size=(50, 2)) ** 2)]
    )
    assert np.abs(line.slopes[1:]).max() < 0.2


def test_the_line_is_used_only_where_it_beats_the_rules_on_sources_left_out() -> None:
    """Judged by the chance it gives and by the regret of following it."""
    line, told = outcomes.learn(seen(0.2))
    assert line.is_used
    assert told["learned"]["log_loss"] < told["rules"]["log_loss"]
    assert told["learned"]["regret"] <= told["rules"]["regret"]
    assert 0.9 <= told["learned"]["inside"] <= 1
    assert "is used" in outcomes.summary(told, is_used=True)


def test_a_table_is_never_judged_by_a_line_that_saw_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """All sizes of a structure are left out together."""
    trained: list[set[str]] = []
    real = outcomes.fit
    monkeypatch.setattr(outcomes, "fit", lambda some: trained.append({one.source for one in some}) or real(some))
    found = [replace(one, source=f"s{at % 4}") for at, one in enumerate(seen(0.2, 20))]
    outcomes.left_out(found)
    assert sorted(map(len, trained)) == [3, 3, 3, 3]


def test_a_line_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """As JSON, to six digits."""
    line, _ = outcomes.learn(seen(0.2))
    again = learned.from_json(json.loads(json.dumps(line.as_json())))
    one = made(0, 0.0, 5.0)
    assert again.correct(RULES, one.facts, 1.0)[0].mean == pytest.approx(
        line.correct(RULES, one.facts, 1.0)[0].mean, rel=1e-3
    )
    assert again.figures == line.figures


def test_facts_beyond_those_seen_make_unsure_and_then_leave_it_to_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A little outside: a wider deviation; far outside: the rules alone."""
    line, _ = outcomes.learn(seen(0.2))
    monkeypatch.setattr(learned, "shipped", lambda: line)
    usual, far = made(0, 0.0, math.expm1(2.0)), made(0, 0.0, math.expm1(40.0))
    assert learned.corrected(RULES, usual.profile, 20.0).source == "learned"
    assert learned.corrected(RULES, far.profile, 20.0) is RULES
    near = line.correct(RULES, {**usual.facts, "log_kurtosis": 4.3}, 1.0)
    assert near[1] > 0
    assert near[0].sd > line.correct(RULES, usual.facts, 1.0)[0].sd
    monkeypatch.setattr(learned, "shipped", lambda: replace(line, is_used=False))
    assert learned.corrected(RULES, usual.profile, 20.0) is RULES


def test_the_shipped_line_says_how_it_did_and_is_used_by_that_verdict() -> None:
    """The figures of learned.json are what decides."""
    line = learned.shipped()
    assert line is not None
    ours, rules = line.figures["learned"], line.figures["rules"]
    assert line.is_used == (ours["log_loss"] < rules["log_loss"] and ours["regret"] <= rules["regret"])
    assert line.figures["tables"] >= 60
    assert len(line.slopes) == len(line.names) + 1


def test_a_chance_that_came_as_said_is_calibrated() -> None:
    """Half of those said to be even, and none that was excluded."""
    chance = np.array([0.5] * 50 + [0.0] * 50)
    assert outcomes.calibration(chance, np.array([0.0, 1.0] * 25 + [0.0] * 50)) == pytest.approx(0, abs=0.05)
    assert outcomes.calibration(chance, np.ones(100)) == pytest.approx(0.75)


# --- what the choice was worth ---------------------------------------------------------------------------------------


def case(name: str, classical: float, neural: float, auto: float, **told: object) -> arms.Case:
    record = Record(name, "ours", 0, 20.0, "rmse", constant_loss=10.0, score=auto, fit_s=20.0)
    return arms.Case(
        name=name, seed=0, losses={"classical": classical, "neural": neural}, auto=record, auto_loss=auto, all_s=40.0,
        told=arms.Told(**told), errors={"classical": 0.1, "neural": 0.1},
    )  # fmt: skip


def test_the_gap_is_closed_by_as_much_of_the_way_from_the_single_best_arm_to_the_oracle() -> None:
    """One set follows networks, one stays with classical models."""
    found = arms.worth([case("a", 1.0, 2.0, 1.0), case("b", 2.0, 1.0, 1.0), case("c", 1.0, 1.1, 1.0)])
    assert found.single == "classical"
    assert found.closed_gap == pytest.approx(1.0)
    assert found.over_best == pytest.approx(1.0)
    assert found.harm == 0
    assert found.saved == pytest.approx(0.5)
    half = arms.worth([case("a", 1.0, 2.0, 1.0), case("b", 4.0, 1.0, 2.0), case("c", 1.0, 9.0, 1.0)])
    assert half.closed_gap == pytest.approx(0.5)
    assert half.worst == ("b", pytest.approx(2.0))


def test_harm_is_a_loss_above_the_single_best_arm_by_more_than_a_standard_error() -> None:
    """A tenth of the runs here."""
    found = [case(f"s{at}", 1.0, 2.0, 1.05) for at in range(9)] + [case("bad", 1.0, 2.0, 1.2)]
    assert arms.worth(found).harm == pytest.approx(0.1)


def test_promises_are_counted_where_they_were_made() -> None:
    """Intervals of the regret, folds that both routes did, and chances; a report without them counts nowhere."""
    found = arms.worth(
        [case("a", 1.0, 2.0, 1.1, regret=(0.0, 0.2), folds=5, win_before=0.1, win_after=0.0),
         case("b", 1.0, 2.0, 1.5, regret=(0.0, 0.2), folds=1, win_before=0.1), case("c", 1.0, 2.0, 1.0)]
    )  # fmt: skip
    assert found.inside == pytest.approx(0.5)
    assert found.comparable == pytest.approx(0.5)
    assert found.calibration == {"win_before": pytest.approx(0.1), "win_after": pytest.approx(0.0)}
    bare = arms.worth([case("c", 1.0, 2.0, 1.0)])
    assert bare.inside is bare.comparable is bare.decision_share is None
    assert "not told" in arms._words(bare)


def test_a_run_says_what_it_thought_and_found_whatever_its_report_lacks(tmp_path: Path) -> None:
    """Nothing of a folder that is not there."""
    assert arms.told_by(tmp_path) == arms.Told()
    report = {
        "decision": {"gain": {"mean": 0.0, "sd": 1.0}, "verdict": {
            "win_after": 0.9, "differences": [{"folds": 4}], "regret": {"low": 0.0, "high": 0.3}}},
        "trials": [{"because": "probe: default", "cpu_s": 1.0}, {"because": "default", "cpu_s": 9.0}],
    }  # fmt: skip
    (tmp_path / "report.json").write_text(json.dumps(report))
    told = arms.told_by(tmp_path)
    assert (told.win_before, told.win_after, told.folds, told.regret) == (0.5, 0.9, 4, (0.0, 0.3))
    assert told.decision_share == pytest.approx(0.1)


def test_the_standard_error_of_a_difference_sees_that_both_err_on_the_same_rows() -> None:
    """Of two models that err alike it is nought; of others about what the square root of the rows says."""
    truth = pd.Series(np.zeros(400))
    random = np.random.default_rng(0)
    ours, theirs = (pd.DataFrame({"prediction": random.normal(size=400)}) for _ in range(2))
    assert arms.standard_error("rmse", truth, ours, ours) == 0
    assert 0.02 < arms.standard_error("rmse", truth, ours, theirs) < 0.1


def test_sizes_of_a_structure_are_one_source_and_so_are_the_same_answers_twice(tmp_path: Path) -> None:
    """Whatever the tables are called."""
    from sets import TableSet

    for name in ("one", "two", "other"):
        (tmp_path / name).mkdir()
        for part in ("train", "test"):
            answers = [1.5, 2.5] if name != "other" else [3.5, 2.5]
            pd.DataFrame({"x": [1, 2], "y": answers}).to_csv(tmp_path / name / f"{part}.csv", index=False)
    tables = {n: TableSet(n, tmp_path / n / "train.csv", tmp_path / n / "test.csv", "y", "regression", "rmse")
              for n in ("one", "two", "other")}  # fmt: skip
    assert outcomes.source("smooth_400", tables["one"]) == outcomes.source("smooth_6000", tables["one"])
    assert outcomes.source("one", tables["one"]) == outcomes.source("two", tables["two"])
    assert outcomes.source("one", tables["one"]) != outcomes.source("other", tables["other"])


def test_results_become_a_line_on_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From results.jsonl and the sets they came from; a set on which one route gave nothing is left out and named."""
    import sklearn.datasets
    import tables

    results = tmp_path / "results"
    results.mkdir()
    for at in range(6):
        X, y = sklearn.datasets.make_regression(60, 3, noise=5, random_state=at)
        place = tmp_path / "data" / f"set{at}"
        place.mkdir(parents=True)
        frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=y)
        frame.to_csv(place / "train.csv", index=False)
        frame.to_csv(place / "test.csv", index=False)
        meta = {"modality": "tabular", "task": "regression", "target": "y", "metric": "rmse"}
        (place / "meta.json").write_text(json.dumps(meta))
        for arm, score in (("classical", 1.0 + at / 10), ("neural", None if at == 5 else 1.2)):
            tables.append(results / "results.jsonl", Record(f"set{at}", arm, 0, 14.0, "rmse", 5.0, score=score))
    to = tmp_path / "learned.json"
    asked = ["learn", "--results", str(results), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert routing.main([*asked, "--to", str(to)]) == 0
    said = capsys.readouterr().out
    assert "5 tables, without a model of both routes: set5" in said
    assert learned.from_json(json.loads(to.read_text())).figures["tables"] == 5
