"""Another real model of a finished run, written by a process of its own: what it takes may be a fit on all rows.

The process holds the run's folder, so nothing else works in it meanwhile, and is ended when it takes too long. Its
model is a copy in the run's folder `selected`: what a run keeps in `models` goes when the run goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from automl.doors.service.ground.environment import without_secrets
from automl.doors.service.ground.problems import Problem
from automl.errors import ArtifactError, AutomlError, InputError, OptionError, RunError
from automl.places import WITHIN

FOLDER = "selected"
LIMIT_S = 900.0
WAIT_S = 60.0  # for another selection on this server to come to its end
MOST_WAITING = 4  # selections, the one at work included
KINDS = {kind.__name__: kind for kind in (InputError, OptionError, ArtifactError)}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Which model is wanted, as `Result.select` takes it."""

    pick: str | None = None
    max_latency_ms: float | None = None
    max_model_mb: float | None = None
    prefer: str | None = None
    give_up_percent: float | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What was said of it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Selected:
    """Where the model was written, and by which name it is told from others of its run."""

    place: Path
    pick: str
    notes: tuple[str, ...]  # what was not as it should be, for instance rows that are gone


class Selecting:
    """One selection at a time, each in a process."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._turn, self._places = threading.Lock(), threading.BoundedSemaphore(MOST_WAITING)
        self._process: subprocess.Popen[bytes] | None = None

    def select(self, run: Path, wish: Wish, within: str) -> Selected:
        """The model that is meant; AutomlError where there is none, Problem where it could not be made now."""
        busy = Problem(503, "another model is being selected. Ask again in a minute.", headers={"Retry-After": "60"})
        if not self._places.acquire(blocking=False):  # who waits has a thread, and others need some, too
            raise busy
        try:
            check(run, wish.given)
            if not self._turn.acquire(timeout=WAIT_S):
                raise busy
            try:
                told = self._asked(run, wish, within)
            finally:
                self._turn.release()
        finally:
            self._places.release()
        if "refused" in told:
            raise _refusal(told)
        return Selected(run / FOLDER / told["folder"], told["folder"], tuple(told["notes"]))

    def _asked(self, run: Path, wish: Wish, within: str) -> dict[str, Any]:
        """What the process answered."""
        empty = self._home / "empty"
        empty.mkdir(parents=True, exist_ok=True)
        order = {"run": str(run), "wish": wish.given, "within": within}
        log = self._home / "logs" / f"{run.name}.select.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as kept:
            process = subprocess.Popen(
                [sys.executable, "-m", "automl.doors.service.models.selecting"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=kept, start_new_session=True, cwd=empty,
                env=without_secrets(),
            )  # fmt: skip
        self._process = process
        try:
            answer, _ = process.communicate(json.dumps(order).encode(), timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            _end(process)
            raise Problem(
                503, f"this model was not made within {LIMIT_S / 60:g} minutes, so it was given up. Ask for one that "
                "is fitted already: GET /v1/runs/ID/leaderboard."
            ) from None  # fmt: skip
        finally:
            self._process = None
        if process.returncode:
            raise RuntimeError(f"selecting ended with {process.returncode}, see {log.name}")
        return dict(json.loads(answer))

    def remove(self, place: Path) -> None:
        """Take a selected model away: first to a name that nothing reads."""
        gone = place.with_name(f".gone-{place.name}")
        with suppress(FileNotFoundError):
            place.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def close(self) -> None:
        """End what is at work; nothing is lost, as it can be asked for again."""
        if self._process is not None:
            _end(self._process)


def check(run: Path, wish: dict[str, Any]) -> None:
    """Refuse at once what no process could find: by the run's report, as the library does."""
    from automl.result.choosing import Wanted, chosen

    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    if "targets" not in report:
        chosen(report, Wanted(**wish))
    elif list(wish) != ["pick"]:
        raise OptionError('of several targets others are selected by a name alone: {"pick": "fastest"}.')


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _refusal(told: dict[str, Any]) -> Exception:
    """What the process refused, as if it had been refused here."""
    if told["refused"] == RunError.__name__:  # the folder is held by another process
        return Problem(409, told["line"], headers={"Retry-After": "10"})
    return KINDS.get(told["refused"], InputError)(told["line"])


# --- in the process ---------------------------------------------------------------------------------------------------


def main() -> int:
    """Do what standard input says; what libraries print goes to the log."""
    order = json.loads(sys.stdin.buffer.read())
    os.environ[WITHIN] = order["within"]
    answer = os.dup(1)
    os.dup2(2, 1)
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", UserWarning)
            told: dict[str, Any] = {"folder": written(Path(order["run"]), order["wish"])}
        told["notes"] = [str(one.message) for one in heard if one.category is UserWarning]
    except AutomlError as error:
        told = {"refused": type(error).__name__, "line": " ".join(str(error).split())}
    with os.fdopen(answer, "wb") as out:
        out.write(json.dumps(told).encode())
    return 0


def written(run: Path, wish: dict[str, Any]) -> str:
    """The name of the folder of the model that is meant, copied into the run's `selected`."""
    from automl.model import artifact, manifest
    from automl.model.bundle import write_index
    from automl.result import BundleResult, open_run

    with _held(run):
        result = open_run(run)
        if not isinstance(result, BundleResult):
            from automl.result.choosing import Wanted

            place = result._selected(Wanted(**wish))
            name = str(manifest.read(place).get("name", place.name))
            return _kept(run, name, [place], lambda beside: artifact.copy(place, beside))
        places = _of_targets(result, wish["pick"])

        def copy(beside: Path) -> None:
            made = {
                name: artifact.copy(place, beside / "targets" / result.results[name].folder.name)
                for name, place in places.items()
            }
            write_index(beside, made)

        return _kept(run, str(wish["pick"]), list(places.values()), copy)


def _of_targets(result: Any, pick: str) -> dict[str, Path]:
    from automl.result.choosing import Wanted

    return {name: one._selected(Wanted(pick=pick)) for name, one in result.results.items()}


def _kept(run: Path, name: str, places: list[Path], copy: Any) -> str:
    """Copied under a name that tells this model from others that were called the same; whole, or not there."""
    from automl.model import manifest
    from automl.runtime.folder import slug

    content = b"".join((place / manifest.NAME).read_bytes() for place in places)
    called = f"{slug(name)}-{hashlib.sha256(content).hexdigest()[:10]}"
    target = run / FOLDER / called
    if not target.is_dir():
        beside = target.with_name(f".{called}")
        shutil.rmtree(beside, ignore_errors=True)
        copy(beside)
        beside.rename(target)
    return called


@contextmanager
def _held(run: Path) -> Iterator[None]:
    """The run's folder and those of its targets, held by this process."""
    from automl.model.bundle import INDEX, target_folders
    from automl.runtime.folder import RunFolder

    folders = [run, *(target_folders(run).values() if (run / INDEX).is_file() else ())]
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(RunFolder.reopen(folder))
        yield


if __name__ == "__main__":
    sys.exit(main())
