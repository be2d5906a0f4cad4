"""Rows of a request are read as training read them: any types of JSON, CSV, any order; files never by their names."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modalities_made import pictures
from serving_made import served
from test_serving import model_of, schema_of, table, tables

from automl.doors.serving.cells import RowReader, joined
from automl.doors.serving.refused import RefusedError, status_of
from automl.doors.serving.rows import BodyReader
from automl.doors.serving.served import ServedModel
from automl.errors import InputError, SchemaError
from automl.model.predictor import Model

ROWS = 40


def mixed() -> pd.DataFrame:
    """All kinds of plain columns, with gaps: whole numbers, truth values, codes, dates, words."""
    random = np.random.default_rng(3)
    count = pd.Series(random.integers(0, 9, ROWS)).astype("Int64").mask(pd.Series(random.random(ROWS) < 0.2))
    return pd.DataFrame(
        {
            "size": random.normal(size=ROWS).round(3),
            "count": count.astype(object).where(count.notna(), None),
            "is_new": random.choice([True, False, None], ROWS),
            "code": random.choice(["01", "2.0", "TRUE", "x", "7", "NA"], ROWS),
            "city": random.choice(["Bonn", "Rome", "São Paulo", None], ROWS),
            "when": pd.date_range("2024-01-01", periods=ROWS).strftime("%Y-%m-%d"),
            "price": [f"{value:,.2f}" for value in random.uniform(500, 5000, ROWS)],
            "y": random.normal(size=ROWS),
        }
    )


@pytest.fixture(scope="module")
def model() -> Model:
    return model_of(mixed(), "y")


@pytest.fixture(scope="module")
def ready(model: Model) -> ServedModel:
    return served(model)


def answers(ready: ServedModel, rows: Any) -> np.ndarray:
    target = ready.first
    return target.answer([target.encode(rows)])[0].predictions


def as_body(rows: Any) -> bytes:
    return json.dumps({"rows": rows}).encode()


# --- the same as a frame ----------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(frame=tables())
def test_cells_are_read_as_a_frame_of_them_is(frame: pd.DataFrame) -> None:
    """Every row of any table, alone, as the schema encodes it: the same bits, labels that nobody saw included."""
    schema = schema_of(frame)
    reader = RowReader(schema)
    parts = []
    for at in range(len(frame)):
        expected = schema.encode(frame.iloc[[at]])
        cells = {name: frame[name].iloc[[at]].tolist() for name in reader.names}
        found = reader.plain(cells, 1)
        parts.append(found)
        np.testing.assert_array_equal(found.numbers, expected.numbers)
        np.testing.assert_array_equal(found.codes, expected.codes)
        assert [texts.tolist() for texts in found.texts] == [texts.tolist() for texts in expected.texts]
        assert [(u.column, u.rows.tolist(), u.labels.tolist()) for u in found.unseen] == [
            (u.column, u.rows.tolist(), u.labels.tolist()) for u in expected.unseen
        ]
    together, expected = joined(parts), schema.encode(frame)
    np.testing.assert_array_equal(together.numbers, expected.numbers)
    np.testing.assert_array_equal(together.codes, expected.codes)


NUMBERS = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: float(f"{value:.6g}"))
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "size": NUMBERS | st.none(),
    "count": st.integers(-5, 50) | st.none(),
    "is_new": st.booleans() | st.none(),
    "code": st.sampled_from(["01", "2.0", "TRUE", "x", "7", "new"]) | st.none(),
    "city": st.sampled_from(["Bonn", "Rome", "São Paulo", "Ulm", "a, b"]) | st.none(),
    "when": st.dates().map(str) | st.none(),
    "price": st.floats(1, 9999).map(lambda value: f"{value:,.2f}"),
}
SOME_ROWS = st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=4)


@settings(max_examples=40)
@given(rows=SOME_ROWS)
def test_json_csv_and_a_frame_of_the_csv_get_the_same_answer(
    model: Model, ready: ServedModel, tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    """Whole numbers with gaps, truth values, nothing, numbers as text: whatever carries them, the bits are the same."""
    text = pd.DataFrame(rows, dtype=object).to_csv(index=False).encode()
    by_json = answers(ready, ready.bodies.json(as_body(rows)))
    by_csv = answers(ready, ready.bodies.csv(text))
    file = tmp_path_factory.mktemp("rows") / "rows.csv"
    file.write_bytes(text)
    np.testing.assert_array_equal(by_json, by_csv)
    np.testing.assert_array_equal(by_json, model.predict(file).to_numpy())
    verbatim = dict.fromkeys(model.schema.verbatim, str)
    frame = pd.read_csv(io.BytesIO(text), dtype=verbatim)
    np.testing.assert_array_equal(by_json, model.predict(frame).to_numpy())


@settings(max_examples=20)
@given(rows=SOME_ROWS, data=st.data())
def test_order_spelling_and_company_of_columns_make_no_difference(
    ready: ServedModel, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Columns in another order, others beside them, blanks around names, numbers as texts."""
    expected = answers(ready, ready.bodies.json(as_body(rows)))
    order = data.draw(st.permutations(list(CELLS)))
    moved = [{f" {name} ": row[name] for name in order} | {"other": "x"} for row in rows]
    np.testing.assert_array_equal(answers(ready, ready.bodies.json(as_body(moved))), expected)
    spelled = [{name: value if value is None else str(value) for name, value in row.items()} for row in rows]
    np.testing.assert_array_equal(answers(ready, ready.bodies.json(as_body(spelled))), expected)


