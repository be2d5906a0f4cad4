"""The run folder: everything a run knows, on disk, written so that a crash at any moment leaves it readable.

JSON files appear whole (temp file, then rename), events are appended line by line, models are plain files. One driver
works on a folder at a time: it holds a lock that its death frees.
"""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from filelock import BaseFileLock, FileLock, Timeout

from automl.errors import InputError, RunError
from automl.plain import as_json
from automl.records import Fold
from automl.runtime import remote
from automl.runtime.remote import Mirror

EVENTS = "events.jsonl"
STATE = "state.pt"  # of a training that is under way
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class RunFolder:
    """One run's files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: BaseFileLock | None = None
        self._mirror: Mirror | None = None  # where the run's place is behind a URL

    @classmethod
    def create(cls, wanted: str | Path | None, name: str) -> RunFolder:
        """A new folder: `wanted`, or runs/<name>-<time>. A folder that holds something is refused."""
        if isinstance(wanted, str) and remote.is_url(wanted):
            path = remote.working_folder(wanted)
            return cls.create(path, name)._mirrored(Mirror.onto_nothing(path, wanted))
        path = Path("runs" if wanted is None else wanted)
        try:
            path = fresh(path, name) if wanted is None else path
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise InputError(f"run folder {str(path)!r} is not empty. Name another one, or remove it first.")
            (path / "trials").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"run folder {str(path)!r} cannot be written: {error.strerror or error}. "
                "Name another one (run_dir, --out)."
            ) from error
        return cls(path)._locked()

    @classmethod
    def reopen(cls, path: str | Path) -> RunFolder:
        """The folder of an earlier run, to go on in it."""
        if isinstance(path, str) and remote.is_url(path):
            mirror = Mirror(remote.checkout(path, remote.working_folder(path)), path)
            mirror.check_alone()
            return cls.reopen(mirror.local)._mirrored(mirror)
        path = Path(path)
        if not (path / "options.json").is_file():
            raise InputError(f"no run in {str(path)!r}: options.json is not there. Give the folder of a run.")
        (path / "trials").mkdir(exist_ok=True)
        folder = cls(path)._locked()
        folder._mend()
        return folder

    @property
    def place(self) -> str:
        """Where the run belongs, as a user would name it."""
        return self._mirror.url if self._mirror else str(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object = None, error: BaseException | None = None, _trace: object = None) -> None:
        if self._lock is not None:
            self._lock.release()  # another driver may work here now
        if self._mirror is not None:
            self._mirror.close()
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise RunError(
                f"the disk is full, so the run in {str(self.path)!r} cannot go on: {error.strerror}. "
                f"What is in it stays: make room, then automl resume {self.place}"
            ) from error

    def _mirrored(self, mirror: Mirror) -> RunFolder:
        """Copy all that is written here to where the run belongs."""
        self._mirror = mirror
        mirror.start()
        return self

    def _locked(self) -> RunFolder:
        """Hold the folder's lock, or say who does."""
        lock = FileLock(self.path / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"another run works in {str(self.path)!r} ({self._driver()}). Wait for it, or stop it first."
            ) from None
        self._lock = lock
        write_whole(self.path / "driver", f"process {os.getpid()} on {socket.gethostname()}".encode())
        return self

    def _driver(self) -> str:
        try:
            return (self.path / "driver").read_text(encoding="utf-8")
        except OSError:
            return "its process is not known"

    def _mend(self) -> None:
        """Cut off a last event that a crash left half-written."""
        log = self.path / EVENTS
        if log.is_file() and (content := log.read_bytes()) and not content.endswith(b"\n"):
            with log.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)

    def write_json(self, name: str, value: Any) -> Path:
        """Write a JSON file that is either there whole or not at all."""
        target = self.path / name
        text = json.dumps(as_json(value), indent=1, ensure_ascii=False, allow_nan=False)
        write_whole(target, text.encode("utf-8", "backslashreplace"))  # half a letter is written as JSON escapes it
        return target

    def read_json(self, name: str) -> Any:
        """Read one of the folder's JSON files."""
        return json.loads((self.path / name).read_text(encoding="utf-8"))

    def event(self, what: str, facts: Mapping[str, Any]) -> None:
        """Append a line to events.jsonl."""
        line = json.dumps({"at": round(time.time(), 3), "event": what, **as_json(facts)}, ensure_ascii=False)
        try:
            with (self.path / EVENTS).open("a", encoding="utf-8") as log:
                log.write(line + "\n")
        except OSError as error:
            raise RunError(
                f"the run folder {str(self.path)!r} cannot be written any more: {error.strerror}. "
                f"What is in it stays: make room, then automl resume {self.place}"
            ) from error

    def events(self) -> list[dict[str, Any]]:
        """All events so far; a line that cannot be read is left out."""
        found = []
        log = self.path / EVENTS
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []:
            with suppress(ValueError):
                found.append(dict(json.loads(line)))
        return found

    def log(self, job: str, text: str) -> None:
        """Keep what a job that went wrong said last, in logs/<job>.txt."""
        (self.path / "logs").mkdir(exist_ok=True)
        write_whole(self.path / "logs" / f"{job}.txt", text.encode(errors="replace"))

    def trial(self, number: int, fold: int) -> Path:
        """Where the fitted model of one fold lies."""
        return self.path / "trials" / f"{number:04d}" / ("all" if fold < 0 else f"fold{fold}")

    def save_parts(self, number: int, fold: int, parts: Mapping[str, Mapping[str, bytes]]) -> float:
        """Keep a fitted fold: {"learner": files, "features": files}. Gives its size in MB."""
        size = 0
        for group, files in parts.items():
            folder = self.trial(number, fold) / group
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                write_whole(folder / name, content)
                size += len(content)
        return size / 1e6

    def read_parts(self, number: int, fold: int, group: str) -> dict[str, bytes]:
        """The files of `save_parts`."""
        return {file.name: file.read_bytes() for file in sorted((self.trial(number, fold) / group).iterdir())}

    def save_fold(self, number: int, fold: Fold) -> None:
        """Keep what a fold gave, its predictions included: with this file there, the fold need not run again."""
        folder = self.trial(number, fold.fold)
        held = io.BytesIO()
        np.save(held, fold.predictions, allow_pickle=False)
        write_whole(folder / "held.npy", held.getvalue())
        facts = as_json({f.name: getattr(fold, f.name) for f in fields(fold) if f.name != "predictions"})
        write_whole(folder / "fold.json", json.dumps(facts).encode())

    def read_folds(self, number: int) -> dict[int, Fold]:
        """The folds of a trial that `save_fold` kept."""
        found = {}
        for told in sorted((self.path / "trials" / f"{number:04d}").glob("fold*/fold.json")):
            facts = json.loads(told.read_text(encoding="utf-8"))
            predictions = np.load(told.with_name("held.npy"), allow_pickle=False)
            found[int(facts["fold"])] = Fold(predictions=predictions, **facts)
        return found

    def has_models(self, number: int) -> bool:
        """Whether the fitted models of a trial are still there."""
        return any((self.path / "trials" / f"{number:04d}").glob("*/learner"))

    def state(self, number: int, fold: int) -> Path:
        """Where a training that takes minutes keeps its state."""
        folder = self.trial(number, fold)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / STATE

    def forget_state(self, number: int, fold: int) -> None:
        """The training is done."""
        (self.trial(number, fold) / STATE).unlink(missing_ok=True)

    def drop_trial(self, number: int) -> None:
        """Free the disk of the models of a trial that no candidate uses; what it taught stays."""
        for fold in (self.path / "trials" / f"{number:04d}").glob("*"):
            for group in ("learner", "features"):
                shutil.rmtree(fold / group, ignore_errors=True)
            (fold / STATE).unlink(missing_ok=True)


def write_whole(target: Path, content: bytes) -> None:
    """Write a file through a temporary neighbour, so that readers see the old or the new one, never half."""
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise RunError(f"cannot write {str(target)!r}: {error.strerror or error}. Is the disk full?") from error


def slug(name: str) -> str:
    """A name that is safe as a folder."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60] or "run"


def fresh(parent: Path, name: str) -> Path:
    """A new folder, parent/<name>-<time>, that no run beside this one can take too."""
    parent.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for count in itertools.count(1):
        path = parent / f"{slug(name)}-{stamp}{'' if count == 1 else f'-{count}'}"
        with suppress(FileExistsError):
            path.mkdir()
            break
    return path
