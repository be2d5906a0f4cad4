"""Values that every worker reads in place: one file each, its arrays mapped into memory instead of copied.

The file holds the value's buffers (pickle protocol 5, out of band), then the pickle, then where each of them lies.
It lives in memory (/dev/shm) where there is room. Pickle crosses here between our own processes, through a folder that
only this user can enter, and ends with the pool: it is never the format of anything that is kept.
"""

from __future__ import annotations

import mmap
import os
import pickle
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

from cluster import scratch
from cluster.pool import Ref

_ALIGN = 64  # bytes; a cache line, and enough for any vector load
_TAIL = struct.Struct("!Q")  # length of the index before it


class Shelf:
    """The driver's side: writes values, removes them all on `close`. What drivers before it left behind goes first."""

    def __init__(self) -> None:
        scratch.sweep(roots())
        self._scratches = [scratch.Scratch(root) for root in roots()]
        self.folders = tuple(str(one.path) for one in self._scratches)
        self._count = 0

    def put(self, value: Any) -> Ref:
        """Write a value once; its arrays will be read-only where they arrive."""
        buffers: list[pickle.PickleBuffer] = []
        body = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        parts = [*(buffer.raw() for buffer in buffers), memoryview(body)]
        path = Path(self._folder_for(sum(part.nbytes for part in parts)), f"{self._count}.value")
        self._count += 1
        spans = []
        with path.open("xb") as file:
            for part in parts:
                file.write(b"\0" * (-file.tell() % _ALIGN))
                spans.append((file.tell(), file.tell() + part.nbytes))
                file.write(part)
            index = pickle.dumps(spans)
            file.write(index + _TAIL.pack(len(index)))
        return Ref(str(path))

    def forget(self, ref: Ref) -> None:
        """Remove one value, if it is still there."""
        Path(ref.key).unlink(missing_ok=True)

    def close(self) -> None:
        """Remove every value; what a living worker has mapped stays readable to it."""
        for one in self._scratches:
            one.close()

    def _folder_for(self, size: int) -> str:
        """The first folder whose disk would still be half empty; the last one takes what is left."""
        for folder in self.folders[:-1]:
            if size * 2 <= shutil.disk_usage(folder).free:
                return folder
        return self.folders[-1]


def take(key: str) -> Any:
    """The value behind a Ref's key, its arrays mapped and read-only."""
    with Path(key).open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    (size,) = _TAIL.unpack(view[-_TAIL.size :])
    spans = pickle.loads(view[-_TAIL.size - size : -_TAIL.size])  # noqa: S301 - written by put above
    *buffers, body = (view[start:stop] for start, stop in spans)
    return pickle.loads(body, buffers=buffers)  # noqa: S301 - written by put above


def roots() -> list[str]:
    """Where values may lie, the best place first."""
    return [root for root in ("/dev/shm", tempfile.gettempdir()) if os.access(root, os.W_OK)]  # noqa: S108 - mkdtemp follows
