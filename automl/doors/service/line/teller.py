"""What a run says, on its way to the server's database: from a thread of its own, so that a slow disk holds up no run.

The same thread renews the lease and hears whether the run is to stop. A process whose run another one has ends at once.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from automl.doors.service.line.queue import LEASE_S, Assignment, Orders, Queue
from automl.runtime.progress import Pulse

TELL_S = 0.25  # between two looks at whether there is something to tell
RENEW_S = 2.0  # between two renewals without news; many fit into a lease
MOST_KEPT = 2000  # events that wait for a database that is away; then trials are left out
NOT_OURS = 75  # exit code of a process whose run another one has


class Teller:
    """The watcher of a run on a server."""

    def __init__(self, queue: Queue, claim: Assignment, folder: str) -> None:
        self._queue, self._claim = queue, claim
        self._report = f" Report: {folder}/report.html"  # a place that is the server's own
        self._said: deque[tuple[str, Mapping[str, Any]]] = deque()
        self._progress: dict[str, Any] = {}
        self._is_new = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._stopped = 0  # signals that were sent
        self.more: str | None = None  # budget that the run goes on with
        self._thread = threading.Thread(target=self._keep, name="automl teller", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    # --- what a run says ----------------------------------------------------------------------------------------------

    def stage(self, name: str) -> None:
        """A stage begins; counts of files within one are progress, no events."""
        self._forget_more()
        is_count = " of " in name
        with self._lock:
            self._progress["stage"] = name
            self._is_new = True
        if not is_count:
            self._add("stage", {"stage": name})

    def say(self, line: str) -> None:
        """A guess or a finding."""
        self._add("note", {"line": line.removesuffix(self._report)})

    def trial(self, line: str) -> None:
        """A trial ended."""
        if len(self._said) < MOST_KEPT:
            self._add("trial", {"line": line})

    def pulse(self, pulse: Pulse) -> None:
        """The search goes on."""
        with self._lock:
            self._progress.update(vars(pulse))
            self._is_new = True

    def _add(self, kind: str, body: Mapping[str, Any]) -> None:
        with self._lock:
            self._said.append((kind, body))

    # --- told ---------------------------------------------------------------------------------------------------------

    def goes_on(self, more: str) -> None:
        """The run begins once more, with this budget."""
        self.more = more

    def _forget_more(self) -> None:
        """With its first stage a run has written the budget into its folder, and has not yet begun to use it.

        In this very moment the database forgets it: a crash before gives it again to a folder that used none of it, one
        after finds it in the folder. So the run waits here for a database that is away.
        """
        wait_s = 0.5
        while self.more is not None:
            try:
                self._queue.has_more(self._claim, self.more)
                self.more = None
            except Exception:  # noqa: BLE001 - of whatever the database is reached with; tried again
                traceback.print_exc()
                time.sleep(wait_s)
                wait_s = min(30.0, wait_s * 2)

    def flush(self) -> None:
        """Tell what is left, as far as the database can be reached now."""
        self._tell()

    def _keep(self) -> None:
        renewed = failed = time.monotonic()
        while not self._over.wait(TELL_S):
            now = time.monotonic()
            if not (self._said or self._is_new or now - renewed > RENEW_S):
                continue
            try:
                self._tell()
                renewed = failed = time.monotonic()
            except Exception:  # noqa: BLE001 - of whatever the database is reached with; tried again
                if now - failed > LEASE_S:
                    traceback.print_exc()
                    failed = now

    def _tell(self) -> None:
        with self._lock:
            said, progress = list(self._said), json.dumps(self._progress) if self._is_new else None
            self._is_new = False
        try:
            orders = self._queue.renew(self._claim, said, progress)
        except BaseException:
            self._is_new = self._is_new or progress is not None
            raise
        with self._lock:
            for _ in said:
                self._said.popleft()
        self._obey(orders)

    def _obey(self, orders: Orders) -> None:
        if not orders.is_mine or orders.stop == "now":
            if orders.stop == "now":
                self._queue.lost(self._claim)
            _end_group()
            os._exit(NOT_OURS)
        if orders.stop == "best" and not self._stopped:
            self._stopped += 1
            os.kill(os.getpid(), signal.SIGINT)


def _end_group() -> None:
    """Of this process and the workers of its run, which have one to themselves."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGTERM)
