"""Cheaper models made on purpose: bags as one model, and students of blends, each with a score of its own."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_sections import piece

import automl
from automl.ensemble.frontier import Limits, choose, dominates, mark
from automl.modalities.mixture import Raw
from automl.records import Candidate, Score
from automl.refit import cheaper
from automl.refit.between import between
from automl.refit.student import softly
from automl.report import sections
from automl.result.one import Result
from automl.runtime.folder import STUDENTS
from search_spaces.spec import Matrix

CLASSES = 3


def table(rows: int = 180, classes: int = 2) -> pd.DataFrame:
    """A smooth edge, some of it noise: a straight line and trees are right about different rows."""
    random = np.random.default_rng(5)
    frame = pd.DataFrame(random.normal(size=(rows, 4)).round(4), columns=list("abcd"))
    frame["kind"] = random.choice(["x", "y", "z"], rows)
    level = frame["a"] + np.abs(frame["b"]) + (frame["kind"] == "x") + random.normal(0, 0.6, rows)
    frame["answer"] = pd.qcut(level, classes, labels=[f"level {k}" for k in range(classes)]).astype(str)
    return frame


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, lasting_workers: None) -> Result:
    """A run of three classes, long enough for a student."""
    place = tmp_path_factory.mktemp("cheaper")
    table(classes=CLASSES).to_csv(place / "data.csv", index=False)
    options = {"target": "answer", "families": ("linear", "lightgbm"), "verbose": 0, "metric": "log_loss"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cheaper, "COUNTED_FROM", 5)  # the run need not be so long
        return automl.fit(place / "data.csv", budget="5 trials", run_dir=place / "run", **options)


def named(run: Result, ending: str) -> Candidate:
    return next(one for one in run._candidates if one.name.endswith(ending))


def blend_of(run: Result) -> Candidate:
    return next(one for one in run._candidates if one.name == "blend")


def made(run: Result, one: Candidate, data: object = None) -> automl.Model:
    """A candidate of a run as a model."""
    return run.select(one.name, data=data)


@pytest.mark.soak
def test_a_bag_can_be_had_as_one_model_fitted_on_all_rows(run: Result) -> None:
    """Its score is that of the folds' models, its cost that of one of them, and it is fitted when it is asked for."""
    bag = next(one for one in run._candidates if one.name == named(run, ", one model").made_from)
    once = named(run, ", one model")
    assert once.score == bag.score
    assert once.row_ms < bag.row_ms / 2
    number = next(iter(once.weights))
    model = made(run, once)
    assert len(model.parts) == 1
    assert run._folder.has_parts(number, -1)
    rows = table(classes=CLASSES).drop(columns="answer")
    assert made(run, once).predict_proba(rows).equals(model.predict_proba(rows))
    assert not model.predict_proba(rows).equals(made(run, bag).predict_proba(rows))


