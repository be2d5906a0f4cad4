"""The Open Inference Protocol v2, which serving clients expect: columns as inputs, [n] or [n, 1], one output a column.

Classes come with their probabilities by default, as outputs proba_<class>. Errors are {"error": text}, as the protocol
has them. Of the data types none is insisted on: a cell is read as everywhere else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from automl.doors.serving.refused import RefusedError
from automl.doors.serving.rows import CellRows
from automl.doors.serving.served import ServedModel
from automl.doors.serving.told import ToldAnswers, Wishes, as_json_bytes
from automl.doors.serving.work import ModelWork, PredictRequest
from automl.messages import one_line, shown
from automl.records import Kind

JSON = "application/json"
BINARY = "binary_data_size"
TYPES = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES",
)  # fmt: skip
OF_KIND = {Kind.NUMBER: "FP64", Kind.BOOLEAN: "BOOL"}
DEEPEST = 3  # levels of lists in `data`


def add(app: FastAPI, work: ModelWork) -> None:
    """Give the application these routes."""
    name, outputs = work.served.name, outputs_of(work.served)

    async def server() -> Response:
        """Server metadata."""
        told = {"name": "automl", "version": version("automl-frontier"), "extensions": []}
        return Response(as_json_bytes(told), media_type=JSON)

    async def live() -> Response:
        """Whether the server is alive."""
        return Response(b'{"live":true}', media_type=JSON)

    async def ready() -> Response:
        """Whether the model can be asked."""
        if not work.is_ready:
            return Response(b'{"ready":false}', HTTPStatus.SERVICE_UNAVAILABLE, media_type=JSON)
        return Response(b'{"ready":true}', media_type=JSON)

    async def models() -> Response:
        """The names of the models, of which there is one."""
        return Response(as_json_bytes({"models": [name]}), media_type=JSON)

    async def metadata(model: str, version: str | None = None) -> Response:
        """Inputs and outputs of the model."""
        _check_name(work.served, model, version)
        return Response(as_json_bytes(about(work.served)), media_type=JSON)

    async def model_ready(model: str, version: str | None = None) -> Response:
        """Whether this model can be asked."""
        _check_name(work.served, model, version)
        return await ready()

    async def infer(request: Request, model: str, version: str | None = None) -> Response:
        """Predict rows that come as columns."""
        _check_name(work.served, model, version)
        asked, rows = _question(await request.body(), work.served, outputs)
        write = partial(_answer, work.served, outputs, asked)
        answer = await work.predict(PredictRequest(rows, Wishes(), write))
        work.gauges.rows.add(rows.count, "/v2/models/{model}/infer")
        return Response(answer, media_type=JSON)

    for path, call in (("/v2", server), ("/v2/health/live", live), ("/v2/health/ready", ready), ("/v2/models", models)):
        app.add_api_route(path, call, methods=["GET"], tags=["open inference protocol"])
    for base in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        app.add_api_route(base, metadata, methods=["GET"], tags=["open inference protocol"])
        app.add_api_route(f"{base}/ready", model_ready, methods=["GET"], tags=["open inference protocol"])
        app.add_api_route(f"{base}/infer", infer, methods=["POST"], tags=["open inference protocol"],
                          openapi_extra={"requestBody": _body(work.served)})  # fmt: skip


def about(served: ServedModel) -> dict[str, Any]:
    """The model's metadata; a shape of -1 is free."""
    columns = served.first.model.schema.asked
    return {
        "name": served.name, "versions": [served.version], "platform": "automl",
        "inputs": [
            {"name": one.name, "datatype": OF_KIND.get(Kind(one.kind), "BYTES") if not one.is_decoded else "BYTES",
             "shape": [-1]} for one in columns
        ],
        "outputs": outputs_of(served),
    }  # fmt: skip


def outputs_of(served: ServedModel) -> list[dict[str, Any]]:
    """The outputs of the model: predictions first, then the probabilities of its classes."""
    told: list[dict[str, Any]] = []
    for name, target in served.targets.items():
        model = target.model
        columns = [f"{name}_q{level:g}" for level in model.levels] or [name]
        kind = _type_of(model.classes) if model.classes else "FP64"
        told += [{"name": one, "datatype": kind, "shape": [-1]} for one in columns]
        told += [
            {"name": _proba(served, name, label), "datatype": "FP64", "shape": [-1]}
            for label in map(str, model.classes)
        ]
    return told


def _proba(served: ServedModel, target: str, label: str) -> str:
    return f"proba_{target}_{label}" if served.is_several else f"proba_{label}"


def _type_of(labels: Sequence[Any]) -> str:
    kinds = {type(label) for label in labels}
    return {bool: "BOOL", int: "INT64", float: "FP64"}.get(kinds.pop(), "BYTES") if len(kinds) == 1 else "BYTES"


def _check_name(served: ServedModel, model: str, version: str | None) -> None:
    if model != served.name or version not in (None, served.version):
        told = shown(model) if version is None else f"{shown(model)}, version {shown(version)},"
        raise RefusedError(
            HTTPStatus.NOT_FOUND, f"{told} is not served here. It is {served.name!r}, version {served.version}."
        )


