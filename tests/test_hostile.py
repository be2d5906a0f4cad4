"""Saved models that somebody changed to do harm, hashes included: each is refused before anything follows it."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hostile_made import TASKS, at, changed, read, rows, saved

import search_spaces
from automl.modalities.mixture import schema_from_json
from automl.modalities.table import features
from automl.training import learners
from search_spaces import checked
from search_spaces.spec import Matrix, Rows, Run, starts

# --- trees -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"left": at(0, 10**6)}, "child outside"),
        ({"left": at(0, 0)}, "child outside"),
        ({"right": at(0, -5)}, "child outside"),
        ({"right": at(0, 1)}, "child of two"),
        ({"feature": at(0, 10**6)}, "points outside"),
        ({"feature": at(0, -3)}, "points outside"),
        ({"columns": at(0, 10**9)}, "columns is"),
        ({"start": at(1, 10**6)}, "follow one another"),
        ({"start": at(0, 1)}, "follow one another"),
        ({"depth": at(0, -1)}, "deeper than"),
        ({"answer": lambda array: array[:-1]}, "answer has the shape"),
        ({"answer": lambda array: array[:, :1]}, "for each class"),
        ({"right": lambda array: array[:-1]}, "right has the shape"),
        ({"left": lambda array: array.astype(float)}, "left holds"),
    ],
)
def test_trees_that_lead_elsewhere_are_refused(change: dict[str, Any], told: str) -> None:
    """Children, columns and leaves outside, circles, and arrays that do not fit each other."""
    parts, _ = saved("forest", "multiclass")
    with pytest.raises(ValueError, match=told):
        read("forest", changed(parts, "trees.npz", **change))


def test_trees_of_more_columns_than_a_row_has_do_not_read_on_behind_it() -> None:
    """A forest that says it reads more than there is asks for memory that is none of the row's."""
    parts, _ = saved("forest", "multiclass")
    forest = read("forest", changed(parts, "trees.npz", columns=at(0, 4000), feature=at(0, 3999)))
    with pytest.raises(ValueError, match="5 columns, for trees of 4000"):
        forest.predict(rows("multiclass").X)


# --- boosters --------------------------------------------------------------------------------------------------------

BOOSTED = [(f, t) for f in ("lightgbm", "xgboost", "catboost") for t in TASKS]


@pytest.mark.parametrize(("family", "task"), BOOSTED)
def test_a_booster_that_was_read_by_us_first_answers_bit_by_bit_the_same(family: str, task: str) -> None:
    """What its library is given is the same model."""
    pytest.importorskip(family)
    parts, answers = saved(family, task)
    assert np.array_equal(read(family, parts).predict(rows(task).X), answers)


def in_text(name: str, place: int, value: str) -> Callable[[bytes], bytes]:
    """Another number in the first line of that name that has so many."""

    def change(content: bytes) -> bytes:
        lines = content.decode().split("\n")
        for number, line in enumerate(lines):
            tokens = line.removeprefix(f"{name}=").split(" ")
            if line.startswith(f"{name}=") and len(tokens) > place:
                tokens[place] = value
                lines[number] = f"{name}={' '.join(tokens)}"
                return "\n".join(lines).encode()
        raise AssertionError(name)

    return change


def in_numbers(name: bytes, place: int, value: int) -> Callable[[bytes], bytes]:
    """Another number in the first array of that name of an XGBoost file."""

    def change(content: bytes) -> bytes:
        start = content.index(name) + len(name) + 13 + 4 * place
        return content[:start] + struct.pack(">i", value) + content[start + 4 :]

    return change


def longer(content: bytes) -> bytes:
    """An array of XGBoost's that says it goes on without end."""
    start = content.index(b"left_children") + 17
    return content[:start] + struct.pack(">q", 2**60) + content[start + 8 :]


