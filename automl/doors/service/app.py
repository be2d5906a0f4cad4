"""The server put together: routes, the guard before them, and what runs beside them while it is up."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from automl.doors.service.access.deeds import COUNTED_S
from automl.doors.service.access.guard import OPEN, Guard
from automl.doors.service.ground.problems import install
from automl.doors.service.ground.settings import Settings
from automl.doors.service.pages import routes as pages
from automl.doors.service.routes import accounts, datasets, doorway, models, runs
from automl.doors.service.service import Service
from automl.doors.service.shapes.problem import ProblemShape
from automl.places import holding_to, only_within

ROUTERS: Sequence[APIRouter] = (
    doorway.router,
    datasets.router,
    runs.router,
    models.router,
    accounts.router,
    pages.router,
)
ABOUT = (
    "Data sets, runs that find the best model for them within a budget, and models that predict. "
    "Errors are problem+json; lists come in pages; times are ISO 8601 in UTC."
)
LOG = logging.getLogger("automl.service")


def make_app(service: Service) -> Any:
    """The ASGI app of a server."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        service.begin()
        flushing = asyncio.create_task(_flush(service))
        try:
            yield
        finally:
            flushing.cancel()
            with suppress(asyncio.CancelledError):
                await flushing
            service.end()

    app = FastAPI(
        title="automl", version=version("automl-frontier"), description=ABOUT, lifespan=lifespan,
        openapi_url="/v1/openapi.json", docs_url=None, redoc_url=None, generate_unique_id_function=_operation,
        separate_input_output_schemas=False, redirect_slashes=False,
    )  # fmt: skip
    app.state.service = service
    install(app, [route for router in ROUTERS for route in router.routes])
    for router in ROUTERS:
        app.include_router(router)
    _describe(app)
    return Guard(app, service.settings, service.accounts, service.deeds)


async def _flush(service: Service) -> None:
    """Write down what was counted, every second."""
    while True:
        await asyncio.sleep(COUNTED_S)
        try:
            await asyncio.to_thread(service.flush)
        except Exception:  # of a database that is away; logged
            LOG.exception("who asked for what could not be written down")


def _operation(route: APIRoute) -> str:
    """Names for clients that are made from OpenAPI: runs_begin, models_predict."""
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name


def _describe(app: FastAPI) -> None:
    """OpenAPI with the token that every route but the open ones needs, and the shape of refusals."""
    made = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        told = made()
        parts = told.setdefault("components", {})
        parts.setdefault("schemas", {})["Problem"] = ProblemShape.model_json_schema()
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, operations in told["paths"].items():
            for operation in operations.values():
                if path not in OPEN:
                    operation["security"] = [{"token": []}]
        app.openapi_schema = told
        return told

    app.openapi = described  # type: ignore[method-assign]


def serve(settings: Settings) -> int:
    """Run the server until it is told to stop."""
    import socket

    import uvicorn

    from automl.errors import RunError

    service = Service(settings)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)  # whoever reads the address may connect at once: it waits until the app is up
    except OSError as error:
        listener.close()
        raise RunError(
            f"port {settings.port} of {settings.host} cannot be listened at: {error.strerror or error}. "
            "Give another --port."
        ) from error
    _greet(service, listener.getsockname()[1])
    config = uvicorn.Config(
        make_app(service), log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=10,
        proxy_headers=False, h11_max_incomplete_event_size=64 * 1024,
    )  # fmt: skip

    class Ends(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            service.live.end()  # who watches would hold it up
            await super().shutdown(sockets)

    with holding_to(only_within(settings.home / "incoming")):  # whatever rows say; processes of runs are told theirs
        Ends(config).run(sockets=[listener])
    return 0


def _greet(service: Service, port: int) -> None:
    """Where it is, and at the first start how to get in."""
    host = f"[{service.settings.host}]" if ":" in service.settings.host else service.settings.host
    token = service.accounts.first_admin()
    lines = [
        f"automl is at http://{host}:{port}, its home is {service.settings.home}",
        *([] if token is None else [f"token of the first admin, shown this once: {token}"]),
        "Ctrl-C stops the server; runs at work go on, and those that wait are started by the next one",
    ]
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()
