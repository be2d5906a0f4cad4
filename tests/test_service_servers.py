"""Two servers on one PostgreSQL and one home: each takes runs, none another's, and the one that stays takes over."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from databases import Postgres
from service_real import LONG, QUICK, Server, until
from sqlalchemy import select

from automl.doors.service.ground.database import Database
from automl.doors.service.ground.tables import RUNS

pytestmark = pytest.mark.slow


def free_port() -> int:
    """One that a server keeps over its deaths: by it, it knows which runs are its own."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def pair(tmp_path: Path, postgres: Postgres) -> Iterator[list[Server]]:
    url, home = postgres.new(), tmp_path / "home"
    made = [Server(home, database=url, port=free_port(), most_working=10) for _ in range(2)]
    with ExitStack() as closing:
        for server in made:
            closing.callback(server.close)
            server.start()
            made[1].token = made[0].token
        yield made


def servers_of(pair: list[Server], runs: list[str]) -> set[str]:
    database = Database(str(pair[0].settings["database"]))
    with database.reading() as work:
        found = set(work.execute(select(RUNS.c.server).where(RUNS.c.id.in_(runs))).scalars())
    database.close()
    return {str(one) for one in found}


@pytest.mark.long
def test_each_takes_a_run_and_the_one_that_stays_takes_over(pair: list[Server]) -> None:
    left, right = pair
    assert left.token
    dataset = left.upload()
    works = [left.begin(dataset, LONG), right.begin(dataset, LONG)]
    waits = right.begin(dataset, QUICK)
    for run_id in works:
        until(lambda run_id=run_id: int(right.run(run_id)["progress"].get("done", 0)) >= 1)
    assert len(servers_of(pair, works)) == 2
    assert left.run(waits)["state"] == "queued"
    assert [len(server.workers()) for server in pair] == [1, 1]
    left.kill()
    left.kill_runs()
    (theirs,) = [run_id for run_id in works if f":{left.settings['port']}:" in servers_of(pair, [run_id]).pop()]
    (own,) = [run_id for run_id in works if run_id != theirs]
    right.json("POST", f"/v1/runs/{own}/cancel")
    left.lapse(theirs)
    assert right.wait(own, "stopped", "failed")["state"] == "stopped"
    until(lambda: right.run(theirs)["state"] == "working")
    done = int(right.run(theirs)["progress"]["done"])
    assert done >= 1  # gone on with, not begun again
    until(
        lambda: int(right.run(theirs)["progress"].get("done", 0)) > done
    )  # who stops a run that still reads gets no model
    right.json("POST", f"/v1/runs/{theirs}/cancel")
    assert right.wait(theirs, "stopped", "failed")["has_model"]
    assert right.wait(waits, "done", "failed")["state"] == "done"
    left.start()
    assert left.run(waits)["has_model"]
    assert len(left.json("GET", "/v1/datasets")["items"]) == 1
