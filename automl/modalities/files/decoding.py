"""How the one column of images or sounds of a data set is decoded and described: alike at training and prediction.

What differs between pictures and sounds is in files of their own; to the rest of the house both are a Sense.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from automl.errors import InputError
from automl.modalities import encoders
from automl.modalities.audio import sounds, spectra
from automl.modalities.audio.sounds import Hearing
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.modalities.image import descriptors, pictures
from automl.modalities.image.pictures import PictureShape
from automl.records import Codec
from cluster.cores import cores
from search_spaces.spec import Media, MediaKind

FEW_CELLS = 16  # below it, starting threads costs more than it gives


@dataclass(frozen=True)
class ImageCodec:
    """Pictures of one size."""

    look: PictureShape
    kind: MediaKind = "image"
    encoder: Checkpoint | None = None  # a trained network that describes them as well

    @property
    def names(self) -> list[str]:
        """Names of the numbers that describe a picture."""
        own = descriptors.names(self.look.height, self.look.width, self.look.channels)
        return [*own, *_said_names(self.encoder)]

    def decode(self, cells: Sequence[Any]) -> Media:
        """Pictures in memory."""
        decoded = _each(lambda cell: pictures.decode(cell, self.look), cells)
        store = np.stack(decoded) if decoded else np.zeros((0, *self._shape), dtype=np.uint8)
        return Media("image", store, np.arange(len(cells)))

    def describe(self, media: Media) -> np.ndarray:
        """Gradients, colours and textures, and what a trained network says."""
        return _beside(descriptors.describe(media, cores()), media, self.encoder)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": self.kind, **asdict(self.look), **_plain(self.encoder)}

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.look.height, self.look.width, self.look.channels


@dataclass(frozen=True)
class AudioCodec:
    """Sounds of one rate and length."""

    hearing: Hearing
    kind: MediaKind = "audio"
    encoder: Checkpoint | None = None  # a trained network that describes them as well

    @property
    def names(self) -> list[str]:
        """Names of the numbers that describe a sound."""
        return [*spectra.names(), *_said_names(self.encoder)]

    def decode(self, cells: Sequence[Any]) -> Media:
        """Sounds in memory."""
        decoded = _each(lambda cell: sounds.decode(cell, self.hearing), cells)
        waves = [wave for wave, _ in decoded]
        store = np.stack(waves) if waves else np.zeros((0, self.hearing.samples), dtype=np.int16)
        lengths = np.array([length for _, length in decoded], dtype=np.int64)
        return Media("audio", store, np.arange(len(cells)), self.hearing.rate, lengths)

    def describe(self, media: Media) -> np.ndarray:
        """Spectra, how they change, how loud it is when, and what a trained network says."""
        return _beside(spectra.describe(media), media, self.encoder)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": self.kind, **asdict(self.hearing), **_plain(self.encoder)}


def sense_from_json(plain: Mapping[str, Any], weights: bytes | None = None) -> Codec:
    """What `as_json` of a sense wrote; `weights`: of its encoder, without which it decodes but cannot describe."""
    facts = {name: value for name, value in plain.items() if name not in ("kind", "encoder")}
    encoder = encoders.from_json(plain["encoder"], weights) if "encoder" in plain else None
    if plain["kind"] == "image":
        return ImageCodec(PictureShape(**facts), encoder=encoder)
    return AudioCodec(Hearing(**facts), encoder=encoder)


def seeing_with(sense: Codec, encoder: Checkpoint) -> Codec:
    """The same decoding, described by a trained network."""
    if not isinstance(sense, ImageCodec | AudioCodec):
        raise TypeError(f"a {type(sense).__name__} takes no encoder. Give what take_in made.")
    return replace(sense, encoder=encoder)


def _beside(own: np.ndarray, media: Media, encoder: Checkpoint | None) -> np.ndarray:
    """Both: where weights know much our own numbers do no harm, and where they know little these carry the model."""
    if encoder is None:
        return own
    from automl.modalities.encoders.embed import embed  # torch comes with it

    said = embed(media, encoder).numbers
    return own if said is None else np.hstack([own, said])


def _said_names(encoder: Checkpoint | None) -> list[str]:
    return [] if encoder is None else [f"{encoder.kind}_{number}" for number in range(encoder.width)]


def _plain(encoder: Checkpoint | None) -> dict[str, Any]:
    return {} if encoder is None else {"encoder": encoder.as_json()}


def _each(decode: Callable[[Any], Any], cells: Sequence[Any]) -> list[Any]:
    """All cells decoded; the first that cannot be, by name, and how many there are, in one error."""
    if len(cells) < FEW_CELLS:
        found = [_tried(decode, cell) for cell in cells]
    else:
        with ThreadPoolExecutor(cores()) as threads:
            found = list(threads.map(lambda cell: _tried(decode, cell), cells))
    failed = [(cell, item) for cell, item in zip(cells, found, strict=True) if isinstance(item, InputError)]
    if failed:
        cell, problem = failed[0]
        shown = repr(cell) if isinstance(cell, str) else type(cell).__name__
        raise InputError(
            f"{len(failed)} of {len(cells)} cannot be decoded, first {shown}: {problem} Mend or leave out these."
        )
    return found


def _tried(decode: Callable[[Any], Any], cell: Any) -> Any:
    try:
        return decode(cell)
    except InputError as problem:  # told with all others
        return problem
