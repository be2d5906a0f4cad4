"""Cells decoded in memory, for predictions: all of them, or one error that names the first that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from automl.errors import InputError
from automl.modalities.files.cells import FileBytes, plain
from cluster.cores import cores

FEW_CELLS = 16  # below it, starting threads costs more than it gives


def each(decode: Callable[[Any], Any], cells: Sequence[Any]) -> list[Any]:
    """All cells decoded; the first that cannot be, by name, and how many there are, in one error."""
    cells = [plain(cell) for cell in cells]
    if len(cells) < FEW_CELLS:
        found = [_tried(decode, cell) for cell in cells]
    else:
        with ThreadPoolExecutor(cores()) as threads:
            found = list(threads.map(lambda cell: _tried(decode, cell), cells))
    failed = [(cell, item) for cell, item in zip(cells, found, strict=True) if isinstance(item, InputError)]
    if failed:
        cell, problem = failed[0]
        name = cell.name if isinstance(cell, FileBytes) else cell
        shown = repr(name) if isinstance(name, str) else "an empty cell" if cell is None else type(cell).__name__
        raise InputError(
            f"{len(failed)} of {len(cells)} cannot be decoded, first {shown}: {problem} Mend or leave out these."
        )
    return found


def _tried(decode: Callable[[Any], Any], cell: Any) -> Any:
    if cell is None:
        return InputError("there is no file.")
    try:
        return decode(cell)
    except InputError as problem:  # told with all others
        return problem
