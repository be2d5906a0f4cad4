"""What a stranger found who tried the server: others' things by every way, threads that all wait, lines without end."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from service_made import BASE, Made, bearer, server
from sqlalchemy import insert

from automl.doors.service.access.deeds import MOST_TOLD_APART, Deed, Deeds
from automl.doors.service.access.guard import COOKIE
from automl.doors.service.data.looking import MOST_WAITING, Looking
from automl.doors.service.data.receiving import apart
from automl.doors.service.ground.problems import Problem
from automl.doors.service.ground.tables import DATASETS, MODELS, RUNS
from automl.doors.service.ground.when import iso
from automl.doors.service.line import live
from automl.doors.service.models.selecting import MOST_WAITING as MOST_SELECTIONS
from automl.doors.service.models.selecting import Wish
from automl.errors import OptionError

ROWS = {"rows": [{"a": 1}]}
# What a request needs beside an id, so that it is refused for the id alone.
BODIES: dict[str, dict[str, Any]] = {
    "PATCH /v1/runs/{run_id}": {"json": {"name": "mine now", "shared": True}},
    "POST /v1/runs/{run_id}/resume": {"json": {"budget": "+1m"}},
    "POST /v1/runs/{run_id}/select": {"json": {"pick": "fastest"}},
    **{
        f"POST /v1/models/{{model_id}}/{verb}": {"json": ROWS} for verb in ("predict", "explain", "monitor", "evaluate")
    },
}
IDS = {"dataset_id": "dataset_", "run_id": "run_", "model_id": "model_", "token_id": "token_"}
OF_A, OF_NOBODY = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with server(tmp_path_factory.mktemp("home")) as found:
        yield found


def owned(made: Made, name: str) -> dict[str, str]:
    """The headers of a user with a data set, a waiting run and a model."""
    headers = made.of(name)
    user = next(one.id for one in made.service.accounts.users() if one.name == name)
    facts = {"kind": "table", "rows": 2, "files": None, "columns": ["a", "b"], "target": None, "notes": []}
    with made.service.database.writing() as work:
        work.execute(insert(DATASETS).values(
            id=f"dataset_{OF_A}", user_id=user, name="salaries.csv", file="x.csv", is_outside=False, size_bytes=9.0,
            sha256="0" * 64, facts=json.dumps(facts), created_at=1.0,
        ))  # fmt: skip
        work.execute(insert(RUNS).values(
            id=f"run_{OF_A}", user_id=user, dataset_id=f"dataset_{OF_A}", name="salaries", options="{}", state="queued",
            is_shared=False, created_at=1.0, queued_at=1.0, attempt=0, losses=0, seq=0, progress="{}", verdict="{}",
        ))  # fmt: skip
        work.execute(insert(MODELS).values(
            id=f"model_{OF_A}", run_id=f"run_{OF_A}", pick="", place=f"runs/run_{OF_A}/model", created_at=1.0
        ))  # fmt: skip
    return headers


def routes_with_ids(made: Made) -> list[tuple[str, str]]:
    paths = made.client.get("/v1/openapi.json").json()["paths"]
    return [(verb.upper(), path) for path, verbs in paths.items() for verb in verbs if "{" in path]


def test_by_no_route_is_anything_of_somebody_else_told_from_what_is_not_there(made: Made) -> None:
    """Every route of OpenAPI with an id, and those of the page: the same refusal, word for word but for the id."""
    owned(made, "ada")
    curious = made.of("curious")
    routes = [(verb, path) for verb, path in routes_with_ids(made) if "{user_id}" not in path]
    assert len(routes) >= 25
    pages = [
        ("GET", "/datasets/{dataset_id}"), ("POST", "/datasets/{dataset_id}/start"),
        ("POST", "/datasets/{dataset_id}/remove"), ("GET", "/runs/{run_id}"), ("GET", "/runs/{run_id}/report"),
        *(("POST", f"/runs/{{run_id}}/{verb}") for verb in ("stop", "more", "name", "share", "remove", "select")),
        ("GET", "/models/{model_id}"), ("POST", "/models/{model_id}"), ("POST", "/models/{model_id}/remove"),
        ("GET", "/compare?run={run_id}"),
    ]  # fmt: skip
    for verb, path in [*routes, *pages]:
        said = []
        for own in (OF_A, OF_NOBODY):
            place = path
            for name, start in IDS.items():
                place = place.replace(f"{{{name}}}", start + own)
            answer = made.client.request(verb, place, headers=curious, **BODIES.get(f"{verb} {path}", {}))
            said.append((answer.status_code, answer.text.replace(own, "ID")))
        assert said[0] == said[1], (verb, path)
        assert said[0][0] in (404, 422) if "GET" not in verb else said[0][0] == 404, (verb, path, said[0])
        assert "salaries" not in said[0][1]
    for option, name in (("test", "dataset_"), ("baseline", "model_")):
        wanted = {"dataset": f"dataset_{OF_A}", "options": {option: name + OF_A}}
        assert made.client.post("/v1/runs", headers=curious, json=wanted).status_code == 404
    for path in ("/v1/datasets", "/v1/runs", f"/v1/models?run=run_{OF_A}", "/", "/compare"):
        assert OF_A not in made.client.get(path, headers=curious).text, path


def test_who_asks_is_looked_up_while_uploads_wait_for_their_look() -> None:
    """Looks take minutes; the threads that look up who asks are few, and none of them waits for one."""

    async def busy() -> str:
        go_on = threading.Event()
        with ThreadPoolExecutor(24) as hands:
            landing = [asyncio.create_task(apart(go_on.wait, hands=hands)) for _ in range(64)]
            try:
                return await asyncio.wait_for(asyncio.to_thread(lambda: "known"), 20)
            finally:
                go_on.set()
                await asyncio.gather(*landing)

    assert asyncio.run(busy()) == "known"


def test_a_landing_holds_no_thread_of_those_that_look_up_who_asks(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def look(*_: object) -> dict[str, Any]:
        seen.append(threading.current_thread().name)
        raise OptionError("no more is needed.")

    monkeypatch.setattr(made.service.datasets.looking, "look", look)
    made.client.post("/v1/datasets?name=a.csv", headers=made.admin, content=b"a,b\n1,2\n")
    assert seen[0].startswith("automl upload")


def test_one_profile_that_all_ask_for_leaves_threads_for_the_rest(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    looking, go_on = Looking(made.service.settings), threading.Event()
    begun = threading.Semaphore(0)

    def look(*_: object) -> dict[str, Any]:
        begun.release()
        assert go_on.wait(30)
        return {}

    monkeypatch.setattr(looking, "look", look)
    wait_for = Path(made.service.settings.home)
    with ThreadPoolExecutor(MOST_WAITING) as hands:
        asked = [hands.submit(looking.seen, "dataset_x", {}, wait_for) for _ in range(MOST_WAITING)]
        assert begun.acquire(timeout=30)
        try:
            refused = None
            for _ in range(1000):  # until the last of them has come to its place
                try:
                    if looking._seeing._value == 0:
                        looking.seen("dataset_x", {}, wait_for)
                except Problem as problem:
                    refused = problem
                    break
                time.sleep(0.01)
        finally:
            go_on.set()
        assert [one.result() for one in asked] == [{}] * MOST_WAITING
    assert refused is not None
    assert refused.status == 503
    assert not looking._same


def test_selections_that_wait_leave_threads_for_the_rest(made: Made) -> None:
    selecting = made.service.models._selecting
    for _ in range(MOST_SELECTIONS):
        selecting._places.acquire()
    try:
        with pytest.raises(Problem, match="another model is being selected") as refused:
            selecting.select(Path("run"), Wish(pick="fastest"), "")
    finally:
        for _ in range(MOST_SELECTIONS):
            selecting._places.release()
    assert refused.value.status == 503


def test_strangers_write_no_lines_without_end(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even under a wrong name of the server, which is refused before it is counted how often somebody asks."""
    deeds = Deeds(made.service.database)
    for number in range(200):
        deeds.count(Deed.of(None, "10.0.0.9", "GET", f"/{number}", 401))
    deeds.flush()
    lines = [one for one in deeds.newest(1000) if one["address"] == "10.0.0.9"]
    assert len(lines) <= MOST_TOLD_APART + 1
    assert sum(one["times"] for one in lines) == 200
    at_once: list[Deed] = []
    monkeypatch.setattr(made.service.deeds, "note", at_once.append)
    assert made.client.post("/v1/runs", headers={"Host": "evil.example"}).status_code == 421
    made.client.post("/v1/tokens", headers=made.admin, json={"name": "noted"})
    for _ in range(1000):  # notes are written beside the answer
        if at_once:
            break
        time.sleep(0.01)
    assert [one.status for one in at_once] == [201]


