"""What a model knows of its series: kept with it, joined with rows to predict, extended by new ones."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from automl.errors import InputError
from automl.messages import shown
from automl.modalities.panel.grid import MOST_GAPS, MOST_PLACES, Grid, Identity, Placed
from search_spaces.checked import arrays, need, table

KEPT, KEPT_ALL = 5_000, 20_000_000  # newest steps of a series that a model brings along, and of all together


def identified(grid: Grid, told: Mapping[str, Identity]) -> Grid:
    """With what rows say of its series, where they do."""
    if not told:
        return grid
    return replace(grid, identities=tuple(told.get(name, Identity((name,))) for name in grid.names))


def joined(history: Grid, placed: Placed, number: Mapping[str, int]) -> Placed:
    """The grid of the rows' series with what is known of them, in their order."""
    own = placed.grid
    known = np.array([number.get(name, -1) for name in own.names], dtype=np.int64)
    lasts = own.first + np.diff(own.starts)
    has = known >= 0
    old_first = np.where(has, history.first[known], own.first)
    old_last = np.where(has, history.first[known] + np.diff(history.starts)[known], own.first)
    first, last = np.minimum(own.first, old_first), np.maximum(lasts, old_last)
    _refuse_gaps(own, last - first, len(own.values) + int(np.diff(history.starts)[known[has]].sum()))
    starts = np.concatenate([[0], np.cumsum(last - first)]).astype(np.int64)
    values = np.full(starts[-1], np.nan)
    past = np.full((starts[-1], own.past.shape[1]), np.nan, dtype=np.float32)
    for at in range(len(own)):
        if has[at]:
            k = known[at]
            old = slice(history.starts[k], history.starts[k + 1])
            begin = starts[at] + old_first[at] - first[at]
            values[begin : begin + old.stop - old.start] = history.values[old]
            past[begin : begin + old.stop - old.start] = history.past[old]
    shift = starts[:-1] + own.first - first - own.starts[:-1]
    moved = np.arange(len(own.values)) + np.repeat(shift, np.diff(own.starts))
    is_given = np.isfinite(own.values)
    values[moved[is_given]] = own.values[is_given]
    has_past = np.isfinite(own.past)
    past[moved] = np.where(has_past, own.past, past[moved])
    rows = placed.rows + shift[np.searchsorted(own.starts, placed.rows, side="right") - 1]
    return Placed(Grid(names=own.names, starts=starts, first=first, values=values, past=past), rows)


def _refuse_gaps(own: Grid, lengths: np.ndarray, known: int) -> None:
    """Refuse rows so far from what is known of their series that gaps would fill the memory."""
    total = float(lengths.astype(np.float64).sum())
    if total > min(MOST_PLACES, MOST_GAPS * known + 10_000):
        at = int(lengths.argmax())
        whose = f"series {shown(own.names[at])}" if own.names[at] else "the series"
        raise InputError(
            f"{whose} would have {int(lengths[at]):,} steps from what is known of it to these rows: nearly all would "
            "be gaps. Look at their times, or bring what came between."
        )


def newest(grid: Grid) -> Grid:
    """The newest steps of each series, up to its last known value, as a model brings them along."""
    ends = grid.ends
    most = min(KEPT, max(1, KEPT_ALL // max(1, len(grid))))
    begins = np.maximum(grid.starts[:-1], ends - most)
    lengths = ends - begins
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    places = np.arange(starts[-1]) + np.repeat(begins - starts[:-1], lengths)
    return Grid(
        names=grid.names, starts=starts, first=grid.first + begins - grid.starts[:-1], values=grid.values[places],
        past=grid.past[places],
        identities=grid.identities,
    )  # fmt: skip


def merged(history: Grid, rows: Grid) -> Grid:
    """All that is known of the series of both; where both know a step, the rows are right."""
    number = {name: at for at, name in enumerate(history.names)}
    both = joined(history, Placed(rows, np.arange(len(rows.values))), number).grid
    new = set(rows.names)
    rest = [at for at, name in enumerate(history.names) if name not in new]
    parts = [(history, at) for at in rest] + [(both, at) for at in range(len(both))]
    lengths = [int(grid.starts[at + 1] - grid.starts[at]) for grid, at in parts]
    slices = [slice(int(grid.starts[at]), int(grid.starts[at + 1])) for grid, at in parts]
    told = [*(_identity(history, at) for at in rest), *(_identity(rows, at) for at in range(len(rows)))]
    return Grid(
        names=tuple(grid.names[at] for grid, at in parts),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        first=np.array([grid.first[at] for grid, at in parts], dtype=np.int64),
        values=np.concatenate([grid.values[one] for (grid, _), one in zip(parts, slices, strict=True)]),
        past=np.concatenate([grid.past[one] for (grid, _), one in zip(parts, slices, strict=True)]),
        identities=tuple(told),
    )


def _identity(grid: Grid, at: int) -> Identity:
    return grid.identities[at] if grid.identities else Identity((grid.names[at],))


def dump(grid: Grid) -> bytes:
    """As a file: plain arrays, texts as bytes of JSON."""
    buffer = io.BytesIO()
    told = [[one.keys, one.static] for one in grid.identities]
    np.savez_compressed(
        buffer, names=_text(grid.names), identities=_text(told), starts=grid.starts, first=grid.first,
        values=grid.values, past=grid.past,
    )  # fmt: skip
    return buffer.getvalue()


def _text(told: object) -> np.ndarray:
    return np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)


def read_history(content: bytes, columns: int) -> Grid:
    """What `dump` wrote; ValueError where it could not have. `columns`: that are known once a step is over."""
    found = arrays(content)
    need("names" in found and found["names"].dtype == np.uint8, "the names of series are missing")
    names = json.loads(found["names"].tobytes())
    need(isinstance(names, list) and all(isinstance(name, str) for name in names), "names of series are no texts")
    need(len(set(names)) == len(names), "a series is there twice")
    starts, first = found["starts"], found["first"]
    need(starts.dtype == first.dtype == np.int64 and starts.shape == (len(names) + 1,), "series do not fit their names")
    need(first.shape == (len(names),) and bool((abs(first) < 2**53).all()), "series begin nowhere")
    need(len(starts) > 0 and starts[0] == 0 and bool((np.diff(starts) >= 0).all()), "series lie over one another")
    values, past = table(found, "values", (int(starts[-1]),)), table(found, "past", (int(starts[-1]), columns))
    grid = Grid(names=tuple(names), starts=starts, first=first, values=values, past=past)
    told = json.loads(found["identities"].tobytes()) if "identities" in found else []
    need(isinstance(told, list) and len(told) in (0, len(names)), "what is told of series does not fit their names")
    return replace(grid, identities=tuple(Identity(tuple(one[0]), tuple(one[1])) for one in told))