DAMAGED = [
    ("lightgbm", "model.txt", in_text("left_child", 0, "700")),
    ("lightgbm", "model.txt", in_text("left_child", 1, "0")),
    ("lightgbm", "model.txt", in_text("right_child", 0, "-900")),
    ("lightgbm", "model.txt", in_text("split_feature", 0, "77")),
    ("lightgbm", "model.txt", in_text("threshold", 0, "x")),
    ("lightgbm", "model.txt", in_text("leaf_value", 0, "1e99999")),
    ("lightgbm", "model.txt", in_text("num_leaves", 0, "100000")),
    ("lightgbm", "model.txt", in_text("num_class", 0, "9")),
    ("lightgbm", "model.txt", in_text("tree_sizes", 0, "9" * 30)),
    ("lightgbm", "model.txt", in_text("max_feature_idx", 0, "99999999")),
    ("lightgbm", "model.txt", in_text("objective", 0, "lambdarank")),
    ("lightgbm", "model.txt", lambda content: content[: len(content) // 3]),
    ("xgboost", "model.ubj", in_numbers(b"left_children", 0, 70_000)),
    ("xgboost", "model.ubj", in_numbers(b"left_children", 1, 0)),
    ("xgboost", "model.ubj", in_numbers(b"right_children", 0, 1)),
    ("xgboost", "model.ubj", in_numbers(b"split_indices", 0, 4000)),
    ("xgboost", "model.ubj", longer),
    ("xgboost", "model.ubj", lambda content: content[: len(content) // 2]),
    ("xgboost", "model.ubj", lambda content: b"[" * 100_000 + content),
    ("xgboost", "model.ubj", lambda content: content.replace(b"num_classS", b"num_klassS")),
    ("catboost", "model.cbm", lambda content: content[: len(content) // 2]),
    ("catboost", "model.cbm", lambda content: content + b"\0"),
    ("catboost", "model.cbm", lambda content: content[:8] + b"\xff" * 4 + content[12:]),
    ("catboost", "model.cbm", lambda content: content.replace(b"FlabuffersModel_v1", b"FlabuffersModel_v2")),
    ("catboost", "model.cbm", lambda content: content.replace(b'"classes_count":3', b'"classes_count":9')),
]


@pytest.mark.parametrize(("family", "name", "change"), DAMAGED)
def test_a_damaged_booster_is_refused_before_its_library_sees_it(
    family: str, name: str, change: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or is given what was checked: a header that is not used may say anything."""
    library = pytest.importorskip(family)
    seen: list[object] = []
    parts, answers = saved(family, "multiclass")
    damaged = {**parts, name: change(parts[name])}
    assert damaged[name] != parts[name]
    if b"tree_sizes" in parts[name] and change is DAMAGED[8][2]:
        assert np.array_equal(read(family, damaged).predict(rows("multiclass").X), answers)
        return
    monkeypatch.setattr(library, "CatBoost" if family == "catboost" else "Booster", lambda *a, **_: seen.append(a))
    with pytest.raises(ValueError, match=r"\w"):
        read(family, damaged)
    assert seen == []


def test_every_number_of_a_catboost_file_may_be_any_number() -> None:
    """Each group of four bytes that holds an offset, a length or an index: refused, or a model that answers."""
    catboost = pytest.importorskip("catboost")
    parts, _ = saved("catboost", "multiclass")
    content, refused = parts["model.cbm"], 0
    random = np.random.default_rng(0)
    for start in random.choice((len(content) - 8) // 4, 60, replace=False) * 4 + 8:
        value = int(random.choice([0, 1, 7, 255, 2**31 - 1, 2**32 - 1]))
        other = content[:start] + struct.pack("<I", value) + content[start + 4 :]
        try:
            read("catboost", {**parts, "model.cbm": other}).predict(rows("multiclass").X)
        except ValueError:
            refused += 1
        except catboost.CatBoostError:  # the library's own word is as good: it lives to say it
            continue
    assert refused > 10


# --- archives --------------------------------------------------------------------------------------------------------


def archive(content: bytes, name: str = "x.npy", packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packed) as file:
        file.writestr(name, content)
    return buffer.getvalue()


def header(shape: Any, descr: str = "<f4") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def test_an_archive_that_expands_without_end_is_refused() -> None:
    """By what it says, before anything is expanded: a megabyte may not become a gigabyte."""
    bomb = archive(header((2**27,)) + bytes(2**27))
    assert len(bomb) < 2**20
    tracemalloc.start()
    with pytest.raises(ValueError, match="says that it holds"):
        checked.arrays(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (header((2**40,)), "has the shape"),
        (header((2**31, 2**31)), "has the shape"),
        (header((-1,)), "has the shape"),
        (header((1,) * 40) + bytes(4), "has the shape"),
        (header((3,)) + bytes(8), "and 8 bytes"),
        (header((1,), "|O") + b"\x80\x04.", "not numbers"),
        (header((1,), "<U9") + bytes(36), "not numbers"),
        (b"\x93NUMPY\x09\x00" + bytes(20), "version"),
    ],
)
def test_an_array_that_lies_about_itself_is_refused(content: bytes, told: str) -> None:
    """Its shape, its type, its version; objects would be a pickle."""
    with pytest.raises(ValueError, match=told):
        checked.arrays(archive(content))


def test_arrays_come_back_as_they_were() -> None:
    """Of every kind that models hold, in either order, and empty ones."""
    known = {
        "a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.zeros((0, 3)), "c": np.array(3),
        "d": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "e": np.array([True, False]),
    }  # fmt: skip
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **known)  # type: ignore[arg-type]
    found = checked.arrays(buffer.getvalue())
    assert list(found) == list(known)
    for name, array in known.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)
        assert found[name].flags.writeable


# --- other members ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "name", "change"),
    [
        ("linear", "linear.npz", {"slopes": lambda array: array[:-1]}),
        ("linear", "linear.npz", {"slots": at(0, 10**6)}),
        ("linear", "linear.npz", {"starts": at(0, 10**6)}),
        ("linear", "linear.npz", {"width": lambda _: np.array(10**9)}),
        ("svm", "machine.npz", {"ends": at(0, 10**6)}),
        ("svm", "machine.npz", {"offset": lambda _: np.zeros((4000, 4000), np.float32)}),
        ("svm", "encoder.npz", {"flagged": lambda array: np.zeros(10**6, array.dtype)}),
        ("neighbors", "rows.npz", {"value": lambda array: array[:, :1]}),
        ("constant", "value.npz", {"value": lambda array: np.zeros(10**6)}),
        ("mlp", "cleaner.npz", {"slots": at(0, 10**6)}),
        ("mlp", "cleaner.npz", {"sizes": at(0, 10**6)}),
        ("mlp", "cleaner.npz", {"flagged": lambda array: np.zeros(10**6, np.int64)}),
    ],
)
def test_arrays_of_a_member_that_do_not_fit_are_refused(family: str, name: str, change: dict[str, Any]) -> None:
    """Indices outside, and lengths that would take memory for every row."""
    parts, _ = saved(family, "multiclass")
    with pytest.raises(ValueError, match=r"\w"):
        read(family, changed(parts, name, **change))


@pytest.mark.parametrize("told", [{"task": "ranking"}, {"classes": 10**9}, {"classes": -1}, {"center": "x"}])
def test_answers_that_no_model_gives_are_refused(told: dict[str, Any]) -> None:
    """Their number decides how much memory a row takes."""
    parts, _ = saved("constant", "multiclass")
    answers = {**json.loads(parts["answers.json"]), **told}
    with pytest.raises(ValueError, match="is"):
        read("constant", {**parts, "answers.json": json.dumps(answers).encode()})


# --- models of nothing, and lists of too much -----------------------------------------------------------------------


@pytest.mark.parametrize("family", ["lightgbm", "xgboost", "catboost", "forest", "linear", "svm"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_models_of_nothing_to_learn_from_are_read_back(family: str, task: str) -> None:
    """Columns that say nothing: trees of one leaf, features without a border, no tree at all; odd, but not damaged."""
    if family in ("lightgbm", "xgboost", "catboost"):
        pytest.importorskip(family)
    known = rows(task)
    numbers = np.ones_like(known.X.numbers)
    numbers[0, 0] = 2.0  # CatBoost fits nothing without it
    flat = Rows(Matrix(numbers, np.ones_like(known.X.codes), known.X.sizes), known.y)
    found = search_spaces.get(family)
    learner = learners.make(
        found, {**starts(found.space), "rounds": 2, "trees": 2}, metric="mae" if task == "regression" else ""
    )
    learner.fit(flat, None, Run(task, TASKS[task], "mae", seed=1))  # type: ignore[arg-type]
    parts = learner.dump()
    assert np.array_equal(read(family, parts).predict(flat.X), learner.predict(flat.X))


def test_lightgbm_is_given_less_than_it_wrote() -> None:
    """What predicts, and nothing else: half the letters."""
    pytest.importorskip("lightgbm")
    from search_spaces.classical._answers import Answers
    from search_spaces.classical._lightgbm_text import reduced

    parts, _ = saved("lightgbm", "multiclass")
    text = parts["model.txt"].decode()
    assert len(reduced(text, Answers.read(parts))) < 0.6 * len(text)


def test_lists_that_no_table_makes_are_refused_before_they_are_read() -> None:
    """Forty megabytes of the same entry took six seconds to be read one by one."""
    empty: dict[str, Any] = {name: [] for name in ("known", "labels", "coded", "means", "combinations")}
    with pytest.raises(ValueError, match="1,000,000 words"):
        features.unpack({**empty, "words": [None] * 1_000_000}, {})


@pytest.mark.parametrize("names", [["a", []], "ab", [1]])
def test_names_of_columns_are_texts(names: Any) -> None:
    """Whatever else a manifest calls a column is found when it is loaded, and not when rows come."""
    with pytest.raises(ValueError, match="names of columns are not all texts"):
        schema_from_json({"codings": [], "ignored": [], "names": names})
