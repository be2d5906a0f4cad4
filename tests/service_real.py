"""A real server in a process of its own, for tests that kill it: on a free port of this machine, spoken to by HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import update

from automl.doors.service.ground.database import Database
from automl.doors.service.ground.settings import SQLITE_NAME
from automl.doors.service.ground.tables import RUNS

CUSTOMERS = Path(__file__).parent.parent / "examples" / "customers.csv"
QUICK = {"target": "churned", "budget": "2 trials", "families": ["linear"]}
LONG = {**QUICK, "budget": "100000 trials"}
PATIENCE_S = 240.0  # for what must happen; a busy machine may be slow
WORKER = "automl.doors.service.line.worker"
PROGRAM = """
import json, resource, sys
given = json.loads(sys.argv[1])
if (most := given.pop("file_bytes", None)) is not None:
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
from automl.doors.service.app import serve
from automl.doors.service.ground.settings import Settings
sys.exit(serve(Settings.of(given)))
"""


class Server:
    """A server, started and killed as often as it takes; home and token stay."""

    def __init__(self, home: Path, log: Path | None = None, **settings: Any) -> None:
        self.home, self.settings = home, {"home": str(home), "workers": 1, **settings}
        self.token, self.url = "", ""
        self.process: subprocess.Popen[bytes] | None = None
        self.log = log or home.with_name(f"{home.name}-{settings.get('port', 0)}.log")
        self._runs: set[psutil.Process] = set()

    def start(self) -> None:
        """Wait until it answers."""
        begins = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            given = json.dumps({"port": 0, **self.settings})
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, given], stdout=log, stderr=log, start_new_session=True
            )
        said = until(lambda: self._greeting(begins), self.process)
        self.url = said[0].split()[3].rstrip(",")
        for line in said:
            if "token of the first admin" in line:
                self.token = line.split()[-1]
        until(self._answers, self.process)

    def _greeting(self, begins: int) -> list[str]:
        said = self.log.read_bytes()[begins:].decode().splitlines()
        return said if any("Ctrl-C" in line for line in said) else []

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/healthz").status_code == 200
        return False

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """A request of the admin."""
        headers = {"Authorization": f"Bearer {self.token}", **given.pop("headers", {})}
        return httpx.request(method, f"{self.url}{path}", headers=headers, timeout=PATIENCE_S, **given)

    def json(self, method: str, path: str, **given: Any) -> Any:
        """The answer of one that must go well."""
        found = self.ask(method, path, **given)
        assert found.status_code < 300, (method, path, found.status_code, found.text)
        return found.json() if found.content else None

    def upload(self, file: Path = CUSTOMERS) -> str:
        """A data set; its id."""
        return str(self.json("POST", f"/v1/datasets?name={file.name}", content=file.read_bytes())["id"])

    def begin(self, dataset: str, options: Any = QUICK, **given: Any) -> str:
        """A run; its id."""
        return str(self.json("POST", "/v1/runs", json={"dataset": dataset, "options": options}, **given)["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """Where a run stands."""
        return dict(self.json("GET", f"/v1/runs/{run_id}"))

    def wait(self, run_id: str, *states: str) -> dict[str, Any]:
        """Until it is in one of these states."""
        return until(lambda: found if (found := self.run(run_id))["state"] in states else None)

    def workers(self) -> list[psutil.Process]:
        """Processes of runs that this server started, whoever is their parent now; those that live."""
        assert self.process is not None
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.process.pid).children():
                with suppress(psutil.Error):
                    if WORKER in process.cmdline():
                        self._runs.add(process)
        return [process for process in self._runs if process.is_running() and process.status() != "zombie"]

    def lapse(self, *runs: str) -> None:
        """As if their processes had been silent for longer than a lease lasts."""
        database = Database(self.settings.get("database") or f"sqlite:///{self.home / SQLITE_NAME}")
        with database.writing() as work:
            work.execute(
                update(RUNS).where(RUNS.c.id.in_(runs), RUNS.c.lease_until.is_not(None)).values(lease_until=1.0)
            )
        database.close()

    def kill(self, sent: int = signal.SIGKILL) -> int:
        """End the server, and it alone; its exit code."""
        assert self.process is not None
        self.workers()  # to find them again
        self.process.send_signal(sent)
        return self.process.wait(PATIENCE_S)

    def kill_runs(self) -> None:
        """End the processes of its runs, with their own workers."""
        for process in self.workers():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End all of it."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.kill_runs()


def jobs_done(events: list[dict[str, Any]]) -> Counter[str]:
    """How often each fold of each trial was finished, by a run's journal."""
    ended = [event for event in events if event["event"] == "finished" and event.get("status") == "done"]
    return Counter(str(event["job"]).partition("+")[0] for event in ended if "job" in event)


def until(condition: Callable[[], Any], process: subprocess.Popen[bytes] | None = None) -> Any:
    """Wait for something, while the process that should bring it about lives."""
    over = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < over, "waited in vain"
        assert process is None or process.poll() is None, f"ended early with {process.returncode}"
        time.sleep(0.05)
    return found


@contextmanager
def real_server(home: Path, log: Path | None = None, **settings: Any) -> Iterator[Server]:
    """A server that is up, and of which nothing is left afterwards."""
    server = Server(home, log, **settings)
    try:
        server.start()
        yield server
    finally:
        server.close()
