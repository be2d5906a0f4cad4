"""The next steps of series, asked of a model over the wire: what the library's own `forecast` says, as plain rows."""

from __future__ import annotations

from typing import Any

from automl.doors.service.problems import Problem
from automl.doors.service.rows_in import TableReader
from automl.doors.serving.work import ModelWork
from automl.errors import InputError
from automl.messages import counted
from automl.model.forecasting import ForecastRequest, known_series, told_ahead
from automl.plain import as_json


def foretold(work: ModelWork, tables: TableReader, asked: ForecastRequest) -> dict[str, Any]:
    """A row for each step of each series; `future` and `history` came as lists of objects."""
    if work.served.is_several:
        raise InputError("this model has several targets, and a forecast is of one. Run each target by itself.")
    model = work.served.first.model
    given = ForecastRequest(
        horizon=asked.horizon, levels=asked.levels,
        future=None if asked.future is None else tables.frame(asked.future),
        history=None if asked.history is None else tables.frame(asked.history),
    )  # fmt: skip
    series, usual = known_series(model, given.history)
    steps = series * (given.horizon or usual)
    if steps > tables.most_rows:
        raise Problem(
            413, f"{counted(steps, 'step')} would be foretold, at most {tables.most_rows:,} are at once. Give a "
            "shorter horizon, or history= of some series."
        )  # fmt: skip
    said = told_ahead(model, given)
    dates = [str(name) for name in said.table if said.table[name].dtype.kind == "M"]
    rows = said.table.astype(dict.fromkeys(dates, str)).to_dict(orient="records")
    names = [str(name) for name in said.table]
    return {"columns": names, "dates": dates, "forecast": as_json(rows), "notes": list(said.notes)}
