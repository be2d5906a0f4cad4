"""Times as users write them, read as moments: dates of any library, texts of one format, plain numbers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from automl.errors import InputError
from automl.messages import shown

if TYPE_CHECKING:
    import pandas as pd


FARTHEST = 2.0**53  # a plain number that is a time; above, steps are no whole numbers any more


def read_stamps(cells: pd.Series) -> tuple[np.ndarray, str]:
    """Times as datetime64[s], or as float64 where they are plain numbers; and a note on what was mended.

    One that cannot be read is refused with the first such value.
    """
    import pandas as pd

    if cells.dtype.kind in "iuf" and not isinstance(cells.dtype, pd.DatetimeTZDtype):
        return _numbers(cells), ""
    if isinstance(cells.dtype, pd.PeriodDtype):
        cells = cells.dt.start_time
    if cells.dtype == object and (dates := cells.infer_objects()).dtype.kind == "M":
        cells = dates  # a million dates that came as objects take one second, as texts twenty
    if cells.dtype.kind == "M" or isinstance(cells.dtype, pd.DatetimeTZDtype):
        _refuse_missing(cells, cells.isna().to_numpy())
        return bare(cells), ""
    _refuse_missing(cells, cells.isna().to_numpy())
    texts = cells.astype("str").str.strip()
    numbers = pd.to_numeric(texts, errors="coerce")
    if numbers.notna().all() and not texts.str.fullmatch(r"\d{8}|\d{14}").all():
        return _numbers(numbers), ""
    return _dates(cells, texts)


def _numbers(cells: pd.Series) -> np.ndarray:
    numbers = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    _refuse_missing(cells, ~(np.abs(numbers) < FARTHEST))
    return numbers


def _dates(cells: pd.Series, texts: pd.Series) -> tuple[np.ndarray, str]:
    """Texts as dates: all of one format, else each by itself where that cannot mistake a day for a month."""
    import pandas as pd

    has_zone = bool(texts.head(1000).str.contains(r"(?:[+-]\d{2}:?\d{2}|Z)$", regex=True).any())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what is no time is refused below
        parsed = pd.to_datetime(texts, errors="coerce", utc=has_zone)
    note = "times with different offsets were read as UTC" if has_zone and _offsets(texts) > 1 else ""
    if parsed.isna().any():
        is_iso = texts.str.match(r"\d{4}-\d{2}(-\d{2})?").all()
        again = pd.to_datetime(texts, errors="coerce", utc=has_zone, format="ISO8601" if is_iso else "mixed")
        if is_iso and again.notna().all():
            parsed = again
        else:
            at = int(parsed.isna().to_numpy().argmax())
            raise InputError(
                f"time {shown(texts.iloc[at])} in row {at + 1} is unlike {shown(texts.iloc[0])}: two formats "
                "may mistake a day for a month. Write all times as 2024-12-31 or 2024-12-31 23:00:00."
            )
    _refuse_missing(cells, parsed.isna().to_numpy())
    bare = parsed.dt.tz_localize(None) if has_zone else parsed
    return bare.to_numpy().astype("datetime64[s]"), note


def _offsets(texts: pd.Series) -> int:
    return int(texts.head(10_000).str.extract(r"([+-]\d{2}:?\d{2}|Z)$")[0].nunique())


def _refuse_missing(cells: pd.Series, is_missing: np.ndarray) -> None:
    if is_missing.any():
        at = int(is_missing.argmax())
        raise InputError(
            f"time is missing or no time in {is_missing.sum():,} rows, first {shown(str(cells.iloc[at]))} in row "
            f"{at + 1}. Remove these rows or give their times."
        )


def bare(cells: pd.Series) -> np.ndarray:
    """Without a zone: whole days as they are called there, moments in UTC, where no hour comes twice."""
    if getattr(cells.dt, "tz", None) is not None:
        local = cells.dt.tz_localize(None)
        cells = local if (local.dt.normalize() == local).all() else cells.dt.tz_convert("UTC").dt.tz_localize(None)
    return np.asarray(cells.to_numpy().astype("datetime64[s]"))
