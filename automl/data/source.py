"""Whatever a user brings as a table: opened once, its columns named.

A path, a DataFrame of any library, a dict, a list of rows, an array or a pair (X, y) becomes a Source; what its columns
are for and what their cells hold is decided in reading.py.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.names import unlike
from automl.errors import InputError
from automl.messages import one_line
from automl.modalities import mixture
from automl.modalities.files.read import Table, read_file
from automl.runtime import remote

if TYPE_CHECKING:
    import pandas as pd

NESTED = (list, tuple, dict, set, frozenset, np.ndarray)
UNNAMED = "target"  # answers that came without a name


@dataclass(frozen=True, kw_only=True)
class Source:
    """What was brought, as a table, before its columns have names and roles."""

    name: str
    table: Table
    labels: pd.Series | None = None  # the y of an (X, y) pair
    labels_name: str = "target"
    has_names: bool = True  # False: an array, whose columns are numbered
    left_out: tuple[str, ...] = ()  # columns that are other targets of the same run
    claims: Mapping[str, str] = field(default_factory=dict)  # columns that are known to be decoded, and as what
    base: Path | None = None  # the folder that names of files in its cells are relative to
    test: str | None = None  # a folder beside the one that was read, made to test on
    steps: mixture.LongTable | None = None  # of a long table that was folded into a row a case

    @property
    def names(self) -> list[str]:
        """Its columns as they are called from now on."""
        return list(named(self.table)[0].columns)

    def without(self, others: Collection[str]) -> Source:
        """The same rows, less the columns of these names."""
        kept = [at for at, name in enumerate(self.names) if name not in others]
        table = replace(self.table, frame=self.table.frame.iloc[:, kept])
        return replace(self, table=table, left_out=tuple(name for name in self.names if name in others))


def open_source(
    data: Any,
    targets: Sequence[str] = (),
    *,
    to_learn: bool = True,
    decimal: str = ".",
    kept: Sequence[str] = (),
) -> Source:
    """The table of any source that is accepted, its index left behind; what is open already stays as it is.

    `targets`: columns whose texts stay as a file spells them. Without `to_learn` the folders in a folder mean nothing:
    every file in it is a row, and words for a missing cell stay in the columns `targets`, as they always do in those of
    `kept`. `decimal`: the mark of a file's numbers, where they do not tell it.
    """
    if isinstance(data, Source):
        return data
    if isinstance(data, str | Path):
        path = remote.fetch(data) if isinstance(data, str) and remote.is_url(data) else Path(data)
        if os.path.isdir(path):  # noqa: PTH112  # False, not an error, for a name too long to be one
            return _of_folder(path, targets, to_learn)
        table = read_file(path, targets, decimal, kept=kept if to_learn else targets)
        return Source(name=path.name.partition(".")[0] or "data", table=table, base=path.absolute().parent)
    if not isinstance(data, tuple):
        frame, has_names, claims = _as_rows(data)
        return Source(name="data", table=Table(frame), has_names=has_names, claims=claims)
    if len(data) != 2:
        raise InputError(f"a tuple must be a pair (X, y), got {len(data)} items. Give (X, y), or one table.")
    frame, has_names, claims = _as_rows(data[0])
    labels, name = as_column(data[1])
    if len(labels) != len(frame):
        raise InputError(f"X has {len(frame)} rows, but y has {len(labels)}. Give one answer for each row.")
    target = str(next(iter(targets), None) or name or _unused(UNNAMED, frame))
    return Source(
        name="data", table=Table(frame), labels=labels, labels_name=target, has_names=has_names, claims=claims
    )


def _unused(name: str, frame: pd.DataFrame) -> str:
    """A name for answers that have none, which no column has."""
    taken = set(map(str, frame.columns))
    others = (f"{name} {number}" for number in itertools.count(2))
    return name if name not in taken else next(one for one in others if one not in taken)


def _as_rows(data: Any) -> tuple[pd.DataFrame, bool, dict[str, str]]:
    """Any rows in memory as a DataFrame, whether its columns have names, and which one has to be decoded."""
    import pandas as pd

    kind = mixture.kind_of(data)
    if kind is None:
        return *_as_frame(data), {}
    column = np.empty(len(data), dtype=object)
    column[:] = [str(cell) if isinstance(cell, Path) else cell for cell in data]
    return pd.DataFrame({kind: column}), True, {kind: kind}


def _of_folder(path: Path, targets: Sequence[str], to_learn: bool) -> Source:
    """A folder of images, sounds or texts: a row per file, its class and what metadata.csv says of it beside it."""
    import pandas as pd

    found = mixture.read_folder(path, targets, to_learn)
    own = found.kind if found.table is None or found.kind not in found.table.columns else f"{found.kind}_file"
    places = pd.Index([os.path.relpath(file, found.root) for file in found.files], name="file_name")
    cells, told = mixture.contents(found.kind, found.files)
    frame = pd.DataFrame({own: cells}, index=places, dtype=object)
    labels = None
    if found.table is not None:
        frame = pd.concat([frame, found.table.set_axis(places)], axis=1)
    elif found.labels is not None:
        labels = pd.Series(list(found.labels))
    name = str(next(iter(targets), None) or "class")
    table = Table(frame, (*found.notes, *told), found.decimal)
    return Source(
        name=path.name or "data",
        table=table,
        labels=labels,
        labels_name=name,
        claims={own: found.kind},
        base=path,
        test=found.test_root,
    )


def _as_frame(data: Any) -> tuple[pd.DataFrame, bool]:
    """Any table in memory as a DataFrame, and whether its columns have names."""
    import pandas as pd

    try:
        data = _from_arrow(data)
        if isinstance(data, pd.DataFrame):
            return data.reset_index(drop=True), True
        if isinstance(data, pd.Series):
            return data.reset_index(drop=True).to_frame(), data.name is not None
        if isinstance(data, Mapping):
            return pd.DataFrame(dict(data)).reset_index(drop=True), True
        if isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data):
            return pd.DataFrame(data), True
        if isinstance(data, list):
            widths = {len(row) if isinstance(row, Sequence | np.ndarray) else 1 for row in data}
            if len(widths) > 1:
                raise InputError(f"rows have from {min(widths)} to {max(widths)} values. Give each row equally many.")
            return pd.DataFrame(data), False
        if isinstance(data, np.ndarray):
            if data.ndim not in (1, 2):
                raise InputError(f"an array must have rows and columns, got the shape {data.shape}. Reshape it to 2-d.")
            return pd.DataFrame(data).infer_objects(), data.dtype.names is not None
    except (ValueError, TypeError, NotImplementedError) as error:  # Arrow's errors are among them
        if isinstance(error, InputError):
            raise
        raise InputError(f"this {type(data).__name__} is not a table: {one_line(error)}. Give a DataFrame.") from error
    raise InputError(
        f"data of type {type(data).__name__} cannot be read. Give a DataFrame (pandas, polars, pyarrow), "
        "a dict of columns, an (X, y) pair or the path of a table."
    )


def _from_arrow(data: Any) -> Any:
    """A polars or pyarrow object as its pandas twin; anything else as it is. Neither library is imported for this."""
    if type(data).__module__.partition(".")[0] not in ("polars", "pyarrow"):
        return data
    if type(data).__name__ == "LazyFrame":
        data = data.collect()
    return data.to_pandas() if hasattr(data, "to_pandas") else data


def as_column(y: Any, what: str = "y") -> tuple[pd.Series, Any]:
    """A value for each row, as the answers of an (X, y) pair, and the name they bring along."""
    import pandas as pd

    y = _from_arrow(y)
    if isinstance(y, pd.DataFrame):
        if y.shape[1] != 1:
            raise InputError(
                f"{what} must be one column, got {y.shape[1]}."
                f"{' For several give one table and target=[...].' if what == 'y' else ' Give one value for each row.'}"
            )
        y = y.iloc[:, 0]
    if isinstance(y, pd.Series | pd.Index):
        return pd.Series(y.array), y.name
    if isinstance(y, list | tuple) and any(isinstance(item, NESTED) for item in y):
        try:
            y = np.asarray(y)
        except ValueError as error:
            raise InputError(f"{what} must be one value for each row: {one_line(error)}. Give a flat list.") from error
    if isinstance(y, np.ndarray):
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if y.ndim != 1:
            raise InputError(f"{what} must be one column, got the shape {y.shape}. Give one value for each row.")
        return pd.Series(y).infer_objects(), None
    if isinstance(y, list | tuple):
        return pd.Series(list(y)), None
    raise InputError(f"{what} of type {type(y).__name__} cannot be read. Give an array, a Series or a list.")


# --- names --------------------------------------------------------------------------------------------------------


def named(table: Table) -> tuple[pd.DataFrame, list[str]]:
    """The table with unique text names, as pandas spells them: a, a.1 for repeated ones, Unnamed: 3 for none."""
    unique, notes = unlike(list(table.frame.columns))
    frame = table.frame.copy(deep=False)
    frame.columns = unique
    return frame, [*table.notes, *notes]