def test_a_column_is_missing_only_where_no_row_has_it(ready: ServedModel) -> None:
    """As in a table: a row may leave a cell out, all rows together may not."""
    rows = [dict.fromkeys(CELLS), {name: None for name in CELLS if name != "city"}]
    for order in (rows, rows[::-1]):
        assert ready.bodies.json(as_body(order)).count == 2
    with pytest.raises(SchemaError, match=r"^1 column of the training data not found: 'city'.*Add the column") as found:
        ready.bodies.json(as_body(rows[1:]))
    assert status_of(found.value) == 422


def test_a_cell_that_training_would_refuse_is_refused_in_the_models_words(ready: ServedModel) -> None:
    """The line that `automl predict` would print."""
    rows = ready.bodies.json(as_body([{**dict.fromkeys(CELLS), "size": "red"}]))
    with pytest.raises(SchemaError, match=r"^column 'size' held numbers in training, got 'red'\. Give numbers, or"):
        ready.first.encode(rows)


STRANGE = {
    "no JSON": b"age=3",
    "a number": b"3",
    "a bare row": b'{"size": 1}',
    "two keys": b'{"rows": [], "instances": []}',
    "lists": b'{"rows": [[1, 2]]}',
    "deep": b"[" * 100_000,
    "not text": b"\xff\xfe\x00\xd8",
    "half a pair": b'{"rows": [{"size": "\\ud800"}]}',
    "endless digits": b"[" + b"9" * 10_000 + b"]",
}


@pytest.mark.parametrize("body", STRANGE.values(), ids=STRANGE.keys())
def test_any_other_shape_is_refused_with_the_one_that_is_known(ready: ServedModel, body: bytes) -> None:
    """One shape, so nobody has to guess; one line, whatever came."""
    with pytest.raises(RefusedError, match=r'Give \{"rows": \[\{"column": value, \.\.\.\}, \.\.\.\]\}') as found:
        ready.bodies.json(body)
    assert found.value.status == 400
    assert "\n" not in str(found.value)


def test_more_rows_than_are_answered_at_once_are_refused(model: Model) -> None:
    """Of either kind of body."""
    few = served(model, max_rows=2).bodies
    with pytest.raises(RefusedError, match="has 3 rows, at most 2 are answered at once") as found:
        few.json(as_body([dict.fromkeys(CELLS)] * 3))
    assert found.value.status == 413
    with pytest.raises(RefusedError, match="has 3 rows"):
        few.csv(mixed().iloc[:3].to_csv(index=False).encode())


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gz", "bz2", "xz"])
def test_what_is_packed_is_not_unpacked(ready: ServedModel, pack: Any) -> None:
    """As CSV a file of a kilobyte could hold a gigabyte of lines."""
    with pytest.raises(RefusedError, match="the body is packed") as found:
        ready.bodies.csv(pack(b"size,count\n1,2\n"))
    assert found.value.status == 415


