"""Kills a server, and the runs on it, at random moments while several users ask for things; then looks at what is left.

    python benchmarks/service_chaos.py --kills 30 --seed 1 --out benchmarks/out/service_chaos.json

Users upload tables, begin runs and ask how they stand, and ask again whenever they get no answer. At the end every run
that was asked for is there once and done, every model loads and predicts as the server does, no upload is half there,
no fold was fitted twice, and each start was of the run whose turn it was. Whatever is not so ends this program.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import sqlite3
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from service_real import CUSTOMERS, Server, jobs_done  # noqa: E402 - from the tests, found above

import automl  # noqa: E402

DEEDS = ("server", "server and its runs", "a run", "server as it starts", "told to end")
USERS = ("ada", "grace", "emmy")
OPTIONS = {"target": "churned", "budget": "3 trials", "families": ["linear"]}
MOST_OPEN = 3  # runs of a user that are not done
MOST_LOSSES = 2  # of a run in a row; one more, and it is given up, as it should be
HANG_S = 900.0
ROWS = 400


@dataclass
class User:
    """Somebody who asks, and asks again."""

    server: Server
    name: str
    token: str
    random: random.Random
    table: bytes
    runs: dict[str, str] = field(default_factory=dict)  # by their keys
    datasets: list[str] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response | None:
        """The answer; None where there was none."""
        headers = {"Authorization": f"Bearer {self.token}", **given.pop("headers", {})}
        try:
            found = httpx.request(method, f"{self.server.url}{path}", headers=headers, timeout=60.0, **given)
        except httpx.TransportError:
            self.unanswered += 1
            return None
        self.answers[found.status_code] += 1
        assert found.status_code < 500, found.text
        return found

    def work(self) -> None:
        """Ask for things until it is over."""
        try:
            self._upload()
            while not self.is_over.wait(self.random.uniform(0.05, 0.8)):
                deed = self.random.random()
                if deed < 0.1 or not self.datasets:
                    self._upload()
                elif deed < 0.5 and self._open() < MOST_OPEN:
                    self._begin()
                elif self.runs:
                    self.ask("GET", f"/v1/runs/{self.random.choice(list(self.runs.values()))}")
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self.error = error

    def _open(self) -> int:
        found = self.ask("GET", "/v1/runs?limit=200")
        return (
            MOST_OPEN if found is None else sum(run["state"] in ("queued", "working") for run in found.json()["items"])
        )

    def _upload(self) -> None:
        """Slowly, so that some are cut off; one without an answer is asked for anew, whether it is there or not."""
        found = self.ask("POST", "/v1/datasets?name=customers.csv", content=self._slowly())
        if found is not None and found.status_code == 201:
            self.datasets.append(found.json()["id"])

    def _slowly(self) -> Iterator[bytes]:
        step = len(self.table) // 8 + 1
        for at in range(0, len(self.table), step):
            yield self.table[at : at + step]
            time.sleep(self.random.uniform(0, 0.1))

    def _begin(self) -> None:
        """Under one key, until there is an answer."""
        key = str(uuid.UUID(int=self.random.getrandbits(128)))
        asked = {"dataset": self.random.choice(self.datasets), "options": OPTIONS}
        while True:
            found = self.ask("POST", "/v1/runs", json=asked, headers={"Idempotency-Key": key})
            if found is not None and found.status_code == 201:
                self.runs[key] = found.json()["id"]
                return
            assert found is None or found.json()["type"] == "urn:automl:key-at-work", found.text
            time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON of what was done and seen")
    given = parser.parse_args()
    chance, began = random.Random(given.seed), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="service-chaos-") as folder:
        server = Server(Path(folder) / "home", jobs=2, most_working=2)
        try:
            server.start()
            users = [_user(server, name, random.Random(f"{given.seed} {name}")) for name in USERS]
            deeds = _kill(server, users, given.kills, chance)
            found = _looked_at(server, users)
        except BaseException:
            print(server.log.read_text()[-4000:], file=sys.stderr)
            raise
        finally:
            server.close()
    found = {"kills": given.kills, "deeds": dict(deeds), "seed": given.seed, **found,
             "seconds": round(time.monotonic() - began)}  # fmt: skip
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(found, indent=1))
    told = ", ".join(f"{count} {deed}" for deed, count in sorted(deeds.items()))
    print(
        f"{given.kills} kills ({told}), seed {given.seed}: {found['runs']} runs of {len(users)} users, all done once; "
        f"{found['models']} models load and predict as the server does; {found['datasets']} uploads whole, none half "
        f"there; {found['starts']} starts in fair order; {found['unanswered']} requests without an answer, "
        f"none with a 5xx; {found['seconds']} s"
    )


def _user(server: Server, name: str, chance: random.Random) -> User:
    server.json("POST", "/v1/users", json={"name": name, "role": "member", "password": "a long password"})
    signed = httpx.post(
        f"{server.url}/signin", json={"name": name, "password": "a long password"}, headers={"Origin": server.url}
    )
    cookie = {"Cookie": signed.headers["set-cookie"].partition(";")[0], "Origin": server.url}
    made = httpx.post(f"{server.url}/v1/tokens", json={"name": "chaos", "scope": "write"}, headers=cookie)
    assert made.status_code == 201, made.text
    table = pd.read_csv(CUSTOMERS).sample(ROWS, random_state=chance.randrange(1000)).to_csv(index=False).encode()
    return User(server, name, made.json()["secret"], chance, table)


# --- killed -----------------------------------------------------------------------------------------------------------


def _kill(server: Server, users: list[User], kills: int, chance: random.Random) -> Counter[str]:
    threads = [threading.Thread(target=user.work) for user in users]
    for thread in threads:
        thread.start()
    done: Counter[str] = Counter()
    try:
        while done.total() < kills:
            time.sleep(chance.uniform(0.3, 6.0))
            _check_users(users)
            deed = chance.choice(DEEDS)
            if _do(server, deed, chance):
                done[deed] += 1
                print(f"{done.total()} {deed}", file=sys.stderr)
    finally:
        for user in users:
            user.is_over.set()
        for thread in threads:
            thread.join(HANG_S)
    _check_users(users)
    return done


def _do(server: Server, deed: str, chance: random.Random) -> bool:
    """Whether it could be done."""
    if deed in ("a run", "server and its runs") and _most_losses(server) >= MOST_LOSSES:
        return False
    workers = server.workers()
    if deed == "a run":
        if not workers:
            return False
        chance.choice(workers).kill()  # its own workers find out by themselves
        return True
    server.kill(15 if deed == "told to end" else 9)
    if deed == "server and its runs":
        server.kill_runs()
        if chance.random() < 0.7:  # else the next server waits for the leases to lapse
            server.lapse(*_at_work(server))
    time.sleep(chance.uniform(0, 1))
    if deed == "server as it starts":
        starting = threading.Timer(chance.uniform(0.2, 3.0), lambda: server.process and server.process.kill())
        starting.start()
        with suppress(AssertionError):  # it was killed
            server.start()
        starting.join()
        assert server.process is not None
        server.process.wait(HANG_S)
    server.start()
    return True


def _check_users(users: list[User]) -> None:
    for user in users:
        if user.error is not None:
            raise user.error


def _rows(server: Server, statement: str) -> list[Any]:
    with closing(sqlite3.connect(server.home / "server.db", timeout=30)) as work:
        work.row_factory = sqlite3.Row
        return work.execute(statement).fetchall()


def _at_work(server: Server) -> list[str]:
    return [row["id"] for row in _rows(server, "SELECT id FROM runs WHERE lease_until IS NOT NULL")]


def _most_losses(server: Server) -> int:
    return max((row["losses"] for row in _rows(server, "SELECT losses FROM runs")), default=0)


# --- looked at --------------------------------------------------------------------------------------------------------


def _looked_at(server: Server, users: list[User]) -> dict[str, Any]:
    over = time.monotonic() + HANG_S
    while open_runs := _rows(server, "SELECT id, state FROM runs WHERE state IN ('queued', 'working')"):
        assert time.monotonic() < over, [dict(row) for row in open_runs]
        time.sleep(0.5)
    runs = _rows(server, "SELECT id, state, error FROM runs")
    asked = [run_id for user in users for run_id in user.runs.values()]
    assert sorted(row["id"] for row in runs) == sorted(asked), "a run was lost, or made twice"
    assert [dict(row) for row in runs if row["state"] != "done"] == []
    for run_id in asked:
        _check_journal(server.home / "runs" / run_id)
    server.kill()  # what a server that begins anew clears up is not counted as left
    server.start()
    datasets = _check_uploads(server, users)
    assert _rows(server, "PRAGMA integrity_check")[0][0] == "ok"
    assert "Traceback" not in server.log.read_text(), server.log.read_text()
    return {
        "runs": len(runs), "models": sum(_check_model(server, run_id) for run_id in asked), "datasets": datasets,
        "starts": _check_order(server), "unanswered": sum(user.unanswered for user in users),
        "answers": dict(sum((user.answers for user in users), Counter())),
    }  # fmt: skip


def _check_journal(run: Path) -> None:
    """All trials were made, and what was finished is finished once."""
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    folds = jobs_done(events)
    assert set(folds.values()) == {1}, (run, folds)
    trials = {e["trial"] for e in events if e["event"] == "asked" and e["trial"] > 0}
    assert len(trials) == 3, (run, trials)


def _check_uploads(server: Server, users: list[User]) -> int:
    """Each that is known is whole, each that was promised is known, and nothing lies there beside them."""
    known = server.json("GET", "/v1/datasets?limit=200")["items"]
    hashes = {hashlib.sha256(user.table).hexdigest() for user in users}
    assert {one["sha256"] for one in known} <= hashes
    assert {one for user in users for one in user.datasets} <= {one["id"] for one in known}
    places = {place.name for place in (server.home / "datasets").iterdir()}
    assert places == {one["id"] for one in known}, places
    assert not list((server.home / "incoming").iterdir())
    return len(known)


def _check_model(server: Server, run_id: str) -> int:
    """The artifact, loaded here, says what the server says."""
    model = server.run(run_id)["model"]
    rows = pd.read_csv(CUSTOMERS).drop(columns="churned").head(5)
    content = rows.to_csv(index=False).encode()
    told = server.json("POST", f"/v1/models/{model}/predict", content=content, headers={"Content-Type": "text/csv"})
    with tempfile.TemporaryDirectory() as folder:
        artifact = server.ask("GET", f"/v1/models/{model}/artifact")
        zipfile.ZipFile(io.BytesIO(artifact.content)).extractall(folder)
        (manifest,) = Path(folder).rglob("manifest.json")
        own = automl.load(manifest.parent).predict(rows)
    assert [str(one) for one in told["predictions"]] == [str(one) for one in own]
    return 1


def _check_order(server: Server) -> int:
    """Each start was of the run whose turn it was, by what had happened until then; how many starts there were."""
    runs = {row["id"]: row for row in _rows(server, "SELECT id, user_id, queued_at FROM runs")}
    said = _rows(server, "SELECT run_id, at, seq, body FROM events WHERE kind = 'state' ORDER BY at, seq")
    waiting: set[str] = set()
    at_work: set[str] = set()
    turns: dict[str, float] = {}
    starts = 0
    for event in said:
        run_id, state = event["run_id"], json.loads(event["body"])["state"]
        if state == "working":
            starts += 1
            busy = Counter(runs[one]["user_id"] for one in at_work)
            first: dict[str, Any] = {}
            for one in sorted((runs[one] for one in waiting), key=lambda row: (row["queued_at"], row["id"])):
                first.setdefault(one["user_id"], one)
            able = [one for user, one in first.items() if busy[user] < 2]
            turn = min(able, key=lambda o: (busy[o["user_id"]], turns.get(o["user_id"], 0.0), o["queued_at"]))
            assert turn["id"] == run_id, f"{run_id} was started though it was the turn of {turn['id']}"
            turns[runs[run_id]["user_id"]] = event["at"]
        (at_work.add if state == "working" else at_work.discard)(run_id)
        (waiting.add if state == "queued" else waiting.discard)(run_id)
    return starts


if __name__ == "__main__":
    main()
