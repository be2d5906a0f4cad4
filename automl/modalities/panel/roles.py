"""Which columns make a table one of series: as options name them, or as other libraries call them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from automl.errors import InputError
from automl.messages import shown
from automl.modalities.panel.fields import Fields, constants, labels_of, must_have
from automl.options import Options

if TYPE_CHECKING:
    import pandas as pd

# As tables for other libraries call them, so that these need no options.
TIMES = ("timestamp", "ds", "date", "time", "datetime")
SERIES = ("item_id", "unique_id", "series_id", "id")


def time_column(options: Options, names: Sequence[str]) -> str:
    """The column of times, named by an option or by its usual name."""
    if options.time_column is not None:
        return str(options.time_column).strip()
    found = next((name for usual in TIMES for name in names if name.strip().lower() == usual), None)
    if found is None:
        known = ", ".join(map(shown, names[:8]))
        raise InputError(f"which column holds the times? Give time_column='...'. Columns: {known}.")
    return found


def series_columns(options: Options, names: Sequence[str]) -> tuple[str, ...]:
    """The columns that name a series together; none where there is one series."""
    if options.series_id:
        return tuple(options.series_id)
    return next(((name,) for usual in SERIES for name in names if name.strip().lower() == usual), ())


def fields_of(frame: pd.DataFrame, target: str, time: str, options: Options) -> Fields:
    """What each column is for. Those that change within a series and are not said to be known ahead are known after."""
    names = list(map(str, frame.columns))
    series = series_columns(options, names)
    for role, wanted in (("series_id", series), ("known_future", options.known_future)):
        for name in wanted:
            must_have(frame, role, name)
    bare = Fields(time=time, target=target, series=series)
    others = [name for name in names if name not in (time, target, *series, *options.known_future)]
    static = tuple(constants(frame, bare.names(frame), others))
    past = tuple(name for name in others if name not in static)
    return Fields(
        time=time, target=target, series=series, past=past, static=static, known=options.known_future,
        labels=labels_of(frame, past),
    )  # fmt: skip


def told(fields: Fields) -> list[str]:
    """A line on columns that are used as known once a step is over only."""
    if not fields.past:
        return []
    listed = ", ".join(map(shown, fields.past[:8])) + (" ..." if len(fields.past) > 8 else "")
    return [f"{listed}: used up to the moment of a forecast; if known ahead, name them in known_future"]
