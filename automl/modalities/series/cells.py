"""Cells as series (channels, steps): arrays and lists of numbers, of several channels or of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from automl.errors import InputError
from automl.messages import shown

LEAST_STEPS = 8  # of a list of numbers, to be taken for a series by itself
LOOKED_AT = 200  # cells of a column
NEARLY_ALL = 0.95  # of them must be series
MOST_EMPTY = 0.2  # that hold nothing, and are left out


def is_series(cell: Any) -> bool:
    """Whether a cell is a list of numbers long enough. Of several channels it might be a picture as well."""
    if isinstance(cell, np.ndarray):
        return cell.ndim == 1 and cell.dtype.kind in "fiu" and len(cell) >= LEAST_STEPS
    if not isinstance(cell, list | tuple) or len(cell) < LEAST_STEPS:
        return False
    return all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in cell)


def as_series(cell: Any) -> np.ndarray:
    """(channels, steps) float32, NaN where nothing is known; an InputError where it is no series."""
    if cell is None:
        raise InputError("there is no series.")
    try:
        values = np.asarray(cell, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"it is no series of numbers, got {shown(str(cell), 40)}.") from error
    values = values[None] if values.ndim == 1 else values
    if values.ndim != 2 or not values.size:
        raise InputError(f"a series has steps, or channels and steps, got the shape {values.shape}.")
    return np.where(np.isfinite(values), values, np.nan).astype(np.float32)


def most(cells: Sequence[Any]) -> tuple[float, float]:
    """Of cells that hold something the share that are series, and the share of cells that hold nothing."""
    some = cells[:: max(1, len(cells) // LOOKED_AT)]
    known = [cell for cell in some if cell is not None and not (isinstance(cell, float) and np.isnan(cell))]
    share = float(np.mean([is_series(cell) for cell in known])) if known else 0.0
    return share, 1 - len(known) / max(1, len(some))