def session_of(made: Made, secret: str) -> dict[str, str]:
    found = made.client.post("/signin", json={"token": secret}, headers={"Origin": BASE})
    made.client.cookies.clear()
    return {"Cookie": f"{COOKIE}={found.cookies[COOKIE]}"}


def status(made: Made, headers: dict[str, str]) -> int:
    found = made.client.get("/v1/me", headers=headers).status_code
    made.client.cookies.clear()
    return found


def test_a_session_ends_with_the_token_that_it_was_made_with(made: Made) -> None:
    accounts = made.service.accounts
    made.of("grace")
    token, secret = accounts.make_token_of("grace", "laptop", "write", None)
    _, other = accounts.make_token_of("grace", "desk", "write", None)
    mine, again, beside = session_of(made, secret), None, session_of(made, other)
    again = session_of(made, mine["Cookie"].partition("=")[2])  # a session made of a session
    assert [status(made, one) for one in (mine, again, beside)] == [200, 200, 200]
    assert made.client.delete(f"/v1/tokens/{token.id}", headers=made.admin).status_code == 204
    assert [status(made, one) for one in (mine, again, beside)] == [401, 401, 200]


def test_a_session_is_no_longer_than_its_token(made: Made) -> None:
    made.of("short")
    token, secret = made.service.accounts.make_token_of("short", "an hour", "read", 1 / 24)
    session_of(made, secret)
    listed = made.client.get("/v1/tokens", headers=bearer(secret)).json()["items"]
    ends = next(one["expires_at"] for one in listed if one["session"])
    assert token.expires_at is not None
    assert ends < iso(token.expires_at + 60)  # it is made in steps, of milliseconds


