"""Starts a process for each run whose turn has come, and sees to those whose process went away. A thread of the server.

It keeps nothing that matters in memory: a server that is killed and started again finds all of it in the database.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from automl.doors.service.ground.environment import NEEDED, without_secrets
from automl.doors.service.ground.problems import Problem
from automl.doors.service.ground.settings import Settings
from automl.doors.service.ground.tables import State
from automl.doors.service.line.queue import Assignment, Queue
from automl.doors.service.line.worker import Order
from automl.errors import AutomlError

LOOK_S = 1.0  # between two looks at the line; a new run is heard of at once
NOT_STARTED = "the server could not start a process for this run: {why}. Its admin can help; then resume the run."
LOG = logging.getLogger("automl.service")


class Starter:
    """The server's hands."""

    def __init__(self, queue: Queue, settings: Settings, order: Callable[[Assignment], Order]) -> None:
        """`order` says what the process of a run is told; it may refuse."""
        self._queue, self._settings, self._order = queue, settings, order
        self.name = f"{socket.gethostname()}:{settings.port}:{settings.home}"
        self._processes: dict[Assignment, subprocess.Popen[bytes]] = {}
        self._wake, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="automl runner", daemon=True)

    def start(self) -> None:
        """Begin to look at the line."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do now."""
        self._wake.set()

    def stop(self) -> None:
        """Start nothing more. What works goes on without the server."""
        self._over.set()
        self._wake.set()
        self._thread.join()
        for process in self._processes.values():
            if process.poll() is None:
                process.returncode = 0  # it goes on; nobody here waits for it

    def _keep(self) -> None:
        while not self._over.is_set():
            try:
                self._look()
            except Exception:  # of a database that is away for a while, or a disk that is full
                LOG.exception("the line of runs could not be looked at; tried again")
            self._wake.wait(LOOK_S)
            self._wake.clear()

    def _look(self) -> None:
        for claim, process in list(self._processes.items()):
            if process.poll() is not None:
                del self._processes[claim]
                self._queue.lost(claim)
        for run_id in self._queue.give_back():
            LOG.warning("the process of %s went away; it waits for another one", run_id)
        settings = self._settings
        while not self._over.is_set():
            following = self._queue.claim(self.name, settings.jobs, settings.most_working)
            if following is None:
                return
            self._begin(following)

    def _begin(self, claim: Assignment) -> None:
        try:
            order = self._order(claim)
            process = self._process(claim)
        except (AutomlError, Problem) as error:  # its data were removed, for instance
            self._queue.end(claim, State.FAILED, None, " ".join(str(error).split()))
            return
        except OSError as error:  # no room for its log, or for a process more
            self._queue.end(claim, State.FAILED, None, NOT_STARTED.format(why=error.strerror or error))
            return
        self._processes[claim] = process
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin as pipe:  # one that is gone already is seen at the next look
            pipe.write(order.written())

    def _process(self, claim: Assignment) -> subprocess.Popen[bytes]:
        home = self._settings.home
        log = home / "logs" / f"{claim.run_id}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        is_here = self._settings.cluster == "local"  # a cluster may need keys to what its machines share
        with log.open("ab") as kept:
            return subprocess.Popen(
                [sys.executable, "-m", "automl.doors.service.line.worker"],
                stdin=subprocess.PIPE, stdout=kept, stderr=kept, start_new_session=True, cwd=_workplace(home),
                env={**(without_secrets(kept=NEEDED) if is_here else os.environ), "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip


def _workplace(home: Path) -> Path:
    """Where a run's process stands: an empty folder, so that names in the data mean nothing of the server's."""
    place = home / "empty"
    place.mkdir(parents=True, exist_ok=True)
    return place
