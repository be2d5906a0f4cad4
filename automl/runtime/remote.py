"""Data and run folders behind URLs (s3://, gs://, any that fsspec knows): fetched before use, copied back meanwhile.

A run always works in a folder of its own machine. A mirror thread copies what changed every few seconds, the events
last, so that the copy never promises more than it holds; a file appears there whole. Whoever resumes fetches it all.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

from automl.errors import InputError, RunError
from automl.places import inside
from cluster.scratch import Scratch

SYNC_S = 5.0  # between two looks at what changed
ALIVE_S = 60.0  # after the last copy, for which a run is taken to be still at work
LAST, DRIVER = "events.jsonl", "driver"
WHOLE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"}  # stores where a file appears at once or not at all
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


def is_url(place: Any) -> bool:
    """Whether a text names something behind a URL."""
    return isinstance(place, str) and re.match(r"[a-z][a-z0-9+]+://", place) is not None


def fetch(url: str) -> Path:
    """A file behind a URL, as a local file of the same name that ends with this process."""
    store, path = _store(url)
    target = inside(_scratch(), path.rstrip("/").rpartition("/")[2])
    try:
        store.get_file(path, str(target))
    except (OSError, ValueError) as problem:
        raise InputError(f"{url!r} cannot be read: {_why(problem)}. Check the URL and your access to it.") from problem
    return target


def checkout(url: str, target: Path | None = None) -> Path:
    """A folder behind a URL, as a local one; in `target`, or in a place that ends with this process."""
    store, path = _store(url)
    target = target or inside(_scratch(), path.rstrip("/").rpartition("/")[2] or "run")
    try:
        files = store.find(path)
        named = [file[len(store._strip_protocol(path)) :].strip("/") for file in files]
        for file, place in zip(files, [inside(target, name) for name in named], strict=True):  # all, before one is had
            place.parent.mkdir(parents=True, exist_ok=True)
            store.get_file(file, str(place))
    except InputError:
        raise
    except (OSError, ValueError) as problem:
        raise InputError(f"{url!r} cannot be read: {_why(problem)}. Check the URL and your access to it.") from problem
    if not files:
        raise InputError(f"nothing is at {url!r}. Check the URL.")
    return target


class Mirror:
    """Keeps a copy of a folder behind a URL."""

    def __init__(self, local: Path, url: str) -> None:
        self.local, self.url = local, url
        self._store, self._path = _store(url)
        self._sent: dict[str, tuple[int, int]] = {}  # size and time of each file as it was copied
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="automl mirror", daemon=True)
        self._trouble = ""

    @classmethod
    def onto_nothing(cls, local: Path, url: str) -> Mirror:
        """A mirror for a new run; a place that holds something is refused."""
        mirror = cls(local, url)
        if mirror._store.exists(mirror._path) and mirror._store.find(mirror._path):
            raise InputError(f"run folder {url!r} is not empty. Name another one, or remove it first.")
        return mirror

    def check_alone(self) -> None:
        """Refuse a run that another driver keeps copying."""
        driver = f"{self._path}/{DRIVER}"
        if not self._store.exists(driver):
            return
        told = self._store.cat_file(driver).decode(errors="replace")
        if (found := re.search(r"alive at (\d+)", told)) and time.time() - int(found[1]) < ALIVE_S:
            raise RunError(f"another run works in {self.url!r} ({told}). Wait for it, or stop it first.")

    def start(self) -> None:
        """Begin to copy."""
        self._thread.start()

    def close(self) -> None:
        """Copy the rest; what could not be copied is told."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._sync(is_over=True)
        if self._trouble:
            raise RunError(f"{self.url!r} does not hold the whole run: {self._trouble}. It is in {str(self.local)!r}.")

    def _run(self) -> None:
        while not self._stop.wait(SYNC_S):
            self._sync()

    def _sync(self, *, is_over: bool = False) -> None:
        """Copy what changed since the last time, remove what is gone."""
        self._trouble = ""
        try:
            events = (self.local / LAST).read_bytes() if (self.local / LAST).exists() else b""
            here = {path.relative_to(self.local).as_posix(): path for path in self.local.rglob("*") if path.is_file()}
            names = [name for name in here if name not in (LAST, DRIVER, "lock") and "/." not in f"/{name}"]
            for name in names:
                self._send(name, here[name])
            for name in set(self._sent) - set(names):
                self._store.rm_file(f"{self._path}/{name}")
                del self._sent[name]
            self._put(LAST, events)
            state = "ended" if is_over else f"alive at {int(time.time())}"
            told = (self.local / DRIVER).read_text() if (self.local / DRIVER).exists() else ""
            self._put(DRIVER, f"{told}, {state}".encode())
        except (OSError, ValueError) as problem:  # tried again in some seconds, and told at the end
            self._trouble = _why(problem)

    def _send(self, name: str, path: Path) -> None:
        try:
            stat = path.stat()
            mark = stat.st_size, stat.st_mtime_ns
            if self._sent.get(name) != mark:
                self._put(name, path.read_bytes())
                self._sent[name] = mark
        except FileNotFoundError:
            return  # removed meanwhile: the next look sees that

    def _put(self, name: str, content: bytes) -> None:
        """Write a file that appears whole."""
        target = f"{self._path}/{name}"
        protocols = self._store.protocol if isinstance(self._store.protocol, tuple) else (self._store.protocol,)
        if WHOLE.intersection(protocols):
            self._store.pipe_file(target, content)
            return
        self._store.makedirs(target.rpartition("/")[0], exist_ok=True)
        beside = f"{target}.{os.getpid()}.part"
        self._store.pipe_file(beside, content)
        self._store.mv(beside, target)


def working_folder(url: str) -> Path:
    """Where this machine works on the run behind a URL: a fresh folder."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "automl" / "runs"
    name = url.rstrip("/").rpartition("/")[2] or "run"
    folder = root / f"{name}-{hashlib.sha256(f'{url} {os.getpid()} {time.time_ns()}'.encode()).hexdigest()[:8]}"
    folder.mkdir(parents=True)
    return folder


def _store(url: str) -> tuple[Any, str]:
    """The file system behind a URL, and the path in it."""
    import fsspec

    protocol = url.partition("://")[0]
    try:
        store, path = fsspec.core.url_to_fs(url)
    except ImportError as problem:
        extra = EXTRAS.get(protocol)
        hint = f"pip install 'automl-frontier[{extra}]'" if extra else str(problem)
        raise InputError(f"{url!r} needs a package that is not installed: {hint}.") from problem
    except ValueError as problem:
        raise InputError(
            f"{url!r} is not understood: {_why(problem)}. Give a path, an s3:// or a gs:// URL."
        ) from problem
    return store, str(path).rstrip("/")


def _scratch() -> Path:
    """A folder that ends with this process."""
    folder = Scratch().path / "fetched"  # whatever lies in it has no name that means something there
    folder.mkdir()
    return folder


def _why(problem: Exception) -> str:
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:200]
