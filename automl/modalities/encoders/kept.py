"""Networks trained before as files in run folders, one for each kind of data; a saved model holds their weights alone.

Folders of runs before there could be several held one, whatever it read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from automl.modalities import encoders
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.places import inside
from automl.runtime.folder import write_whole
from search_spaces.spec import MediaKind

FOLDER, WEIGHTS, FACTS = "encoders", "weights.safetensors", "encoder.json"
OLD_FOLDER = "encoder"
ANY = ""  # of old weights, whose kind of data no name tells


def keep(folder: Path, known: Mapping[MediaKind, Checkpoint]) -> None:
    """Write them there, whole."""
    for media, encoder in known.items():
        place = inside(folder / FOLDER, media)
        place.mkdir(parents=True, exist_ok=True)
        write_whole(place / WEIGHTS, bytes(encoder.weights if encoder.weights is not None else b""))
        write_whole(place / FACTS, json.dumps(encoder.as_json()).encode())


def read(folder: Path) -> dict[MediaKind, Checkpoint]:
    """Those that a run folder holds, by what they read."""
    found = {}
    for place in _places(folder):
        facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
        encoder = encoders.from_json(facts, np.fromfile(place / WEIGHTS, dtype=np.uint8))
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
