"""What a learner may see of a panel: the values it learns from, and of rows to predict the histories before them.

Both are taken out of the store here and nowhere else, so that no model sees a value that was not known at its origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from search_spaces.spec import Media, Panel, Rows

MOST_LOOKED_UP = 48  # steps of a window


def panel_of(media: Mapping[str, Media]) -> Panel:
    """The one panel among decoded columns; ValueError where there is none."""
    found = next((block for block in media.values() if isinstance(block, Panel)), None)
    if found is None:
        raise ValueError("these rows have no series over time to read. Give a Matrix with a Panel in `media`.")
    return found


def series_of(panel: Panel, places: np.ndarray) -> np.ndarray:
    """Which series each place of the store belongs to."""
    return np.asarray(np.searchsorted(panel.starts, places, side="right") - 1)


@dataclass(frozen=True)
class Histories:
    """Series up to a moment, ended together: row i is one of them, its newest value in the last column."""

    values: np.ndarray  # float64 (histories, width); NaN where missing, and before the beginning
    lengths: np.ndarray  # (histories,): steps from its beginning, gaps counted; no more than the width
    series: np.ndarray  # (histories,): which one of the panel
    ends: np.ndarray  # (histories,): the place after its newest value

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Asked:
    """Rows to predict: from which history, and how many steps after its end."""

    histories: Histories
    of_row: np.ndarray  # which history
    steps: np.ndarray  # 1 for the first step after the end


def known(train: Rows) -> np.ndarray:
    """The store as those see it who learn from these rows: their answers at their places, NaN elsewhere."""
    panel = panel_of(train.X.media)
    store = np.full(len(panel.store), np.nan)
    store[panel.rows] = train.y
    return store


def learned_from(train: Rows, width: int | None = None) -> Histories:
    """Each series that has training rows, up to its newest one."""
    panel, store = panel_of(train.X.media), known(train)
    of_row = series_of(panel, panel.rows)
    series = np.unique(of_row)
    ends = np.zeros(len(panel.starts), dtype=np.int64)
    np.maximum.at(ends, of_row, panel.rows + 1)
    return _histories(panel, store, series, ends[series], width)


def asked(panel: Panel, width: int | None = None) -> Asked:
    """The rows of a panel with what was known when each is foretold."""
    ends = panel.origins[panel.rows]
    series = series_of(panel, panel.rows)
    pairs, of_row = np.unique(np.stack([series, ends], axis=1), axis=0, return_inverse=True)
    histories = _histories(panel, panel.store, pairs[:, 0], pairs[:, 1], width)
    return Asked(histories, np.asarray(of_row).reshape(-1), panel.rows - ends + 1)


def past_means(panel: Panel, places: np.ndarray, series: np.ndarray, window: int) -> np.ndarray:
    """(places, columns): means of what is known beside a series in the steps before each place; NaN where nothing is.

    Of long windows only some steps are looked up.
    """
    if panel.past is None:
        return np.empty((len(places), 0))
    sums, counts = np.zeros((2, len(places), panel.past.shape[1]))
    for back in range(1, window + 1, -(-window // MOST_LOOKED_UP)):
        at = places - back
        values = panel.past[np.maximum(at, 0)]
        is_known = np.isfinite(values) & (at >= panel.starts[series])[:, None]
        sums += np.where(is_known, values, 0.0)
        counts += is_known
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def season_again(panel: Panel, places: np.ndarray) -> np.ndarray:
    """Of each place what its season's step was in the newest cycle before its origin: the yardstick of forecasts.

    Where that is a gap, or the history is shorter, the newest value before the origin; 0 where there is none.
    """
    starts, origins = panel.starts[series_of(panel, places)], panel.origins[places]
    cycles = -(-(places - origins + 1) // panel.season)
    before = places - np.maximum(cycles, 1) * panel.season
    is_known = np.isfinite(panel.store)
    newest = np.maximum.accumulate(np.where(is_known, np.arange(len(panel.store)), -1))
    last = np.where(origins > starts, newest[np.maximum(origins - 1, 0)], -1)
    usual = np.where(last >= starts, panel.store[np.maximum(last, 0)], 0.0)
    again = panel.store[np.maximum(before, 0)]
    return np.asarray(np.where((before >= starts) & np.isfinite(again), again, usual))


def _histories(panel: Panel, store: np.ndarray, series: np.ndarray, ends: np.ndarray, width: int | None) -> Histories:
    """Right-aligned values of the places before each end."""
    lengths = ends - panel.starts[series]
    most = int(lengths.max(initial=0)) if width is None else width
    lengths = np.minimum(lengths, most)
    places = ends[:, None] - np.arange(most, 0, -1)[None, :]
    is_own = np.arange(most, 0, -1)[None, :] <= lengths[:, None]
    values = np.where(is_own, store[np.clip(places, 0, max(0, len(store) - 1))], np.nan) if most else places * 0.0
    return Histories(np.asarray(values, dtype=np.float64), lengths, series, ends)
