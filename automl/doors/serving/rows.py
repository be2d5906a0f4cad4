"""The body of a request -> rows of cells: one JSON shape, or CSV. What names a file is no cell of a stranger.

Columns are found as `Model.rows` finds them; where all names are as in training pandas is not asked.
"""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl import modalities
from automl.data.reading import load_features
from automl.data.source import open_source
from automl.doors.serving.refused import RefusedError
from automl.errors import InputError
from automl.messages import counted, one_line, shown
from automl.modalities import mixture
from automl.modalities.mixture import Schema
from automl.places import inside

if TYPE_CHECKING:
    import pandas as pd

SHAPE = 'Give {"rows": [{"column": value, ...}, ...]}, or that list alone.'
MOST_SHAPES, LONGEST_SHAPE = 200, 50_000  # sets of column names whose places are remembered, and letters of one
PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"PK\x03\x04")  # what a reader of files would unpack, without an end


@dataclass(frozen=True)
class CellRows:
    """Some rows as cells, by the columns that models see."""

    cells: Mapping[str, Sequence[Any]]
    count: int

    def frame(self) -> pd.DataFrame:
        """The same as a table, for what looks at tables."""
        import pandas as pd

        made = {name: pd.Series(list(own)) for name, own in self.cells.items()}
        return pd.DataFrame(made, index=pd.RangeIndex(self.count))


class BodyReader:
    """Reads bodies into rows of one schema; `files`: a folder whose files cells may name."""

    def __init__(self, schema: Schema, most_rows: int, files: Path | None = None) -> None:
        self.schema, self.most_rows, self.files = schema, most_rows, files
        asked = [column.name for column in schema.asked]
        of_rows = [one for one in schema.decoders if one.is_of_rows]
        self.names = tuple(dict.fromkeys([*asked, *(name for one in of_rows for name in one.beside)]))
        self.also = tuple(name for one in of_rows for name in one.optional)  # read where rows bring them
        self.of_files = {name for name, kind in schema.claims.items() if modalities.decoding(kind).is_of_files}
        self._places: dict[tuple[str, ...], dict[str, int]] = {}

    def json(self, body: bytes) -> CellRows:
        """Rows of a JSON body."""
        rows, _ = json_rows(body)
        self.check_count(len(rows))
        if not rows or all(name in rows[0] for name in self.names):
            names = (*self.names, *(name for name in self.also if any(name in row for row in rows)))
            return self._decoded({name: [row.get(name) for row in rows] for name in names}, len(rows))
        names = tuple(dict.fromkeys(name for row in rows for name in row))
        return self._decoded(
            {known: [row.get(names[at]) for row in rows] for known, at in self._found(names).items()}, len(rows)
        )

    def csv(self, body: bytes) -> CellRows:
        """Rows of a CSV body, read as `automl predict` reads a file."""
        if body.startswith(PACKED):
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is packed. Send CSV as it is.")
        schema = self.schema
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "body.csv"
            place.write_bytes(body)
            source = open_source(place, schema.verbatim, to_learn=False, decimal=schema.decimal)
        self.check_count(len(source.table.frame))
        frame = load_features(replace(source, base=None), schema)  # without a base no cell is taken for a file
        schema.require(frame.columns)
        names = (*self.names, *(name for name in self.also if name in frame.columns))
        cells = {name: frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in names}
        return self._decoded(cells, len(frame))

    def columns(self, given: Mapping[str, Sequence[Any]], count: int) -> CellRows:
        """Rows that came as columns of equal lengths."""
        self.check_count(count)
        names = tuple(given)
        return self._decoded({known: list(given[names[at]]) for known, at in self._found(names).items()}, count)

    def check_count(self, rows: int) -> None:
        """Refuse more rows than are answered at once."""
        if rows > self.most_rows:
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the request has {counted(rows, 'row')}, at most {self.most_rows:,} are answered at once. Send it in "
                "parts, or use automl predict.",
            )

    def _found(self, names: tuple[str, ...]) -> dict[str, int]:
        """Where among these names each column is that models see; refused where one is not there."""
        known = self._places.get(names)
        if known is None:
            import pandas as pd

            places = pd.DataFrame([list(range(len(names)))], columns=pd.Index(names, dtype=object))
            found = load_features(places, self.schema)
            self.schema.require(found.columns)
            read = (*self.names, *(name for name in self.also if name in found.columns))
            known = {name: int(found[name].iloc[0]) for name in read}
            if len(self._places) >= MOST_SHAPES:
                self._places.clear()
            if sum(map(len, names)) <= LONGEST_SHAPE:
                self._places[names] = known
        return known

    def _decoded(self, cells: dict[str, list[Any]], count: int) -> CellRows:
        """The same, with what came as base64 as bytes, and names of files refused, or found in the folder."""
        made = self.schema.gathered(cells)
        for name, kind in self.schema.claims.items():
            if name in self.of_files:
                made[name] = [self.content(name, cell) for cell in made[name]]
            else:
                made[name] = _placed(kind, made[name])
        return CellRows(made, count)

    def content(self, name: str, cell: Any) -> Any:
        """What a cell of a column of files holds: bytes, or a file of the folder that may be named."""
        if cell is None or cell == "":
            return None
        if isinstance(cell, dict) and list(cell) == ["b64"] and isinstance(cell["b64"], str):
            return from_base64(name, cell["b64"])
        if isinstance(cell, str) and self.files is not None:
            return self._file(name, cell)
        raise InputError(
            f"column {name!r} takes the bytes of files, got {shown(cell, 40)}. Give them as "
            '{"b64": "..."}; names of files are not opened here.'
        )

    def _file(self, name: str, cell: str) -> str:
        assert self.files is not None
        try:
            place = inside(self.files, cell.strip())
        except InputError:
            place = None  # its line names the folder, which is nobody's business
        if place is None or not place.is_file():
            raise InputError(f"column {name!r}: {shown(cell)} is no file that may be named here. Give one that is.")
        return str(place)


def json_rows(body: bytes, known: Sequence[str] = ()) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of a JSON body, and what of the `known` stands beside them; anything else is refused."""
    try:
        told = json.loads(body)
        if b"\\u" in body:
            json.dumps(told, ensure_ascii=False).encode()  # half of a pair can be spelled, but is no text
    except (ValueError, RecursionError) as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {one_line(error)}. {SHAPE}") from error
    rows = told.get("rows") if isinstance(told, dict) else told
    beside = {name: told[name] for name in told if name != "rows"} if isinstance(told, dict) else {}
    if (strange := beside.keys() - set(known)) or (isinstance(told, dict) and rows is None):
        other, names = next(iter(strange), "nothing in it"), ", ".join(map(repr, ("rows", *known)))
        raise RefusedError(
            HTTPStatus.BAD_REQUEST, f"the body is an object with {shown(other)}, where only {names} is known. {SHAPE}"
        )
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        odd = rows if not isinstance(rows, list) else next(row for row in rows if not isinstance(row, dict))
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"rows must be a list of objects, got {shown(odd)}. {SHAPE}")
    return rows, beside


def from_base64(name: str, text: str) -> bytes:
    """The bytes of a cell."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"column {name!r}: {shown(text, 40)} is not base64: {one_line(error)}.") from error


def _placed(kind: str, cells: Sequence[Any]) -> list[Any]:
    """Cells of texts as decoders take them."""
    import pandas as pd

    column = np.fromiter(cells, dtype=object, count=len(cells))
    return mixture.place(pd.DataFrame({"cells": column}), {"cells": kind}, None)["cells"].tolist()