def test_without_the_data_the_first_fold_is_the_one_model(run: Result, tmp_path: Path) -> None:
    """It is what was scored, and one line says that it has not seen all rows."""
    forms = [one for one in run._candidates if one.name.endswith((", one model", ", one model each"))]
    once = next(one for one in forms if not all(run._folder.has_parts(number, -1) for number in one.weights))
    other = table(rows=60, classes=CLASSES)
    with pytest.warns(UserWarning, match="the data is not that of the run"):
        model = made(run, once, other)
    assert any(member["parts"][0]["learner"].endswith("/fold0") for member in model.manifest["members"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        members = made(run, once).manifest["members"]
    assert all(member["parts"][0]["learner"].endswith("/all") for member in members)


def test_a_student_is_scored_on_rows_that_neither_it_nor_its_teacher_had_seen(run: Result) -> None:
    """Its held-out predictions are on disk fold by fold, and their mean error is the one that is told."""
    student = named(run, "taught by blend")
    assert list(student.weights) == [STUDENTS]
    folds = run._folder.read_folds(STUDENTS)
    assert sorted(folds) == run._report["arena"]["folds"]
    told = run._report["cheaper"]["students"][0]
    assert told["score"] == pytest.approx(np.mean([fold.error for fold in folds.values()]))
    assert student.score.value == pytest.approx(told["score"], rel=0.2)
    assert student.score.low < student.score.value < student.score.high


def test_a_student_is_a_model_like_any_other(run: Result) -> None:
    """It is saved, loaded and asked, and says much the same as its teacher of rows that both know."""
    teacher, student = made(run, blend_of(run)), made(run, named(run, "taught by blend"))
    assert [part["learner"] for member in student.manifest["members"] for part in member["parts"]] == [
        f"members/{STUDENTS}/all"
    ]
    rows = table(classes=CLASSES).drop(columns="answer")
    ours, theirs = (model.predict_proba(rows).to_numpy() for model in (student, teacher))
    assert np.allclose(ours.sum(axis=1), 1)
    assert np.abs(ours - theirs).mean() < 0.1
    assert run.feature_importance()["importance"].notna().all()


@pytest.mark.long
def test_a_run_of_few_trials_says_why_it_has_no_student(finished: Result) -> None:
    """The report tells it in a line, and lists none."""
    told = finished._report["cheaper"]
    assert told["students"] == []
    assert "several trials" in told["unmade"] or "no blend" in told["unmade"]
    assert told["unmade"] in str(piece(sections.get("cheaper"), finished._report).drawn)


def test_the_page_lists_cheaper_forms_beside_what_they_were_made_from(run: Result) -> None:
    """Drawn from the report's JSON alone; names that are none are left out."""
    report = json.loads((run.folder / "report.json").read_text())
    drawn = str(piece(sections.get("cheaper"), report).drawn)
    assert "taught by blend" in drawn
    report["leaderboard"] += [{"name": ["?"], "made_from": {}}, {"name": "odd", "made_from": ["?"]}, None]
    assert str(piece(sections.get("cheaper"), report).drawn) == drawn


def score(value: float) -> Score:
    return Score(metric="log_loss", value=value, low=value, high=value, higher_is_better=False)


def candidate(name: str, value: float, row_ms: float, made_from: str = "") -> Candidate:
    return Candidate(
        name=name, weights={1: 1.0}, score=score(value), fit_s=row_ms, row_ms=row_ms, batch_ms=row_ms, size_mb=row_ms,
        lean_ms=row_ms, lean_mb=row_ms, made_from=made_from,
    )  # fmt: skip


def test_a_cheaper_form_takes_nothing_from_what_it_was_made_from() -> None:
    """Scores are of single folds, so a bag is better than its score; its form as one model is not."""
    bag, other = candidate("bag", 0.3, 5.0), candidate("other", 0.3, 6.0)
    once = candidate("bag, one model", 0.3, 1.0, made_from="bag")
    assert not dominates(once, bag)
    assert dominates(once, other)
    picks = {one.name: one.picks for one in mark([bag, once, other], lambda _a, _b: True)}
    assert picks == {"bag": ("best",), "bag, one model": ("cheapest tied",), "other": ()}
    best = choose([bag, once], lambda _a, _b: True, Limits(), "accurate")
    tight = choose([bag, once], lambda _a, _b: True, Limits(row_ms=2.0), "accurate")
    assert best is not None
    assert tight is not None
    assert (best.candidate.name, tight.candidate.name) == ("bag", "bag, one model")
    usual = choose([bag, once], lambda _a, _b: True, Limits())
    assert usual is not None
    assert usual.candidate.name == "bag"  # for what it loses no score tells


def raw(rows: int) -> Raw:
    random = np.random.default_rng(1)
    numbers = random.normal(size=(rows, 3)).astype(np.float32)
    numbers[::7, 1] = np.nan
    return Raw(
        numbers, random.integers(0, 4, (rows, 2)).astype(np.int32), (np.array([f"text {k}" for k in range(rows)]),)
    )


def test_made_rows_have_cells_of_real_rows_and_lie_near_them() -> None:
    """Each cell is one of its column; some differ from the row that it was made from, and most do not."""
    given = raw(200)
    made, first = between(given, 500, seed=3)
    again, _ = between(given, 500, seed=3)
    assert np.array_equal(made.numbers, again.numbers, equal_nan=True)
    assert np.bincount(first, minlength=200).min() >= 2  # every row has its turn
    for column in range(3):
        assert np.isin(made.numbers[:, column][~np.isnan(made.numbers[:, column])], given.numbers[:, column]).all()
    changed = (made.codes != given.codes[first]).mean()
    assert 0 < changed < 0.5
    spread = np.nanstd(given.numbers[:, 0])
    assert np.nanmean(np.abs(made.numbers[:, 0] - given.numbers[first, 0])) < 0.5 * spread
    assert len(between(given, 0, seed=3)[0]) == 0


def test_chances_are_learned_as_rows_with_weights() -> None:
    """Each row stands once for every class that is likely, and all of it weighs what the row does."""
    X = Matrix(np.arange(3, dtype=np.float32)[:, None], np.empty((3, 0), dtype=np.int32), ())
    chances = np.array([[0.7, 0.3, 0.0], [0.001, 0.009, 0.99], [1 / 3, 1 / 3, 1 / 3]])
    rows = softly(X, chances, np.array([1.0, 2.0, 1.0]))
    assert rows.y.tolist() == [0, 1, 2, 0, 1, 2]
    assert rows.X.numbers[:, 0].tolist() == [0, 0, 1, 2, 2, 2]
    assert rows.weight is not None
    assert np.allclose(np.bincount(rows.X.numbers[:, 0].astype(int), rows.weight), [1.0, 2.0, 1.0])


def test_an_old_report_knows_no_cheaper_forms(run: Result) -> None:
    """Its rows lack the key, and are read as they were."""
    from automl.result import board

    row = {key: value for key, value in run._report["leaderboard"][0].items() if key != "made_from"}
    assert replace(board.candidate(row)).made_from == ""
