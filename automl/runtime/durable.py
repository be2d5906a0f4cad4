"""Files that a loss of power leaves whole: the old one or the new one, on the disk itself, not only on its way there.

Written beside, flushed, renamed, and the folder flushed. What belongs together is flushed side by side, for a disk
takes as long for one file as for eight.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from automl.errors import RunError

SIDE_BY_SIDE = 8
NO_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)  # of disks that know of none: no more can be done there


def write_whole(target: Path, content: bytes) -> None:
    """Write a file through a temporary neighbour, so that readers see the old or the new one, never half."""
    write_all({target: content})


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write files, each whole; all of them are on the disk when this returns. Their folders are made."""
    beside = {target: target.with_name(f".{target.name}.{os.getpid()}") for target in files}
    try:
        made = [holder for folder in {target.parent for target in files} for holder in make_folder(folder)]
        for target, content in files.items():
            beside[target].write_bytes(content)
        _flush_all(beside.values())
        for target, written in beside.items():
            written.replace(target)
        _flush_all({*made, *(target.parent for target in files)})
    except OSError as error:
        for written in beside.values():
            written.unlink(missing_ok=True)
        name = error.filename or str(next(iter(files)))
        raise RunError(f"cannot write {name!r}: {error.strerror or error}. Is the disk full?") from error


def settle(written: Path, target: Path) -> None:
    """Put a file that somebody else wrote in its place, whole."""
    flush(written)
    written.replace(target)
    flush(target.parent)


def make_folder(path: Path) -> list[Path]:
    """Make a folder and those above it; the folders that hold new ones, to be flushed."""
    if path.is_dir():
        return []
    holders = make_folder(path.parent)
    path.mkdir(exist_ok=True)
    return [*holders, path.parent]


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk itself."""
    place = os.open(path, os.O_RDONLY)
    try:
        os.fsync(place)
    except OSError as error:
        if error.errno not in NO_FLUSH:
            raise
    finally:
        os.close(place)


def _flush_all(paths: Iterable[Path]) -> None:
    several = list(paths)
    if len(several) == 1:
        flush(several[0])
    else:
        with ThreadPoolExecutor(min(SIDE_BY_SIDE, max(1, len(several)))) as threads:
            list(threads.map(flush, several))
