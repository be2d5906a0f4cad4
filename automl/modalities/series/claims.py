"""Which columns of a table are series a row, as found in it or as modality= says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from automl.errors import InputError
from automl.modalities.series import columns
from automl.options import Options

if TYPE_CHECKING:
    import pandas as pd

SERIES = "series"


def with_series(
    frame: pd.DataFrame, names: Sequence[str], options: Options, claimed: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """What is claimed, with the first of the columns among these that are the steps of one series a row; and notes.

    modality= overrides what is found.
    """
    if options.modality == "table":
        return {name: kind for name, kind in claimed.items() if kind != SERIES}, []
    is_forced = options.modality == SERIES and SERIES not in claimed.values()
    if options.is_forecast or "panel" in claimed.values():
        return dict(claimed), []
    nested = [name for name in names if is_forced and _is_nested(frame[name])]
    if nested:
        return {**claimed, nested[0]: SERIES}, []
    found = columns.find(frame, [name for name in names if name not in claimed], is_forced=is_forced)
    if found is not None:
        return {**claimed, found.names[0]: SERIES}, [columns.said(found)]
    if is_forced:
        raise InputError(
            f"modality='series' was given, but fewer than {columns.LEAST_FORCED} columns hold numbers. Give a "
            "column for each step, lists of numbers in one column, or series_id and time_column for a row a step."
        )
    return dict(claimed), []


def _is_nested(column: pd.Series) -> bool:
    """Whether its first cell that holds something is a list or an array."""
    if column.dtype.kind in "iufbcMm":
        return False
    known = column.dropna()
    return len(known) > 0 and isinstance(known.iloc[0], list | tuple | np.ndarray)
