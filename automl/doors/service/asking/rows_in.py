"""Bodies with rows -> what the library's own verbs take: JSON, CSV, Parquet, and archives of files for models of these.

All of it is read in an empty folder of its own that goes with the request. What unpacks to more than may be asked is
refused before it is in memory, and no cell of a stranger names a file: bytes come as base64, or in an archive.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request

from automl.doors.service.data.looking import Looking
from automl.doors.service.ground.problems import Problem
from automl.doors.service.ground.settings import Settings
from automl.doors.serving.rows import PACKED, BodyReader, json_rows
from automl.errors import InputError
from automl.messages import counted, one_line, shown
from automl.modalities.files.cells import plain as bare
from automl.places import inside

if TYPE_CHECKING:
    import pandas as pd

JSON, CSV, PARQUET, ZIP = "application/json", "text/csv", "application/vnd.apache.parquet", "application/zip"
KNOWN = {
    JSON: JSON, CSV: CSV, PARQUET: PARQUET, ZIP: ZIP,
    "application/parquet": PARQUET, "application/x-parquet": PARQUET, "application/x-zip-compressed": ZIP,
}  # fmt: skip
MOST_CELLS = 20_000_000  # of a table: a header of a million names over a hundred thousand short lines is a bomb
PLAIN_S = 60.0  # for a Parquet file to be written plainly
UNPACKED = 4.0  # times a body that its rows may hold when they are unpacked
LINE = re.compile(rb"[\r\n]")
Data = Any  # a path, or a DataFrame: what predict, monitor and evaluate take


@dataclass(frozen=True)
class SentBody:
    """What came, and as what."""

    kind: str
    content: bytes


async def body_of(request: Request, kinds: Sequence[str] = (JSON, CSV, PARQUET, ZIP)) -> SentBody:
    """The body of a request, if it is of one of these kinds; 415 where it is not."""
    told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    kind = KNOWN.get(told)
    if kind not in kinds:
        seen = shown(told) if told else "no Content-Type"
        raise Problem(415, f"rows are read as {', '.join(kinds)}, got {seen}. Say in Content-Type what you send.")
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed not in ("", "identity"):
        raise Problem(415, f"bodies are read as they are, got one packed by {shown(packed)}. Send it plain.")
    assert kind is not None
    try:
        return SentBody(kind, await request.body())
    except ClientDisconnect as error:
        raise Problem(400, "the request ended before its body did. Send it again.") from error


class TableReader:
    """Reads bodies for one model, in folders below `incoming`."""

    def __init__(self, bodies: BodyReader, settings: Settings, looking: Looking) -> None:
        self._bodies, self._settings, self._looking = bodies, settings, looking
        self._incoming = settings.home / "incoming"
        self._most_bytes = settings.most_asked_mb * UNPACKED * 1e6

    @contextmanager
    def data(self, body: SentBody) -> Iterator[Data]:
        """What the library's verbs take, there for as long as it is looked at."""
        if body.kind == JSON:
            yield self.frame(json_rows(body.content)[0])
            return
        if body.kind == CSV and self._bodies.of_files:
            raise self._needs_bytes('Send JSON, with {"b64": "..."} in its cells, or a zip of the files.')
        self._incoming.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="rows-", dir=self._incoming) as folder:
            yield self._read(body, Path(folder))

    def _read(self, body: SentBody, folder: Path) -> Data:
        if body.kind == ZIP:
            return self._unpacked(body.content, folder)
        if body.kind == PARQUET:
            given, place = folder / "given.parquet", folder / "rows.parquet"
            given.write_bytes(body.content)
            order = {
                "given": str(given), "place": str(place), "most_rows": self._settings.most_rows,
                "most_cells": MOST_CELLS, "most_bytes": self._most_bytes,
            }  # fmt: skip
            self._looking.look("plain", order, folder, PLAIN_S)
            return self._with_bytes(place) if self._bodies.of_files else place
        if body.content.startswith(PACKED):
            raise Problem(415, "the body is packed. Send CSV as it is.")
        _check_lines(body.content)
        place = folder / "rows.csv"
        place.write_bytes(body.content)
        return place

    def frame(self, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        """Rows of JSON as a table, base64 as bytes."""
        import pandas as pd

        self.check_count(len(rows))
        names = dict.fromkeys(name for row in rows for name in row)
        _check_cells(len(rows), len(names))
        try:
            made = pd.DataFrame(list(rows), columns=pd.Index(list(names), dtype=object))
        except (ValueError, OverflowError) as error:
            raise InputError(f"these rows are no table: {one_line(error)}. Give plain values.") from error
        for name in self._bodies.of_files & set(made.columns):
            made[name] = pd.Series([self._bodies.content(name, cell) for cell in made[name]], dtype=object)
        return made

    @property
    def most_rows(self) -> int:
        """That are answered at once."""
        return self._settings.most_rows

    def check_count(self, rows: int) -> None:
        """Refuse more rows than are answered at once."""
        most = self.most_rows
        if rows > most:
            raise Problem(413, f"{counted(rows, 'row')} were sent, at most {most:,} are answered at once. Send parts.")

    def _with_bytes(self, place: Path) -> pd.DataFrame:
        """A Parquet table whose cells of files are bytes."""
        import pandas as pd

        made = pd.read_parquet(place)
        for name in self._bodies.of_files & set(map(str, made.columns)):
            made[name] = pd.Series([self._bytes(name, cell) for cell in made[name]], index=made.index, dtype=object)
        return made

    def _bytes(self, name: str, cell: Any) -> Any:
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        return content if isinstance(content, bytes) else self._bodies.content(name, content)

    def _unpacked(self, content: bytes, folder: Path) -> Path:
        """The files of an archive, each of which lies where it was unpacked to."""
        from automl.doors.service.data.unpacking import Most, TooLargeError, unpack

        if not self._bodies.schema.claims:
            raise Problem(415, f"this model reads no files. Send {JSON}, {CSV} or {PARQUET}.")
        archive, files = folder / "rows.zip", folder / "files"
        archive.write_bytes(content)
        files.mkdir()
        try:
            unpack(archive, files, Most(self._most_bytes, self._settings.most_rows))
        except TooLargeError as error:
            raise Problem(413, str(error)) from error
        archive.unlink()
        return files

    def check_files(self, frame: pd.DataFrame, data: Data) -> None:
        """Refuse cells that name files, other than those of the archive that they came with.

        Here and not before, as only now columns are called as the model calls them.
        """
        for name in self._bodies.of_files & set(frame.columns):
            for cell in map(bare, frame[name]):
                if isinstance(cell, str) and not (isinstance(data, Path) and _is_within(data, cell)):
                    raise InputError(
                        f"column {name!r}: {shown(cell)} names a file, and names of files are not opened here but of "
                        "those in an archive. Pack it in, or send its bytes."
                    )

    def _needs_bytes(self, remedy: str) -> InputError:
        names = ", ".join(map(repr, sorted(self._bodies.of_files)))
        return InputError(f"{names} takes the bytes of files, and names of files are not opened here. {remedy}")


def _is_within(folder: Path, cell: str) -> bool:
    """Whether this names a file that was unpacked into the folder."""
    try:
        place = Path(cell)
        name = place.relative_to(folder).as_posix() if place.is_absolute() else cell
        return inside(folder, name).is_file()
    except (InputError, ValueError, OSError):
        return False


def _check_lines(content: bytes) -> None:
    """Refuse a CSV whose header is so wide, and whose lines are so many, that the empty cells alone fill the memory."""
    end = LINE.search(content)
    header = content if end is None else content[: end.start()]
    width = 1 + max(header.count(mark) for mark in (b",", b";", b"\t", b"|"))
    _check_cells(1 + content.count(b"\n") + content.count(b"\r"), width)


def _check_cells(rows: int, width: int) -> None:
    if rows * width > MOST_CELLS:
        raise Problem(413, f"{rows:,} rows of {width:,} columns are more cells than {MOST_CELLS:,}. Send parts.")
