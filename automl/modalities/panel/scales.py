"""What a series usually changes from one season to the next: the unit in which scaled errors are told."""

from __future__ import annotations

import numpy as np

from search_spaces.series.panel import series_of
from search_spaces.spec import Panel

LEAST = 1e-9  # of the usual weight: what a row counts whose series never changes; no error of it can be scaled


def season_scales(panel: Panel, power: int) -> np.ndarray:
    """Of each series the mean change over a season (power 1), or its mean square (2), before the newest window.

    Shorter series change from step to step; NaN where nothing is known or nothing changes.
    """
    known = panel.store.copy()
    until, lengths = _until(panel), np.diff(panel.starts)
    places = np.arange(len(known))
    known[places >= np.repeat(until, lengths)] = np.nan
    season = np.repeat(np.where(until - panel.starts[:-1] > panel.season, panel.season, 1), lengths)
    inside = places - np.repeat(panel.starts[:-1], lengths)
    before = np.where(inside >= season, known[np.maximum(places - season, 0)], np.nan)
    change = np.abs(known - before) ** power
    has = np.isfinite(change)
    series = np.repeat(np.arange(len(lengths)), lengths)
    total = np.bincount(series[has], change[has], minlength=len(lengths))
    count = np.bincount(series[has], minlength=len(lengths))
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.asarray(np.where(mean > 0, mean, np.nan))


def weights_by_scale(panel: Panel, power: int, weight: np.ndarray | None) -> np.ndarray:
    """Of each row one over the scale of its series; those without one count next to nothing, the others for them."""
    scales = season_scales(panel, power)[series_of(panel, panel.rows)]
    is_scaled = np.isfinite(scales)
    if not is_scaled.any():
        return np.ones(len(panel.rows)) if weight is None else weight
    found = 1.0 / np.where(is_scaled, scales, 1.0) * (len(scales) / is_scaled.sum())
    found = np.where(is_scaled, found, LEAST * float(np.median(found[is_scaled])))
    return np.asarray(found if weight is None else found * weight)


def units(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Of each row what its series usually changes in a season, above zero, and how many steps ahead it is foretold."""
    scales = season_scales(panel, 1)
    usual = float(np.nanmedian(scales)) if np.isfinite(scales).any() else 1.0
    scales = np.where(np.isfinite(scales), scales, usual)
    steps = panel.rows - panel.origins[panel.rows] + 1
    return scales[series_of(panel, panel.rows)], np.maximum(steps, 1)


def _until(panel: Panel) -> np.ndarray:
    """Of each series the place where its newest row is foretold from; its end where no row asks for it.

    The origin and not the rows, since a forecast of three steps is as far off on the third as one of seven.
    """
    until = panel.starts[:-1].copy()
    series = series_of(panel, panel.rows)
    np.maximum.at(until, series, panel.origins[panel.rows])
    is_asked = np.zeros(len(until), dtype=bool)
    is_asked[series] = True
    return np.where(is_asked, until, panel.starts[1:])
