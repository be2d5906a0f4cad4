"""What was learned from can be predicted: any row alone as among others, under any name, from any source."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import automl
import search_spaces
from automl.data.prepare import check_held, read_held
from automl.data.profiler import outline
from automl.data.reading import load
from automl.doors.cli import main
from automl.errors import InputError, SchemaError
from automl.modalities.mixture import FoldTraining, Schema, learn_features, learn_schema, schema_from_json
from automl.modalities.table.kinds import describe
from automl.model.bundle import Bundle
from automl.model.evaluate import evaluate
from automl.model.predictor import FittedPart, Model
from automl.options import Options
from automl.plain import as_json
from automl.records import Profile
from automl.refit import tested
from automl.training import learners
from search_spaces.spec import TABLE, Rows, Run

ROWS = 60
RANDOM = np.random.default_rng(0)
QUICK = {"trees": 4, "rounds": 8, "width": 16, "depth": 1, "members": 2, "bins": 4, "embedding": 2}
FAMILIES = [family.name for family in search_spaces.all_families() if family.reads >= TABLE and not family.is_coursed]


def schema_of(frame: pd.DataFrame) -> Schema:
    return learn_schema(
        frame,
        Profile(
            rows=len(frame), columns=describe(frame), task="regression", task_rule="", metric="rmse", metric_rule=""
        ),
    )


def model_of(data: Any, target: str | None, family: str = "linear", recipe: str = "plain") -> Model:
    """A model of one family on all rows, made as a run makes it, without the run."""
    dataset = load(data, Options(target=target))
    assert dataset.target is not None
    y = dataset.target.to_numpy(dtype=np.float64)
    schema = dataclasses.replace(schema_of(dataset.frame), decimal=dataset.decimal)
    raw = schema.encode(dataset.frame)
    features, matrix = learn_features(FoldTraining(raw, y, 1, schema.labels), recipe)
    one = search_spaces.get(family)
    if one.needs.package is not None:
        pytest.importorskip(one.needs.package)
    params = {name: QUICK.get(name, value) for name, value in {**one.configs()[0], "trees": 4, "rounds": 8}.items()}
    learner = learners.make(one, params)
    learner.fit(Rows(matrix, y), Rows(matrix, y), Run("regression", 1, "rmse", 0, until=float("inf")))
    manifest = {
        "task": "regression", "target": dataset.target_name, "classes": [], "metric": "rmse",
        "schema": schema.as_json(), "members": [{"family": family, "weight": 1.0, "parts": [{}]}], "files": {},
    }  # fmt: skip
    return Model(schema, {"f": features}, (FittedPart("f", learner, frozenset({"table"}), 1.0),), manifest)


def table(rows: int = ROWS) -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "age": random.integers(20, 60, rows),
            "city": random.choice(["Bonn", "Rome", "Oslo"], rows),
            "size": random.normal(size=rows).round(3),
            "y": random.normal(size=rows),
        }
    )


# --- one row is read as among many -----------------------------------------------------------------------------------


def numbers_with(*words: str) -> pd.DataFrame:
    cells = [str(value) for value in range(200, 200 + 60 - len(words))]
    return pd.DataFrame({"x": [*cells, *words], "z": RANDOM.normal(size=60)})


@pytest.mark.parametrize("word", ["?", "unknown", "n/k", "<200"])
def test_a_word_that_training_took_for_missing_is_missing_in_one_row(word: str) -> None:
    """Whatever stood among the numbers when they were learned from is no surprise later."""
    schema = schema_of(numbers_with(word, word))
    assert np.isnan(schema.encode(pd.DataFrame({"x": [word], "z": [0.5]})).numbers[0, 0])


@pytest.mark.parametrize("rows", [1, 30])
def test_a_word_that_training_never_saw_is_refused_alone_and_among_many(rows: int) -> None:
    """A batch hides nothing: the cell itself decides."""
    schema = schema_of(numbers_with("n/k"))
    cells = ["7"] * (rows - 1) + ["red"]
    with pytest.raises(SchemaError, match=r"'x' held numbers in training, got 'red'\. Give numbers, or leave"):
        schema.encode(pd.DataFrame({"x": cells, "z": 0.0}))


def test_words_without_end_announce_others() -> None:
    """Where training met more words among its numbers than can be kept, a new one is as missing as they were."""
    cells = [*map(str, range(2000)), *(f"<{value}" for value in range(60))]
    schema = schema_of(pd.DataFrame({"x": cells, "z": RANDOM.normal(size=len(cells))}))
    assert np.isnan(schema.encode(pd.DataFrame({"x": ["<77.5"], "z": [0.0]})).numbers[0, 0])


def test_the_words_of_a_column_survive_json() -> None:
    """A saved model knows what its training data held."""
    schema = schema_of(numbers_with("n/k"))
    again = schema_from_json(json.loads(json.dumps(as_json(schema.as_json()))))
    assert again == schema
    assert again.codings[0].words == ("n/k",)


DAYS = pd.date_range("2020-01-01", periods=60, freq="D")
DATED = {
    "native": pd.Series(DAYS),
    "iso": pd.Series(DAYS.astype(str)),
    "american": pd.Series(DAYS.strftime("%m/%d/%Y")),
}


@pytest.mark.parametrize("kind", DATED)
@pytest.mark.parametrize("cell", ["2020-02-03", datetime.date(2020, 2, 3), pd.Timestamp("2020-02-03"), 20200203])
def test_a_date_is_read_in_any_form_that_can_mean_only_one(kind: str, cell: Any) -> None:
    """ISO texts and date objects mean the same, whatever the column was written in."""
    schema = schema_of(pd.DataFrame({"when": DATED[kind], "z": RANDOM.normal(size=60)}))
    one = schema.encode(pd.DataFrame({"when": pd.Series([cell], dtype=object), "z": [0.0]}))
    parts = dict(zip(schema.number_names, one.numbers[0], strict=True))
    assert (parts["when.year"], parts["when.month"], parts["when.day"]) == (2020, 2, 3)


@pytest.mark.parametrize("kind", ["native", "iso"])
@pytest.mark.parametrize("cell", ["12/31/2024", 1735603200, 1.7356032e12, "1735603200", "soon"])
def test_what_is_no_date_of_the_column_is_refused_by_name(kind: str, cell: Any) -> None:
    """Silently missing dates would be worse than none."""
    schema = schema_of(pd.DataFrame({"when": DATED[kind], "z": RANDOM.normal(size=60)}))
    with pytest.raises(SchemaError, match=r"'when' held dates in training, got '.+'\. Give dates such as 2024-12-31"):
        schema.encode(pd.DataFrame({"when": [cell], "z": [0.0]}))


def test_a_missing_date_is_missing() -> None:
    """Nothing known is no error, in whatever form it comes."""
    schema = schema_of(pd.DataFrame({"when": DATED["native"], "z": RANDOM.normal(size=60)}))
    for cell in (None, np.nan, pd.NaT, "", "unknown"):
        assert np.isnan(schema.encode(pd.DataFrame({"when": [cell], "z": [0.0]})).numbers[0]).sum() == 5


def test_a_label_is_known_though_a_reader_took_it_for_a_number(tmp_path: Path) -> None:
    """One row re-read from CSV has no others that say its code is text; where two labels agree, the file decides."""
    labels = ["01", "2.0", "TRUE", "x", "7", "07"] * 10
    frame = pd.DataFrame({"code": labels, "z": RANDOM.normal(size=60), "y": RANDOM.normal(size=60)})
    model = model_of(frame, "y")
    schema = model.schema
    for at in range(6):
        row = frame.iloc[[at]].drop(columns="y")
        expected = schema.encode(row).codes[0, 0]
        assert expected > 0
        row.to_csv(tmp_path / "row.csv", index=False)
        assert schema.encode(model.rows(tmp_path / "row.csv")).codes[0, 0] == expected
        if at < 4:
            assert schema.encode(pd.read_csv(tmp_path / "row.csv")).codes[0, 0] == expected
    assert schema.encode(pd.DataFrame({"code": [7.0], "z": [0.0]})).codes[0, 0] == schema.codings[0].lookup["7"]


def test_a_word_for_missing_that_was_a_label_is_that_label_in_a_file(tmp_path: Path) -> None:
    """pandas left ? in the table that was learned from, so ? in a file means the same."""
    frame = pd.DataFrame({"c": ["?", "a", "b"] * 20, "z": RANDOM.normal(size=60), "y": [0.0, 1.0, 2.0] * 20})
    model = model_of(frame, "y")
    frame.iloc[:3].to_csv(tmp_path / "rows.csv", index=False)
    np.testing.assert_array_equal(model.predict(tmp_path / "rows.csv"), model.predict(frame.iloc[:3]))
    (tmp_path / "rows.jsonl").write_text('{"c": "?", "z": 1.0}\n')
    assert model.rows(tmp_path / "rows.jsonl")["c"].tolist() == ["?"]


def test_one_row_has_the_decimal_mark_of_the_file_that_was_learned_from(tmp_path: Path) -> None:
    """1,234 alone may be either; the training file told which."""
    lines = [f"{value:.3f};{value * 2:.2f}".replace(".", ",") for value in RANDOM.normal(5, 1, 60)]
    (tmp_path / "train.csv").write_text("\n".join(["x;y", *lines]))
    model = model_of(tmp_path / "train.csv", "y")
    (tmp_path / "row.csv").write_text("x;note\n1,234;a\n")
    assert model.rows(tmp_path / "row.csv")["x"].tolist() == [1.234]


def cells_of(rows: int) -> st.SearchStrategy[list[Any]]:
    """A column as people bring them: numbers with words among them, dates, codes, texts, truth values."""

    def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(values, min_size=rows, max_size=rows)

    day = st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1)).map(str)
    number = st.floats(-1e6, 1e6).map(lambda value: f"{value:.4g}")
    rare = st.integers(0, rows - 1)
    return st.one_of(
        some(st.integers(-(10**9), 10**9)),
        some(st.floats(width=32)),
        st.tuples(some(number), st.sampled_from(["?", "unknown", "n/k", "<5"]), rare).map(_with_word),
        st.tuples(some(day), st.sampled_from(["?", "unknown", "soon"]), rare).map(_with_word),
        some(st.sampled_from(["01", "1", "1.0", "x", "TRUE", "?", "NA"]) | st.none()),
        some(st.sampled_from(["red car", "blue car", "old house", "red house"]) | st.text(max_size=8)),
        some(st.booleans() | st.none()),
        some(st.none() | st.text(max_size=3) | st.integers(-5, 5) | st.floats()),
    )


def _with_word(drawn: tuple[list[Any], str, int]) -> list[Any]:
    cells, word, at = drawn
    return [*cells[:at], word, *cells[at + 1 :]]


@st.composite
def tables(draw: st.DrawFn, rows: int = 24) -> pd.DataFrame:
    columns = draw(st.lists(cells_of(rows), min_size=1, max_size=3))
    frame = pd.DataFrame({f"c{at}": pd.Series(cells, dtype=object) for at, cells in enumerate(columns)})
    if draw(st.booleans()):
        frame = frame.infer_objects()
    return frame.assign(z=np.arange(rows) % 7 * 0.25)


@settings(max_examples=40, deadline=None)
@given(frame=tables())
def test_every_row_encodes_alone_as_among_the_others(frame: pd.DataFrame) -> None:
    """No row of the training table is refused, and none is read by its neighbours."""
    schema = schema_of(frame)
    raw = schema.encode(frame)
    for at in range(len(frame)):
        alone = schema.encode(frame.iloc[[at]])
        np.testing.assert_array_equal(alone.numbers[0], raw.numbers[at])
        np.testing.assert_array_equal(alone.codes[0], raw.codes[at])
        assert [texts[0] for texts in alone.texts] == [texts[at] for texts in raw.texts]


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frame=tables(), recipe=st.sampled_from(["plain", "means", "rich"]))
def test_row_by_row_equals_the_batch_for_every_family(family: str, frame: pd.DataFrame, recipe: str) -> None:
    """A model answers a row by that row alone."""
    frame = frame.assign(target=np.sin(np.arange(len(frame))))
    model = model_of(frame, "target", family, recipe)
    batch = model.predict(frame).to_numpy()
    singly = np.concatenate([model.predict(frame.iloc[[at]]) for at in range(len(frame))])
    np.testing.assert_allclose(singly, batch, rtol=1e-4, atol=1e-5)


# --- names -----------------------------------------------------------------------------------------------------------


def with_names(*names: Any) -> pd.DataFrame:
    return table().set_axis(pd.Index([*names, "y"], dtype=object), axis=1)


NAMED = {
    "integers": with_names(0, 1, 2),
    "padded": with_names(" age ", "city\n", "size"),
    "repeated": with_names("a", "a", "a"),
    "repeated, padded": with_names(" a", "a", "b"),
    "tuples": with_names(("a", 1), ("a", 2), ("b", "")),
    "nameless": with_names(None, "city", np.nan),
    "numbers": with_names(1.5, True, "x"),
}


@pytest.mark.parametrize("kind", NAMED)
def test_whatever_columns_are_called_they_are_found_again(kind: str) -> None:
    """The names that fit accepts are read by the same rule when predicting; the index of the rows stays."""
    frame = NAMED[kind]
    model = model_of(frame, "y")
    rows = frame.iloc[5:9].drop(columns="y")
    told = model.predict(rows)
    assert told.index.tolist() == [5, 6, 7, 8]
    np.testing.assert_array_equal(told, model.predict(frame.iloc[5:9]))
    np.testing.assert_array_equal(told, Bundle({"y": model}).predict(rows)["y"])
    np.testing.assert_array_equal(told, model.predict(frame).iloc[5:9])


def test_a_target_before_nameless_columns_does_not_move_them() -> None:
    """pandas names them by their place, which changes when the target is taken out."""
    frame = table()[["y", "age", "city", "size"]].set_axis(["y", "", "city", None], axis=1)
    model = model_of(frame, "y")
    np.testing.assert_array_equal(model.predict(frame.drop(columns="y")), model.predict(frame))


def test_an_array_is_read_by_the_places_of_the_columns() -> None:
    """Also after a fit on a DataFrame, with columns among them that the model does not see."""
    frame = table().assign(row=np.arange(ROWS) * 3)[["row", "age", "city", "size", "y"]]
    model = model_of(frame, "y")
    assert model.schema.ignored == ("row",)
    rows = frame.drop(columns="y")
    expected = model.predict(rows)
    np.testing.assert_array_equal(model.predict(rows.to_numpy()), expected)
    np.testing.assert_array_equal(model.predict(rows.to_numpy().tolist()), expected)
    found = evaluate(model, (rows.to_numpy(), frame["y"].to_numpy()))
    assert found.scores == evaluate(model, frame).scores
    with pytest.raises(
        SchemaError, match=r"has 3 columns without names, the model learned from 4.*'row', 'age', 'city'"
    ):
        model.predict(rows.to_numpy()[:, :3])


def test_cells_that_hold_arrays_are_read_as_lists() -> None:
    """Training made text of them by the same rule."""
    cells = [np.array([at % 3, 1]) for at in range(ROWS)]
    frame = table().assign(pair=pd.Series(cells, dtype=object))
    model = model_of(frame, "y")
    as_lists = frame.assign(pair=[cell.tolist() for cell in cells])
    assert (model.schema.encode(model.rows(frame)).codes[:, -1] > 0).all()
    np.testing.assert_array_equal(model.predict(frame), model.predict(as_lists))


def test_a_run_a_saved_model_and_the_command_find_odd_names_too(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """From fit to file: integer names, and a file whose names are padded."""
    frame = pd.DataFrame(RANDOM.normal(size=(ROWS, 3))).assign(y=RANDOM.integers(0, 2, ROWS))
    given = {"budget": "1 trial", "families": ("linear",), "verbose": 0}
    result = automl.fit(frame, "y", run_dir=tmp_path / "run", **given)
    rows = frame.drop(columns="y")
    expected = result.predict(rows)
    np.testing.assert_array_equal(result.predict(rows.to_numpy()), expected)
    np.testing.assert_array_equal(automl.load(tmp_path / "run").predict(rows), expected)
    rows.rename(columns=lambda name: f" {name} ").to_csv(tmp_path / "new.csv", index=False)
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "new.csv")]) == 0
    assert capsys.readouterr().out.split()[1:] == [str(label) for label in expected]


# --- test data -------------------------------------------------------------------------------------------------------


def classed() -> pd.DataFrame:
    return table().assign(y=["no", "yes"] * (ROWS // 2), when=DAYS)


BAD_TESTS = {
    "class": (classed().assign(y="maybe"), r"^test data: target holds 'maybe', a class never seen.*'no', 'yes'.*Leave"),
    "column": (classed().drop(columns="size"), r"^test data: 1 column of the training data not found: 'size'.*Add"),
    "word": (classed().assign(age="red"), r"^test data: column 'age' held numbers in training, got 'red'\. Give"),
    "date": (classed().assign(when="12/31/2024"), r"^test data: column 'when' held dates in training, got '12/31"),
    "target": (classed().drop(columns="y"), r"^test data: target 'y' is not in the data"),
}


@pytest.mark.parametrize(("test", "told"), BAD_TESTS.values(), ids=BAD_TESTS.keys())
def test_test_data_that_cannot_be_scored_on_is_refused_at_the_start(
    test: pd.DataFrame, told: str, tmp_path: Path
) -> None:
    """One line, before anything is searched or written."""
    with pytest.raises(InputError, match=told) as refusal:
        automl.fit(classed(), "y", test=test, budget="1 trial", run_dir=tmp_path / "run", verbose=0)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["class", "column"])
def test_it_is_refused_before_the_first_of_several_targets(name: str, tmp_path: Path) -> None:
    """The second run must not be the one that finds out."""
    test, told = BAD_TESTS[name]
    with pytest.raises(InputError, match=told):
        automl.fit(classed(), ["age", "y"], test=test, budget="2 trials", run_dir=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_a_run_ends_well_whatever_its_test_rows_do(tmp_path: Path) -> None:
    """A metric that works on every fold may fail on the test rows: model and report are there, and say why."""

    def hit(y: np.ndarray, p: np.ndarray) -> float:
        if len(y) == 3:
            raise ZeroDivisionError
        return float((y == p).mean())

    test = classed().iloc[:3].drop(columns="city").assign(city="Paris")
    given = {"budget": "1 trial", "families": ("linear",), "verbose": 0, "metric": hit}
    result = automl.fit(classed(), "y", test=test, run_dir=tmp_path / "run", **given)
    assert result.test_score is None
    assert len(result.predict(test)) == 3
    told = json.loads((tmp_path / "run" / "report.json").read_text())["verdict"]["untested"]
    assert told.startswith("hit is not defined on these 3 rows.")
    assert "No score on your test data: hit is not" in (tmp_path / "run" / "report.html").read_text()


def test_more_test_rows_than_there_is_time_for_are_scored_in_part_and_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score is that of the rows that were drawn, with their own answers."""
    monkeypatch.setattr(tested, "LEAST_ROWS", 20)
    monkeypatch.setattr(tested, "SLACK", 1e12)
    frame = table()
    held = pd.concat([frame] * 3, ignore_index=True)
    run = automl.fit(
        frame, target="y", test=held, budget="6s", families="linear", run_dir=tmp_path / "run", workers=1, verbose=1
    )
    told = capsys.readouterr().err
    assert f"test data: {len(held) - 20:,} of {len(held):,} rows were left out: the budget has time for 20" in told
    report = json.loads((run.folder / "report.json").read_text())
    some = np.zeros(len(held), dtype=bool)
    some[np.random.default_rng(0).choice(len(held), 20, replace=False)] = True
    metric = report["verdict"]["test"]["metric"]
    alone = run.evaluate(held[some]).set_index("metric")["value"][metric]
    assert report["verdict"]["test"]["value"] == pytest.approx(alone, rel=1e-6)


