"""What may be brought to learn from is read right: every format, encoding, delimiter, dtype and name."""

from __future__ import annotations

import bz2
import datetime as dt
import decimal
import gzip
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tables_made import TABLE, packed_zip, read, rows, small, write

from automl.data.reading import load, load_features
from automl.modalities.files.read import MISSING
from automl.options import Options


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".csv", bytes),
        (".txt", bytes),
        (".csv.gz", gzip.compress),
        (".CSV.GZ", gzip.compress),
        (".csv", gzip.compress),
        (".csv.bz2", bz2.compress),
        (".csv.xz", lzma.compress),
        (".csv.zip", packed_zip),
    ],
)
def test_a_delimited_file_is_read_packed_or_not(tmp_path: Path, suffix: str, pack: Any) -> None:
    """Columns keep their order, the target leaves the features, the name is the file's."""
    data = read(tmp_path, pack(TABLE.encode()), "churn" + suffix)
    assert (data.name, list(data.frame), data.notes) == ("churn", ["a", "b"], ())
    assert data.frame["a"].tolist() == [1, 2] * 6
    assert data.target is not None
    assert data.target.tolist() == ["yes", "no"] * 6
    assert data.target.name == data.target_name == "y"


def as_file(frame: pd.DataFrame, folder: Path, kind: str) -> Path:
    path = folder / f"table.{kind}"
    if kind == "parquet":
        frame.to_parquet(path)
    elif kind == "tsv":
        frame.to_csv(path, sep="\t", index=False)
    elif kind == "json":
        frame.to_json(path, orient="records")
    else:
        frame.to_json(path, orient="records", lines=True)
    return path


@pytest.mark.parametrize("kind", ["parquet", "tsv", "json", "jsonl", "ndjson", "jsonl.gz"])
def test_every_format_gives_the_same_table(tmp_path: Path, kind: str) -> None:
    """The same rows are read whatever the format."""
    data = load(as_file(small(), tmp_path, kind), Options(target="y"))
    pd.testing.assert_frame_equal(data.frame, small()[["a", "b"]])
    assert data.target is not None
    assert data.target.tolist() == small()["y"].tolist()


def in_memory() -> dict[str, Any]:
    import polars
    import pyarrow

    frame = small()
    return {
        "pandas": frame.set_index(frame["a"].to_numpy() + 100),
        "dict": frame.to_dict("list"),
        "records": frame.to_dict("records"),
        "polars": polars.DataFrame(frame.to_dict("list")),
        "polars lazy": polars.LazyFrame(frame.to_dict("list")),
        "pyarrow": pyarrow.Table.from_pylist(frame.to_dict("records")),
    }


@pytest.mark.parametrize("kind", ["pandas", "dict", "records", "polars", "polars lazy", "pyarrow"])
def test_every_frame_gives_the_same_table(kind: str) -> None:
    """A table in memory is read with a plain index, whatever library holds it."""
    data = load(in_memory()[kind], Options(target="y"))
    pd.testing.assert_frame_equal(data.frame, small()[["a", "b"]])
    assert data.target is not None
    assert data.target.tolist() == small()["y"].tolist()
    assert load_features(in_memory()[kind]).columns.tolist() == ["a", "b", "y"]


@pytest.mark.parametrize(
    ("X", "y", "names", "target"),
    [
        (np.ones((12, 2)), np.arange(12), ["0", "1"], "target"),
        (np.ones(12), list(range(12)), ["0"], "target"),
        ([[1, "a"]] * 12, tuple(range(12)), ["0", "1"], "target"),
        (small()[["a", "b"]], pd.Series(range(12), name="age", index=range(50, 62)), ["a", "b"], "age"),
        (small()[["a", "b"]].to_dict("list"), np.arange(12).reshape(-1, 1), ["a", "b"], "target"),
        (np.ones((12, 1)), [[at] for at in range(12)], ["0"], "target"),
        (np.ones((12, 1)), pd.DataFrame({"age": range(12)}), ["0"], "age"),
    ],
)
def test_a_pair_of_x_and_y(X: Any, y: Any, names: list[str], target: str) -> None:
    """Answers go with the rows by position; arrays have numbered columns; no target need be named."""
    data = load((X, y), Options())
    assert (list(data.frame), data.target_name) == (names, target)
    assert data.target is not None
    assert data.target.tolist() == list(range(12))


