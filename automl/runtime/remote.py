"""Data and run folders behind URLs (s3://, gs://, any that fsspec knows): fetched before use.

A run always works in a folder of its own machine, and a mirror (mirror.py) copies that to where it belongs. Whoever
resumes fetches it all.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from automl.errors import InputError
from automl.places import inside
from automl.runtime import lease
from automl.runtime.store import opened, why
from cluster.scratch import Scratch


def is_url(place: Any) -> bool:
    """Whether a text names something behind a URL."""
    return isinstance(place, str) and re.match(r"[a-z][a-z0-9+]+://", place) is not None


def fetch(url: str) -> Path:
    """A file behind a URL, as a local file of the same name that ends with this process."""
    store, path = opened(url)
    target = inside(_scratch(), path.rpartition("/")[2])
    try:
        store.get_file(path, str(target))
    except Exception as problem:  # of whatever library the store is reached with
        raise InputError(f"{url!r} cannot be read: {why(problem)}. Check the URL and your access to it.") from problem
    return target


def checkout(url: str, target: Path | None = None) -> Path:
    """A folder behind a URL, as a local one; in `target`, or in a place that ends with this process."""
    store, path = opened(url, is_fresh=True)
    target = target or inside(_scratch(), path.rpartition("/")[2] or "run")
    try:
        files = store.find(path)
        named = [file[len(store._strip_protocol(path)) :].strip("/") for file in files]
        for file, place in zip(files, [inside(target, name) for name in named], strict=True):  # all, before one is had
            if place != target / lease.NAME:
                place.parent.mkdir(parents=True, exist_ok=True)
                store.get_file(file, str(place))
    except InputError:
        raise
    except Exception as problem:  # of whatever library the store is reached with
        raise InputError(f"{url!r} cannot be read: {why(problem)}. Check the URL and your access to it.") from problem
    if not files:
        raise InputError(f"nothing is at {url!r}. Check the URL.")
    return target


@contextmanager
def borrowed(url: str) -> Iterator[Path]:
    """A folder behind a URL for as long as it is read: a service that loads models goes on for months."""
    scratch = Scratch()
    try:
        yield checkout(url, scratch.path / "fetched")
    finally:
        scratch.close()


def working_folder(url: str) -> Path:
    """Where this machine works on the run behind a URL: a fresh folder."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "automl" / "runs"
    name = url.rstrip("/").rpartition("/")[2] or "run"
    folder = root / f"{name}-{hashlib.sha256(f'{url} {os.getpid()} {time.time_ns()}'.encode()).hexdigest()[:8]}"
    folder.mkdir(parents=True)
    return folder


def _scratch() -> Path:
    """A folder that ends with this process."""
    folder = Scratch().path / "fetched"  # whatever lies in it has no name that means something there
    folder.mkdir()
    return folder
