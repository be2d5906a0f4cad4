"""The same application as a deployment of Ray Serve. The one file of this room that imports ray.

Each replica loads the model and batches by itself; the proxy of Ray Serve spreads requests among them. A Ray that runs
already is used and left as it is; one that is started here, without a dashboard, ends with the command.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TextIO

from automl.doors.serving.asked import ServeOptions
from automl.errors import InputError, OptionError
from automl.messages import near, one_line

if TYPE_CHECKING:
    from automl.doors.serving.app import ModelServer

MISSING = "Ray Serve is not installed: {}. Run: pip install 'automl-frontier[serve-ray]'"
TAKEN = {"place", "pick", "name", "batch", "max_rows", "max_mb", "watched_rows", "replicas", "token_file", "is_open"}


def deployed(options: ServeOptions, replicas: int = 1) -> Any:
    """The application for `serve.run`."""
    try:
        from ray import serve
    except ImportError as problem:
        raise InputError(MISSING.format(one_line(problem))) from problem

    def open_replica() -> ModelServer:  # Ray calls what is a function, and nothing else, in the replica
        from automl.doors.serving.running import open_server

        return open_server(options)

    inner = serve.ingress(open_replica)()
    made = serve.deployment(
        inner, name="automl-model", num_replicas=replicas, max_ongoing_requests=1_000,
        graceful_shutdown_timeout_s=2 * options.timeout_s, ray_actor_options={"num_cpus": 1},
    )  # fmt: skip
    return made.bind()


def app(given: dict[str, str]) -> Any:
    """For `serve run automl.doors.serving.on_ray:app place=runs/churn`; it takes options by their names."""
    if unknown := [name for name in given if name not in TAKEN]:
        raise OptionError(f"{unknown[0]!r} is not known.{near(unknown[0], TAKEN)} Known: {', '.join(sorted(TAKEN))}.")
    if "place" not in given:
        raise OptionError("place is missing: the run folder or the saved model, at a path that every node sees.")
    from automl.doors.serving.asked import read_tokens

    kinds = {one.name: str(one.type) for one in fields(ServeOptions)}
    plain = {name: value for name, value in given.items() if name not in ("replicas", "token_file")}
    made = {name: _typed(name, value, kinds[name]) for name, value in plain.items()}
    tokens = read_tokens(given["token_file"]) if "token_file" in given else ()
    return deployed(ServeOptions(**made, tokens=tokens), _typed("replicas", given.get("replicas", "1"), "int"))


def _typed(name: str, value: Any, kind: str) -> Any:
    """A value that came as text."""
    try:
        if kind == "bool":
            return {"true": True, "false": False}[str(value).lower()]
        return int(value) if kind == "int" else float(value) if kind == "float" else str(value)
    except (KeyError, ValueError) as error:
        raise OptionError(f"{name}={value!r} is not of the kind {kind}.") from error


def serve(options: ServeOptions, replicas: int = 1, out: TextIO = sys.stderr) -> int:
    """Serve until SIGTERM or Ctrl-C, on the cluster of RAY_ADDRESS or on a Ray of one's own; the exit code."""
    application = deployed(options, replicas)
    import ray
    from ray import serve as ray_serve

    ended = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: ended.set())
    was_there = ray.is_initialized()
    if not was_there:
        address = os.environ.get("RAY_ADDRESS", "local")
        ray.init(address=address, include_dashboard=False if address == "local" else None, log_to_driver=False)
    try:
        ray_serve.start(http_options={"host": options.host, "port": options.port})
        ray_serve.run(application, name="automl-model")
        print(f"serving {options.place} by {replicas} replicas on http://{options.host}:{options.port}",
              file=out, flush=True)  # fmt: skip
        ended.wait()
    finally:
        ray_serve.delete("automl-model")
        if not was_there:
            ray.shutdown()
    return 0