def test_the_users_frame_is_left_alone() -> None:
    """Reading mends a copy."""
    lists: Any = [[1]] * 12
    frame = small().assign(a=np.inf, b=lists).set_axis(["x", "x", "y"], axis=1)
    before = frame.copy(deep=True)
    data = load(frame, Options(target="y"))
    pd.testing.assert_frame_equal(frame, before)
    assert len(data.notes) == 3


# --- dialects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str, line_end: str) -> None:
    """Whatever separates the fields, whatever ends the lines, blank lines or not."""
    data = read(tmp_path, TABLE.replace(",", delimiter).replace("\n", line_end + line_end))
    assert data.frame.shape == (12, 2)
    assert (data.notes == ()) == (delimiter == ",")


def test_a_delimiter_inside_texts_does_not_mislead(tmp_path: Path) -> None:
    """The delimiter is the one that fits the header and all rows."""
    data = read(tmp_path, rows("1;x, y, z;p", "2;x;q", header="a;b;y", times=6))
    assert data.frame["b"].tolist() == ["x, y, z", "x"] * 6


def test_a_decimal_comma(tmp_path: Path) -> None:
    """With semicolons numbers may have a decimal comma; thousands then have points; dates stay dates."""
    text = rows("1,5;1.234,5;01.02.2020;2.000,25", "2,25;7,0;02.02.2020;3,5", header="a;b;when;y", times=6)
    data = read(tmp_path, text)
    assert data.frame["a"].tolist() == [1.5, 2.25] * 6
    assert data.frame["when"].tolist() == ["01.02.2020", "02.02.2020"] * 6
    assert data.target is not None
    assert data.target.tolist() == [2000.25, 3.5] * 6
    assert data.notes[:2] == ("fields are separated by a semicolon", "numbers have a decimal comma")


def test_quoted_fields(tmp_path: Path) -> None:
    """Quotes hold delimiters, line breaks and doubled quotes, in the header too."""
    text = '"a\nb","say ""hi""",y\n' + '"x, y","line\r\nbreak",no\n"q""q",z,yes\n' * 6
    data = read(tmp_path, text)
    assert list(data.frame) == ["a\nb", 'say "hi"']
    assert data.frame.iloc[:2].to_numpy().tolist() == [["x, y", "line\r\nbreak"], ['q"q', "z"]]


@pytest.mark.parametrize("header", ["a,y", "a,y,"])
def test_a_delimiter_at_the_end_of_every_line(tmp_path: Path, header: str) -> None:
    """It makes no column, whether the header has it or not."""
    data = read(tmp_path, rows("1,2,", "3,4,", header=header, times=6))
    assert data.frame["a"].tolist() == [1, 3] * 6
    assert list(data.frame) == ["a"]
    assert len(data.notes) == 1


@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        ("utf-8-sig", "naïve"),
        ("utf-16", "naïve"),
        ("utf-32", "京都市"),
        ("cp1252", "naïve café Übung"),
        ("cp1252", "smörgåsbord señor"),
        ("cp1251", "Привет мир"),
        ("cp932", "東京 さくら ラーメン"),
    ],
)
def test_the_encoding_is_found(tmp_path: Path, encoding: str, word: str) -> None:
    """By the mark, by UTF-8's own rules, else by words whose letters are of one script; a guess is told."""
    text = rows(f"1,{word},yes", "2,plain,no", times=6)
    data = load(write(tmp_path, text, encoding=encoding), Options(target="y"))
    assert data.frame["b"].iloc[0] == word
    assert ("a guess" in "".join(data.notes)) == encoding.startswith("cp")


