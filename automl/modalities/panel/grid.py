"""Steps of many series on one grid: what lies between two of them is a gap, what comes twice is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl.errors import InputError
from automl.messages import shown
from automl.modalities.panel.frequency import Frequency

KIND = "panel"
MOST_GAPS, MOST_PLACES = 20, 200_000_000  # times the rows that a grid may have places, and places at all


@dataclass(frozen=True)
class Identity:
    """What rows of a series say of it in columns that never change: plain cells, in the order of these columns."""

    keys: tuple[Any, ...]  # that name it
    static: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Series on a common grid of steps, one behind the other."""

    names: tuple[str, ...]
    starts: np.ndarray  # (series + 1,)
    first: np.ndarray  # (series,): the step at which each begins
    values: np.ndarray  # float64 (all,)
    past: np.ndarray  # float32 (all, columns)
    identities: tuple[Identity, ...] = ()  # of each series, where its rows told them

    def __len__(self) -> int:
        return len(self.names)

    @property
    def stamps(self) -> np.ndarray:
        """The step of each place."""
        lengths = np.diff(self.starts)
        inside = np.arange(len(self.values)) - np.repeat(self.starts[:-1], lengths)
        return np.asarray(np.repeat(self.first, lengths) + inside)

    @property
    def ends(self) -> np.ndarray:
        """Of each series the place after its last known value; where it begins, if none is known."""
        ends = self.starts[:-1].copy()
        known = np.flatnonzero(np.isfinite(self.values))
        np.maximum.at(ends, np.searchsorted(self.starts, known, side="right") - 1, known + 1)
        return ends


@dataclass(frozen=True)
class Placed:
    """Rows on a grid: the place of each."""

    grid: Grid
    rows: np.ndarray


def place(names: Sequence[str], steps: np.ndarray, values: np.ndarray, past: np.ndarray) -> Placed:
    """Rows of series, in any order, on a grid; every series from its first step to its last."""
    unique, series = np.unique(np.asarray(names, dtype=object).astype("str"), return_inverse=True)
    series = np.asarray(series).reshape(-1)
    first = np.full(len(unique), np.iinfo(np.int64).max)
    last = np.full(len(unique), np.iinfo(np.int64).min)
    np.minimum.at(first, series, steps)
    np.maximum.at(last, series, steps)
    lengths = last - first + 1
    if lengths.sum() > MOST_PLACES or lengths.sum() > MOST_GAPS * len(steps) + 10_000:
        longest = int(lengths.argmax())
        raise InputError(
            f"series {shown(str(unique[longest]))} has {int((series == longest).sum()):,} rows over "
            f"{int(lengths[longest]):,} steps: nearly all would be gaps. Give frequency=, for instance 'D' or 'MS'."
        )
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = starts[series] + steps - first[series]
    store = np.full(starts[-1], np.nan)
    is_known = np.isfinite(values)
    store[rows[is_known]] = values[is_known]
    beside = np.full((starts[-1], past.shape[1]), np.nan, dtype=np.float32)
    beside[rows] = past
    grid = Grid(names=tuple(map(str, unique)), starts=starts, first=first, values=store, past=beside)
    return Placed(grid, rows)


def refuse_repeats(names: Sequence[str], steps: np.ndarray, frequency: Frequency) -> None:
    """Two rows of one series in one step cannot both be its value."""
    _, series = np.unique(np.asarray(names, dtype=object).astype("str"), return_inverse=True)
    order = np.lexsort((steps, np.asarray(series).reshape(-1)))
    ordered, of = steps[order], np.asarray(series).reshape(-1)[order]
    twice = np.flatnonzero((np.diff(ordered) == 0) & (np.diff(of) == 0))
    if len(twice):
        at = order[twice[0]]
        when = frequency.told(steps[at : at + 1])[0]
        whose = f" of series {shown(names[at])}" if names[at] else ""
        raise InputError(
            f"{len(twice):,} steps come twice, first {when}{whose} (a step is {frequency}). Name the columns that "
            "tell series apart in series_id, sum the rows of a step up, or give frequency= where steps are shorter."
        )
