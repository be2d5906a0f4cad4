"""Which columns of a table say which series a row is of, when it is, and what else is known of it and when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import InputError
from automl.messages import near, shown
from automl.modalities.panel.grid import Identity
from automl.modalities.parse import distinct, spell

if TYPE_CHECKING:
    import pandas as pd

JOINED = " / "  # between the parts of a series' name that several columns make


@dataclass(frozen=True, slots=True)
class Step:
    """A row of a table of series, read: the cell of its time column."""

    series: str
    stamp: float  # seconds since 1970, or the number that stands there
    value: float  # of the target; NaN where it is not known
    past: tuple[float, ...] = ()  # what else is known of it once it is over


@dataclass(frozen=True, kw_only=True)
class Fields:
    """The columns of a table of series by what they are for."""

    time: str
    target: str
    series: tuple[str, ...] = ()  # that name a series together; none: there is one series
    past: tuple[str, ...] = ()  # known once a step is over only
    static: tuple[str, ...] = ()  # that never change within a series
    known: tuple[str, ...] = ()  # known ahead
    labels: Mapping[str, tuple[str, ...]] | None = None  # of past columns of words: their numbers are places here
    is_dated: bool = True  # whether times are dates, and not plain numbers

    @property
    def beside(self) -> tuple[str, ...]:
        """What rows to predict must have beside their time."""
        return self.series

    def names(self, frame: pd.DataFrame) -> list[str]:
        """Of each row the name of its series, spelled as categories are: 3 and 3.0 name the same one."""
        if not self.series:
            return [""] * len(frame)
        parts = [_spelled(frame[name], name) for name in self.series]
        return parts[0] if len(parts) == 1 else [JOINED.join(row) for row in zip(*parts, strict=True)]

    def past_numbers(self, frame: pd.DataFrame) -> np.ndarray:
        """(rows, columns of `past`) float64, NaN where missing or where rows bring no such column."""
        made = np.full((len(frame), len(self.past)), np.nan)
        for at, name in enumerate(self.past):
            if name in frame.columns:
                made[:, at] = _numbers(frame[name], (self.labels or {}).get(name))
        return made

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        labels = {name: list(known) for name, known in (self.labels or {}).items()}
        listed = {name: list(getattr(self, name)) for name in ("series", "past", "static", "known")}
        return {"time": self.time, "target": self.target, **listed, "labels": labels}


def _spelled(cells: pd.Series, name: str) -> list[str]:
    codes, texts = distinct(cells)
    if (is_empty := codes < 0).any():
        raise InputError(
            f"{shown(name)} names the series of a row, and is empty in row {int(is_empty.argmax()) + 1}. Give its "
            "name, or remove the row."
        )
    return [texts[code] for code in codes.tolist()]


def fields_from(plain: Mapping[str, Any]) -> Fields:
    """What `as_json` wrote."""
    series, past, static, known = (tuple(map(str, plain[name])) for name in ("series", "past", "static", "known"))
    labels = {str(name): tuple(map(str, words)) for name, words in plain["labels"].items()}
    return Fields(
        time=str(plain["time"]), target=str(plain["target"]), series=series, past=past, static=static, known=known,
        labels=labels,
    )  # fmt: skip


def labels_of(frame: pd.DataFrame, past: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The words of those of these columns that hold no numbers."""
    found = {}
    for name in past:
        if frame[name].dtype.kind not in "iufb" and np.isnan(_numbers(frame[name], None)).mean() > 0.5:
            found[name] = tuple(sorted({spell(cell) for cell in frame[name].dropna().tolist()}))
    return found


def _numbers(cells: pd.Series, labels: tuple[str, ...] | None) -> np.ndarray:
    if labels is not None:
        places = {label: float(at) for at, label in enumerate(labels)}
        told = cells.tolist()  # models saved earlier hold words as str() has them
        return np.array([places.get(spell(one), places.get(str(one), np.nan)) for one in told], dtype=np.float64)
    if cells.dtype.kind in "iufb":
        return cells.to_numpy(dtype=np.float64, na_value=np.nan)
    return values_of(cells)


def values_of(cells: pd.Series) -> np.ndarray:
    """Cells as float64, NaN where they hold no number."""
    import pandas as pd

    if cells.dtype.kind in "iufb":
        return cells.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(pd.to_numeric(cells.astype(object), errors="coerce").to_numpy(dtype=np.float64))


def constants(frame: pd.DataFrame, names: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Those of these columns that never change within a series."""
    import pandas as pd

    key = pd.Series(list(names), index=frame.index)
    return [name for name in columns if int(frame[name].groupby(key, sort=False).nunique(dropna=False).max()) <= 1]


def identities(frame: pd.DataFrame, names: Sequence[str], fields: Fields) -> dict[str, Identity]:
    """What the first row of each series says of it."""
    import pandas as pd

    firsts = np.flatnonzero(~pd.Series(list(names)).duplicated().to_numpy())
    columns = {name: frame[name].iloc[firsts].tolist() for name in (*fields.series, *fields.static) if name in frame}
    found = {}
    for at, row in enumerate(firsts.tolist()):
        keys = tuple(plain(columns[name][at]) for name in fields.series)
        told = tuple(plain(columns[name][at]) if name in columns else None for name in fields.static)
        found[names[row]] = Identity(keys, told)
    return found


def plain(cell: Any) -> Any:
    """A cell as JSON holds it: numbers, texts and truths as they are, all else as text, nothing as None."""
    cell = cell.item() if isinstance(cell, np.generic) else cell
    if cell is None or (isinstance(cell, float) and math.isnan(cell)) or type(cell).__name__ in ("NAType", "NaTType"):
        return None
    return cell if isinstance(cell, str | int | float | bool) else str(cell)


def must_have(frame: pd.DataFrame, role: str, name: str) -> None:
    """Refuse a column that is not there."""
    if name not in frame.columns:
        known = list(map(str, frame.columns))
        raise InputError(
            f"{role} {shown(name)} is not in the data.{near(name, known)} Columns: {', '.join(known[:8])}."
        )