def test_test_rows_need_neither_names_nor_what_folds_alone_need() -> None:
    """An array takes the names of the columns; the group column says which rows stay together, nothing else."""
    frame = table()
    options = Options(target="y", group_column="city")
    dataset = load(frame, options)
    array = (frame.drop(columns="y").to_numpy(), frame["y"])
    held = read_held(dataclasses.replace(options, test=array), dataset)
    assert held is not None
    assert list(held.frame) == ["age", "city", "size"]
    held = read_held(dataclasses.replace(options, test=frame.drop(columns="city")), dataset)
    assert held is not None
    profile = outline(dataset, options)
    check_held(held, profile, learn_schema(dataset.frame, profile))


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_few_whole_numbers_and_a_letter_are_classes() -> None:
    """Grades 1, 2, 3, 5 and U are labels, not numbers with rubbish among them."""
    from automl.data.target import infer

    answers = infer(pd.Series(["1", "2", "3", "5"] * 24 + ["U"] * 4), "grade")
    assert (answers.task, answers.classes) == ("multiclass", ("1", "2", "3", "5", "U"))
    with pytest.raises(InputError, match=r"holds '\?' in row 96, which is not a number"):
        infer(pd.Series(["1", "2", "3", "5"] * 24 + ["?"] * 4), "grade")
    with pytest.raises(InputError, match=r"holds 'many' in row 99"):
        infer(pd.Series([*map(str, range(99)), "many"]), "count")


def test_classes_are_known_though_a_test_file_holds_only_numbers() -> None:
    """Labels of a file that has no letter are read as numbers; 1 and 1.0 are the class '1.0' then."""
    from automl.data.target import encode_target

    profile = Profile(
        rows=9,
        columns=(),
        task="multiclass",
        task_rule="",
        metric="log_loss",
        metric_rule="",
        classes=("01", "2.0", "U"),
    )
    np.testing.assert_array_equal(encode_target(pd.Series([1, 2, 2]), profile), [0, 1, 1])
    np.testing.assert_array_equal(encode_target(pd.Series(["01", "U"]), profile), [0, 2])
    with pytest.raises(InputError, match=r"holds 3, a class never seen in training \(known: '01', '2.0', 'U'\)"):
        encode_target(pd.Series([3, 2]), profile)
