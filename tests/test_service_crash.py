"""A real server that is killed at bad moments: runs outlive it, nothing is done twice, nothing is left half there."""

import json
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from service_real import LONG, QUICK, Server, jobs_done, real_server, until

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with real_server(tmp_path / "home") as made:
        yield made


def has_trials(server: Server, run_id: str, count: int) -> bool:
    return int(server.run(run_id)["progress"].get("done", 0)) >= count


def journal(server: Server, run_id: str) -> list[dict[str, Any]]:
    lines = (server.home / "runs" / run_id / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def states(server: Server, run_id: str) -> list[str]:
    """What the run's events say of where it stood."""
    said = server.ask("GET", f"/v1/runs/{run_id}/events").text
    bodies = [json.loads(line[6:]) for line in said.splitlines() if line.startswith("data: ")]
    return [str(body["state"]) for body in bodies[:-1] if "state" in body]


@pytest.mark.soak
def test_runs_outlive_the_server_and_the_next_one_takes_over_with_the_line_as_it_was(server: Server) -> None:
    dataset = server.upload()
    works = server.begin(dataset, LONG)
    wait = [server.begin(dataset, QUICK), server.begin(dataset, QUICK)]
    until(lambda: has_trials(server, works, 1))
    server.kill()
    (process,) = server.workers()
    server.start()
    done = int(server.run(works)["progress"]["done"])
    until(lambda: has_trials(server, works, done + 1))
    assert process.is_running()
    assert [server.run(run_id)["place_in_line"] for run_id in wait] == [0, 1]
    server.json("POST", f"/v1/runs/{works}/cancel")
    ended = server.wait(works, "stopped", "failed")
    assert ended["state"] == "stopped"
    assert ended["has_model"]
    found = [server.wait(run_id, "done", "failed", "stopped") for run_id in wait]
    assert [one["state"] for one in found] == ["done", "done"]
    assert found[0]["started_at"] < found[1]["started_at"]
    assert states(server, works) == ["queued", "working", "stopping", "stopped"]  # never lost
    assert "Traceback" not in server.log.read_text()


@pytest.mark.long
def test_with_its_runs_killed_too_the_next_server_goes_on_and_does_nothing_again(server: Server) -> None:
    dataset = server.upload()
    works = server.begin(dataset, {**QUICK, "budget": "6 trials"})
    waits = server.begin(dataset, QUICK)
    until(lambda: has_trials(server, works, 2))
    server.kill()
    server.kill_runs()
    before = journal(server, works)
    server.lapse(works)
    server.start()
    found = server.wait(works, "done", "failed", "stopped")
    assert found["state"] == "done", found
    assert states(server, works) == ["queued", "working", "queued", "working", "done"]
    after = journal(server, works)
    assert after[: len(before)] == before  # what was written stays, and is gone on with
    told = Counter(event["trial"] for event in after if event["event"] == "told" and event["is_whole"])
    assert set(told.values()) == {1}
    done = jobs_done(after)
    assert set(done.values()) == {1}
    assert server.wait(waits, "done", "failed")["started_at"] >= found["ended_at"]
    rows = [{"plan": "basic", "age": 40}]
    answer = server.ask("POST", f"/v1/models/{found['model']}/predict", json={"rows": rows})
    assert answer.status_code in (200, 422)  # which columns there must be is the model's to say


@pytest.mark.long
def test_killed_in_the_middle_of_an_upload_nothing_half_is_there(server: Server) -> None:
    whole = server.upload()
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as wire:
        head = (
            f"POST /v1/datasets?name=half.csv HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {server.token}\r\n"
            "Content-Length: 50000000\r\n\r\na,b\r\n"
        )
        wire.sendall(head.encode() + b"1,2\r\n" * 1_000_000)
        incoming = server.home / "incoming"
        until(lambda: any(file.stat().st_size for file in incoming.rglob("*") if file.is_file()))
        server.kill()
    server.start()
    assert not list(incoming.iterdir())
    assert [item["id"] for item in server.json("GET", "/v1/datasets")["items"]] == [whole]
    assert [place.name for place in (server.home / "datasets").iterdir() if not place.name.startswith(".")] == [whole]


@pytest.mark.long
def test_told_to_end_it_ends_while_somebody_watches_and_a_run_goes_on(server: Server) -> None:
    run_id = server.begin(server.upload(), LONG)
    until(lambda: has_trials(server, run_id, 1))
    heard: list[str] = []
    hears = threading.Event()

    def watch() -> None:
        headers = {"Authorization": f"Bearer {server.token}"}
        with httpx.stream("GET", f"{server.url}/v1/runs/{run_id}/events", headers=headers, timeout=240) as told:
            for line in told.iter_lines():
                heard.append(line)
                hears.set()

    watching = threading.Thread(target=watch)
    watching.start()
    assert hears.wait(240)
    assert server.kill(signal.SIGTERM) in (0, -signal.SIGTERM)
    watching.join(240)
    assert "event: end" not in heard  # the run is not over: who watches asks again
    said = server.log.read_text()
    assert "Traceback" not in said
    assert "timeout" not in said
    assert len(server.workers()) == 1
    server.start()
    assert server.run(run_id)["state"] == "working"
    server.json("POST", f"/v1/runs/{run_id}/cancel?now=true")
    assert server.wait(run_id, "stopped", "failed")["state"] == "stopped"


def test_a_second_server_in_the_same_home_is_refused_in_a_line(server: Server) -> None:
    second = Server(server.home)
    second.log = server.home.with_name("second.log")
    with pytest.raises(AssertionError, match="ended early"):
        second.start()
    assert "another server works in" in second.log.read_text()
    assert server.ask("GET", "/v1/me").status_code == 200
