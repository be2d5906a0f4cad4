"""A .npy file that is written row by row, by several threads, and appears under its name once it is whole.

Written, not mapped: a full disk must be an error, and not the end of the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from automl.errors import RunError


@dataclass(frozen=True)
class Store:
    """A file that is being written."""

    path: Path
    descriptor: int
    start: int  # where the first row begins, in bytes

    def write(self, first: int, rows: np.ndarray) -> None:
        """Write rows to their places, from row `first` on."""
        view = memoryview(np.ascontiguousarray(rows).reshape(-1).view(np.uint8))  # type: ignore[arg-type]  # a buffer
        at = self.start + first * (len(view) // max(1, len(rows)))
        with _on_disk(self.path):
            while view:
                written = os.pwrite(self.descriptor, view, at)
                view, at = view[written:], at + written


@contextmanager
def new_store(path: Path, shape: tuple[int, ...], dtype: str) -> Iterator[Store]:
    """A store of zeros to fill; whatever happens, nothing half-made is left behind."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    try:
        with _on_disk(path):
            file = part.open("wb")
        with file:
            with _on_disk(path):
                np.lib.format.write_array_header_1_0(file, header)
                file.flush()
                start = file.tell()
                file.truncate(start + int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize)
            yield Store(path, file.fileno(), start)
        with _on_disk(path):
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _on_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot write what is decoded to {path}: {error}. Make room or use another disk.") from error
