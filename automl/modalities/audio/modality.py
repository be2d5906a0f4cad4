"""Sounds as a kind of data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.modalities.files import cells as files
from automl.modalities.files import perceived
from automl.modalities.protocol import Claim, FoldTraining, Learned, Pass, Prior, Reading, Shown, Taken
from automl.records import Column, Decoded, Drawn, Profile
from search_spaces.spec import Media

if TYPE_CHECKING:
    import pandas as pd

    from automl.modalities.audio.codec import AudioCodec

MARKS = (
    (8, b"WAVE"), (0, b"fLaC"), (0, b"OggS"), (0, b"ID3"), (0, b"\xff\xfb"), (8, b"AIFF"), (8, b"AIFC"), (0, b".snd"),
)  # fmt: skip
HEARD, FULL = 4_000, 32_768  # about so many samples tell how loud a sound is; the largest sample there is
LEAST_RATE = 1_000  # samples a second, from which a number beside an array is its rate


class Audio:
    """Speech, calls, noises: files, bytes, arrays of samples with their rate."""

    name = "audio"
    kinds = ("audio",)
    is_of_files = True
    extra = "audio"

    def prior(self, profile: Profile, gpus: int) -> Prior:  # noqa: ARG002 - alike on any machine
        """As of all that is perceived."""
        return perceived.prior(profile)

    def claim(self, cells: pd.Series, base: Path | None) -> Claim | Pass | None:
        """Names of sound files, or what such files hold, or arrays beside their rate."""
        return files.claimed(cells, base, "audio", _is_sound)

    def read(self, reading: Reading) -> Taken:
        """Decode them all."""
        from automl.modalities.audio.read import read

        return read(reading)

    def profile(self, decoded: Decoded, cells: pd.Series) -> Column:
        """The column."""
        return perceived.column(decoded, cells.tolist())

    def recipes(self, block: Media) -> tuple[str, ...]:  # noqa: ARG002 - of no sound
        """Nothing is learned beyond the numbers that describe them."""
        return ()

    def learn(self, block: Media, recipe: str, training: FoldTraining) -> Learned | None:  # noqa: ARG002 - of no sound
        """Nothing."""
        return None

    def learned(self, arrays: Mapping[str, np.ndarray]) -> Learned:
        """Nothing was."""
        raise ValueError(f"nothing is learned of sounds, got arrays {', '.join(arrays)}.")

    def codec(self, plain: Mapping[str, Any], weights: bytes | None) -> AudioCodec:
        """Read back."""
        from automl.modalities.audio.codec import codec_from_json

        return codec_from_json(plain, weights)

    def show(self, drawn: Drawn, block: Media) -> list[Shown]:
        """Its bands over time, and how long it lasts."""
        samples = np.full(len(block), block.store.shape[1]) if block.lengths is None else block.lengths[block.rows]
        return [
            Shown(plane, None, int(length) / block.rate if block.rate else None)
            for plane, length in zip(drawn.plane(block), samples, strict=True)
        ]

    def measures(self, block: Media) -> dict[str, np.ndarray]:
        """How long in seconds, and how loud: the mean swing of its samples, of 100."""
        samples = np.full(len(block), block.store.shape[1]) if block.lengths is None else block.lengths[block.rows]
        step = max(1, block.store.shape[1] // HEARD)
        swings = [
            block.store[row, : max(1, int(length)) : step] / FULL
            for row, length in zip(block.rows, samples, strict=True)
        ]
        loud = np.array([100 * np.sqrt(np.square(swing, dtype=np.float64).mean()) for swing in swings])
        return {"seconds": samples / max(1, block.rate), "loudness": loud}


def _is_sound(cell: Any) -> bool:
    if isinstance(cell, tuple) and len(cell) == 2:
        wave, rate = cell
        is_rate = isinstance(rate, int | float | np.integer | np.floating) and rate >= LEAST_RATE
        return bool(is_rate) and isinstance(wave, np.ndarray) and wave.ndim in (1, 2)
    return files.starts_with(cell, MARKS)


MODALITY = Audio()
