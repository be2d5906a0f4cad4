"""Series of one width and scale: how cells become a block, and which columns of a table they are made of.

A store is as wide as the longest series of the training data; longer ones are shrunk to it. Channels are brought to a
usual size by two numbers each, which are the only thing that is learned of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import InputError, SchemaError
from automl.messages import shown
from automl.modalities.files.decoding import each
from automl.modalities.series import statistics
from automl.modalities.series.cells import as_series
from automl.modalities.series.steps import LongTable
from search_spaces.checked import finite, need, whole
from search_spaces.spec import Media, MediaKind

if TYPE_CHECKING:
    import pandas as pd

MOST_STEPS, MOST_CHANNELS = 10_000_000, 100_000  # that a saved model may say it reads


@dataclass(frozen=True, kw_only=True)
class SeriesCodec:
    """Series of so many channels and steps at most, around their usual values."""

    width: int  # steps of the store
    centres: tuple[float, ...]  # of each channel
    spreads: tuple[float, ...]
    columns: tuple[str, ...] = ()  # of a wide table: the steps, in order
    steps: LongTable | None = None  # of a long table: which rows and columns make a series
    kind: MediaKind = "series"
    drawn: None = None
    encoder: None = None

    @property
    def channels(self) -> int:
        """Values of a step."""
        return len(self.centres)

    @property
    def names(self) -> list[str]:
        """Names of the numbers that describe a series."""
        return statistics.names(self.channels)

    @property
    def beside(self) -> tuple[str, ...]:
        """Further columns that its cells are made of."""
        return self.columns[1:]

    def gather(self, frame: pd.DataFrame) -> Sequence[Any]:
        """The rows of a wide table as its cells."""
        return list(wide_cells(frame, self.columns))

    def of_cells(self, cells: Mapping[str, Sequence[Any]]) -> Sequence[Any]:
        """The same of single cells, by column."""
        import pandas as pd

        try:
            return list(np.array([cells[name] for name in self.columns], dtype=np.float64).T)
        except (ValueError, TypeError):  # texts that are no numbers are found, and named, there
            return self.gather(pd.DataFrame({name: pd.Series(list(cells[name])) for name in self.columns}))

    def encode(self, cells: Sequence[Any]) -> Media:
        """Series in memory."""
        if self.columns and len(cells) and np.ndim(cells[0]) == 0:
            ends = f"{shown(self.columns[1])} to {shown(self.columns[-1])}"
            raise SchemaError(f"columns {ends} of the training data not found. Give a column for each step.")
        return self.block(each(self._read, cells))

    def block(self, series: Sequence[np.ndarray]) -> Media:
        """The block of such series."""
        store = np.full((len(series), self.channels, self.width), np.nan, dtype=np.float32)
        lengths = np.ones(len(series), dtype=np.int64)
        for row, values in enumerate(series):
            fitted = values if values.shape[1] <= self.width else _shrunk(values, self.width)
            store[row, :, : fitted.shape[1]], lengths[row] = fitted, fitted.shape[1]
        centres, spreads = (np.array(one, dtype=np.float32)[:, None] for one in (self.centres, self.spreads))
        return Media(self.kind, (store - centres) / spreads, np.arange(len(series)), lengths=lengths)

    def describe(self, block: Media) -> np.ndarray:
        """Where they lie and how they move."""
        return statistics.describe(block, self.channels)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "kind": self.kind, "width": self.width, "centres": list(self.centres), "spreads": list(self.spreads),
            "columns": list(self.columns), "steps": None if self.steps is None else self.steps.as_json(),
        }  # fmt: skip

    def _read(self, cell: Any) -> np.ndarray:
        values = as_series(cell)
        if len(values) != self.channels:
            raise InputError(f"it has {len(values)} channels, the model knows {self.channels}.")
        return values


def codec_from_json(plain: Mapping[str, Any]) -> SeriesCodec:
    """What `as_json` wrote."""
    centres, spreads = ([finite(value, name) for value in plain[name]] for name in ("centres", "spreads"))
    need(0 < len(centres) == len(spreads) <= MOST_CHANNELS, f"{len(centres)} centres for {len(spreads)} spreads")
    need(all(spread > 0 for spread in spreads), "a spread is not above zero")
    width = whole(plain["width"], "width", 1, MOST_STEPS)
    columns = tuple(map(str, plain.get("columns", ())))
    need(len(columns) in (0, width), f"{len(columns)} columns for series of {width} steps")
    steps = plain.get("steps")
    return SeriesCodec(
        width=width, centres=tuple(centres), spreads=tuple(spreads), columns=columns,
        steps=None if steps is None else LongTable.read(steps),
    )  # fmt: skip


def wide_cells(frame: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """(rows, steps) float64 of the columns of a wide table; a cell that is no number is refused by name."""
    import pandas as pd

    values = np.empty((len(frame), len(names)))
    for at, name in enumerate(names):
        column = frame[name]
        if column.dtype.kind in "iuf":
            values[:, at] = column.to_numpy(dtype=np.float64, na_value=np.nan)
            continue
        numbers = pd.to_numeric(column, errors="coerce")
        is_odd = numbers.isna().to_numpy() & column.notna().to_numpy()
        is_odd &= column.astype(str).str.strip().to_numpy() != ""
        if is_odd.any():
            odd = column[is_odd].iloc[0]
            raise InputError(f"column {shown(name)} is a step of a series, got {shown(str(odd))}. Give a number.")
        values[:, at] = numbers.to_numpy(dtype=np.float64)
    return values


def _shrunk(values: np.ndarray, width: int) -> np.ndarray:
    """Fewer steps over the same stretch; gaps stay where they were."""
    wanted = np.linspace(0, values.shape[1] - 1, width)
    low = np.floor(wanted).astype(int)
    high = np.minimum(low + 1, values.shape[1] - 1)
    return np.asarray(values[:, low] + (values[:, high] - values[:, low]) * (wanted - low), dtype=np.float32)
