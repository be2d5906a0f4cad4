"""Pictures as a kind of data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.modalities.files import cells as files
from automl.modalities.files import perceived
from automl.modalities.protocol import Claim, FoldTraining, Pass, Prior, Reading, Shown, Taken
from automl.records import Column, Decoded, Drawn, Profile
from search_spaces.spec import Media

if TYPE_CHECKING:
    import pandas as pd

    from automl.modalities.image.codec import ImageCodec
    from automl.modalities.image.patches import Patches

MARKS = (
    (0, b"\x89PNG"), (0, b"\xff\xd8\xff"), (0, b"GIF8"), (8, b"WEBP"), (0, b"BM"), (0, b"II*\x00"), (0, b"MM\x00*"),
)  # fmt: skip
MEASURED_PX = 32  # about so many rows of pixels tell how bright a picture is
WORDS = {"patches": 200}  # of a vocabulary of patches, by recipe


class Image:
    """Photographs, drawings, scans: files, bytes, arrays of pixels."""

    name = "image"
    kinds = ("image",)
    is_of_files = True
    extra = "images"

    def prior(self, profile: Profile, gpus: int) -> Prior:  # noqa: ARG002 - alike on any machine
        """As of all that is perceived."""
        return perceived.prior(profile)

    def claim(self, cells: pd.Series, base: Path | None) -> Claim | Pass | None:
        """Names of picture files, or what such files hold, or arrays with pixels."""
        return files.claimed(cells, base, "image", _is_picture)

    def read(self, reading: Reading) -> Taken:
        """Decode them all."""
        from automl.modalities.image.read import read

        return read(reading)

    def profile(self, decoded: Decoded, cells: pd.Series) -> Column:
        """The column."""
        return perceived.column(decoded, cells.tolist())

    def recipes(self, block: Media) -> tuple[str, ...]:  # noqa: ARG002 - any picture has patches
        """A vocabulary of patches can be learned."""
        return tuple(WORDS)

    def learn(self, block: Media, recipe: str, training: FoldTraining) -> Patches | None:
        """The vocabulary, where the recipe asks for one."""
        if recipe not in WORDS:
            return None
        from automl.modalities.image.patches import learn_patches

        return learn_patches(block, WORDS[recipe], training.seed)

    def learned(self, arrays: Mapping[str, np.ndarray]) -> Patches:
        """Read back."""
        from automl.modalities.image.patches import read_patches

        return read_patches(arrays)

    def codec(self, plain: Mapping[str, Any], weights: bytes | None) -> ImageCodec:
        """Read back."""
        from automl.modalities.image.codec import codec_from_json

        return codec_from_json(plain, weights)

    def show(self, drawn: Drawn, block: Media) -> list[Shown]:
        """Its pixels as the model sees them."""
        return [Shown(plane, pixels) for plane, pixels in zip(drawn.plane(block), block.values(), strict=True)]

    def measures(self, block: Media) -> dict[str, np.ndarray]:
        """How bright, and how much that varies, of 255."""
        step = max(1, block.store.shape[1] // MEASURED_PX)
        seen = [block.store[row, ::step, ::step] for row in block.rows]
        return {"brightness": np.array([float(one.mean()) for one in seen]),
                "contrast": np.array([float(one.std()) for one in seen])}  # fmt: skip


def _is_picture(cell: Any) -> bool:
    if isinstance(cell, np.ndarray):
        return cell.ndim in (2, 3) and min(cell.shape[:2]) > 1 and cell.dtype.kind in "buif"
    return files.starts_with(cell, MARKS) or type(cell).__module__.startswith("PIL.")


MODALITY = Image()
