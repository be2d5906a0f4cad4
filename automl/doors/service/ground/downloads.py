"""Tables and files on their way out: no cell of a CSV is a formula, and no name breaks out of its header.

Spreadsheets compute a cell of text that begins with a sign of a formula, whoever wrote it. Such a cell gets an
apostrophe before it; numbers stay numbers, also where a text spells one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    import pandas as pd

SIGNS = frozenset("=+-@\t\r\n＝＋－＠")  # the last four are wide ones, which spreadsheets take as the others
LINE_END = "\r\n"  # with it a cell with either of the two is quoted, and cannot begin a line of its own
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_PLAIN = re.compile(r"[^A-Za-z0-9._ -]")


def safe_cell(cell: Any) -> Any:
    """A cell that no spreadsheet computes; anything but a text that looks like a formula stays as it is."""
    if not isinstance(cell, str) or cell[:1] not in SIGNS or _NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


def safe_csv(frame: pd.DataFrame, *, with_index: bool = False) -> str:
    """A table as CSV that can be opened anywhere; names of columns are cells too."""
    made = frame.reset_index() if with_index else frame.copy(deep=False)
    for at, dtype in enumerate(made.dtypes):
        if dtype.kind not in "iufbM":
            made.isetitem(at, made.iloc[:, at].astype(object).map(_as_cell).to_numpy(dtype=object))
    made.columns = [safe_cell(str(name)) for name in made.columns]
    return str(made.to_csv(index=False, lineterminator=LINE_END))


def as_attachment(name: str) -> dict[str, str]:
    """The header with which a browser saves an answer under this name."""
    plain = _PLAIN.sub("_", name) or "download"
    return {
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, '', errors='replace')}"
    }


def _as_cell(cell: Any) -> Any:
    """A cell as it is written, if that is text."""
    import pandas as pd

    is_nothing = cell is None or cell is pd.NA or cell is pd.NaT
    return cell if is_nothing or isinstance(cell, bool | int | float) else safe_cell(str(cell))
