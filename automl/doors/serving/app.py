"""The application: its routes, told by an OpenAPI document, behind the gate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from automl.doors.serving import protocol, routes
from automl.doors.serving.asked import ServeOptions
from automl.doors.serving.gate import PROTOCOL, Gate, as_problem, said_of
from automl.doors.serving.served import ServedModel
from automl.doors.serving.work import ModelWork
from automl.errors import ArtifactError, AutomlError

SUMMARY = "Predictions of one model: a simple route, and the Open Inference Protocol v2 beside it."
KNOWN = "Known are /predict, /explain, /drift, /metrics, /healthz, /readyz, /v2 and /openapi.json."


class ModelServer:
    """An ASGI application that serves a loaded model; what begins with it ends with it."""

    def __init__(self, served: ServedModel, options: ServeOptions) -> None:
        self.work = ModelWork(served, options)
        app = FastAPI(
            title=f"{served.name} {served.version}", version=served.version, description=SUMMARY,
            docs_url=None, redoc_url=None, lifespan=self._life,
        )  # fmt: skip
        routes.add(app, self.work)
        protocol.add(app, self.work)
        app.add_exception_handler(AutomlError, _refuse)
        app.add_exception_handler(HTTPException, _refuse_address)
        app.add_exception_handler(Exception, _fail)
        self.gate = Gate(app, options, self.work.gauges)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        await self.gate(scope, receive, send)

    @asynccontextmanager
    async def _life(self, _app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(self.work.start)
        yield
        await asyncio.to_thread(self.work.close)


async def _refuse(request: Request, problem: Exception) -> Response:
    if isinstance(problem, ArtifactError):
        raise problem  # a fault of ours, which the gate logs
    return _answer(request, *said_of(problem))


async def _fail(request: Request, problem: Exception) -> Response:
    return _answer(request, *said_of(problem))  # and it goes on to the gate, which logs it


async def _refuse_address(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    if problem.status_code == 404:
        return _answer(request, 404, f"{request.method} {request.url.path[:80]!r} is no route of this server. {KNOWN}")
    return _answer(request, problem.status_code, f"{problem.detail}. {KNOWN}", dict(problem.headers or {}))


def _answer(request: Request, status: int, line: str, headers: dict[str, str] | None = None) -> Response:
    body, kind = as_problem(status, line, is_of_protocol=request.url.path.startswith(PROTOCOL))
    more = {"retry-after": "1"} if status == 503 else {}
    return Response(body, status, {**(headers or {}), **more}, media_type=kind)
