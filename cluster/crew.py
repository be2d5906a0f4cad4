"""The processes of a local pool as the driver sees them: a nursery, the workers it forks, the shelf they read from.

Knows nothing of queues and outcomes; local.py keeps those. What runs inside the processes is in nursery.py.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path

from cluster import share
from cluster.nursery import MOST_MODULES, NEWS, kill
from cluster.pool import Job
from cluster.task import Begun

_BOOT = (
    "import json, sys; start = json.loads(sys.argv[1]); sys.path[:] = start['path']; "
    "from cluster.nursery import main; main(start['control'], start['preload'], start['folders'])"
)
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_PIPE_BYTES = 128 * 1024  # what we ask the system to hold for a worker that does not read yet
BIRTH_S = 120.0  # that a worker may take to be born, beside the time of its job: a first import from a slow disk
_NEWS_S = 0.5  # how long to wait for the nursery's word on a death; only while it imports does it need longer
_GOODBYE_S = 0.1  # how long the nursery may take to end by itself
_LONGEST_LISTEN_S = 3600.0  # the system's own limit is about 24 days; infinity is beyond it


@dataclass(eq=False)
class Worker:
    """A worker process as the driver sees it."""

    name: str
    pipe: connection.Connection
    loaded: int  # preloaded modules that it is born with, at least
    pid: int = 0  # 0 until it says that it is born
    job: Job | None = None
    given_s: float = 0.0  # when it was given its job, on the monotonic clock
    begun: Begun | None = None
    gpus: dict[str, float] = field(default_factory=dict)  # that it ever had, by the share of each
    is_used: bool = False  # had a job
    is_starved: bool = False  # memory ran out in it: what it still holds, nobody knows

    @property
    def deadline_s(self) -> float:
        """When its job must be killed; one that has not begun waits for its worker, but not for ever."""
        if self.job is None:
            return math.inf
        return self.job.hard_s + (self.begun.at_s if self.begun else self.given_s + BIRTH_S)


@dataclass(frozen=True)
class Death:
    """How a worker ended that nobody had asked to."""

    how: str
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    is_killed: bool = False  # by a signal that the system sends where memory ran out, as others may


class Crew:
    """The processes: a nursery, its workers, the shelf they read from."""

    def __init__(self, size: int, preload: Sequence[str], env: Mapping[str, str]) -> None:
        self.workers: list[Worker] = []
        self._size = size
        self._preload = list(preload)[:MOST_MODULES]
        self._env = {**os.environ, **_ONE_THREAD, **env}
        self._owner = os.getpid()
        self._restarts_left = 1
        self._numbers = itertools.count(1)
        self.loaded = 0  # preloaded modules by now
        self.shelf = share.Shelf()
        self._control: socket.socket
        self._start()

    def listen(self, timeout_s: float) -> None:
        """Block until there is something to read, or the time is over."""
        connection.wait([self._control, *(worker.pipe for worker in self.workers)], min(timeout_s, _LONGEST_LISTEN_S))

    @property
    def is_warm(self) -> bool:
        """Whether all modules are loaded."""
        return self.loaded >= len(self._preload)

    def needed(self, modules: Sequence[str]) -> int:
        """How many preloaded modules a worker must be born with to know all of these that are preloaded at all."""
        return max((self._preload.index(module) + 1 for module in modules if module in self._preload), default=0)

    def replace(self, worker: Worker, loaded: int = 0) -> Worker:
        """End a worker and ask for another in its place, to be born once so many modules are loaded."""
        self._dismiss(worker)
        place = self.workers.index(worker)
        self.workers[place] = self._hire(loaded)
        return self.workers[place]

    def read_news(self) -> bool:
        """Take in what the nursery says; False if it is dead."""
        try:
            while news := self._control.recv(NEWS.size, socket.MSG_DONTWAIT):
                pid, status, cpu_s, peak_mb = NEWS.unpack(news)
                if pid:
                    self._deaths[pid] = Death(_how_it_ended(status), cpu_s, peak_mb, _is_killed(status))
                else:
                    self.loaded = max(self.loaded, status)
        except BlockingIOError:
            return True
        except OSError:  # reset, or closed after the last restart
            return False
        return False

    def death_of(self, pid: int) -> Death:
        """How a worker ended, as far as the nursery can tell by now."""
        ends_s = time.monotonic() + _NEWS_S
        while self.read_news() and pid not in self._deaths and (left_s := ends_s - time.monotonic()) > 0:
            connection.wait([self._control], left_s)
        return self._deaths.pop(pid, Death("died"))

    def restart(self) -> bool:
        """Replace a dead nursery and all workers; False, and an empty crew, if that was done before."""
        self._end_processes()
        if not self._restarts_left:
            return False
        self._restarts_left -= 1
        self._start()
        return True

    def close(self) -> None:
        """End all processes and remove the shelf; nothing in a fork of the driver, whose crew this is not."""
        if os.getpid() == self._owner:
            self._end_processes()
            self.shelf.close()

    def _start(self) -> None:
        self._deaths: dict[int, Death] = {}
        self.loaded = min(1, len(self._preload))  # no worker is born before the first import
        self._control, theirs = socket.socketpair()
        start = {
            "path": [entry or str(Path.cwd()) for entry in sys.path],
            "control": theirs.fileno(),
            "preload": self._preload,
            "folders": self.shelf.folders,
        }
        with theirs:
            self._nursery = subprocess.Popen(
                [sys.executable, "-u", "-c", _BOOT, json.dumps(start)],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=2,  # what libraries print in workers must not mix with the output of the program
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C in the terminal reaches the driver only
            )
        self.workers = [self._hire() for _ in range(self._size)]

    def _hire(self, loaded: int = 0) -> Worker:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIPE_BYTES)
        with theirs, suppress(OSError):  # from a dead nursery; the end of this pipe then tells
            socket.send_fds(self._control, [bytes([loaded])], [theirs.fileno()])
        pipe = connection.Connection(ours.detach())
        return Worker(f"worker {next(self._numbers)}", pipe, max(loaded, self.loaded))

    def _dismiss(self, worker: Worker) -> None:
        if worker.pid:
            kill(worker.pid)
        worker.pipe.close()  # one that is not born yet ends when it finds this

    def _end_processes(self) -> None:
        for worker in self.workers:
            self._dismiss(worker)
        self.workers = []
        self._control.close()
        try:
            self._nursery.wait(_GOODBYE_S)
        except subprocess.TimeoutExpired:
            self._nursery.kill()  # it was importing
            self._nursery.wait()


def _is_killed(status: int) -> bool:
    return os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def _how_it_ended(status: int) -> str:
    """The words for a wait status."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended by itself (exit code {code})"
    return f"died (signal {-code})" + ("; out of memory?" if -code == signal.SIGKILL else "")
