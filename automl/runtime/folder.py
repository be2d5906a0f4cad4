"""The run folder: everything a run knows, on disk, written so that a crash at any moment leaves it readable.

JSON files and models appear whole (durable.py), events are appended line by line. What a loss of power or a disk has
damaged all the same counts as not done, and is told. One driver works on a folder at a time: it holds a lock that its
death frees.
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
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from filelock import BaseFileLock, FileLock, Timeout

from automl.errors import InputError, RunError
from automl.messages import one_line
from automl.places import inside
from automl.plain import as_json
from automl.records import Fold
from automl.runtime import remote
from automl.runtime.durable import flush, make_folder, write_all, write_whole
from automl.runtime.mirror import Mirror

EVENTS = "events.jsonl"
BEGUN = "begun"  # the event that holds what a run must know of its start, for when a file is damaged
STATE = "state.pt"  # of a training that is under way
LEARNER = "learner"
STUDENTS = 1_000_000  # trial numbers from here on are models that learned from others, made anew at each end of a run
SIZES = "parts.json"  # of a fold's files, by their names
Parts = Mapping[str, Mapping[str, bytes]]  # of a fitted fold: files of its learner, and of its features
Tell = Callable[[str], None]
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def silently(_line: str) -> None:
    """Nobody hears of it."""


class RunFolder:
    """One run's files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []  # what was found damaged, and what became of it
        self._lock: BaseFileLock | None = None
        self._mirror: Mirror | None = None  # where the run's place is behind a URL

    @classmethod
    def create(cls, wanted: str | Path | None, name: str, tell: Tell = silently) -> RunFolder:
        """A new folder: `wanted`, or runs/<name>-<time>. A folder that holds something is refused.

        `tell` hears in a line what becomes of the copy, where the folder is behind a URL.
        """
        if isinstance(wanted, str) and remote.is_url(wanted):
            mirror = Mirror(remote.working_folder(wanted), wanted, tell)
            mirror.claim_empty()
            return cls.create(mirror.local, name)._mirrored(mirror)
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
    def reopen(cls, path: str | Path, tell: Tell = silently) -> RunFolder:
        """The folder of an earlier run, to go on in it; `tell` as for `create`."""
        if isinstance(path, str) and remote.is_url(path):
            mirror = Mirror(remote.working_folder(path), path, tell)
            mirror.claim()
            try:
                remote.checkout(path, mirror.local)
                return cls.reopen(mirror.local)._mirrored(mirror)
            except BaseException:
                mirror.let_go()
                raise
        path = Path(path)
        if not (path / "options.json").is_file():
            raise InputError(f"no run in {str(path)!r}: options.json is not there. Give the folder of a run.")
        (path / "trials").mkdir(exist_ok=True)
        folder = cls(path)._locked()
        folder._mend()
        return folder

    @property
    def waited_s(self) -> float:
        """Seconds for which it was watched whether another driver is gone: no work of this run."""
        return self._mirror.waited_s if self._mirror else 0.0

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
            self._mirror.close(is_told=error is not None)  # what ended the run is the news
        full = error.__cause__ if isinstance(error, RunError) else error
        if isinstance(full, OSError) and full.errno in NO_ROOM:
            raise RunError(
                f"the disk is full, so the run in {str(self.path)!r} cannot go on: {full.strerror}. "
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
        """Read one of the folder's JSON files; one that is damaged is refused."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except ValueError as problem:
            raise InputError(
                f"{str(self.path / name)!r} is damaged: {one_line(problem)}. Take it from a copy of the run, "
                "or start a new run."
            ) from problem

    def write_start(self, facts: Mapping[str, Any]) -> None:
        """Write NAME.json for each: what a run cannot be gone on with without. The journal keeps a copy of them."""
        for name, content in facts.items():
            self.write_json(f"{name}.json", content)
        self.event(BEGUN, facts)

    def read_start(self, name: str) -> Any:
        """The same again, from the journal where the file is damaged."""
        try:
            return self.read_json(f"{name}.json")
        except (InputError, FileNotFoundError):
            kept = [event[name] for event in self.events() if event["event"] == BEGUN and name in event]
            if not kept:
                raise
            self.note(f"{name}.json is damaged: its copy in {EVENTS} is taken")
            return kept[-1]

    def note(self, line: str) -> None:
        """Remember, once, what the user should hear of this folder."""
        if line not in self.notes:
            self.notes.append(line)

    def event(self, what: str, facts: Mapping[str, Any], *, is_flushed: bool = True) -> None:
        """Append a line to events.jsonl; flushed, it is on the disk when this returns, and all before it."""
        line = json.dumps({"at": round(time.time(), 3), "event": what, **as_json(facts)}, ensure_ascii=False)
        try:
            is_new = not (self.path / EVENTS).exists()
            with (self.path / EVENTS).open("a", encoding="utf-8") as log:
                log.write(line + "\n")
            if is_flushed:
                flush(self.path / EVENTS)
            if is_new:
                flush(self.path)
        except OSError as error:
            raise RunError(
                f"the run folder {str(self.path)!r} cannot be written any more: {error.strerror}. "
                f"What is in it stays: make room, then automl resume {self.place}"
            ) from error

    def events(self) -> list[dict[str, Any]]:
        """All events so far; a line that cannot be read is left out."""
        found = []
        log = self.path / EVENTS
        # by "\n" alone: a message may hold what others take for the end of a line
        for line in log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []:
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and "event" in event:
                    found.append(event)
        return found

    def log(self, job: str, text: str) -> None:
        """Keep what a job that went wrong said last, in logs/<job>.txt."""
        (self.path / "logs").mkdir(exist_ok=True)
        write_whole(self.path / "logs" / f"{job}.txt", text.encode(errors="replace"))

    def trial(self, number: int, fold: int) -> Path:
        """Where the fitted model of one fold lies."""
        return self.path / "trials" / f"{number:04d}" / ("all" if fold < 0 else f"fold{fold}")

    def save_parts(self, number: int, fold: int, parts: Parts) -> None:
        """Keep a fitted fold: {"learner": files, "features": files}."""
        write_all(self._files_of(self.trial(number, fold), parts))

    def has_parts(self, number: int, fold: int) -> bool:
        """Whether the files of `save_parts` are there, all of them."""
        folder = self.trial(number, fold)
        try:
            _check_sizes(folder)
        except (ValueError, OSError, InputError):
            return False
        return (folder / LEARNER).is_dir() and (folder / SIZES).is_file()

    def read_parts(self, number: int, fold: int, group: str) -> dict[str, bytes]:
        """The files of `save_parts`."""
        return {file.name: file.read_bytes() for file in sorted((self.trial(number, fold) / group).iterdir())}

    def save_fold(self, number: int, fold: Fold, parts: Parts) -> None:
        """Keep a fitted fold and what it gave, its predictions included: it need not run again."""
        folder = self.trial(number, fold.fold)
        held = io.BytesIO()
        np.save(held, fold.predictions, allow_pickle=False)
        facts = as_json({f.name: getattr(fold, f.name) for f in fields(fold) if f.name != "predictions"})
        told = {folder / "held.npy": held.getvalue(), folder / "fold.json": json.dumps(facts).encode()}
        write_all({**self._files_of(folder, parts), **told})  # at once: a disk takes as long for one

    def _files_of(self, folder: Path, parts: Parts) -> dict[Path, bytes]:
        """The files of a fitted fold, and how long they are."""
        for group in (group for group, some in parts.items() if not some):
            make_folder(folder / group)
        files = {f"{group}/{name}": content for group, some in parts.items() for name, content in some.items()}
        sizes = {name: len(content) for name, content in files.items()}
        return {
            **{folder / name: content for name, content in files.items()},
            folder / SIZES: json.dumps(sizes).encode(),
        }

    def read_folds(self, number: int) -> dict[int, Fold]:
        """The folds of a trial that `save_fold` kept; one of whose files any is damaged was not done."""
        found = {}
        for told in sorted((self.path / "trials" / f"{number:04d}").glob("fold*/fold.json")):
            try:
                facts = json.loads(told.read_text(encoding="utf-8"))
                predictions = np.load(told.with_name("held.npy"), allow_pickle=False)
                fold = Fold(predictions=predictions, **facts)
                _check_sizes(told.parent)
            except (ValueError, EOFError, OSError, TypeError, InputError) as problem:
                self.note(f"trial {number}: {told.parent.name} is damaged ({one_line(problem)}): it is done again")
                continue
            found[fold.fold] = fold
        return found

    def has_models(self, number: int) -> bool:
        """Whether the fitted models of a trial are still there, all of them."""
        folds = [told.parent for told in (self.path / "trials" / f"{number:04d}").glob("fold*/fold.json")]
        return bool(folds) and all((fold / LEARNER).is_dir() for fold in folds)

    def forget_trials_but(self, known: Collection[int]) -> None:
        """Remove folders of trials that the journal does not know, for a new trial may take their number."""
        for place in (self.path / "trials").glob("*"):
            if place.name.isdigit() and int(place.name) < STUDENTS and int(place.name) not in known:
                self.note(f"trial {int(place.name)}: {EVENTS} no longer tells of it: it is done again")
                shutil.rmtree(place, ignore_errors=True)

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
            for group in (LEARNER, "features"):
                with suppress(FileNotFoundError):  # away at once: half a model must not be taken for one
                    (fold / group).rename(fold / f".{group}")
                shutil.rmtree(fold / f".{group}", ignore_errors=True)
            (fold / STATE).unlink(missing_ok=True)


def _check_sizes(fold: Path) -> None:
    """Raise ValueError if a file of a fold's model is not as long as it was; models may have been dropped, whole."""
    if not (fold / SIZES).exists() or not (fold / LEARNER).is_dir():
        return
    for name, size in json.loads((fold / SIZES).read_text(encoding="utf-8")).items():
        path = inside(fold, name)
        if not path.is_file() or path.stat().st_size != size:
            raise ValueError(f"{name} is not whole")


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
