"""The server as a process and as a door: who is let in, how much, what is logged, and how it ends."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from serving_made import listening, options, running, served, wait_until

from automl import Result
from automl.doors.cli import main
from automl.doors.serving.app import ModelServer
from automl.doors.serving.asked import ServeOptions, digest, is_known, read_tokens
from automl.errors import AutomlError, InputError, OptionError

TOKEN = "a-token-that-is-long-enough-1234"
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def row(customers: pd.DataFrame) -> dict[str, Any]:
    plain = customers.iloc[:1].drop(columns="churned").astype(object)
    return plain.where(plain.notna(), None).to_dict(orient="records")[0]


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """`automl serve-model` on any port, once it has said where."""
    command = [sys.executable, "-m", "automl", "serve-model", *arguments, "--port", "0"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env, cwd=ROOT) as started:
        try:
            assert started.stderr is not None
            line = started.stderr.readline()
            assert " on http://" in line, line + started.stderr.read()
            yield started, line.split(" on ")[1].split(";")[0]
        finally:
            started.kill()


# --- the process ------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.slow
def test_the_command_serves_a_run_and_ends_when_it_is_told(finished: Result, row: dict[str, Any]) -> None:
    """SIGTERM: what was accepted is answered, then it ends with 0."""
    with process(str(finished.folder), "--name", "churn") as (server, address):
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
            assert client.get("/readyz").text == "ready\n"
            told = client.post("/predict", json={"rows": [row]}).json()
            assert told["predictions"] == {"churned": finished.model.predict(pd.DataFrame([row])).tolist()}
            host, port = address.removeprefix("http://").split(":")
            body = json.dumps({"rows": [row] * 50}).encode()
            with socket.create_connection((host, int(port)), timeout=60) as slow:
                head = f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
                slow.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:100])
                assert client.get("/healthz").status_code == 200  # the head of the other one was read before this
                server.send_signal(signal.SIGTERM)
                wait_until(lambda: is_closed(host, int(port)))
                slow.sendall(body[100:])
                answer = b""
                while part := slow.recv(65_536):
                    answer += part
        assert answer.startswith(b"HTTP/1.1 200")
        assert json.loads(answer.split(b"\r\n\r\n")[1])["rows"] == 50
        assert server.wait(60) == 0


def is_closed(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return True
    return False


def test_a_port_that_is_taken_is_said_before_anything_is_loaded(capsys: pytest.CaptureFixture) -> None:
    """One line, exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve-model", "nowhere", "--port", str(taken.getsockname()[1])]) == 2
    assert "cannot be listened on: Address already in use. Give another one by --port" in capsys.readouterr().err


WRONG = {
    "no model": (["nowhere"], "no saved model in 'nowhere'"),
    "another host": (["x", "--host", "0.0.0.0"], "host='0.0.0.0' can be reached from other machines, so callers need"),
    "no rows": (["x", "--batch", "0"], "batch must be between 1 and 10,000, got 0"),
    "no port": (["x", "--port", "70000"], "port must be between 0 and 65535, got 70000"),
    "a path as name": (["x", "--name", "a/b"], "name='a/b' would be a part of addresses"),
    "no folder": (["x", "--files", "nowhere"], "files='nowhere' is no folder"),
    "no token file": (["x", "--token-file", "nowhere"], "the tokens in 'nowhere' cannot be read"),
}


