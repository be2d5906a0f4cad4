"""The next steps of series, asked of a model over the wire: what the library's own `forecast` says, as plain rows."""

from __future__ import annotations

import json

from pydantic import ValidationError

from automl.doors.service.asking.rows_in import TableReader
from automl.doors.service.ground.problems import Problem, first_wrong
from automl.doors.service.shapes.models import ForecastWishShape
from automl.doors.serving.work import ModelWork
from automl.errors import InputError
from automl.messages import counted
from automl.model.forecasting import ForecastRequest, known_series, told_ahead
from automl.plain import as_json

USUAL_LEVELS = 2  # with so many intervals as many steps are told at once as rows are; with more, fewer


def foretold(work: ModelWork, tables: TableReader, content: bytes) -> bytes:
    """A row for each step of each series, as JSON: all of what takes long, for a thread aside."""
    try:
        wish = ForecastWishShape.model_validate_json(content)
    except ValidationError as error:
        raise Problem(422, first_wrong(error.errors()), kind="bad-input") from error
    if work.served.is_several:
        raise InputError("this model has several targets, and a forecast is of one. Run each target by itself.")
    model = work.served.first.model
    asked = ForecastRequest(
        horizon=wish.horizon, levels=wish.levels,
        future=None if wish.future is None else tables.frame(wish.future),
        history=None if wish.history is None else tables.frame(wish.history),
    )  # fmt: skip
    series, usual = known_series(model, asked.history)
    steps = series * (asked.horizon or usual)
    most = tables.most_rows * USUAL_LEVELS // max(USUAL_LEVELS, len(asked.levels))
    if steps > most:
        raise Problem(
            413, f"{counted(steps, 'step')} would be foretold, at most {most:,} are at once. Give a shorter horizon, "
            "or history= of some series."
        )  # fmt: skip
    said = told_ahead(model, asked)
    dates = [str(name) for name in said.table if said.table[name].dtype.kind == "M"]
    rows = said.table.astype(dict.fromkeys(dates, str)).to_dict(orient="records")
    names = [str(name) for name in said.table]
    told = {"columns": names, "dates": dates, "forecast": as_json(rows), "notes": list(said.notes)}
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "backslashreplace")