def test_bytes_that_no_charset_defines_are_latin_1(tmp_path: Path) -> None:
    """The last resort reads any byte."""
    data = read(tmp_path, TABLE.encode().replace(b"red", b"r\x81\x98\xffd"))
    assert "latin-1" in data.notes[0]


def test_ten_thousand_columns(tmp_path: Path) -> None:
    """Width is no obstacle."""
    names = [f"column_{at}" for at in range(10_000)]
    text = rows(",".join(["0.5"] * 9_999 + ["1"]), header=",".join(names), times=12)
    assert read(tmp_path, text, target="column_9999").frame.shape == (12, 9_999)


def test_the_encoding_of_json_is_told_too(tmp_path: Path) -> None:
    """JSON should be UTF-8; where it is not, the guess is a note."""
    data = load(write(tmp_path, '{"a": "café", "y": 1}\n' * 12, "t.jsonl", "cp1252"), Options(target="y"))
    assert data.frame["a"].iloc[0] == "café"
    assert "cp1252" in data.notes[0]


# --- cells -----------------------------------------------------------------------------------------------------------


def test_missing_words_are_missing_in_files(tmp_path: Path) -> None:
    """Also padded with blanks, also in the target, whose rows are left out; "None" is a label like any other."""
    lines = [
        f"{number},{word} ,{label}" for number, word, label in zip(range(12), MISSING, ["None", "x"] * 6, strict=True)
    ]
    data = read(tmp_path, rows(*lines, "5,?,NA", "?, ,x", header="a,b,y"))
    assert data.frame["b"].isna().all()
    assert data.frame["a"].tolist()[:12] == list(range(12))
    assert data.target is not None
    assert data.target.tolist() == ["None", "x"] * 6 + ["x"]
    assert data.notes == ("1 of 14 rows have no 'y' and were left out",)


def test_missing_words_are_cells_in_frames() -> None:
    """A frame says itself what is missing."""
    data = load(small().assign(b="?", y=["", "NA"] * 6), Options(target="y"))
    assert data.frame["b"].tolist() == ["?"] * 12
    assert data.target is not None
    assert data.target.tolist() == ["", "NA"] * 6


def test_short_rows_are_padded(tmp_path: Path) -> None:
    """Cells that a row lacks at its end are missing."""
    data = read(tmp_path, rows("x,1,2", "y,3", "z", header="y,a,b", times=6))
    assert data.frame.isna().sum().tolist() == [6, 12]


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (["'-1'", " a b"], ["'-1'", " a b"]),
        (["1", "0"], [1, 0]),
        (["1.5", "-2e3"], [1.5, -2000.0]),
        (["007", "12"], ["007", "12"]),
        (["True", "False"], [True, False]),
        (["TRUE", "FALSE"], ["TRUE", "FALSE"]),
        (["1", "x"], ["1", "x"]),
        (['"1,234"', "5"], [1234, 5]),
        (['"1,5"', '"2,75"'], [1.5, 2.75]),
        (["1.2.3", "2.0"], ["1.2.3", "2.0"]),
    ],
)
def test_labels_keep_their_spelling(tmp_path: Path, texts: list[str], labels: list[Any]) -> None:
    """Labels become numbers or booleans only where nothing is lost, also beside a missing one."""
    data = read(tmp_path, rows(*[f"1,{text}" for text in texts], header="a,y", times=6) + "1,\n")
    assert data.target is not None
    assert data.target.tolist() == labels * 6
    assert type(data.target.tolist()[0]) is type(labels[0])


def test_infinite_features_are_made_missing(tmp_path: Path) -> None:
    """With a note, from files and frames."""
    data = read(tmp_path, rows("inf,1,1", "2,-Infinity,0", times=6))
    assert data.frame.isna().sum().tolist() == [6, 6]
    assert data.notes == ("infinite values were made missing in 2 columns, first 'a'",)
    mixed = small().assign(b=[np.inf, "x"] * 6)
    assert load(mixed, Options(target="y")).frame["b"].tolist()[1::2] == ["x"] * 6


