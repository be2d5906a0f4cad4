"""A model from a server, packed, into a folder of its own here: nothing can land elsewhere, or grow without end."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from automl.errors import ArtifactError
from automl.messages import one_line
from automl.places import inside

if TYPE_CHECKING:
    from automl.doors.client.wire import Wire

MOST_FILES = 100_000
MOST_RATIO, ALWAYS_MB = 200.0, 200.0  # of what it holds to what came; formats of models pack far less
PIECE = 1 << 20


def bring(wire: Wire, path: str, target: Path, *, lean: bool, rows: bool) -> Path:
    """Fetch and unpack a model; half of one is never there."""
    from automl.model.lean import leave_rows, strip

    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ArtifactError(f"{str(target)!r} exists and is not empty. Name another folder for the model.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".automl-") as beside:
            packed, unpacked = Path(beside) / "model.zip", Path(beside) / "model"
            with packed.open("wb") as kept, wire.stream(path) as parts:
                for part in parts:
                    kept.write(part)
            _unpack(packed, unpacked)
            for folder in _models(unpacked):
                if lean:
                    strip(folder)
                if not rows:
                    leave_rows(folder)
            if target.is_dir():
                target.rmdir()
            unpacked.rename(target)
    except OSError as error:
        raise ArtifactError(
            f"{str(target)!r} cannot be written: {error.strerror or error}. Name another folder."
        ) from error
    return target


def _unpack(packed: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(packed) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            most = max(ALWAYS_MB * 1e6, MOST_RATIO * packed.stat().st_size)
            if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > most:
                raise ArtifactError(
                    "what the server sent as a model unpacks to more than a model holds. Do not use it."
                )
            folder.mkdir()
            for entry in entries:
                place = inside(folder, entry.filename, ArtifactError)
                place.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, place.open("xb") as kept:
                    _copy(source, kept, entry.file_size)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, FileExistsError) as error:
        raise ArtifactError(f"what the server sent is no packed model: {one_line(error)}. Try again.") from error


def _copy(source: IO[bytes], kept: IO[bytes], size: int) -> None:
    """No more than was said."""
    left = size
    while piece := source.read(min(PIECE, left + 1)):
        left -= len(piece)
        if left < 0:
            raise ArtifactError("what the server sent as a model is larger than it says. Do not use it.")
        kept.write(piece)
    if left:
        raise ArtifactError("what the server sent as a model is smaller than it says. Try again.")


def _models(folder: Path) -> list[Path]:
    """The folders of its models: itself, or one for each target."""
    from automl.model.bundle import INDEX, target_folders

    return list(target_folders(folder).values()) if (folder / INDEX).is_file() else [folder]
