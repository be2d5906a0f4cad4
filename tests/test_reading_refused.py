"""What cannot be read is refused in one line that says what to do, whatever bytes it is made of."""

from __future__ import annotations

import gzip
import lzma
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import OddTable, broken_bytes, odd_tables
from tables_made import QUICK, TABLE, packed_zip, read, rows, small, write

from automl.data.reading import load, load_features
from automl.errors import InputError
from automl.modalities.files.read import MISSING
from automl.modalities.files.sniff import PREFIX
from automl.options import Options

BAD_FILES: dict[str, tuple[str | bytes, str, dict[str, Any], str]] = {
    "empty": (b"", "t.csv", {}, "is empty"),
    "blank": ("\n \n\n", "t.csv", {}, "is empty"),
    "only a byte order mark": (b"\xef\xbb\xbf", "t.csv", {}, "is empty"),
    "header only": ("a,b,y\n", "t.csv", {}, "no rows"),
    "one row": (rows("1,2,3"), "t.csv", {}, "1 of 1 rows .* at least 10"),
    "no target given": (TABLE, "t.csv", {"target": None}, "which column.*'a', 'b', 'y'"),
    "unknown target": (TABLE, "t.csv", {"target": "Y"}, "'Y' is not in the data. Did you mean 'y'?.*'a', 'b'"),
    "close target": (rows("1,2", header="a,churn", times=12), "t.csv", {"target": "chrun"}, "mean 'churn'"),
    "no header": (rows("1.5,2,0", header="3.5,1,0", times=12), "t.csv", {}, "first line looks like data"),
    "unknown delimiter": (TABLE.replace(",", "^"), "t.csv", {}, "delimiter may be wrong"),
    "target twice": (rows("1,2,3", header="y,a,y", times=12), "t.csv", {}, "several columns"),
    "target all missing": (rows("1,2,?", "1,2,NA", times=12), "t.csv", {}, "missing in all 24 rows"),
    "target mostly missing": (rows("1,2,?", "1,2,3", times=9), "t.csv", {}, "9 of 18 rows"),
    "target infinite": (rows("1,2,3", "1,2,inf", times=6), "t.csv", {}, "infinite in 6 rows, first in row 2"),
    "target nested": ('{"a": 1, "y": [1]}\n' * 12, "t.jsonl", {}, r"'y' holds \[1\]"),
    "no feature": (rows("1", header="y", times=12), "t.csv", {}, "no column is left"),
    "no feature beside weight": (rows("1,2", header="y,w", times=12), "t.csv", {"weight": "w"}, "no column is left"),
    "no weight column": (TABLE, "t.csv", {"weight": "w"}, "weight 'w' is not in the data"),
    "weight is text": (TABLE, "t.csv", {"weight": "b"}, "got 'red' in row 1"),
    "weight negative": (rows("1,2,3", "-1,2,3", times=6), "t.csv", {"weight": "a"}, "got .-1. in row 2"),
    "weight missing": (rows("1,2,3", ",2,3", times=6), "t.csv", {"weight": "a"}, "got .nan. in row 2"),
    "weight is target": (TABLE, "t.csv", {"weight": "y"}, "weight and target are both 'y'"),
    "no time column": (TABLE, "t.csv", {"time_column": "A"}, "time_column 'A' .* mean 'a'"),
    "no group column": (TABLE, "t.csv", {"group_column": "patient"}, "group_column 'patient'"),
    "group is target": (TABLE, "t.csv", {"group_column": "y"}, "group_column and target"),
    "first row too long": (rows("1,2,3,4", "1,2,3", times=6), "t.csv", {}, "line 2 has 4 fields, but the header has 3"),
    "late row too long": (TABLE * 50 + "1,2,3,4\n", "t.csv", {}, "line 651 has 4 fields"),
    "long row after a quoted break": (TABLE + '"a\nb",2,3\n1,2,3,4\n', "t.csv", {}, "line 16 has 4 fields"),
    "shifted row": (rows("1,2,3,", "1,x,2,3", times=6), "t.csv", {}, "line 2 has 4 fields"),
    "late shifted row": (rows("1,2,3,", times=300) + "1,x,2,3\n", "t.csv", {}, "line 302 has 4 fields"),
    "row names without a name": (rows("r1,1,2,3", times=12), "t.csv", {}, "line 2 has 4 fields"),
    "open quote": (TABLE + '1,"2,3\n', "t.csv", {}, "Check its quotes"),
    "zero bytes": (TABLE.encode() + b"\0", "t.csv", {}, "is zero"),
    "utf-16 without mark": (TABLE.encode("utf-16-le"), "t.csv", {}, "byte 1 is zero"),
    "broken utf-16": (b"\xff\xfe" + TABLE.encode() + b"\x00", "t.csv", {}, "begins like utf-16"),
    "binary": (bytes(range(1, 256)) * 20, "t.csv", {}, "no text file"),
    "one endless line": (b"a," * (PREFIX // 2 + 1), "t.csv", {}, "no line ends within its first 16 MB"),
    "one endless line, packed": (gzip.compress(b"a" * (PREFIX + 1), 1), "t.csv.gz", {}, "no line ends"),
    "broken gzip": (gzip.compress(TABLE.encode() * 50)[:-20], "t.csv.gz", {}, "Check that the file is whole"),
    "broken xz": (lzma.compress(TABLE.encode())[:-20], "t.csv.xz", {}, "Check that the file is whole"),
    "broken zip": (packed_zip(TABLE.encode())[:-20], "t.csv.zip", {}, "Check that the file is whole"),
    "no parquet": (TABLE, "t.parquet", {}, "not a Parquet file"),
    "spreadsheet": (b"PK\x03\x04", "t.xlsx", {}, "only tables.*got the extension '.xlsx'"),
    "no extension": (TABLE, "table", {}, "got no extension"),
    "no json": ("nonsense\n", "t.jsonl", {}, "begins with 'n'"),
    "broken json line": ('{"a": 1}\n\n{"a": \n', "t.jsonl", {}, "line 3 is not JSON"),
    "json of numbers": ("[1, 2]", "t.json", {}, "item 1 is 1, not an object"),
    "json of lists": ('{"a": 1}\n"x"\n', "t.jsonl", {}, "line 2 is 'x', not an object"),
    "deep json": ("[" * 100_000, "t.json", {}, "not JSON"),
    "json with half a letter": ('[{"a": "\\ud800"}]', "t.json", {}, "broken text"),
    "no json rows": ("[]", "t.json", {}, "no columns"),
    "very long name": (rows("1,2", header="a," + "x" * 5_000, times=12), "t.csv", {}, "Columns: 'a', 'xxx"),
}


def assert_one_line(message: str) -> None:
    assert len(message.splitlines()) == 1
    assert len(message) < 800


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    """What is wrong, the value seen, what to do."""
    content, name, options, message = BAD_FILES[case]
    with pytest.raises(InputError, match=message) as refusal:
        read(tmp_path, content, name, **options)
    assert_one_line(str(refusal.value))


BAD_OBJECTS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "number": (3, {}, "type int cannot be read"),
    "nothing": (None, {}, "type NoneType"),
    "three items": ((1, 2, 3), {}, "pair"),
    "uneven dict": ({"a": [1], "b": [1, 2]}, {}, "not a table"),
    "dict of numbers": ({"a": 1}, {}, "not a table"),
    "uneven lists": (([[1, 2], [1]], [1, 2]), {}, "from 1 to 2 values"),
    "5-d array": ((np.ones((2, 2, 2, 2, 2)), [1, 2]), {}, r"shape \(2, 2, 2, 2, 2\)"),
    "too few answers": ((np.ones((12, 2)), [1, 2]), {}, "X has 12 rows, but y has 2"),
    "two columns of answers": ((np.ones((12, 2)), np.ones((12, 2))), {}, "y must be one column"),
    "two frames": ((small(), small()), {}, "y must be one column, got 3"),
    "uneven answers": ((np.ones((2, 2)), [[1], [1, 2]]), {}, "one value for each row"),
    "answers of no kind": ((np.ones((2, 2)), 5), {}, "y of type int"),
    "answers left in x": ((small(), small()["y"]), {}, "X still holds the column 'y'"),
    "complex features": (small().assign(a=1j), {}, "complex"),
    "complex answers": (small().assign(y=1j), {}, "complex"),
    "infinite answers": (small().assign(y=[1.0] * 11 + [-np.inf]), {}, "first in row 12"),
    "infinite mixed answers": (small().assign(y=["a"] * 11 + [np.inf]), {}, "first in row 12"),
    "dates as weights": (small().assign(a=pd.Timestamp(0)), {"weight": "a"}, "not numbers"),
    "no columns": (pd.DataFrame(), {}, "There are no columns"),
    "no rows": (small().iloc[:0], {}, "no rows"),
}


@pytest.mark.parametrize("case", BAD_OBJECTS)
def test_a_bad_object_is_refused_in_one_line(case: str) -> None:
    """The same for what is in memory."""
    data, options, message = BAD_OBJECTS[case]
    target = None if isinstance(data, tuple) else "y"
    with pytest.raises(InputError, match=message) as refusal:
        load(data, Options(**{"target": target, **options}))
    assert_one_line(str(refusal.value))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder, a path to nowhere, a device, a name that no system takes."""
    os.mkfifo(tmp_path / "pipe.csv")
    odd = {
        "": "folder",
        "no.csv": "does not exist",
        "pipe.csv": "not a regular file",
        "x" * 5_000 + ".csv": "long|exist",
    }
    for name, message in odd.items():
        with pytest.raises(InputError, match=message) as refusal:
            load(str(tmp_path / name), Options(target="y"))
        assert_one_line(str(refusal.value))


def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    """The system's own reason is passed on."""
    path = write(tmp_path, TABLE)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read anything")
    with pytest.raises(InputError, match="Permission denied"):
        load(path, Options(target="y"))


# --- properties ------------------------------------------------------------------------------------------------------


def same_cell(seen: Any, written: Any) -> bool:
    if written is None or (isinstance(written, str) and written.strip() in MISSING):
        return bool(pd.isna(seen))
    if isinstance(written, str):
        return bool(seen == written)
    return float(seen) == pytest.approx(float(written), rel=1e-12, abs=1e-300)


@given(table=odd_tables())
@QUICK
def test_odd_tables_come_back_as_they_were_written(tmp_path: Path, table: OddTable) -> None:
    """No cell is lost, changed or shifted, whatever the script, the quotes, the delimiter or the encoding."""
    frame = load_features(write(tmp_path, table.csv()))
    assert list(frame) == [name.strip() for name in table.names]
    for name, column in zip(frame, table.columns, strict=True):
        assert all(same_cell(seen, written) for seen, written in zip(frame[name], column, strict=True))


@given(content=broken_bytes(), name=st.sampled_from(["t.csv", "t.tsv", "t.jsonl", "t.json", "t.csv.gz", "t.parquet"]))
@QUICK
def test_noise_is_read_or_refused(tmp_path: Path, content: bytes, name: str) -> None:
    """Any bytes give a table or a refusal of one line, never another error."""
    path = write(tmp_path, content, name)
    for attempt in (lambda: load_features(path), lambda: load(path, Options(target="a"), min_rows=1)):
        try:
            attempt()
        except InputError as refusal:
            assert_one_line(str(refusal))


@given(rows=st.lists(st.lists(st.none() | st.booleans() | st.floats() | st.text(max_size=3), min_size=2, max_size=2)))
@QUICK
def test_any_rows_in_memory_are_read_or_refused(rows: list[list[Any]]) -> None:
    """Mixed cells give a dataset whose rows all have answers, or a refusal of one line."""
    try:
        data = load((rows, [row[-1] for row in rows]), Options(), min_rows=1)
    except InputError as refusal:
        assert_one_line(str(refusal))
    else:
        assert data.target is not None
        assert len(data.target) == len(data.frame) == sum(not pd.isna(row[-1]) for row in rows)
