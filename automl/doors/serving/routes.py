"""Our own routes: predict, explain, drift, metrics, health. Rows come as JSON or CSV; refusals are as RFC 9457 says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from automl.doors.serving.gate import PROBLEM
from automl.doors.serving.metrics import CONTENT_TYPE
from automl.doors.serving.refused import RefusedError
from automl.doors.serving.rows import CellRows
from automl.doors.serving.served import ServedModel
from automl.doors.serving.told import ToldAnswers, Wishes, as_csv_bytes, as_json_bytes, as_object
from automl.doors.serving.work import ModelWork, PredictRequest
from automl.messages import near, shown
from automl.plain import as_json

JSON, CSV = "application/json", "text/csv"
INFER = "/v2/models/{}/infer"
MOST_EXPLAINED = 200  # rows of a request
LEVEL = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
TEXT = {"type": "string"}
NOTHING: Mapping[str, str] = {}
NO_WISHES = Wishes()


def add(app: FastAPI, work: ModelWork) -> None:
    """Give the application these routes."""
    body = {"requestBody": _body(work.served), "responses": _refusals()}

    @app.post("/predict", openapi_extra={**body, **_query({"interval": LEVEL, "set": LEVEL})}, tags=["predictions"])
    async def predict(request: Request) -> Response:
        """Predict rows: the prediction of each, of classes all probabilities.

        `interval=0.9` tells the ends between which the number lies in nine of ten new rows, `set=0.9` the labels that
        together hold the true one. Answers as CSV where the header Accept asks for text/csv.
        """
        asked = _asked(request, ("interval", "set"))
        wishes = Wishes(_level(asked, "interval"), _level(asked, "set")) if asked else NO_WISHES
        rows = await _rows(request, work)
        is_csv = CSV in request.headers.get("accept", "")
        write = as_csv_bytes if is_csv else partial(_json, work.served, wishes)
        answer = await work.predict(PredictRequest(rows, wishes, write))
        work.gauges.rows.add(rows.count, "/predict")
        return Response(answer, media_type=CSV if is_csv else JSON)

    @app.post("/explain", openapi_extra={**body, **_query({"label": TEXT, "column": TEXT})}, tags=["predictions"])
    async def explain(request: Request) -> Response:
        """How the answers come about: what each column adds to the usual answer, what the words of texts weigh.

        `label` is the class to explain, or the level of a quantile; `column` asks for the words of this one alone.
        """
        asked = _asked(request, ("label", "column"))
        rows = await _rows(request, work)
        if rows.count > MOST_EXPLAINED:
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"{rows.count:,} rows are to be explained, at most {MOST_EXPLAINED} are at once. Send them in parts.",
            )
        told = await work.aside(lambda: work.explain(rows, asked.get("label"), asked.get("column")))
        work.gauges.rows.add(rows.count, "/explain")
        return Response(as_json_bytes(told), media_type=JSON)

    _add_states(app, work)


def _add_states(app: FastAPI, work: ModelWork) -> None:
    """What is told of the server itself."""

    @app.get("/drift", tags=["watching"], responses=_refusals())
    async def drift() -> Response:
        """What moved in the latest rows since the model learned, as `automl monitor` tells it."""
        return Response(as_json_bytes(as_json(await work.aside(work.watch.told))), media_type=JSON)

    @app.get("/metrics", tags=["watching"])
    async def metrics() -> Response:
        """Counters in Prometheus' text format."""
        return Response(work.gauges.page(), media_type=CONTENT_TYPE)

    @app.get("/healthz", tags=["watching"])
    async def healthz() -> Response:
        """Whether the process answers."""
        return Response(b"ok\n", media_type="text/plain")

    @app.get("/readyz", tags=["watching"])
    async def readyz() -> Response:
        """Whether the model is loaded and has answered once; 503 until then, and while the server ends."""
        if not work.is_ready:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "the model is not ready yet. Ask again in a second.")
        return Response(b"ready\n", media_type="text/plain")

    @app.get("/", tags=["watching"])
    async def about() -> Response:
        """What is served, and a row that can be asked."""
        return Response(await asyncio.to_thread(lambda: as_json_bytes(as_json(_about(work.served)))), media_type=JSON)