@pytest.mark.parametrize(("arguments", "line"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_served_is_said_in_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture
) -> None:
    """What is wrong, the value seen, what to do."""
    assert main(["serve-model", *arguments, *(["--port", "0"] if "--port" not in arguments else [])]) == 2
    assert line in capsys.readouterr().err.replace("65,535", "65535")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that brings it."""
    from automl.doors.serving.running import open_server

    monkeypatch.setitem(sys.modules, "automl.doors.serving.app", None)
    with pytest.raises(InputError, match=r"Run: pip install 'automl-frontier\[serve\]'"):
        open_server(options())


# --- who may ask ------------------------------------------------------------------------------------------------------


def test_another_host_than_this_machine_needs_a_token_or_the_word_open(tmp_path: Path) -> None:
    """Nobody serves the world by accident."""
    with pytest.raises(OptionError, match=r"Give --token-file FILE .*, or --open"):
        options(host="0.0.0.0")
    assert options(host="0.0.0.0", is_open=True).is_open
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert options(host="::", tokens=read_tokens(tmp_path / "token")).tokens == (digest(TOKEN),)


@pytest.mark.parametrize(("text", "line"), [("", "holds 0 tokens"), ("short\n", "has 5 letters, at least 20")])
def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path, text: str, line: str) -> None:
    """With the command that makes a good one; the token itself is not shown."""
    (tmp_path / "token").write_text(text)
    with pytest.raises(AutomlError, match=f"{line}.*python -c 'import secrets") as found:
        read_tokens(tmp_path / "token")
    assert "short" not in str(found.value)


def test_callers_without_a_known_token_are_turned_away_before_their_body_is_read(
    finished: Result, row: dict[str, Any]
) -> None:
    """All routes but those of probes; several tokens can be known, so that one can be replaced."""
    known = (digest(TOKEN), digest(TOKEN[::-1]))
    assert not is_known("", known)
    with running(finished.model, tokens=known) as client:
        for route in ("/predict", "/explain", "/v2/models/tried/infer"):
            for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
                answer = client.post(route, json={"rows": [row]}, headers=header)
                assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        for route in ("/", "/metrics", "/drift", "/openapi.json", "/v2", "/v2/models/tried", "/nothing"):
            assert client.get(route).status_code == 401
        for route in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"):
            assert client.get(route).status_code == 200
        for one in (TOKEN, TOKEN[::-1]):
            answer = client.post("/predict", json={"rows": [row]}, headers={"authorization": f"Bearer {one}"})
            assert answer.status_code == 200
        host, port = client.base_url.host, client.base_url.port
        with socket.create_connection((host, port), timeout=60) as lazy:  # says that there is a body, and sends none
            lazy.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
            assert lazy.recv(100).startswith(b"HTTP/1.1 401")


def test_a_page_of_another_site_cannot_ask_a_server_of_this_machine(finished: Result, row: dict[str, Any]) -> None:
    """Its name may have been made to mean 127.0.0.1: the header Host tells. What browsers send unasked is refused."""
    with running(finished.model) as client:
        for host in ("evil.example", "evil.example:8080", "127.0.0.1.evil.example", ""):
            assert client.post("/predict", json={"rows": [row]}, headers={"host": host}).status_code == 421
        for host in ("localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080"):
            assert client.post("/predict", json={"rows": [row]}, headers={"host": host}).status_code == 200
        answer = client.post("/predict", content=json.dumps({"rows": [row]}), headers={"content-type": "text/plain"})
        assert answer.status_code == 415
        assert "access-control-allow-origin" not in answer.headers


# --- how much ---------------------------------------------------------------------------------------------------------


def test_a_body_that_is_too_large_is_refused_announced_or_not(finished: Result) -> None:
    """Before it is read where its length is told, and while it comes where it is not."""
    with running(finished.model, max_mb=0.01) as client:
        announced = client.post("/predict", content=b" " * 20_000, headers={"content-type": "application/json"})
        chunked = client.post(
            "/predict", content=(b" " * 1_000 for _ in range(20)), headers={"content-type": "text/csv"}
        )
        for answer in (announced, chunked):
            assert answer.status_code == 413
            assert answer.json()["detail"].startswith("the body has more than 0.01 MB")
        wrong = client.post("/v2/models/tried/infer", content=b" " * 20_000)
        assert (wrong.status_code, list(wrong.json())) == (413, ["error"])
        assert client.get("/healthz").status_code == 200


def test_a_body_that_does_not_come_is_not_waited_for(finished: Result) -> None:
    """408, and the connection is closed: a caller cannot hold the server by being slow."""
    with (
        running(finished.model, timeout_s=1.0) as client,
        socket.create_connection((client.base_url.host, client.base_url.port), timeout=60) as slow,
    ):
        slow.sendall(
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: 9\r\n\r\na"
        )
        answer = b""
        while part := slow.recv(65_536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not come within 1 s" in answer


def test_an_answer_that_takes_too_long_is_given_up(finished: Result, row: dict[str, Any]) -> None:
    """504, in words; the server goes on."""
    go_on = threading.Event()
    server = ModelServer(served(finished.model), options(timeout_s=0.2))
    calls = server.work.batcher._answer

    def slow(asked: Any) -> Any:
        go_on.wait(60)
        return calls(asked)

    server.work.batcher._answer = slow
    with listening(server) as address, httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        answer = client.post("/predict", json={"rows": [row]})
        go_on.set()
        assert answer.status_code == 504
        assert "no answer in time" in answer.json()["detail"]
        wait_until(lambda: client.post("/predict", json={"rows": [row]}).status_code == 200)


# --- faults and logs --------------------------------------------------------------------------------------------------


def test_a_fault_is_one_line_for_the_caller_and_one_without_data_in_the_log(
    finished: Result, row: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """No trace, no cell and no token reaches either."""
    server = ModelServer(served(finished.model), options(tokens=(digest(TOKEN),)))

    def broken(_: Any) -> Any:
        raise ZeroDivisionError(f"of {row['customer_id']}")

    server.work.batcher._answer = broken
    head = {"authorization": f"Bearer {TOKEN}"}
    with (
        caplog.at_level(logging.DEBUG),
        listening(server) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False, headers=head) as client,
    ):
        answer = client.post("/predict?interval=0.5", json={"rows": [row | {"price": "red-secret"}]})
        assert answer.status_code == 400
        answer = client.post("/predict", json={"rows": [row]})
        assert answer.status_code == 500
        assert (
            answer.json()["detail"] == "the server failed on this request, by a fault of its own. Its log says where."
        )
        wrong = client.post("/v2/models/tried/infer", json={"inputs": [
            {"name": name, "shape": [1], "datatype": "BYTES", "data": [value]} for name, value in row.items()
        ]})  # fmt: skip
        assert (wrong.status_code, list(wrong.json())) == (500, ["error"])
        assert "automl_failures_total 2" in client.get("/metrics").text
    told = [record for record in caplog.records if record.name == "automl.serving"]
    assert len(told) == 2
    assert told[0].getMessage().startswith("POST /predict failed: ZeroDivisionError in broken, line")
    everything = "\n".join(record.getMessage() + str(record.exc_text or "") for record in caplog.records
                           if not record.name.startswith(("httpx", "httpcore")))  # fmt: skip
    for secret in (row["customer_id"], "red-secret", TOKEN, "Traceback"):
        assert secret not in everything


def test_a_server_is_not_ready_before_its_model_has_answered_once(finished: Result) -> None:
    """Nor while it ends."""
    server = ModelServer(served(finished.model), options())
    asked = threading.Event()
    go_on = threading.Event()
    once = server.work.served.ask_once

    def waiting() -> None:
        asked.set()
        go_on.wait(60)
        once()

    object.__setattr__(server.work.served, "ask_once", waiting)

    async def ready() -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {"type": "http", "method": "GET", "path": "/readyz", "query_string": b"", "scheme": "http",
                 "headers": [(b"host", b"localhost")], "server": ("127.0.0.1", 1), "root_path": "",
                 "http_version": "1.1"}  # fmt: skip
        await server(scope, receive, send)
        return int(sent[0]["status"])

    import asyncio

    starting = threading.Thread(target=server.work.start)
    starting.start()
    asked.wait(60)
    assert asyncio.run(ready()) == 503
    go_on.set()
    starting.join()
    assert asyncio.run(ready()) == 200
    server.work.close()
    assert asyncio.run(ready()) == 503


def test_every_answer_is_marked_as_nobodys_to_keep_or_to_guess(finished: Result) -> None:
    """No sniffing of types, no copies in caches between."""
    with running(finished.model) as client:
        for route in ("/healthz", "/", "/nothing"):
            head = client.get(route).headers
            assert (head["x-content-type-options"], head["cache-control"]) == ("nosniff", "no-store")
            assert "server" not in head


def test_help_teaches(capsys: pytest.CaptureFixture) -> None:
    """The routes, the limits and who may ask, with examples."""
    with pytest.raises(SystemExit):
        main(["serve-model", "--help"])
    told = capsys.readouterr().out
    for word in (
        "POST /predict",
        "/v2/models/NAME/infer",
        "--token-file",
        "this machine alone",
        "curl",
        "--write-depl",
    ):
        assert word in told


def test_defaults_are_those_of_the_options() -> None:
    """The command line declares them once more for its help; they agree."""
    from automl.doors.cli.parser import build

    given, plain = build().parse_args(["serve-model", "x"]), ServeOptions(place="x")
    for name in ("host", "port", "batch", "max_rows", "max_mb"):
        assert getattr(given, name) == getattr(plain, name)
    assert (given.timeout, given.watch_rows) == (plain.timeout_s, plain.watched_rows)
