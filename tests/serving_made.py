"""Servers of small models for tests: real ones, on a port of their own, in a thread of the test's process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from automl.doors.serving.app import ModelServer
from automl.doors.serving.asked import ServeOptions
from automl.doors.serving.served import ServedModel, of_models
from automl.model.predictor import Model

LIMIT_S = 60


def options(**changed: Any) -> ServeOptions:
    """Of a server on this machine, on any port."""
    return ServeOptions(**{"place": "runs/tried", "port": 0, **changed})


def served(model: Model | Mapping[str, Model], **changed: Any) -> ServedModel:
    models = model if isinstance(model, Mapping) else {str(model.manifest["target"]): model}
    return of_models(models, options(**changed))


@contextmanager
def running(model: Model | Mapping[str, Model], **changed: Any) -> Iterator[httpx.Client]:
    """A client of a server that is ready."""
    asked = options(**changed)
    with (
        listening(ModelServer(served(model, **changed), asked)) as address,
        httpx.Client(base_url=address, timeout=LIMIT_S, trust_env=False) as client,
    ):
        yield client


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """The address of an application, which takes requests."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, server_header=False)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started, "the server did not start"
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(LIMIT_S)


def wait_until(is_so: Any) -> None:
    """Until something is the case; fails after a time that no machine needs."""
    pause = threading.Event()
    for _ in range(LIMIT_S * 100):
        if is_so():
            return
        pause.wait(0.01)
    raise AssertionError("it did not happen")
