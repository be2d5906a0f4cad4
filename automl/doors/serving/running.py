"""A served model as a process: bound, told of in one line, and ended by SIGTERM once it has answered what it took."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, TextIO

from automl.doors.serving.asked import LOOPBACK, ServeOptions
from automl.errors import InputError
from automl.messages import one_line
from automl.places import holding_to, only_within

if TYPE_CHECKING:
    from automl.doors.serving.app import ModelServer

EXTRA = "a server needs packages that are not installed: {}. Run: pip install 'automl-frontier[serve]'"
SWITCH_S = 0.001  # that a thread may keep the others waiting: the loop, the one that answers, the one that counts
KEPT_S = 60  # that a connection may be silent between two requests


def open_server(options: ServeOptions) -> ModelServer:
    """Load the model, ask it once, and put it behind its routes."""
    try:
        from automl.doors.serving.app import ModelServer
    except ImportError as problem:
        raise InputError(EXTRA.format(one_line(problem))) from problem
    from automl.doors.serving.served import open_served

    server = ModelServer(open_served(options), options)
    server.work.start()
    return server


def serve(options: ServeOptions, out: TextIO = sys.stderr) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit code."""
    named = only_within(*([] if options.files is None else [options.files]))  # whatever a cell may name
    with holding_to(named), _bound(options) as bound:  # a taken port shows before a model is loaded
        server = open_server(options)
        import uvicorn

        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=out)
        config = uvicorn.Config(
            server, log_config=None, access_log=False, server_header=False, lifespan="on",
            timeout_keep_alive=KEPT_S, timeout_graceful_shutdown=round(2 * options.timeout_s) + 1,
        )  # fmt: skip
        sys.setswitchinterval(SWITCH_S)
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, _nothing)  # uvicorn's own take their place, and repeat at the end what they were sent
        print(greeting(server, options, bound.getsockname()[1]), file=out, flush=True)
        uvicorn.Server(config).run(sockets=[bound])
    return 0


def greeting(server: ModelServer, options: ServeOptions, port: int) -> str:
    """Where it listens, and how to ask."""
    served, host = server.work.served, f"[{options.host}]" if ":" in options.host else options.host
    about = ", ".join(f"{name} ({one.model.task})" for name, one in served.targets.items())
    address = f"http://{host}:{port}"
    who = "callers need a token" if options.tokens else "nobody is asked for a token"
    if not options.tokens and options.host not in LOOPBACK:
        who = f"OPEN TO EVERYBODY who reaches {host}"
    lines = [f"serving {about} as {served.name!r}, version {served.version}, on {address}; {who}"]
    header = " -H 'Authorization: Bearer TOKEN'" if options.tokens else ""
    lines.append(f"  curl {address}/predict{header} -H 'Content-Type: text/csv' --data-binary @rows.csv")
    return "\n".join(lines)


def _nothing(_signal: int, _frame: Any) -> None:
    """The server has ended already."""


def _bound(options: ServeOptions) -> socket.socket:
    """A socket on the address that is wanted."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((options.host, options.port))
        bound.listen(2048)  # whoever reads the address may connect at once: it waits until the app is up
    except OSError as error:
        bound.close()
        raise InputError(
            f"port {options.port} of {options.host!r} cannot be listened on: {error.strerror or error}. "
            "Give another one by --port."
        ) from error
    return bound
