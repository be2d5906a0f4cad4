"""The process of one run. It outlives the server that started it, and ends by itself where another one has the run.

What it is to do comes on standard input: the address of a database may hold a password, which is seen by nobody there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from automl.doors.service.ground.database import Database
from automl.doors.service.ground.tables import State
from automl.doors.service.line.queue import Assignment, Queue
from automl.doors.service.line.teller import Teller
from automl.errors import AutomlError
from automl.places import WITHIN
from automl.plain import as_json
from automl.runtime.resume import ResumeRequest

HELD_S = 900.0  # that a run waits for its folder; afterwards it says who has it
FAILED = "failed"  # in the verdict of a run that did: the kind of error, so that clients can raise the same
NICE = 10  # the server answers before a run computes
FAULT = "the run ended with an error that nobody foresaw: {kind}. The server's logs/{run}.log tells more."
Ending = tuple[State, str | None, str | None]  # how it ended, what came of it, and what went wrong


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one process is to do."""

    database: str
    run_id: str
    attempt: int
    folder: str  # of the run
    data: str
    files_within: str  # the folder that names in the data may lead into; nothing where it is the user's own
    options: Mapping[str, Any]
    more: str | None = None  # budget to go on with

    @property
    def claim(self) -> Assignment:
        """The run as this process has it."""
        return Assignment(self.run_id, self.attempt)

    def written(self) -> bytes:
        """To be read on standard input."""
        return json.dumps(asdict(self)).encode()


def main() -> int:
    """Do what standard input says."""
    order = Order(**json.loads(sys.stdin.buffer.read()))
    with suppress(OSError):
        os.nice(NICE)
    os.environ[WITHIN] = order.files_within
    database = Database(order.database)
    teller = Teller(Queue(database), order.claim, order.folder)
    with teller:
        more = order.more
        while True:
            more = _patiently(database, order.claim, teller, _one(order, more, teller))
            if more is None:
                break
    database.close()
    return 0


def _one(order: Order, more: str | None, teller: Teller) -> Ending:
    """Begin or go on, once: how it ended, what came of it, and what went wrong."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        result = _worked(order, more, teller)
    except KeyboardInterrupt:
        return State.STOPPED, None, None
    except AutomlError as error:
        return State.FAILED, json.dumps({FAILED: type(error).__name__}), " ".join(str(error).split())
    except Exception as error:  # noqa: BLE001 - the last frame of the run: it is told, and the log holds it
        traceback.print_exc()
        return State.FAILED, None, FAULT.format(kind=type(error).__name__, run=order.run_id)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is over: what asks it to stop now comes too late
    return State.STOPPED if result.interrupted else State.DONE, json.dumps(told(result)), None


def _worked(order: Order, more: str | None, teller: Teller) -> Any:
    """The result: of a run that had come to its end before its process could say so, as it is."""
    from automl.doors import python
    from automl.options import Options
    from automl.result import open_run

    folder = Path(order.folder)
    _until_free(folder)
    started = time.monotonic()
    if not _is_begun(folder):
        options = Options.of({**order.options, "run_dir": _emptied(folder), "verbose": 0})
        return python.run(order.data, options, teller, started)
    is_over = _is_closed(folder)
    if is_over and more is None and not (found := open_run(folder)).interrupted:
        return found
    if is_over and more is not None:  # a run that was cut short comes to its own end first
        teller.goes_on(more)
    changes = {name: order.options[name] for name in ("cluster", "workers") if name in order.options}
    return python.go_on(ResumeRequest(folder, more if is_over else None, order.data, changes), teller, started)


def _is_begun(folder: Path) -> bool:
    """Whether all is written that a run is gone on with: files appear one by one."""
    from automl import several
    from automl.runtime.folder import BEGUN, RunFolder
    from automl.runtime.resume import BEGINNING_FILE

    is_whole = several.is_begun(folder) or (folder / BEGINNING_FILE).is_file()
    return is_whole or any(event["event"] == BEGUN for event in RunFolder(folder).events())


def _is_closed(folder: Path) -> bool:
    """Whether it came to an end."""
    from automl import several
    from automl.runtime import journal
    from automl.runtime.folder import RunFolder

    is_reported = (folder / "report.json").is_file()
    return is_reported and (several.is_begun(folder) or journal.is_closed(RunFolder(folder).events()))


def _until_free(folder: Path) -> None:
    """Wait for who holds the run's folder: a model of it may be being selected, or the process before this one ends."""
    from filelock import FileLock, Timeout

    if (folder / "lock").is_file():
        with suppress(Timeout), FileLock(folder / "lock", timeout=HELD_S):
            pass


def _emptied(folder: Path) -> str:
    """The run's folder, without what a process left that ended before it had begun."""
    import shutil

    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return str(folder)


def told(result: Any) -> dict[str, Any]:
    """What came of a run, as lists of runs show it."""
    from automl.report import words

    report = json.loads((result.folder / "report.json").read_text(encoding="utf-8"))
    if "targets" in report:
        return {"targets": report["targets"], "interrupted": result.interrupted}
    verdict = {name: report["verdict"].get(name) for name in ("chosen", "score", "test", "meets_min_score")}
    bill = (report.get("cost") or {}).get("invoice") or {}
    cost = {name: bill.get(name) for name in ("machine_s", "money", "currency", "kwh")}
    cost["wall_s"] = report["run"].get("seconds")
    outcome = {"outcome": report["decision"].get("outcome"), "sentence": words.verdict(report)}
    return dict(as_json({**verdict, **outcome, "cost": cost, "interrupted": result.interrupted}))


def _patiently(database: Database, claim: Assignment, teller: Teller, ending: Ending) -> str | None:
    """Say how it ended, as often as it takes: a database that is away for a while must not cost a run."""
    wait_s = 0.5
    while True:
        try:
            teller.flush()
            return Queue(database).end(claim, *ending)
        except Exception:  # noqa: BLE001 - of whatever the database is reached with; tried again
            traceback.print_exc()
            time.sleep(wait_s)
            wait_s = min(30.0, wait_s * 2)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.exit(main())
