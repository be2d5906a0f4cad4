"""Looks at data sets in processes of their own, few at a time, and gives up on those that take too much.

A bomb of Parquet, a picture or a table ends such a process and nothing else; the user is told in one line. What was
seen of a data set is kept on disk, so that the next one who asks has it at once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from automl.doors.service.ground.environment import without_secrets
from automl.doors.service.ground.problems import FULL, Problem
from automl.doors.service.ground.settings import Settings
from automl.errors import AutomlError
from automl.places import WITHIN, inside, only_within
from automl.runtime.durable import write_whole
from cluster.memory import free_mb

LANDING_S, SEEING_S = 900.0, 300.0
AT_A_TIME = {"land": 4, "refer": 2, "see": 2, "plain": 2}
MOST_WAITING = 16  # requests that wait for their turn; more are asked to come back
LEAST_MB, SHARE = 1024, 0.5  # memory of a look: a share of what is free
WATCH_S = 0.05
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
KEPT = 40  # answers on disk for each data set
LOG = logging.getLogger("automl.service")


class Looking:
    """Starts these processes, and keeps what they find."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns = {verb: threading.BoundedSemaphore(count) for verb, count in AT_A_TIME.items()}
        self._waiting = 0
        self._lock = threading.Lock()
        self._same: dict[str, threading.Lock] = {}
        self._seeing = threading.BoundedSemaphore(MOST_WAITING)
        self.most_mb = max(LEAST_MB, int(SHARE * free_mb()))

    def look(self, verb: str, order: Mapping[str, Any], within: Path, most_s: float = LANDING_S) -> dict[str, Any]:
        """What the process found; `within`: the folder that names in the data may lead into."""
        with self._turn(verb), self._desk() as desk:
            asked = {
                "most_bytes": self._settings.most_unpacked_mb * 1e6, **order, "verb": verb, "most_s": most_s,
                "most_mb": self.most_mb, "parent": os.getpid(),
            }  # fmt: skip
            env = {**without_secrets(), **ONE_THREAD, WITHIN: only_within(within), "TMPDIR": str(desk)}
            answer = self._answer(json.dumps(asked).encode(), env, desk, most_s)
        if within.is_relative_to(self._settings.home):  # which is nobody's business
            answer = _without(answer, within)
        if "found" in answer:
            return dict(answer["found"])
        if answer.get("errno") in FULL:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        problem = answer["problem"] or self._too_much()
        raise Problem(answer["status"], problem, kind="bad-input")

    def _answer(self, order: bytes, env: dict[str, str], desk: Path, most_s: float) -> dict[str, Any]:
        started = time.monotonic()
        with (desk / "log").open("w+b") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "automl.doors.service.data.looker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env, cwd=desk, start_new_session=True,
            )  # fmt: skip
            given: bytes | None = order
            try:
                while True:
                    with suppress(subprocess.TimeoutExpired):
                        told, _ = process.communicate(given, WATCH_S)
                        break
                    given = None
                    if time.monotonic() - started > most_s:
                        return {"status": 422, "problem": f"looking at it takes longer than {most_s:g} s. Send less."}
                    if _held_mb(process.pid) > self.most_mb:
                        return {"status": 422, "problem": None}
            finally:
                _end(process)
            return self._read(told, process.returncode, log)

    def _read(self, told: bytes, code: int, log: Any) -> dict[str, Any]:
        if code == 0 and told:
            return dict(json.loads(told))
        log.seek(0)
        said = log.read()[-4000:].decode("utf-8", "replace")
        LOG.warning("a look at data ended with %s: %s", code, said)
        return {"status": 422, "problem": None}

    def _too_much(self) -> str:
        return (
            f"looking at it takes more than the {self.most_mb:,} MB of memory that a look may take, or breaks what "
            "decodes it. Check the file, or send fewer rows."
        )

    @contextmanager
    def _turn(self, verb: str) -> Iterator[None]:
        """Wait for a process to be free."""
        with self._lock:
            if self._waiting >= MOST_WAITING:
                raise _busy()
            self._waiting += 1
        try:
            self._turns[verb].acquire()
        finally:
            with self._lock:
                self._waiting -= 1
        try:
            yield
        finally:
            self._turns[verb].release()

    @contextmanager
    def _desk(self) -> Iterator[Path]:
        """A folder for what a look writes by the way."""
        desk = Path(tempfile.mkdtemp(prefix="look-", dir=self._settings.home / "incoming"))
        try:
            yield desk
        finally:
            shutil.rmtree(desk, ignore_errors=True)

    # --- what was seen ------------------------------------------------------------------------------------------------

    def seen(self, dataset_id: str, order: Mapping[str, Any], within: Path) -> dict[str, Any]:
        """A profile, as it was seen before or as it is seen now."""
        key = hashlib.sha256(json.dumps(order, sort_keys=True).encode()).hexdigest()[:32]
        kept = self._kept(dataset_id) / f"{key}.json"
        with suppress(OSError, ValueError):
            return dict(json.loads(kept.read_bytes()))
        if not self._seeing.acquire(blocking=False):  # who waits has a thread, and others need some, too
            raise _busy()
        with self._lock:
            mine = self._same.setdefault(str(kept), threading.Lock())
        try:
            with mine:  # two who ask for the same wait for one look
                with suppress(OSError, ValueError):
                    return dict(json.loads(kept.read_bytes()))
                found = self.look("see", order, within, SEEING_S)
                self._keep(kept, found)
                return found
        finally:
            self._seeing.release()
            with self._lock:
                self._same.pop(str(kept), None)

    def forget(self, dataset_id: str) -> None:
        """Remove what was seen of a data set."""
        shutil.rmtree(self._kept(dataset_id), ignore_errors=True)

    def _kept(self, dataset_id: str) -> Path:
        return inside(self._settings.home / "seen", dataset_id)

    def _keep(self, place: Path, found: Mapping[str, Any]) -> None:
        try:
            write_whole(place, json.dumps(found).encode())
            by_age = sorted(place.parent.glob("*.json"), key=lambda file: file.stat().st_mtime)
            for old in by_age[:-KEPT]:
                old.unlink(missing_ok=True)
        except (OSError, AutomlError) as error:  # it is told all the same
            LOG.warning("what was seen of data could not be kept: %s", error)


def _busy() -> Problem:
    what = "too many data sets are looked at just now. Ask again in a moment."
    return Problem(503, what, headers={"Retry-After": "10"})


def _without(answer: Any, folder: Path) -> Any:
    """What was found, its texts without the place that the data have on this machine."""
    if isinstance(answer, dict):
        return {name: _without(value, folder) for name, value in answer.items()}
    if isinstance(answer, list):
        return [_without(value, folder) for value in answer]
    if isinstance(answer, str) and str(folder) in answer:
        return answer.replace(f"{folder}/", "").replace(str(folder), "the data set")
    return answer


def _held_mb(pid: int) -> float:
    """Memory that a process holds; nothing where it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and whatever it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