def test_nested_json_is_made_text(tmp_path: Path) -> None:
    """Lists and objects are kept as their text, and the column is named."""
    lines = '{"a": [1, 2], "b": 1, "y": "p"}\n\n{"a": {"k": null}, "y": "q", "c": "late"}\n'
    data = read(tmp_path, lines * 6, "table.jsonl")
    assert data.frame["a"].tolist() == ["[1, 2]", "{'k': None}"] * 6
    assert list(data.frame) == ["a", "b", "c"]
    assert data.notes == ("lists or objects were made text in 1 columns, first 'a'",)


def test_odd_dtypes_survive() -> None:
    """Later stages decide what a column is; reading changes neither values nor dtype."""
    at = range(12)
    frame = pd.DataFrame(
        {
            "category": pd.Categorical(list("abcdefabcdef")),
            "flag": [True, False] * 6,
            "when": pd.date_range("2024-01-01", periods=12, tz="UTC"),
            "span": pd.to_timedelta(at, unit="h"),
            "exact": [decimal.Decimal(number) for number in at],
            "nullable": pd.array([1, None] * 6, dtype="Int64"),
            "arrow": pd.array([1.5, None] * 6, dtype="double[pyarrow]"),
            "mixed": [1, "x", None, 2.5, dt.date(2024, 1, 1), True] * 2,
            "period": pd.period_range("2024-01", periods=12, freq="M"),
            "big": [2**70] * 12,
        }
    )
    data = load((frame, list(at)), Options())
    pd.testing.assert_frame_equal(data.frame, frame)
    assert data.notes == ()


def test_arrow_lists_are_made_text() -> None:
    """Also where a frame holds them in Arrow's own dtype."""
    import pyarrow

    table = pyarrow.table({"a": [[1, 2]] * 12, "y": list(range(12))})
    for data in (table, table.to_pandas(types_mapper=pd.ArrowDtype)):
        assert load(data, Options(target="y")).frame["a"].tolist() == ["[1, 2]"] * 12


# --- names and roles -------------------------------------------------------------------------------------------------


def test_repeated_and_absent_names(tmp_path: Path) -> None:
    """They are spelled as pandas spells them, so that a frame read by it fits a model that learned from the file."""
    path = write(tmp_path, rows("1,2,3,4,5,6", header="a, a,,a.1,b,y", times=12))
    data = load(path, Options(target="y"))
    assert list(data.frame) == ["a", "a.2", "Unnamed: 2", "a.1", "b"]
    assert data.notes == ("1 repeated column names were numbered, for instance 'a' is 'a.2'",)


def test_names_that_are_not_text() -> None:
    """Numbers are spelled, levels are joined, and the odd ones are told."""
    assert list(load(small().set_axis([0, 1, 2], axis=1), Options(target="2")).frame) == ["0", "1"]
    levels = small().set_axis(pd.MultiIndex.from_tuples([("a", "x"), ("a", 2), ("y", "")]), axis=1)
    data = load(levels, Options(target="y"))
    assert list(data.frame) == ["a_x", "a_2"]
    assert data.notes == ("3 column names were not text, for instance ('a', 'x')",)


def test_the_weight_leaves_the_features() -> None:
    """It follows its rows when some are left out; the other named columns stay."""
    frame = small(14).assign(w=range(1, 15), t=range(14), y=np.array([None, *range(13)]))
    data = load(frame, Options(target="y", weight="w", time_column="t", group_column="b"))
    assert list(data.frame) == ["a", "b", "t"]
    assert data.weight is not None
    assert data.weight.dtype == np.float64
    assert data.weight.tolist() == list(range(2, 15))
    assert data.frame.index.tolist() == list(range(13))


# --- rows to predict -------------------------------------------------------------------------------------------------


def test_features_need_neither_target_nor_rows(tmp_path: Path) -> None:
    """A header alone is a table of no rows."""
    assert load_features(write(tmp_path, "a,b\n")).shape == (0, 2)
    assert load_features(small().iloc[:0]).shape == (0, 3)
    assert load_features(small().iloc[:1]).shape == (1, 3)