def _bad(line: str) -> RefusedError:
    return RefusedError(HTTPStatus.BAD_REQUEST, line)


def _question(body: bytes, served: ServedModel, known: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], CellRows]:
    """A request and its rows."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _bad(f"the body is not JSON: {one_line(error)}. The binary extension is not known here.") from error
    inputs = asked.get("inputs") if isinstance(asked, dict) else None
    if not isinstance(inputs, list) or not inputs:
        raise _bad('a request has "inputs", a list with an object for each column: name, shape, datatype, data.')
    names = {one["name"] for one in known}
    outputs = asked.get("outputs") or []
    if not isinstance(outputs, list) or not all(isinstance(one, dict) for one in outputs):
        raise _bad('"outputs" is a list of objects with the name of an output each.')
    for one in outputs:
        if one.get("name") not in names:
            raise _bad(f"{shown(one.get('name'))} is no output of this model. Its outputs: {', '.join(sorted(names))}.")
    if any("binary" in str(one.get("parameters", "")) for one in [asked, *outputs] if isinstance(one, dict)):
        raise _bad(f"the binary extension ({BINARY}) is not known here. Send data as JSON.")
    columns = dict(_column(one, served) for one in inputs)
    lengths = {len(data) for data in columns.values()}
    if len(columns) < len(inputs) or len(lengths) > 1:
        raise _bad(f"inputs have {sorted(lengths)} rows, or a name twice. Give each column once, all of one length.")
    return asked, served.bodies.columns(columns, lengths.pop())


def _column(one: Any, served: ServedModel) -> tuple[str, list[Any]]:
    """A column's name and its cells."""
    if not isinstance(one, dict) or not isinstance(one.get("name"), str):
        raise _bad(f"an input is an object with name, shape, datatype and data, got {shown(one)}.")
    name, shape, data = one["name"], one.get("shape"), one.get("data")
    if isinstance(one.get("parameters"), dict) and BINARY in one["parameters"]:
        raise _bad(f"the binary extension ({BINARY}) is not known here. Send data as JSON.")
    if one.get("datatype") not in TYPES:
        raise _bad(f"input {shown(name)} has the datatype {shown(one.get('datatype'))}. Known: {', '.join(TYPES)}.")
    sizes = shape if isinstance(shape, list) else []
    is_column = (
        len(sizes) in (1, 2) and all(type(size) is int and size >= 0 for size in sizes) and sizes[1:] in ([], [1])
    )
    if not is_column or not isinstance(data, list):
        raise _bad(f"input {shown(name)} has the shape {shown(shape)}: a column is [n] or [n, 1], with a list as data.")
    cells = _flat(data, DEEPEST)
    if len(cells) != math.prod(sizes):
        raise _bad(f"input {shown(name)} has {len(cells)} values for the shape {shape}.")
    if name in served.bodies.of_files:
        return name, [{"b64": cell} if isinstance(cell, str) else cell for cell in cells]
    return name, cells


def _flat(data: Sequence[Any], levels: int) -> list[Any]:
    if levels == 0 or not any(isinstance(one, list) for one in data):
        return list(data)
    return [cell for one in data for cell in (_flat(one, levels - 1) if isinstance(one, list) else [one])]


def _answer(
    served: ServedModel, known: Sequence[Mapping[str, Any]], asked: Mapping[str, Any], told: Sequence[ToldAnswers],
    rows: int,
) -> bytes:  # fmt: skip
    wanted = {one["name"] for one in asked.get("outputs") or ()}
    columns: dict[str, Sequence[Any]] = {}
    for one in told:
        columns |= one.predictions
        columns |= {_proba(served, one.target, label): share for label, share in one.shares.items()}
    kinds = {one["name"]: one["datatype"] for one in known}
    outputs = [
        {"name": name, "shape": [rows], "datatype": kinds[name],
         "data": list(map(str, data)) if kinds[name] == "BYTES" else data}
        for name, data in columns.items() if not wanted or name in wanted
    ]  # fmt: skip
    made: dict[str, Any] = {"model_name": served.name, "model_version": served.version, "outputs": outputs}
    if isinstance(asked.get("id"), str):
        made["id"] = asked["id"]
    return as_json_bytes(made)


def _body(served: ServedModel) -> dict[str, Any]:
    """The body of a request as OpenAPI tells it."""
    tensor = {
        "type": "object", "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"type": "string"}, "datatype": {"enum": list(TYPES)}, "data": {"type": "array"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 2},
        },
    }  # fmt: skip
    schema = {
        "type": "object", "required": ["inputs"],
        "properties": {"id": {"type": "string"}, "inputs": {"type": "array", "items": tensor, "minItems": 1}},
    }  # fmt: skip
    kinds = {one["name"]: one["datatype"] for one in about(served)["inputs"]}
    inputs = [
        {"name": name, "shape": [1], "datatype": kinds[name], "data": [value]}
        for name, value in served.example().items()
    ]
    return {
        "required": True,
        "content": {JSON: {"schema": schema, **({"example": {"inputs": inputs}} if inputs else {})}},
    }
