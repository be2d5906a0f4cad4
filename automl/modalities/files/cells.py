"""Cells that hold files: names, bytes or arrays, as tables, data frames and other libraries spell them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import InputError
from automl.messages import percent, shown
from automl.modalities.files.listing import kind_of_name
from automl.modalities.protocol import Claim, Pass
from automl.places import may_be_read
from search_spaces.spec import MediaKind

if TYPE_CHECKING:
    import pandas as pd

LOOKED_AT = 200  # cells of a column, spread over it
NEARLY_ALL = 0.9  # of its cells that must be of one kind
MANY = 0.2  # of them, from which a column that is not of the kind is told to look like it
FOUND = 0.5  # of the files named that must be there
FIRST = 20  # of the cells looked at, among which there must be one of the kind
MOST_EMPTY = 0.2  # of the cells: a row without its file is lost


class FileBytes(bytes):
    """What a file holds, and its name: a cell that names a file, for workers that do not see the disk it lies on."""

    name: str

    @classmethod
    def of(cls, name: str) -> FileBytes:
        """Read it; of one that may not be read nothing."""
        made = cls(Path(name).read_bytes() if may_be_read(name) else b"")
        made.name = name
        return made


def carried(cell: Any) -> Any:
    """A cell with the content of the file that it names; as it is where it names none, or none that can be read.

    A name that may not be read here goes nowhere: another machine might have a file of that name.
    """
    cell = plain(cell)
    if not isinstance(cell, str) or (may_be_read(cell) and not _is_file(cell)):
        return cell
    try:
        return FileBytes.of(cell)
    except OSError:
        return cell  # whoever decodes it tells of it


def refuse_outside(name: str | os.PathLike[str]) -> None:
    """Refuse a file that data must not name, whether it is there or not."""
    if not may_be_read(os.fspath(name)):
        raise InputError("it lies outside of the folder that came with it, and is not read.")


def weight_mb(cell: Any) -> float:
    """Megabytes that `carried` would make of a cell."""
    cell = plain(cell)
    if not isinstance(cell, str):
        return getattr(cell, "nbytes", len(cell) if isinstance(cell, bytes) else 0) / 2**20
    try:
        return Path(cell).stat().st_size / 2**20 if may_be_read(cell) else 0.0
    except (OSError, ValueError):
        return 0.0


def plain(cell: Any) -> Any:
    """A cell as decoders take it: a name, bytes, an array, an array with its rate; None where there is nothing.

    Objects with "bytes", "path" or "array" and "sampling_rate" are what `datasets` and its Parquet files hold.
    """
    if isinstance(cell, dict):
        if cell.get("bytes") is not None:
            return cell["bytes"]
        if cell.get("array") is not None:
            return np.asarray(cell["array"]), _rate(cell.get("sampling_rate"))
        return plain(cell.get("path"))
    if isinstance(cell, Path):
        return str(cell)
    if cell is None or (isinstance(cell, float) and math.isnan(cell)) or (isinstance(cell, str) and not cell.strip()):
        return None
    return None if type(cell).__name__ in ("NAType", "NaTType") else cell


def _rate(told: Any) -> int:
    """Samples a second; 0 where it is no number."""
    is_number = isinstance(told, int | float | np.integer | np.floating) and math.isfinite(told)
    return int(told) if is_number else 0


def placed(cell: Any, base: Path | None) -> Any:
    """A plain cell, its name completed by the folder that it is relative to, where a file lies there."""
    cell = plain(cell)
    if base is None or not isinstance(cell, str) or Path(cell).is_absolute():
        return cell
    inside = base / cell.strip().replace("\\", "/")
    return str(inside.absolute()) if _is_file(inside) else cell


def _is_file(place: str | Path) -> bool:
    """Whether a file lies there that may be read; a text too long to be a name is none, not an error."""
    return may_be_read(place) and os.path.isfile(place)  # noqa: PTH113


def kind_of_cells(data: Any) -> MediaKind | None:
    """Whether an array or a list holds pictures, or files of pictures or sounds."""
    if isinstance(data, np.ndarray) and data.ndim in (3, 4):
        return "image"
    if not isinstance(data, list) or not data:
        return None
    if all(isinstance(cell, str | Path) for cell in data):
        kinds = {kind_of_name(str(cell)) for cell in data}
        return kinds.pop() if len(kinds) == 1 else None
    is_picture = [type(cell).__module__.startswith("PIL.") or getattr(cell, "ndim", 0) in (2, 3) for cell in data]
    return "image" if all(is_picture) else None


def claimed(
    cells: pd.Series, base: Path | None, kind: MediaKind, is_content: Callable[[Any], bool]
) -> Claim | Pass | None:
    """Whether a column holds files of this kind: names of files that are there, or what they contain."""
    if cells.dtype.kind in "iufbcMm":
        return None
    known, empty = _sample(cells)
    if not any(_is_like(cell, kind, is_content) for cell in known[:FIRST]):
        return None
    share = float(np.mean([_is_like(cell, kind, is_content) for cell in known]))
    if share < NEARLY_ALL:
        other = next(cell for cell in known if not _is_like(cell, kind, is_content))
        what = f"{percent(share)} of its cells hold {kind} data or name such files, but not {shown(str(other))}"
        return (
            Pass(f"{what}: read as text. Give files in all rows, or in a column of their own") if share > MANY else None
        )
    if empty > MOST_EMPTY:
        return Pass(
            f"it holds {kind} data, but {percent(empty)} of its cells are empty, and a row without a file cannot be "
            "decoded: read as text. Leave these rows out, or the column"
        )
    named = [cell for cell in known if isinstance(cell, str)]
    if not named:
        return Claim(f"{percent(share)} of its cells hold {kind} data", share)
    there = [cell for cell in named if _is_file(placed(cell, base))]
    if len(there) < FOUND * len(named):
        lost = next(cell for cell in named if cell not in there)
        where = "the folder that this is run in" if base is None else f"{shown(str(base))}"
        return Pass(f"its cells look like names of {kind} files, but {shown(lost)} is not in {where}: read as text")
    return Claim(f"{percent(share)} of its cells name {kind} files", share)


def _sample(cells: pd.Series) -> tuple[list[Any], float]:
    """Cells that hold something, spread over the column, and the share of those that hold nothing."""
    some = cells.iloc[:: max(1, len(cells) // LOOKED_AT)]
    known = [cell for cell in map(plain, some.to_numpy(dtype=object)) if cell is not None]
    return known, 1 - len(known) / max(1, len(some))


def _is_like(cell: Any, kind: MediaKind, is_content: Callable[[Any], bool]) -> bool:
    return kind_of_name(cell.strip()) == kind if isinstance(cell, str) else is_content(cell)


def starts_with(cell: Any, marks: Sequence[tuple[int, bytes]]) -> bool:
    """Whether bytes hold one of these marks at its place."""
    return isinstance(cell, bytes | bytearray) and any(bytes(cell[at : at + len(mark)]) == mark for at, mark in marks)
