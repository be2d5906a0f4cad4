"""A path to a table file -> its cells as a DataFrame, with a note for all that was guessed.

Bytes -> dialect -> DataFrame: the delimited formats are sniffed first (sniff.py) and parsed once, by pandas' C engine.
A row may be too short, its last cells are then missing; a row that is too long is refused, since no cell may shift.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from automl.errors import InputError
from automl.messages import one_line, shown
from automl.modalities.files.sniff import NAMED, PREFIX, Dialect, encoding_notes, find_encoding, find_ragged, sniff

if TYPE_CHECKING:
    import pandas as pd

# Texts that stand for a missing cell in a file. Not "None" or "none": these are labels more often than not.
MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "null", "NULL", "nan", "NaN", "NAN")
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
READABLE = ".csv, .tsv, .txt, .parquet, .jsonl, .ndjson or .json (text also as .gz, .bz2, .xz or .zip)"

_UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Table:
    """A table as it was read; column names as they stand in the source, perhaps repeated."""

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    decimal: str | None = None  # mark of the numbers in a delimited file; None where cells came with their types


def read_file(path: Path, verbatim: Collection[str] = (), decimal: str = ".", *, kept: Collection[str] = ()) -> Table:
    """Read a table file; in delimited text the columns `verbatim` are read as text, so that labels stay as written.

    `decimal`: the mark of its numbers, where they do not tell it. In the columns `kept` words for a missing cell stay,
    since a model may know them as labels.
    """
    wanted, kept = ({name.strip() for name in names} for names in (verbatim, kept))
    try:
        suffix = _format(path)
        if suffix == ".parquet":
            return _read_parquet(path)
        if suffix == ".json":
            return _without_missing_words(_read_json(_content(path, of_lines=False)), kept)
        if suffix in (".jsonl", ".ndjson"):
            return _without_missing_words(_read_json(_content(path, of_lines=True)), kept)
        return _without_missing_words(_read_delimited(_content(path, of_lines=True), wanted, kept, decimal), kept)
    except InputError as error:
        raise InputError(f"cannot read {shown(path.name)}: {error}") from error
    except _UNREADABLE as error:
        raise InputError(f"cannot read {shown(path.name)}: {one_line(error)}. Check that the file is whole.") from error


def _format(path: Path) -> str:
    """The extension that says how to read a file, without that of its packing."""
    if path.is_dir():
        raise InputError(f"it is a folder, and only tables can be read in this version. Give {READABLE}.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = len(suffixes) > 1 and suffixes[-1] in COMPRESSED
    suffix = suffixes[-2] if packed else (suffixes or [""])[-1]
    if suffix not in (".csv", ".tsv", ".txt", ".parquet", ".jsonl", ".ndjson", ".json"):
        got = f"the extension {shown(suffix)}" if suffix else "no extension"
        raise InputError(f"only tables can be read in this version, got {got}. Give {READABLE}.")
    if not path.is_file():
        state = "is not a regular file" if path.exists() else f"does not exist in {shown(str(path.parent))}"
        raise InputError(f"it {state}. Give the path of a table: {READABLE}.")
    return suffix


def unpacked(path: Path) -> bytes:
    """All bytes of a file that is packed, whatever with; refused where it is damaged."""
    try:
        return _content(path, of_lines=False)
    except _UNREADABLE as error:
        raise InputError(f"cannot read {shown(path.name)}: {one_line(error)}. Check that the file is whole.") from error


def _content(path: Path, of_lines: bool) -> bytes:
    """All bytes, unpacked. A file of lines is refused early when its first line has no end within reach."""
    with path.open("rb") as raw, _unpacked(raw) as stream:
        start = stream.read(PREFIX)
        if len(start) < PREFIX:
            return start
        if of_lines and b"\n" not in start and b"\r" not in start:
            raise InputError(
                f"no line ends within its first {PREFIX // 2**20} MB, so this is no table of lines. "
                "Give one line for each row."
            )
        return start + stream.read()


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    """The plain bytes of a file; what it is packed with shows in its first bytes, whatever its name says."""
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(file))
    if magic.startswith(b"BZh"):
        return bz2.open(file)
    if magic.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(file)
    if magic.startswith(b"PK\x03\x04"):
        return _only_member(zipfile.ZipFile(file))
    return file


def _only_member(archive: zipfile.ZipFile) -> IO[bytes]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        raise InputError(f"a .zip must hold exactly one file, got {len(members)}. Pack the table alone.")
    return archive.open(members[0])


def _read_delimited(data: bytes, verbatim: Collection[str], kept: Collection[str], decimal: str) -> Table:
    dialect = sniff(data, decimal)
    _refuse_ragged(data[:PREFIX], dialect, rows=2)  # pandas takes the width of the first row on trust
    frame = _parse(data, dialect, verbatim, kept)
    if dialect.ends_with_delimiter:
        if frame[len(dialect.names)].ne("").any():
            _refuse_ragged(data, dialect)
        frame = frame.iloc[:, :-1]
    notes = list(dialect.notes)
    if not dialect.names[-1] and len(frame.columns) > 1 and frame.iloc[:, -1].isna().all():
        frame = frame.iloc[:, :-1]
        notes.append("the last column has neither name nor cells and was left out")
    frame.columns = list(dialect.names[: len(frame.columns)])
    return Table(frame, tuple(notes), dialect.decimal)


def _parse(data: bytes, dialect: Dialect, verbatim: Collection[str], kept: Collection[str]) -> pd.DataFrame:
    """The cells, columns numbered; a column for the delimiters at line ends comes last and holds texts."""
    import pandas as pd

    as_text = {at: "str" for at, name in enumerate(dialect.names) if name.strip() in verbatim}
    missing: Any = list(MISSING)
    if dialect.ends_with_delimiter:
        as_text[len(dialect.names)] = "str"
    if dialect.ends_with_delimiter or kept:
        missing = {at: list(MISSING) for at, name in enumerate(dialect.names) if name.strip() not in kept}
    try:
        return pd.read_csv(
            io.BytesIO(data),
            sep=dialect.delimiter,
            decimal=dialect.decimal,
            encoding=dialect.encoding,
            header=0,
            names=list(range(dialect.width)),
            index_col=False,
            dtype=cast("Any", as_text),
            na_values=missing,
            keep_default_na=False,
            low_memory=False,  # types by whole columns, not by chunks of them
        )
    except (ValueError, OverflowError) as error:  # ParserError and UnicodeDecodeError among them
        _refuse_ragged(data, dialect)
        raise InputError(f"{one_line(error)}. Check its quotes: one that opens a field must be closed.") from error


def _refuse_ragged(data: bytes, dialect: Dialect, rows: int | None = None) -> None:
    found = find_ragged(data.decode(dialect.encoding, errors="ignore"), dialect, rows)
    if found is None:
        return
    line, width = found
    fields = f"{width} fields, but the header has {len(dialect.names)}, separated by {NAMED[dialect.delimiter]}"
    raise InputError(
        f"line {line} has {fields}. Put quotes around a field that holds the delimiter, or name every column."
    )


def _read_json(data: bytes) -> Table:
    """An array of objects, or an object on each line; a key that an object lacks is a missing cell."""
    import pandas as pd

    encoding = find_encoding(data)
    text = data.decode(encoding)
    start = text.lstrip()[:1]
    if start not in ("", "[", "{"):
        raise InputError(f"it begins with {start!r}. Give an array of objects, or one object on each line.")
    where, number = "item" if start == "[" else "line", 0
    rows: list[tuple[int, Any]] = []
    try:
        if start == "[":
            rows = list(enumerate(json.loads(text), start=1))
        else:
            for number, line in enumerate(text.split("\n"), start=1):
                if line and not line.isspace():
                    rows.append((number, json.loads(line)))
    except (ValueError, RecursionError) as error:
        what = f"line {number}" if number else "it"
        raise InputError(f"{what} is not JSON: {one_line(error)}. Give an object for each row.") from error
    for number, row in rows:
        if not isinstance(row, dict):
            raise InputError(f"{where} {number} is {shown(row)}, not an object. Give one {{...}} for each row.")
    try:
        return Table(pd.DataFrame([row for _, row in rows]), tuple(encoding_notes(encoding)))
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can spell and text cannot
        raise InputError(f"it holds broken text: {one_line(error)}. Write whole characters.") from error


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return Table(file.read().to_pandas())
    except pa.ArrowException as error:
        raise InputError(f"it is not a Parquet file that can be read: {one_line(error)}. Write it again.") from error


def _without_missing_words(table: Table, kept: Collection[str]) -> Table:
    """Texts of blanks, and padded words for a missing cell, made missing: the parser knows only the bare words."""
    import pandas as pd
    from pandas.api.types import is_object_dtype

    frame = table.frame
    texts = [at for at, dtype in enumerate(frame.dtypes) if is_object_dtype(dtype) or isinstance(dtype, pd.StringDtype)]
    mended = {}
    for at in texts:
        column = frame.iloc[:, at]
        if str(frame.columns[at]).strip() in kept:
            continue
        words = _missing_words(column)
        if words.any():
            mended[at] = column.mask(words)
    if not mended:
        return table
    columns = {at: mended[at] if at in mended else frame.iloc[:, at] for at in range(frame.shape[1])}
    whole = pd.DataFrame(columns, copy=False)
    whole.columns = frame.columns
    return replace(table, frame=whole)


def _missing_words(column: pd.Series) -> pd.Series:
    import pandas as pd

    if isinstance(column.dtype, pd.StringDtype):
        return column.str.strip().isin(MISSING)
    return column.map(lambda cell: isinstance(cell, str) and cell.strip() in MISSING).astype(bool)
