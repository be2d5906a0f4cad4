"""The run folder: everything a run knows, on disk, written so that a crash at any moment leaves it readable.

JSON files appear whole (temp file, then rename), events are appended line by line, models are plain files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from automl.errors import InputError, RunError
from automl.records import as_json


class RunFolder:
    """One run's files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, wanted: str | Path | None, name: str) -> RunFolder:
        """A new folder: `wanted`, or runs/<name>-<time>. A folder that holds something is refused."""
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        path = Path(wanted) if wanted is not None else _free(Path("runs") / f"{slug(name)}-{stamp}")
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise InputError(f"run folder {str(path)!r} is not empty. Name another one, or remove it first.")
            (path / "trials").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"run folder {str(path)!r} cannot be written: {error.strerror or error}. "
                "Name another one (run_dir, --out)."
            ) from error
        return cls(path)

    def write_json(self, name: str, value: Any) -> Path:
        """Write a JSON file that is either there whole or not at all."""
        target = self.path / name
        text = json.dumps(as_json(value), indent=1, ensure_ascii=False, allow_nan=False)
        write_whole(target, text.encode())
        return target

    def read_json(self, name: str) -> Any:
        """Read one of the folder's JSON files."""
        return json.loads((self.path / name).read_text(encoding="utf-8"))

    def event(self, what: str, facts: Mapping[str, Any]) -> None:
        """Append a line to events.jsonl."""
        line = json.dumps({"at": round(time.time(), 3), "event": what, **as_json(facts)}, ensure_ascii=False)
        try:
            with (self.path / "events.jsonl").open("a", encoding="utf-8") as log:
                log.write(line + "\n")
        except OSError as error:
            raise RunError(
                f"the run folder {str(self.path)!r} cannot be written any more: {error.strerror}."
            ) from error

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

    def drop_trial(self, number: int) -> None:
        """Free the disk of a trial that no candidate uses."""
        shutil.rmtree(self.path / "trials" / f"{number:04d}", ignore_errors=True)


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


def _free(path: Path) -> Path:
    candidate, i = path, 1
    while candidate.exists():
        i += 1
        candidate = path.with_name(f"{path.name}-{i}")
    return candidate
