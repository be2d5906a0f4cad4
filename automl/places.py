"""Names from outside on their way to a path: keys of a store, entries of a saved model, folders that a file names.

Whoever wrote them may have meant another folder than ours, so one function joins them, and refuses what leaves. A test
finds joins that go round it.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from automl.errors import AutomlError, InputError
from automl.messages import shown

WITHIN = (
    "AUTOML_FILES_WITHIN"  # in the environment: the folder that names in data may lead into, or a JSON list of some
)


def inside(folder: Path, name: Any, refusal: type[AutomlError] = InputError) -> Path:
    """The place that a name from outside has in a folder; refused in one line where it would be elsewhere.

    What lies there may be a link: one that leads out is refused too, but into the store of the hub's own cache.
    """
    is_plain = isinstance(name, str) and not set("\\\0") & set(name)
    parts = PurePosixPath(name).parts if is_plain else ()
    if not parts or {"/", "//", ".."} & set(parts) or (real := _real(place := Path(folder, name))) is None:
        raise refusal(
            f"{shown(name)} is named as a place in {str(folder)!r}, and would be outside of it. "
            "It is damaged or was made to do harm: do not use it."
        )
    if not any(real.is_relative_to(root) for root in _roots(folder)):
        raise refusal(
            f"{shown(name)} in {str(folder)!r} is a link that leads outside of it. If you know what it leads to, copy "
            "the folder with that (cp -rL); else it was made to do harm: do not use it."
        )
    return place


def may_be_read(place: str | Path) -> bool:
    """Whether data may name this file: any, unless the process is told some folders, as the server's are."""
    told = os.environ.get(WITHIN)
    if not told:
        return True
    real = _real(Path(place))
    return real is not None and any(real.is_relative_to(folder) for folder in _told_folders(told))


def only_within(*folders: str | Path) -> str:
    """What WITHIN is set to, so that names in data lead into these folders and nowhere else; without any, nowhere."""
    return json.dumps([str(folder) for folder in folders])


@contextmanager
def holding_to(told: str) -> Iterator[None]:
    """Names in data lead only where `told` says, in this process and those that it starts, until the block ends."""
    before = os.environ.get(WITHIN)
    os.environ[WITHIN] = told
    try:
        yield
    finally:
        if before is None:
            del os.environ[WITHIN]
        else:
            os.environ[WITHIN] = before


@functools.lru_cache(maxsize=16)
def _told_folders(told: str) -> tuple[Path, ...]:
    return tuple(Path(folder).resolve() for folder in (json.loads(told) if told.startswith("[") else [told]))


def _real(place: Path) -> Path | None:
    """Where it leads; None for what no file can be called, and for links in a circle."""
    try:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):  # told by whoever opens it
            os.lstat(place)
        return place.resolve()
    except (OSError, RuntimeError, ValueError):  # too long, or letters that cannot be written
        return None


def _roots(folder: Path) -> Iterator[Path]:
    """Where what lies in a folder may really lie: there; a snapshot in the hub's cache is links into its own store."""
    real = folder.resolve()
    yield real
    for parent in real.parents:
        if parent.name == "snapshots":
            yield (parent.parent / "blobs").resolve()
