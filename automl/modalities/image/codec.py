"""Pictures of one size: how they are decoded, described, drawn and partly hidden. Saved with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from automl.modalities import encoders
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.modalities.encoders.described import as_plain, beside, said_names
from automl.modalities.files.decoding import each
from automl.modalities.image import descriptors, pictures
from automl.modalities.image.pictures import PictureShape
from cluster.cores import cores
from search_spaces.checked import whole
from search_spaces.knobs import MOST_SIDE
from search_spaces.spec import Media, MediaKind

CELLS = 8  # to a side, whose parts can be hidden
LUMA = (0.299, 0.587, 0.114)

Window = tuple[slice, slice]  # of cells


@dataclass(frozen=True)
class ImageCodec:
    """Pictures of one size."""

    look: PictureShape
    kind: MediaKind = "image"
    encoder: Checkpoint | None = None  # a trained network that describes them as well
    hiding: str = "hidden"

    @property
    def names(self) -> list[str]:
        """Names of the numbers that describe a picture."""
        own = descriptors.names(self.look.height, self.look.width, self.look.channels)
        return [*own, *said_names(self.encoder)]

    @property
    def drawn(self) -> ImageCodec:
        """Pictures are drawn as they are."""
        return self

    def encode(self, cells: Sequence[Any]) -> Media:
        """Pictures in memory."""
        decoded = each(lambda cell: pictures.decode(cell, self.look), cells)
        store = np.stack(decoded) if decoded else np.zeros((0, *self.look.shape), dtype=np.uint8)
        return Media("image", store, np.arange(len(cells)))

    def describe(self, block: Media) -> np.ndarray:
        """Gradients, colours and textures, and what a trained network says."""
        return beside(descriptors.describe(block, cores()), block, self.encoder)

    def plane(self, block: Media) -> list[np.ndarray]:
        """The lightness of each pixel."""
        return [_lightness(pixels) for pixels in block.values()]

    def size(self, block: Media) -> tuple[int, int]:
        """Its pixels."""
        return int(block.store.shape[1]), int(block.store.shape[2])

    def grid(self, block: Media) -> tuple[int, int]:
        """As many cells as there are pixels for."""
        height, width = self.size(block)
        return min(CELLS, height), min(CELLS, width)

    def hide(self, block: Media, windows: Sequence[Window]) -> np.ndarray:
        """Each copy has one window in the picture's mean colour."""
        return _covered(block.values(slice(0, 1))[0], self.grid(block), windows)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": self.kind, **asdict(self.look), **as_plain(self.encoder)}


def codec_from_json(plain: Mapping[str, Any], weights: bytes | None = None) -> ImageCodec:
    """What `as_json` wrote; without the weights of its encoder it decodes but cannot describe."""
    facts = {name: value for name, value in plain.items() if name not in ("kind", "encoder")}
    encoder = encoders.from_json(plain["encoder"], weights) if "encoder" in plain else None
    for name in ("height", "width"):
        whole(facts[name], name, 1, MOST_SIDE)
    return ImageCodec(PictureShape(**facts), encoder=encoder)


def _lightness(pixels: np.ndarray) -> np.ndarray:
    shares = np.array(LUMA) if pixels.shape[2] == 3 else np.ones(1)
    return np.asarray(pixels @ shares / 255)


def _covered(pixels: np.ndarray, cells: tuple[int, int], windows: Sequence[Window]) -> np.ndarray:
    """Copies of a picture, each with one window in its mean colour."""
    edges = [np.round(np.linspace(0, side, n + 1)).astype(int) for side, n in zip(pixels.shape, cells, strict=False)]
    colour = pixels.reshape(-1, pixels.shape[2]).mean(axis=0).round().astype(pixels.dtype)
    copies = np.repeat(pixels[None], len(windows), axis=0)
    for copy, (down, across) in zip(copies, windows, strict=True):
        rows, columns = (_stretch(part, ends) for part, ends in zip((down, across), edges, strict=True))
        copy[rows, columns] = colour
    return copies


def _stretch(part: slice, edges: np.ndarray) -> slice:
    return slice(int(edges[part.start]), int(edges[min(part.stop, len(edges) - 1)]))