async def _rows(request: Request, work: ModelWork) -> CellRows:
    """The rows of a request, by what it says that they are."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    readers: Mapping[str, Callable[[bytes], CellRows]] = {JSON: work.served.bodies.json, CSV: work.served.bodies.csv}
    read = readers.get(kind)
    if read is None:
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the content type is {shown(kind)}, rows are read as {JSON} or {CSV}. Send one of these as Content-Type.",
        )
    return await work.read(read, await request.body())


def _asked(request: Request, names: Sequence[str]) -> Mapping[str, str]:
    """What stands behind the question mark; what would be passed over in silence is refused."""
    if not request.scope["query_string"]:
        return NOTHING
    for name, _ in (given := request.query_params.multi_items()):
        if name not in names:
            raise RefusedError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"{shown(name)} is not known here.{near(name[:60], names)} Known: {', '.join(names)}.",
            )
    if len(dict(given)) < len(given):
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{shown(given[0][0])} is given twice. Give it once.")
    return dict(given)


def _level(asked: Mapping[str, str], name: str) -> float | None:
    """A share of new rows, which the model checks."""
    text = asked.get(name)
    try:
        return None if text is None else float(text)
    except ValueError as error:
        raise RefusedError(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}={shown(text)} is no number. Give 0.9, for instance."
        ) from error


def _query(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Names behind the question mark as OpenAPI tells them."""
    return {"parameters": [
        {"name": name, "in": "query", "required": False, "schema": schema} for name, schema in schemas.items()
    ]}  # fmt: skip


def _json(served: ServedModel, wishes: Wishes, told: Sequence[ToldAnswers], rows: int) -> bytes:
    return as_json_bytes(as_object(served, told, rows, wishes))


def _about(served: ServedModel) -> dict[str, Any]:
    """The model in a few words, for whoever looks."""
    targets = {
        name: {"task": one.model.task, "classes": one.model.classes, "levels": one.model.levels}
        for name, one in served.targets.items()
    }
    columns = [{"name": column.name, "kind": str(column.kind)} for column in served.first.model.schema.asked]
    example = served.example()
    return {
        "model": served.name, "version": served.version, "targets": targets, "columns": columns,
        "example": {"rows": [example]} if example else None,
        "routes": ["POST /predict", "POST /explain", "GET /drift", "GET /metrics", f"POST {INFER.format(served.name)}"],
    }  # fmt: skip


def _body(served: ServedModel) -> dict[str, Any]:
    """The body of a request as OpenAPI tells it."""
    names = [column.name for column in served.first.model.schema.asked]
    known: dict[str, dict[str, Any]] = {name: {} for name in names}
    row = {"type": "object", "required": names, "additionalProperties": True, "properties": known}
    rows = {"type": "array", "items": row}
    schema = {"oneOf": [rows, {
        "type": "object", "properties": {"rows": rows}, "required": ["rows"], "additionalProperties": False,
    }]}  # fmt: skip
    example = served.example()
    asked: dict[str, Any] = {"schema": schema, **({"example": {"rows": [example]}} if example else {})}
    return {"required": True, "content": {JSON: asked, CSV: {"schema": {"type": "string"}}}}


def _refusals() -> dict[int | str, dict[str, Any]]:
    """The statuses that a caller may meet."""
    problem = {"type": "object", "required": ["title", "status", "detail"], "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "detail": {"type": "string"},
    }}  # fmt: skip
    told = {
        "400": "the body cannot be read", "401": "no token, or an unknown one", "408": "the body came too slowly",
        "413": "too many rows or bytes", "415": "neither JSON nor CSV", "422": "rows that do not fit the model",
        "500": "a fault of the server", "503": "too many rows wait", "504": "no answer in time",
    }  # fmt: skip
    return {status: {"description": what, "content": {PROBLEM: {"schema": problem}}} for status, what in told.items()}
