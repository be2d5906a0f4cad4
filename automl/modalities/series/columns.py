"""Which columns of a wide table are the steps of one series: many, in order, of one scale, each like its neighbours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.messages import shown

if TYPE_CHECKING:
    import pandas as pd

LEAST_COLUMNS = 16
LEAST_FORCED = 3  # of columns that are said to be a series
LOOKED_AT = 500  # rows
NEAR = 0.5  # of how far values of far columns lie apart, those of neighbours may
SPREAD = 10.0  # times the usual deviation, or one part of it: other columns are of another scale
ONE_SCALE = 0.9  # of the columns must be of one
_NUMBERED = re.compile(r"(.*?)(\d+)")


@dataclass(frozen=True)
class WideSeries:
    """Columns that are the steps of a series, in order, and why they are taken for it."""

    names: tuple[str, ...]
    why: str


def find(frame: pd.DataFrame, names: Sequence[str], *, is_forced: bool = False) -> WideSeries | None:
    """The longest run of such columns among these; forced, all that hold numbers where no run has numbered names."""
    numeric = [name for name in names if frame[name].dtype.kind in "iuf"]
    runs = sorted(_runs(names, set(numeric)), key=len, reverse=True)
    if is_forced:
        run = next((run for run in runs if len(run) >= LEAST_COLUMNS), numeric)
        return WideSeries(tuple(run), "modality='series' was given") if len(run) >= LEAST_FORCED else None
    for run in runs:
        if len(run) >= LEAST_COLUMNS and (share := _likeness(frame, run)) is not None and share < NEAR:
            why = f"{len(run):,} ordered columns of one scale, neighbours {1 / max(share, 0.01):.0f} times as alike"
            return WideSeries(tuple(run), f"{why} as others")
    return None


def run_from(frame: pd.DataFrame, first: str, names: Sequence[str], *, is_forced: bool) -> tuple[str, ...]:
    """The run that begins with a column, as `find` found it, where that column may be numbers no more."""
    numeric = {name for name in names if frame[name].dtype.kind in "iuf"} | {first}
    run = next((run for run in _runs(names, numeric) if run[0] == first), [first])
    if is_forced and len(run) < LEAST_COLUMNS:
        run = [name for name in names if name in numeric]
    return tuple(run)


def said(found: WideSeries) -> str:
    """A line on them."""
    ends = f"{shown(found.names[0])} to {shown(found.names[-1])}"
    return f"columns {ends} are read as one series a row ({found.why}); override with modality='table'"


def _runs(names: Sequence[str], numeric: set[str]) -> list[list[str]]:
    """Columns that follow one another, with names that differ in a number that rises."""
    runs: list[list[str]] = []
    last: tuple[str, int] | None = None
    for name in names:
        match = _NUMBERED.fullmatch(name)
        key = (match[1], int(match[2])) if match is not None and name in numeric and len(match[2]) < 16 else None
        if key is not None and last is not None and key[0] == last[0] and key[1] > last[1]:
            runs[-1].append(name)
        elif key is not None:
            runs.append([name])
        last = key
    return runs


def _likeness(frame: pd.DataFrame, run: Sequence[str]) -> float | None:
    """How far neighbours lie apart, as a share of how far others do; None where columns are not of one scale."""
    some = frame[list(run)].iloc[:: max(1, len(frame) // LOOKED_AT)]
    values = some.to_numpy(dtype=np.float64, na_value=np.nan)
    values = np.where(np.isfinite(values), values, np.nan)
    if np.isnan(values).all(axis=0).any() or np.isnan(values).mean() > 0.5:
        return None
    spread = np.nanstd(values, axis=0)
    usual = float(np.median(spread))
    if usual <= 0 or not spread.all():  # a column that never changes is no step that was measured
        return None
    if np.mean((spread < SPREAD * usual) & (spread > usual / SPREAD)) < ONE_SCALE:
        return None
    order = np.random.default_rng(0).permutation(values.shape[1])
    near = np.nanmean(np.diff(values, axis=1) ** 2)
    far = np.nanmean(np.diff(values[:, order], axis=1) ** 2)
    return float(near / far) if far > 0 else None
