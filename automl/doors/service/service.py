"""All that the server consists of, made once; requests find it at `request.app.state.service`."""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError
from starlette.requests import Request

from automl.doors.service.access.accounts import Accounts, Principal
from automl.doors.service.access.deeds import Deeds
from automl.doors.service.access.idempotent import forget_open
from automl.doors.service.data.datasets import Datasets
from automl.doors.service.ground import asked
from automl.doors.service.ground.database import Database
from automl.doors.service.ground.problems import Problem
from automl.doors.service.ground.settings import Settings
from automl.doors.service.ground.tables import RunRecord
from automl.doors.service.line.live import Live
from automl.doors.service.line.queue import Assignment, Queue
from automl.doors.service.line.runner import Starter
from automl.doors.service.line.runs import Runs
from automl.doors.service.line.worker import Order
from automl.doors.service.models.shelf import Models
from automl.errors import RunError
from automl.places import only_within
from cluster.cores import cores


class Service:
    """A server's parts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        _make_home(settings.home)
        self.database = Database(settings.database_url)
        self.database.prepare()
        self.accounts = Accounts(self.database)
        self.deeds = Deeds(self.database)
        self.datasets = Datasets(self.database, settings)
        self.runs = Runs(self.database, settings)
        self.models = Models(self.database, settings, self.runs)
        self.live = Live(self.runs)
        self.runner = Starter(Queue(self.database), settings, self.order)
        self._lock: Any = None

    def begin(self) -> None:
        """Take over the home, clear up what a crash left half there, and go on with the line."""
        self._lock, is_first = _locked(self.settings.home, is_alone=self.database.is_sqlite)
        if is_first:
            forget_open(self.database)
            self.datasets.sweep()
            self.runs.sweep()
        if not self.database.is_sqlite:
            share(self._lock)
        self.runner.start()

    def end(self) -> None:
        """Close down; runs go on."""
        self.runner.stop()
        self.models.close()
        self.datasets.close()
        with suppress(DBAPIError):  # of a database that is away, or a disk that is full
            self.flush()
        self.database.close()
        if self._lock is not None:
            self._lock.close()

    def flush(self) -> None:
        """Write down who asked for what since the last time."""
        self.deeds.flush()
        self.accounts.flush()

    def order(self, claim: Assignment) -> Order:
        """What the process of this run is told."""
        settings, run = self.settings, self.runs.known(claim.run_id)
        options = {**self._placed(run), "cluster": settings.cluster}
        if settings.cluster == "local":
            options["workers"] = settings.workers or max(1, cores() // settings.jobs)
        named = (run.dataset_id, asked.names_of(run.options)[0])  # what it learns from, and what it is tested on
        sources = [self.datasets.source(one) for one in named if one is not None]
        return Order(
            database=settings.database_url, run_id=run.id, attempt=claim.attempt,
            folder=str(self.runs.folder(run.id)), data=str(sources[0].path),
            files_within=only_within(*(source.within for source in sources)),
            options=options, more=run.more,
        )  # fmt: skip

    def _placed(self, run: RunRecord) -> dict[str, Any]:
        """A run's options with ids turned into places of this machine."""
        options = dict(run.options)
        test, model = asked.names_of(options)
        if test is not None:
            options["test"] = str(self.datasets.source(test).path)
        if model is not None:
            options["baseline"] = str(self.models.place(model))
        return options

    def check_options(self, by: Principal, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options as they are stored; what they name must be there, and theirs."""
        given = asked.check(options, self.settings)
        test, model = asked.names_of(given)
        if test is not None:
            self.datasets.get(by, test)
        if model is not None:
            self.models.get(by, model)
        return given


def service_of(request: Request) -> Service:
    """The server that a request is asked of."""
    found: Service = request.app.state.service
    return found


def principal_of(request: Request) -> Principal:
    """Who asks, where the way is not open to anybody."""
    found: Principal | None = request.scope.get("state", {}).get("principal")
    if found is None:
        raise Problem(401, "no token was given. Send Authorization: Bearer TOKEN, or sign in on the page.")
    return found


def _make_home(home: Path) -> None:
    try:
        for name in ("", "datasets", "runs", "logs", "incoming"):
            (home / name).mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)  # data and hashes of tokens: the server's own
    except OSError as error:
        raise RunError(f"{str(home)!r} cannot be written: {error.strerror or error}. Give another --home.") from error


def _locked(home: Path, *, is_alone: bool) -> tuple[Any, bool]:
    """A hold on the home, and whether this is the first server there, which clears up; with SQLite the only one."""
    lock = (home / "server.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if is_alone:
            lock.close()
            raise RunError(
                f"another server works in {str(home)!r}. Stop it first, give this one another --home, or keep the "
                "records of both in PostgreSQL (--database)."
            ) from None
        fcntl.flock(lock, fcntl.LOCK_SH)
        return lock, False
    return lock, True


def share(lock: Any) -> None:
    """Let other servers of this home in."""
    fcntl.flock(lock, fcntl.LOCK_SH)
