"""The ground of a server without its routes: database, accounts, line and runs, as a test needs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from automl.doors.service.access.accounts import Accounts, Principal
from automl.doors.service.ground.database import Database
from automl.doors.service.ground.settings import Settings
from automl.doors.service.ground.tables import RUNS, RunRecord
from automl.doors.service.line.queue import Assignment, Queue
from automl.doors.service.line.runs import Runs

JOBS, MOST_WORKING = 100, 100


class Ground:
    """A database that is prepared, and what stands on it."""

    def __init__(self, url: str, home: Path, **settings: Any) -> None:
        self.url, self.settings = url, Settings(home=home, **settings)
        self.database = Database(url)
        self.database.prepare()
        self.accounts = Accounts(self.database)
        self.queue, self.runs = Queue(self.database), Runs(self.database, self.settings)

    def user(self, name: str, role: str = "member") -> Principal:
        """Somebody new."""
        self.accounts.add_user(name, role, None)
        scope = {"viewer": "predict", "member": "write", "admin": "admin"}[role]
        found = self.accounts.who(self.accounts.make_token_of(name, "theirs", scope, None)[1])
        assert found is not None
        return found

    def add(self, by: Principal, name: str = "run") -> RunRecord:
        """A run at the end of the line."""
        return self.runs.add(by, "dataset_x", name, {"target": "y"})

    def claim(self, server: str = "here", jobs: int = JOBS, most_working: int = MOST_WORKING) -> Assignment:
        """The next run, of which there must be one."""
        found = self.queue.claim(server, jobs, most_working)
        assert found is not None
        return found

    def set(self, run_id: str, **values: Any) -> None:
        """Change a row as nobody would: a lease that lapsed long ago, for instance."""
        with self.database.writing() as work:
            work.execute(update(RUNS).where(RUNS.c.id == run_id).values(**values))

    def lapse(self, run_id: str) -> None:
        """Its process has been silent for long."""
        self.set(run_id, lease_until=1.0)

    def row(self, run_id: str) -> Any:
        """All that is kept of a run."""
        with self.database.reading() as work:
            return work.execute(select(RUNS).where(RUNS.c.id == run_id)).one()

    def said(self, run_id: str) -> list[tuple[str, Any]]:
        """Its events: kind, and the state or line."""
        return [(kind, body.get("state", body.get("line"))) for _, kind, body in self.runs.events(run_id, 0)]


@contextmanager
def ground(url: str, home: Path, **settings: Any) -> Iterator[Ground]:
    """A ground that is closed afterwards."""
    made = Ground(url, home, **settings)
    try:
        yield made
    finally:
        made.database.close()


def together(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do them side by side, all at once; what each gave, or the error that it met."""
    begin = threading.Barrier(len(works))
    found: list[Any] = [None] * len(works)

    def do(place: int, work: Callable[[], Any]) -> None:
        begin.wait(60)
        try:
            found[place] = work()
        except Exception as error:  # noqa: BLE001 - looked at by the test
            found[place] = error

    threads = [threading.Thread(target=do, args=(place, work)) for place, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "hangs"
    return found
