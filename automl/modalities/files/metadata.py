"""metadata.csv beside images or sounds: which file each row is about. The other columns are targets or features."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from automl.errors import InputError
from automl.messages import counted, shown
from automl.modalities.files.listing import same_spelling
from automl.modalities.files.read import Table, read_file

if TYPE_CHECKING:
    import pandas as pd

FOUND = 0.5  # of the names in another column that must be those of files: then all of it is
FILE_COLUMNS = ("file_name", "filename", "file", "path")  # the first is the convention, the others are a guess


def rows_of_files(
    root: str, table: str, names: Sequence[str], verbatim: Collection[str]
) -> tuple[tuple[str, ...], Table | None, list[str]]:
    """The file of each row, the rows without the column of files (None if that is all there is), and notes.

    `table` and `names` are relative to the folder `root`. Rows stay in their order; those without a file are left out.
    """
    read = read_file(Path(f"{root}/{table}"), (*FILE_COLUMNS, *verbatim))
    notes = list(read.notes)
    columns = [str(name).strip() for name in read.frame.columns]
    at = _file_column(table, columns)
    if columns[at].lower() != FILE_COLUMNS[0]:
        notes.append(f"column {shown(columns[at])} of {shown(table)} was taken for the names of the files")
    if len(columns) == 1:
        return (), None, [f"{shown(table)} was left out: it holds nothing but names of files"]
    folder = table[: table.rfind("/") + 1]
    known = {same_spelling(name[len(folder) :]): name for name in names if name.startswith(folder)}
    asked = [_as_name(cell, f"{root}/{folder}") for cell in read.frame.iloc[:, at]]
    rows = [row for row, name in enumerate(asked) if name in known]
    files = tuple(known[asked[row]] for row in rows)
    if not files:
        raise InputError(
            f"none of the {counted(len(asked), 'file')} that {shown(table)} names is there, for instance "
            f"{shown(next(iter(asked), ''))}. Give names relative to its folder, with their extensions."
        )
    others = [place for place in range(len(columns)) if place != at]
    further = {place: _named_files(read.frame.iloc[:, place], known, f"{root}/{folder}") for place in others}
    beside = {name for found in further.values() for name in found.values()}
    notes += _differences(table, asked, known, files, beside)
    if any("/" in name[len(folder) :] for name in files):
        notes.append(f"folders are not taken for classes, since there is {shown(table)}")
    frame = read.frame.iloc[rows, others].reset_index(drop=True)
    for place, found in further.items():
        if found:
            cells = [read.frame.iat[row, place] for row in rows]
            whole = [f"{root}/{found[cell]}" if isinstance(cell, str) and cell in found else cell for cell in cells]
            frame.isetitem(others.index(place), whole)
    return files, Table(frame, (), read.decimal), notes


def _named_files(cells: pd.Series, known: dict[str, str], folder: str) -> dict[str, str]:
    """Which file of the folder each cell of another column names; nothing where most name none."""
    texts = [cell for cell in cells if isinstance(cell, str) and cell.strip()]
    found = {cell: known[name] for cell in texts if (name := _as_name(cell, folder)) in known}
    return found if sum(cell in found for cell in texts) >= FOUND * max(1, len(texts)) else {}


def _file_column(table: str, columns: Sequence[str]) -> int:
    lowered = [name.lower() for name in columns]
    for name in FILE_COLUMNS:
        if name in lowered:
            return lowered.index(name)
    raise InputError(
        f"{shown(table)} has no column file_name, but {shown(', '.join(columns))}. "
        "Call the column so that names the file of each row."
    )


def _as_name(cell: object, folder: str) -> str:
    """A cell of the file column as a name relative to the metadata's folder; no file has the name of a missing one."""
    if not isinstance(cell, str):
        return ""
    name = cell.strip().replace("\\", "/").removeprefix(folder)
    return same_spelling(re.sub(r"(?:^|(?<=/))(?:\.?/)+", "", name))


def _differences(
    table: str, asked: Sequence[str], known: dict[str, str], files: Sequence[str], beside: set[str]
) -> list[str]:
    notes = []
    if lacking := [name for name in asked if name not in known]:
        which = f"no such file, for instance {shown(lacking[0])}"
        notes.append(f"{counted(len(lacking), 'row')} of {shown(table)} left out: {which}")
    used = set(files)
    if without := [name for name in known.values() if name not in used | beside]:
        which = f"without a row in {shown(table)}, for instance {shown(without[0])}"
        notes.append(f"{counted(len(without), 'file')} left out: {which}")
    if again := len(files) - len(used):
        notes.append(f"{counted(again, 'row')} of {shown(table)} name a file that another row names too")
    return notes
