"""The copy of a run's folder behind a URL: what changed is copied every few seconds by a thread of its own.

The events go last, so that the copy never promises more than it holds. Whatever goes wrong is told once and tried
again, ever more seldom; nothing is written unless the lease is held. What could not be copied by the end is told, too.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from os import getpid
from pathlib import Path

from automl.errors import InputError, RunError
from automl.runtime import lease
from automl.runtime.lease import Lease
from automl.runtime.store import RemoteFolder, why

SYNC_S = 5.0  # between two looks at what changed
LONGEST_PAUSE_S = 60.0  # between two tries at a store that fails
CLOSE_S = 60.0  # for which the last copy is tried
LAST = "events.jsonl"
OURS = (LAST, lease.NAME, "driver", "lock")  # not copied as they are


class Mirror:
    """Keeps a copy of a folder behind a URL."""

    def __init__(self, local: Path, url: str, tell: Callable[[str], None]) -> None:
        self.local, self.url, self._tell = local, url, tell
        self._store = RemoteFolder(url)
        self._lease = Lease(RemoteFolder(url), f"process {getpid()} on {socket.gethostname()}", tell)
        self._sent: dict[str, tuple[int, int]] = {}  # size and time of each file as it was copied
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="automl mirror", daemon=True)
        self._trouble = ""
        self.waited_s = 0.0  # for another driver to be gone

    def claim_empty(self) -> None:
        """Have the place for a new run; one that holds something is refused."""
        if not self._is_empty():
            raise InputError(f"run folder {self.url!r} is not empty. Name another one, or remove it first.")
        self._lease.acquire()

    def claim(self) -> None:
        """Have the place of a run to go on with; one that another driver works on is refused."""
        if self._is_empty():
            raise InputError(f"nothing is at {self.url!r}. Check the URL.")
        began = time.monotonic()
        self._lease.acquire()
        self.waited_s = time.monotonic() - began

    def let_go(self) -> None:
        """Give it up before anything was copied."""
        self._lease.release()

    def start(self) -> None:
        """Begin to copy."""
        self._thread.start()

    def close(self, *, is_told: bool = False) -> None:
        """Copy the rest and let others have the place; raise RunError, or tell it, if not all could be copied."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        until, pause_s = time.monotonic() + CLOSE_S, min(1.0, SYNC_S)
        while not self._sync() and not self._lease.taken_by and time.monotonic() + pause_s < until:
            time.sleep(pause_s)
            pause_s *= 2
        self._lease.release()
        if self._trouble:
            told = f"{self.url!r} does not hold the whole run: {self._trouble}. It is in {str(self.local)!r}."
            if not is_told:
                raise RunError(told)
            self._tell(told)

    def _is_empty(self) -> bool:
        try:
            return self._store.is_empty()
        except Exception as problem:  # of whatever library the store is reached with
            raise InputError(
                f"{self.url!r} cannot be used: {why(problem)}. Check the URL and your access to it."
            ) from problem

    def _run(self) -> None:
        pause_s = SYNC_S
        while not self._stop.wait(pause_s):
            pause_s = SYNC_S if self._sync() else min(2 * pause_s, max(LONGEST_PAUSE_S, SYNC_S))

    def _sync(self) -> bool:
        """Copy what changed since the last time, remove what is gone; whether all of that went well."""
        before, self._trouble = self._trouble, ""
        try:
            self._copy()
        except RunError as problem:  # our own: the lease is not held
            self._trouble = str(problem)
        except Exception as problem:  # noqa: BLE001 - of whatever library the store is reached with
            self._trouble = why(problem)
        if self._trouble and not before and not self._lease.taken_by:
            self._tell(f"{self.url!r} cannot be written ({self._trouble}): the run goes on here, and it is tried again")
        elif before and not self._trouble:
            self._tell(f"{self.url!r} can be written again: it holds all of the run so far")
        return not self._trouble

    def _copy(self) -> None:
        """One look at the folder."""
        events = (self.local / LAST).read_bytes() if (self.local / LAST).exists() else b""
        here = {path.relative_to(self.local).as_posix(): path for path in self.local.rglob("*") if path.is_file()}
        names = [name for name in here if name not in OURS and "/." not in f"/{name}"]
        problems = [problem for name in names if (problem := self._send(name, here[name])) is not None]
        if problems:
            raise problems[0]
        for name in set(self._sent) - set(names):
            self._check_held()
            self._store.remove(name)
            del self._sent[name]
        self._check_held()
        self._store.put(LAST, events)

    def _send(self, name: str, path: Path) -> Exception | None:
        """Copy a file, if it changed; what went wrong, which keeps none of the others."""
        self._check_held()
        try:
            stat = path.stat()
            mark = stat.st_size, stat.st_mtime_ns
            content = path.read_bytes() if self._sent.get(name) != mark else None
        except FileNotFoundError:
            return None  # removed meanwhile: the next look sees that
        try:
            if content is not None:
                self._store.put(name, content)
                self._sent[name] = mark
        except Exception as problem:  # noqa: BLE001 - of whatever library the store is reached with
            return problem
        return None

    def _check_held(self) -> None:
        if not self._lease.is_ours:
            holder = self._lease.taken_by
            raise RunError(f"{holder} works there now" if holder else "its lease could not be renewed")