def test_a_token_revokes_none_that_may_do_more(made: Made) -> None:
    made.of("owner")
    strong, secret = made.service.accounts.make_token_of("owner", "production", "write", None)
    weak, weak_secret = made.service.accounts.make_token_of("owner", "dashboard", "read", None)
    refused = made.client.delete(f"/v1/tokens/{strong.id}", headers=bearer(weak_secret))
    assert refused.status_code == 403
    assert "write" in refused.json()["detail"]
    assert status(made, bearer(secret)) == 200
    assert made.client.delete(f"/v1/tokens/{weak.id}", headers=bearer(weak_secret)).status_code == 204


def test_who_may_watch_no_longer_is_told_no_more(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAY_S", 0.0)
    monkeypatch.setattr(live, "PING_S", 0.01)
    run = made.service.runs.known(f"run_{OF_A}")
    allowed = [True]

    async def watched() -> list[str]:
        told = []
        async for line in live.Live(made.service.runs).watch(run, 0, lambda: allowed[0]):
            told.append(line)
            if "still here" in line:
                allowed[0] = False
        return told

    told = asyncio.run(asyncio.wait_for(watched(), 30))
    assert not any("event: end" in line for line in told)


def test_a_token_that_is_revoked_holds_no_more_for_who_watches(made: Made) -> None:
    made.of("watcher")
    token, secret = made.service.accounts.make_token_of("watcher", "tab", "read", None)
    by = made.service.accounts.who(secret)
    assert by is not None
    assert made.service.accounts.holds(by)
    made.service.accounts.revoke(by, token.id)
    assert not made.service.accounts.holds(by)


@pytest.mark.parametrize("number", ["99999999999999999999", "\u00b2", "-1", "x"])
def test_any_number_of_a_last_event_is_taken(made: Made, number: str) -> None:
    made.service.runs.stop(made.service.accounts.who(made.token), f"run_{OF_A}", now=True)  # type: ignore[arg-type]
    headers = {**made.admin, "Last-Event-ID": number.encode("latin-1")}
    found = made.client.get(f"/v1/runs/run_{OF_A}/events", headers=headers)  # type: ignore[arg-type]
    assert found.status_code == 200
    assert "event: end" in found.text


def test_no_answer_leads_on_to_plain_http(made: Made) -> None:
    assert made.client.get("/v1/runs/", headers=made.admin).status_code == 404


def test_an_error_of_the_database_is_logged_without_what_was_to_be_stored(
    made: Made, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    with made.service.database.writing() as work:
        work.exec_driver_sql("ALTER TABLE tokens RENAME TO tokens_away")
    try:
        asked = {"Authorization": "Bearer aml_new", "Accept": "application/json"}
        assert made.client.get("/v1/me", headers=asked).status_code == 500
    finally:
        with made.service.database.writing() as work:
            work.exec_driver_sql("ALTER TABLE tokens_away RENAME TO tokens")
    from automl.doors.service.access.accounts import _hash

    assert "no such table" in caplog.text
    assert _hash("aml_new") not in caplog.text


def test_only_bodies_with_rows_may_be_long(made: Made) -> None:
    body = json.dumps({"name": "x" * 2_000_000}).encode()
    headers = {**made.admin, "Content-Type": "application/json"}
    assert made.client.post("/v1/tokens", content=body, headers=headers).status_code == 413
    assert made.client.post("/v1/models/model_x/predict", content=body, headers=headers).status_code == 404


def test_a_removed_run_leaves_no_log(made: Made) -> None:
    logs = made.service.settings.home / "logs"
    for name in (f"run_{OF_A}.log", f"run_{OF_A}.select.log", "run_other.log"):
        (logs / name).write_text("cells", encoding="utf-8")
    assert made.client.delete(f"/v1/runs/run_{OF_A}", headers=made.admin).status_code == 204
    assert [one.name for one in logs.iterdir()] == ["run_other.log"]


def test_who_signs_in_comes_to_the_page_that_was_asked_for(made: Made) -> None:
    found = made.client.get("/compare?run=a&run=b", headers={"Accept": "text/html"})
    assert found.headers["location"] == "/signin?next=/compare%3Frun%3Da%26run%3Db"


def test_probes_ask_by_address(made: Made) -> None:
    for path, expected in (("/healthz", 200), ("/readyz", 200), ("/signin", 421), ("/v1/openapi.json", 421)):
        assert made.client.get(path, headers={"Host": "10.0.0.5:8642"}).status_code == expected
