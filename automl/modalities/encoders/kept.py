"""Networks trained before as files in run folders, one for each kind of data; a saved model holds their weights alone.

Folders of runs before there could be several held one, whatever it read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from automl.errors import InputError
from automl.messages import one_line
from automl.modalities import encoders
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.places import inside
from automl.runtime.durable import write_whole
from search_spaces.spec import MediaKind

FOLDER, WEIGHTS, FACTS = "encoders", "weights.safetensors", "encoder.json"
OLD_FOLDER = "encoder"
SIZE = "size"  # of the weights, in bytes
ANY = ""  # of old weights, whose kind of data no name tells


def keep(folder: Path, known: Mapping[MediaKind, Checkpoint]) -> None:
    """Write them there, whole."""
    for media, encoder in known.items():
        place = inside(folder / FOLDER, media)
        place.mkdir(parents=True, exist_ok=True)
        write_whole(place / WEIGHTS, bytes(encoder.weights if encoder.weights is not None else b""))
        size = 0 if encoder.weights is None else len(encoder.weights)
        write_whole(place / FACTS, json.dumps({**encoder.as_json(), SIZE: size}).encode())


def read(folder: Path) -> dict[MediaKind, Checkpoint]:
    """Those that a run folder holds, by what they read. Without all of its weights a run cannot be gone on with."""
    found = {}
    for place in _places(folder):
        try:
            facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
            weights = np.fromfile(place / WEIGHTS, dtype=np.uint8)
            if len(weights) != facts.pop(SIZE, len(weights)):  # older versions told no size
                raise ValueError(f"{WEIGHTS} is cut off")
        except (ValueError, OSError) as problem:
            raise InputError(
                f"the weights in {str(place)!r} are damaged: {one_line(problem)}. Take them from a copy of the run, "
                "or start a new run."
            ) from problem
        encoder = encoders.from_json(facts, weights)
        found[encoder.media] = encoder
    return found


def weights(folder: Path) -> dict[MediaKind, bytes]:
    """The bytes of their weights, by what they read."""
    return {_media(place): (place / WEIGHTS).read_bytes() for place in _places(folder)}


def weights_in(content: Mapping[str, bytes]) -> dict[MediaKind, bytes]:
    """The same of the files of a saved model."""
    found = {}
    for name, data in content.items():
        parts = name.split("/")
        if parts[-1] == WEIGHTS and parts[0] in (FOLDER, OLD_FOLDER):
            found[parts[1] if parts[0] == FOLDER else ANY] = data
    return found


def of_kind(known: Mapping[MediaKind, bytes] | None, media: MediaKind) -> bytes | None:
    """The weights for such data, from among those of a model of any format."""
    return None if known is None else known.get(media, known.get(ANY))


def _places(folder: Path) -> Iterable[Path]:
    several = sorted(place.parent for place in (folder / FOLDER).glob(f"*/{FACTS}"))
    return several or [place.parent for place in (folder / OLD_FOLDER).glob(FACTS)]


def _media(place: Path) -> MediaKind:
    return ANY if place.name == OLD_FOLDER else place.name
