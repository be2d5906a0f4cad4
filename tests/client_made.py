"""Servers for tests of the client: one of automl's own in this process, on a port; and small ones that misbehave."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from sqlalchemy import update

from automl import Client, Result
from automl.doors.service.app import make_app
from automl.doors.service.ground.settings import Settings
from automl.doors.service.ground.tables import RUNS, State
from automl.doors.service.line.queue import tell
from automl.doors.service.line.worker import told
from automl.doors.service.service import Service

WAIT_S = 120.0


@dataclass
class Up:
    """A server that listens."""

    service: Service
    url: str
    token: str  # of the admin

    def client(self) -> Client:
        """One of the admin."""
        return Client(self.url, self.token)

    def planted(self, result: Result, data: Path) -> str:
        """The id of a run that was made elsewhere, as if it had been made here."""
        by = self.service.accounts.who(self.token)
        assert by is not None
        with self.client() as client:
            dataset = client.upload(data)
        options = json.loads((result.folder / "options.json").read_text())
        asked = {name: options[name] for name in ("target", "budget")}
        run = self.service.runs.add(by, dataset.id, dataset.name, asked)
        shutil.copytree(result.folder, self.service.runs.folder(run.id))
        done = {"state": State.DONE, "ended_at": run.created_at, "verdict": json.dumps(told(result))}
        self.set(run.id, **done)
        return run.id

    def set(self, run_id: str, **values: Any) -> None:
        """Change a run's row as nobody would."""
        with self.service.database.writing() as work:
            work.execute(update(RUNS).where(RUNS.c.id == run_id).values(**values))

    def say(self, run_id: str, line: str) -> None:
        """What the process of a run would say."""
        with self.service.database.writing() as work:
            tell(work, run_id, self.service.database.now(work), [("note", {"line": line})])


@contextmanager
def listening(home: Path, *, works: bool = False, **settings: Any) -> Iterator[Up]:
    """A server on a free port; unless it `works`, no run is ever started."""
    service = Service(Settings(home=home, **settings))
    if not works:
        service.runner._look = lambda: None  # type: ignore[method-assign]
    token = service.accounts.first_admin()
    assert token is not None
    server = uvicorn.Server(uvicorn.Config(make_app(service), log_level="warning", timeout_graceful_shutdown=5))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)  # who asks early waits
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Up(service, f"http://127.0.0.1:{listener.getsockname()[1]}", token)
        finally:
            server.should_exit = True
            thread.join(WAIT_S)


@dataclass
class Asked:
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, str, bytes]  # status, media type, body; status 0 ends the connection without a word


class Scripted:
    """A server whose answers a test writes: a function from what came in to what goes out, and further headers."""

    def __init__(self, answer: Callable[[Asked], Answer], headers: dict[str, str] | None = None) -> None:
        self.asked: list[Asked] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                chunked = "chunked" in self.headers.get("transfer-encoding", "")
                body = _unchunked(self.rfile) if chunked else self.rfile.read(length)
                asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                outer.asked.append(asked)
                status, kind, content = answer(asked)
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"Content-Type": kind, **(headers or {})}.items():
                    self.send_header(name, value)
                if kind == "text/event-stream":
                    self.close_connection = True
                else:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Scripted:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(WAIT_S)


def _unchunked(stream: Any) -> bytes:
    parts = []
    while size := int(stream.readline(), 16):
        parts.append(stream.read(size))
        stream.readline()
    stream.readline()
    return b"".join(parts)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate of one's own for 127.0.0.1."""
    key, made = folder / "key.pem", folder / "cert.pem"
    asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    places = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run(["openssl", *asked.split(), *places], check=True, capture_output=True)
    return key, made


def as_json(value: Any, status: int = 200) -> Answer:
    return status, "application/json", json.dumps(value).encode()


def problem(status: int, detail: str, kind: str = "x") -> Answer:
    told_ = {"type": f"urn:automl:{kind}", "title": "no", "status": status, "detail": detail}
    return status, "application/problem+json", json.dumps(told_).encode()


class Served:
    """`automl serve` in a process of its own."""

    def __init__(self, home: Path, *flags: str) -> None:
        self._words = [sys.executable, "-m", "automl", "serve", "--home", str(home), "--port", "0", *flags]
        self.home, self.greeting, self.url, self.token = home, "", "", ""

    def __enter__(self) -> Served:
        self._process = subprocess.Popen(self._words, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.greeting += line
            if line.startswith("Ctrl-C"):
                break
        assert "automl is at " in self.greeting, self.greeting
        self.url = self.greeting.split("automl is at ")[1].split(",")[0]
        if "shown this once: " in self.greeting:
            self.token = self.greeting.split("shown this once: ")[1].split()[0]
        return self

    def get(self, path: str, token: str) -> int:
        return httpx.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {token}"}).status_code

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        _, rest = self._process.communicate(timeout=120)
        assert self._process.returncode in (0, 130), rest
        assert "Traceback" not in rest
