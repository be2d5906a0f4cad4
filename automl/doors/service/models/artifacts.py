"""A saved model as a zip, written while it is sent: no more of it in memory than the file that is being read.

Each file is held against its hash on the way, so what arrives whole is what was saved; `automl.load` reads it unpacked.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.doors.service.models.described import saved_in
from automl.errors import ArtifactError
from automl.model import manifest
from automl.model.bundle import INDEX
from automl.places import inside

PIECE = 2**20  # bytes
FAST = 1  # level of compression: the line is slower than this, and the disk is not


@dataclass(frozen=True)
class Entry:
    """A file of the archive."""

    name: str
    place: Path
    digest: str | None  # None of what says which files there are
    content: bytes | None = None  # of that, as it was when the list was made


def entries(folder: Path) -> list[Entry]:
    """The files that a saved model names, or those of each target; all of them are there."""
    found = []
    places = saved_in(folder)
    if "" not in places:
        found.append(Entry(INDEX, folder / INDEX, None, (folder / INDEX).read_bytes()))
    for target, place in places.items():
        start = f"{_under(folder, place)}/" if target else ""
        told = manifest.read(place)
        own = [
            Entry(start + name, inside(place, name, ArtifactError), digest) for name, digest in told["files"].items()
        ]
        if any(not one.place.is_file() for one in own):
            raise ArtifactError("files of this model are missing. Ask for it again in a moment, or select it anew.")
        content = (place / manifest.NAME).read_bytes()
        found += [*own, Entry(start + manifest.NAME, place / manifest.NAME, None, content)]
    return found


def _under(folder: Path, place: Path) -> str:
    """The folder of a target in the archive: that of its run, or of its model, below `targets`."""
    own = place.parent if place.name == "model" else place
    return own.relative_to(folder).as_posix()


def zipped(files: list[Entry]) -> Iterator[bytes]:
    """The archive, piece by piece."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=FAST) as archive:
        for one in files:
            info = zipfile.ZipInfo(one.name)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            info.file_size = len(one.content) if one.content is not None else one.place.stat().st_size
            seen = hashlib.sha256()
            with archive.open(info, "w") as out:
                for piece in _pieces(one):
                    seen.update(piece)
                    out.write(piece)
                    yield sink.taken()
            if one.digest is not None and seen.hexdigest() != one.digest:
                raise ArtifactError(f"{one.name!r} changed while it was sent. Ask for the model again.")
    yield sink.taken()


def _pieces(one: Entry) -> Iterator[bytes]:
    if one.content is not None:
        yield one.content
        return
    with one.place.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


class _Sink(io.RawIOBase):
    """What was written and not yet taken; there is no way back in it, as there is none on a line."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._parts.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        """All of it, which is then no longer here."""
        made = b"".join(self._parts)
        self._parts.clear()
        return made