def test_no_rows_are_an_answer_without_rows(ready: ServedModel) -> None:
    """Nothing asked, nothing said."""
    cells = ready.bodies.columns({name: [] for name in CELLS}, 0)
    assert len(answers(ready, cells)) == 0


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> tuple[ServedModel, Path]:
    """A model of pictures beside a number, and the folder of its files."""
    folder = tmp_path_factory.mktemp("pictures")
    files = pictures(folder).forms["files"]
    import search_spaces
    from automl.data.profiler import outline
    from automl.data.reading import load
    from automl.modalities import mixture
    from automl.modalities.mixture import FoldTraining, learn_features, learn_schema
    from automl.model.predictor import FittedPart
    from automl.options import Options
    from automl.training import learners
    from search_spaces.spec import TABLE, Rows, Run

    frame = pd.DataFrame({"photo": files * 3, "weight": np.arange(24) % 5 + 0.5, "y": np.arange(24) % 8 * 1.0})
    chosen = Options(target="y")
    dataset = load(frame, chosen, decode=mixture.read)
    schema = learn_schema(dataset.frame, outline(dataset, chosen), dataset.decoded)
    y = dataset.target.to_numpy(dtype=np.float64)
    features, matrix = learn_features(FoldTraining(schema.encode(dataset.frame), y, 1, schema.labels), "plain")
    family = search_spaces.get("linear")
    learner = learners.make(family, family.configs()[0])
    learner.fit(Rows(matrix, y), Rows(matrix, y), Run("regression", 1, "rmse", 0, until=float("inf")))
    manifest = {"task": "regression", "target": "y", "classes": [], "metric": "rmse", "members": [{"family": "linear"}],
                "files": {}}  # fmt: skip
    return served(Model(schema, {"f": features}, (FittedPart("f", learner, TABLE, 1.0),), manifest)), folder


def test_pictures_come_as_bytes_in_base64(pictured: tuple[ServedModel, Path]) -> None:
    """And are answered as the files are."""
    ready, folder = pictured
    content = (folder / "3.png").read_bytes()
    rows = [{"photo": {"b64": base64.b64encode(content).decode()}, "weight": 0.5}]
    expected = ready.first.model.predict(pd.DataFrame({"photo": [content], "weight": [0.5]}))
    np.testing.assert_array_equal(answers(ready, ready.bodies.json(as_body(rows))), expected)


NAMES = (
    "3.png",
    "/etc/passwd",
    "../3.png",
    "file:///etc/passwd",
    "http://127.0.0.1/3.png",
    7,
    ["a"],
    {"path": "3.png"},
)


@pytest.mark.parametrize("cell", NAMES, ids=str)
def test_a_name_of_a_file_is_never_opened(pictured: tuple[ServedModel, Path], cell: Any) -> None:
    """Neither from JSON nor from CSV, whether it is there or not: the same line."""
    ready, _ = pictured
    with pytest.raises(InputError, match=r"^column 'photo' takes the bytes of files, got .*names of files are not"):
        ready.bodies.json(as_body([{"photo": cell, "weight": 0.5}]))
    if isinstance(cell, str):
        with pytest.raises(InputError, match=r"^column 'photo' takes the bytes of files"):
            ready.bodies.csv(f"photo,weight\n{cell},0.5\n".encode())


def test_files_of_one_folder_may_be_named_where_that_is_allowed(pictured: tuple[ServedModel, Path]) -> None:
    """Those in it and no others; refusals do not say where it is."""
    ready, folder = pictured
    bodies = BodyReader(ready.first.model.schema, 100, folder)
    told = answers(ready, bodies.json(as_body([{"photo": "3.png", "weight": 0.5}])))
    np.testing.assert_array_equal(told, answers(ready, bodies.csv(b"photo,weight\n3.png,0.5\n")))
    (folder / "out.png").symlink_to("/etc/hostname")
    for name in ("/etc/passwd", f"../{folder.name}/3.png", "out.png", "gone.png", str(folder / "3.png"), "\0", "."):
        with pytest.raises(InputError, match="is no file that may be named here") as found:
            bodies.json(as_body([{"photo": name, "weight": 0.5}]))
        assert str(folder) not in str(found.value).replace(name, "")


def test_what_is_no_base64_or_no_picture_is_refused_by_its_column(pictured: tuple[ServedModel, Path]) -> None:
    """Broken bytes are the caller's fault, and said to be."""
    ready, _ = pictured
    with pytest.raises(InputError, match=r"^column 'photo': '%%' is not base64"):
        ready.bodies.json(as_body([{"photo": {"b64": "%%"}, "weight": 0.5}]))
    rows = ready.bodies.json(as_body([{"photo": {"b64": "AAAA"}, "weight": 0.5}]))
    with pytest.raises(InputError) as found:
        ready.first.encode(rows)
    assert status_of(found.value) in (400, 422)


def test_rows_of_a_model_with_a_target_among_its_columns_need_no_target() -> None:
    """What is to be predicted is not asked for, and passed over where it comes along."""
    ready = served(model_of(table(), "y"))
    row = {"age": 30, "city": "Bonn", "size": 0.5}
    np.testing.assert_array_equal(
        answers(ready, ready.bodies.json(as_body([row]))), answers(ready, ready.bodies.json(as_body([row | {"y": 9}])))
    )
