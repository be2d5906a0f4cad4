"""Rows on their way to a model and what it said on the way back: Parquet in pieces there, JSON here.

Rows are read and indexed here by the function that local models use, so that a path, a list or a frame means the same.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.doors.client.uploading import Parcel, arrow_of, parcel_of
from automl.errors import InputError
from automl.messages import shown

if TYPE_CHECKING:
    import pandas as pd

JSON, PARQUET, CSV, ZIP = "application/json", "application/vnd.apache.parquet", "text/csv", "application/zip"
JSON_ROWS = 500
PIECE_ROWS, PIECE_MB = 20_000, 16.0  # of one request, so that neither side holds much more at a time
FORECASTER = "panel"  # kind of a column that says when a step of a series is
FILES = ("image", "audio")  # kinds of columns whose cells are files
AS_THEY_ARE = {".parquet": PARQUET, ".csv": CSV, ".tsv": CSV, ".txt": CSV}


@dataclass(frozen=True)
class KnownColumns:
    """The columns that a model learned from, as reading rows asks for them."""

    names: tuple[str, ...]
    claims: Mapping[str, str]
    verbatim: tuple[str, ...]
    decimal: str
    steps: None = None  # a server takes cases, not their steps
    is_of_rows: bool = False  # of a forecaster: what became known of a step may stand beside it

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> KnownColumns:
        """From what a server tells of a model."""
        kinds = {str(one["name"]): str(one["kind"]) for one in schema["columns"]}
        claims = {name: kind for name, kind in kinds.items() if kind in (*FILES, "text")}
        texts = tuple(name for name, kind in kinds.items() if kind in ("category", "string", "date"))
        names = tuple(str(name) for name in schema.get("names") or kinds)
        decimal = str(schema.get("decimal") or ".")
        return cls(names, claims, (*texts, *claims), decimal, is_of_rows=FORECASTER in kinds.values())


@dataclass(frozen=True)
class RequestLimits:
    """What one request may hold, as the server says."""

    rows: int
    mb: float

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> RequestLimits:
        """From the limits of /v1/me."""
        rows, mb = int(told.get("most_rows") or PIECE_ROWS), float(told.get("most_asked_mb") or PIECE_MB)
        return cls(min(PIECE_ROWS, rows), min(PIECE_MB, mb / 2))

    def at_most(self, rows: int | None) -> RequestLimits:
        """The same, with fewer rows."""
        return self if rows is None else RequestLimits(min(self.rows, rows), self.mb)


@dataclass(frozen=True)
class RowsPiece:
    """Some rows as a body, and its media type."""

    kind: str
    content: bytes


def pieces(frame: pd.DataFrame, known: KnownColumns, limits: RequestLimits) -> Iterator[RowsPiece]:
    """Rows some at a time: few plain ones as JSON, which servers answer at once, others as Parquet, files as bytes."""
    import pyarrow.parquet as pq

    needed = list(dict.fromkeys(known.names))
    # of what is missing the server tells better beside what is there
    if set(needed) <= set(frame.columns) and not known.is_of_rows:
        frame = frame[needed]
    if len(frame) <= min(JSON_ROWS, limits.rows) and _is_plain(frame, known):
        yield RowsPiece(JSON, _as_json(frame))
        return
    first, step = 0, limits.rows
    while first < max(1, len(frame)):
        some = frame.iloc[first : first + step]
        table = arrow_of(_with_files(some, known.claims))
        if table.nbytes > limits.mb * 1e6 and len(some) > 1:
            step = max(1, int(len(some) * limits.mb * 1e6 / table.nbytes))
            continue
        written = io.BytesIO()
        pq.write_table(table, written)
        yield RowsPiece(PARQUET, written.getvalue())
        first += len(some) or 1


def _is_plain(frame: pd.DataFrame, known: KnownColumns) -> bool:
    """Whether JSON holds these cells as they are: numbers, truth values and texts."""
    import pandas as pd

    if set(known.claims.values()) & set(FILES) or not frame.columns.is_unique:
        return False
    for column in (frame.iloc[:, at] for at in range(frame.shape[1])):
        is_typed = column.dtype.kind in "iufb" or isinstance(column.dtype, pd.StringDtype)
        if not is_typed and not (column.dtype == object and set(map(type, column)) <= {str, bool, int, type(None)}):
            return False
    return True


def _as_json(frame: pd.DataFrame) -> bytes:
    """Rows by name; nothing where nothing is known, and infinity as what it is taken for."""
    from automl.plain import as_json

    rows = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    return json.dumps({"rows": as_json(rows)}, ensure_ascii=False).encode("utf-8", "backslashreplace")


def plain_rows(data: Any) -> list[dict[str, Any]]:
    """A table as a list of objects, times as they are written."""
    from automl.data.reading import load_features
    from automl.modalities.panel.stamps import bare
    from automl.plain import as_json

    frame = load_features(data)
    frame = frame.copy(deep=False)
    for name in [name for name in frame if getattr(frame[name].dtype, "tz", None) is not None]:
        frame[name] = bare(frame[name])  # as times are read where the model is
    rows: list[dict[str, Any]] = as_json(frame.astype(object).where(frame.notna(), None).to_dict(orient="records"))
    return rows


def _with_files(frame: pd.DataFrame, claims: Mapping[str, str]) -> pd.DataFrame:
    """The same rows, with what the names of files in them lead to."""
    held: dict[str, Any] = {name: [_content(name, cell) for cell in frame[name]] for name, kind in claims.items()
            if kind in FILES and name in frame.columns}  # fmt: skip
    return frame.assign(**held) if held else frame


def _content(column: str, cell: Any) -> bytes | None:
    """What is in a file, or in a cell that holds one."""
    import numpy as np

    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return None
    if isinstance(cell, bytes):
        return cell
    if not isinstance(cell, str | Path):
        raise InputError(
            f"column {shown(column)} holds cells of type {type(cell).__name__}, which cannot be sent. Give files."
        )
    try:
        return Path(cell).read_bytes()
    except OSError as error:
        raise InputError(
            f"column {shown(column)}: {shown(str(cell))} cannot be read: {error.strerror or error}. Mend the name."
        ) from error


@contextmanager
def answered(data: Any, target: str | None) -> Iterator[tuple[str, Parcel]]:
    """Rows with their answers as one body and its media type: a file as it is, anything else as Parquet or zip."""
    from automl.data.source import open_source
    from automl.modalities.files.read import COMPRESSED, READABLE, unpacked
    from automl.runtime import remote

    if isinstance(data, str) and remote.is_url(data):
        data = remote.fetch(data)
    is_file = isinstance(data, str | Path) and Path(data).is_file()
    if is_file and not _is_sendable(Path(data)):
        suffixes = {suffix.lower() for suffix in Path(data).suffixes}
        if not suffixes & {".json", ".jsonl", ".ndjson"}:
            raise InputError(f"{shown(str(data))} is no table that can be read. Give {READABLE}.")
        data = open_source(data, to_learn=False).table.frame  # JSON of lines is read here: its cells have types
    elif is_file and Path(data).suffix.lower() in COMPRESSED:  # no body may be packed
        with tempfile.TemporaryDirectory(prefix="automl-") as folder:
            plain = Path(folder) / Path(data).stem
            plain.write_bytes(unpacked(Path(data)))
            with parcel_of(plain, target) as parcel:
                yield _kind_of(parcel.name), parcel
        return
    with parcel_of(data, target) as parcel:
        kind = ZIP if isinstance(data, str | Path) and Path(data).is_dir() else _kind_of(parcel.name)
        yield kind, parcel


def _is_sendable(path: Path) -> bool:
    return bool({suffix.lower() for suffix in path.suffixes} & set(AS_THEY_ARE))


def _kind_of(name: str) -> str:
    return next((AS_THEY_ARE[s.lower()] for s in Path(name).suffixes if s.lower() in AS_THEY_ARE), PARQUET)
