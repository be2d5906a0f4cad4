"""What decoded columns bring along as files: of a run, and of its saved models; one for each kind.

Trained networks that describe columns have their own place, encoders/kept.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from automl.modalities.schema import Decoder
from automl.places import inside
from automl.runtime.durable import write_whole
from search_spaces.spec import MediaKind

FOLDER, NAME = "decoders", "known.npz"


def keep(folder: Path, decoders: Iterable[Decoder]) -> None:
    """Write them into a run's folder."""
    for one in decoders:
        content = getattr(one.codec, "content", None)
        if content is not None:
            place = inside(folder / FOLDER, one.codec.kind)
            place.mkdir(parents=True, exist_ok=True)
            write_whole(place / NAME, content())


def read(folder: Path) -> dict[str, bytes]:
    """Those of a run's folder, by the name that they have in a saved model."""
    return {f"{FOLDER}/{file.parent.name}/{NAME}": file.read_bytes() for file in (folder / FOLDER).glob(f"*/{NAME}")}


def named(content: Mapping[str, bytes]) -> dict[MediaKind, bytes]:
    """The same among the files of a saved model, by kind."""
    found = {}
    for name, data in content.items():
        parts = name.split("/")
        if len(parts) == 3 and parts[0] == FOLDER and parts[2] == NAME:
            found[parts[1]] = data
    return found
