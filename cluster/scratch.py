"""Temporary folders that end with their owner, however it ends: what no living process owns is swept at the next start.

An owner holds the kernel's lock on a file in its folder. Its death frees that, so nothing is asked of process numbers,
which are given again, and none of another container's, whose processes cannot be seen from here.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PREFIX = "automl-"
OWNER = "owner"  # in each folder: who made it, and what its maker has locked
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Scratch:
    """A new folder below `root` that only this user can enter; `close` or the end of the process removes it."""

    def __init__(self, root: str | Path | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        self._maker = os.getpid()
        unlocked = self.path / f".{OWNER}"  # no sweeper looks at a folder before its owner has locked it
        self._lock = os.open(unlocked, os.O_CREAT | os.O_RDWR, 0o600)
        with suppress(OSError):  # a disk without locks: nobody else gets one there either, so nothing is swept
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(self._lock, "\n".join(_machine()).encode())
            unlocked.rename(self.path / OWNER)
        atexit.register(self.close)

    def close(self) -> None:
        """Remove it, once; nothing in a fork of its maker."""
        if os.getpid() != self._maker or self._lock < 0:
            return
        atexit.unregister(self.close)
        remove([str(self.path)])
        os.close(self._lock)
        self._lock = -1


def sweep(roots: Iterable[str | Path]) -> list[Path]:
    """Remove this user's folders below `roots` that no living process owns; which these were."""
    found = []
    for root in roots:
        with suppress(OSError):
            found += [path for path in Path(root).glob(f"{PREFIX}*") if _swept(path)]
    return found


def remove(folders: Iterable[str]) -> None:
    """Remove what a Scratch made; the nursery calls it too, for a driver that was killed.

    The owner's mark goes last: what is left of who is killed on the way is still found by the next sweep.
    """
    for folder in map(Path, folders):
        with suppress(OSError):
            for path in [path for path in folder.iterdir() if path.name != OWNER]:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.rmtree(folder, ignore_errors=True)


def _swept(folder: Path) -> bool:
    """Whether it was nobody's, and is gone."""
    try:
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return False
        lock = os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:  # just made, just removed, or not one of ours
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails as long as its owner lives
        told = os.read(lock, 1000).decode(errors="replace").split("\n")
        if not set(told) & set(_machine()):  # a disk of several machines, whose locks may not reach over
            return False
        remove([str(folder)])
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _machine() -> list[str]:
    """What tells this machine from others: its name, and this start of its kernel, which its containers share."""
    with suppress(OSError):
        return [socket.gethostname(), _BOOT_ID.read_text().strip()]
    return [socket.gethostname()]
