"""Long tables whose cases have one answer each, folded into a row a case before anything else is asked of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from automl.data.source import Source, named
from automl.errors import InputError, OptionError
from automl.modalities import mixture
from automl.modalities.files.read import Table
from automl.options import Options

if TYPE_CHECKING:
    import pandas as pd

    from automl.modalities.mixture import LongTable


def folded(source: Source, options: Options, steps: LongTable | None = None) -> Source:
    """The same rows by case, where series_id asks for it and no forecast does; `steps`: as training found them."""
    if source.steps is not None or (steps is None and (not options.series_id or options.is_forecast)):
        return source
    frame, notes = named(source.table)
    if steps is None:
        steps, told = _found(frame, source, options)
        notes += told
    table = Table(steps.fold(frame), tuple(notes), source.table.decimal)
    return replace(source, table=table, steps=steps)


def cases(frame: pd.DataFrame, steps: LongTable | None) -> pd.DataFrame:
    """Rows to predict, by case and named by it; those that are cases already stay as they are."""
    return frame if steps is None or steps.case not in frame.columns else steps.fold(frame)


def _found(frame: pd.DataFrame, source: Source, options: Options) -> tuple[LongTable, list[str]]:
    if source.labels is not None:
        raise InputError(
            "series_id folds rows into cases, so answers must stand beside them. Give one table and target='...'."
        )
    if len(options.series_id or ()) != 1 or options.time_column is None:
        raise OptionError(
            f"series with one answer each need series_id= for the case and time_column= for its steps, got series_id="
            f"{options.series_id!r} and time_column={options.time_column!r}. To foretell next values give horizon=."
        )
    case, step = str((options.series_id or ("",))[0]).strip(), str(options.time_column).strip()
    target = None if options.target is None else str(options.target).strip()
    return mixture.find_steps(frame, case, step, target)
