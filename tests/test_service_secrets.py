"""What opens the server is written down nowhere: a whole session, and then a look into everything that it left."""

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from service_real import CUSTOMERS, QUICK, Server, real_server, until

PASSWORD = "correct horse battery 7531"
pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with real_server(tmp_path / "home") as made:
        yield made


def seen_by_anybody(server: Server) -> str:
    """What `ps` shows to every user of the machine: the words of all processes of the server."""
    assert server.process is not None
    parents = [psutil.Process(server.process.pid), *server.workers()]
    found = [*parents, *(child for parent in parents for child in parent.children(recursive=True))]
    return "\n".join(" ".join(process.cmdline()) for process in found)


def environments(server: Server) -> str:
    return "\n".join(json.dumps(process.environ()) for process in server.workers())


@pytest.mark.long
def test_no_token_and_no_password_is_in_any_file_log_event_or_process(server: Server) -> None:
    secrets = {"password": PASSWORD}
    server.json("POST", "/v1/users", json={"name": "ada", "role": "admin", "password": PASSWORD})
    client = httpx.Client(base_url=server.url, headers={"Origin": server.url}, timeout=240)
    with client:
        client.post("/signin", json={"name": "ada", "password": f"{PASSWORD}x"})
        signed = client.post("/signin", data={"name": "ada", "password": PASSWORD, "next": "/"})
        assert signed.status_code == 303
        secrets["session"] = next(iter(client.cookies.values()))
        secrets["token"] = client.post("/v1/tokens", json={"name": "mine", "scope": "admin"}).json()["secret"]
        own = {"Authorization": f"Bearer {secrets['token']}"}
        dataset = client.post("/v1/datasets?name=customers.csv", content=CUSTOMERS.read_bytes(), headers=own).json()[
            "id"
        ]
        asked = {"dataset": dataset, "options": QUICK}
        run_id = client.post("/v1/runs", json=asked, headers={**own, "Idempotency-Key": "one"}).json()["id"]
        until(server.workers)
        shown, inside = seen_by_anybody(server), environments(server)
        wrong = {**own, "Content-Type": "application/json"}
        for content in (b"{", json.dumps({"token": secrets["token"]}).encode(), b"\xff\xfe"):
            client.post("/v1/runs", content=content, headers=wrong)
            client.post("/signin", content=content, headers=wrong)
        client.get("/v1/runs/none", headers=own)
        client.get("/v1/nothing", headers=own)
        assert server.wait(run_id, "done", "failed")["state"] == "done"
        events = client.get(f"/v1/runs/{run_id}/events", headers=own).text
        deeds = client.get("/v1/deeds?limit=1000", headers=own).text
        report = client.get(f"/v1/runs/{run_id}/report", headers=own).text
    places: dict[str, Any] = {
        "what ps shows": shown, "environments": inside, "events": events, "deeds": deeds, "report": report,
        "the log": server.log.read_text(),
    }  # fmt: skip
    server.kill()
    for file in server.home.rglob("*"):
        if file.is_file():
            places[str(file.relative_to(server.home))] = file.read_bytes().decode("latin-1")
    assert "server.db" in places
    assert f"logs/{run_id}.log" in places
    for place, content in places.items():
        for what, secret in secrets.items():
            assert secret not in content, (what, place)
        first = content.count(server.token)
        assert first == (1 if place == "the log" else 0), place  # shown once, at the first start


def test_processes_of_the_server_are_told_no_secret_of_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of runs, and those that look at what was sent, while they do."""
    monkeypatch.setenv("OF_SOMEBODY_API_KEY", "opens everything")
    with real_server(tmp_path / "home") as server:
        assert server.process is not None
        own = psutil.Process(server.process.pid)
        assert own.environ()["OF_SOMEBODY_API_KEY"] == "opens everything"
        seen: dict[str, str] = {}
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(0.005):
                for process in own.children():
                    with suppress(psutil.Error):
                        told, words = json.dumps(process.environ()), " ".join(process.cmdline())
                        seen[next((one for one in ("looker", "worker") if one in words), words)] = told

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            dataset = server.upload()
            server.json("GET", f"/v1/datasets/{dataset}/profile?target=churned")
            server.begin(dataset, {**QUICK, "budget": "100000 trials"})
            until(server.workers)
            until(lambda: "worker" in seen)
        finally:
            is_over.set()
            watcher.join()
        assert {"looker", "worker"} <= set(seen)
        assert all("PATH" in told and "opens everything" not in told for told in seen.values())


def test_a_run_learns_the_databases_password_where_nobody_sees_it(server: Server) -> None:
    """Neither in its words nor in its environment: it comes on standard input."""
    run_id = server.begin(server.upload(), {**QUICK, "budget": "100000 trials"})
    until(server.workers)
    address = f"sqlite:///{server.home}"
    assert address not in environments(server)
    assert all(address not in " ".join(process.cmdline()) for process in server.workers())
    server.json("POST", f"/v1/runs/{run_id}/cancel?now=true")
