"""Sounds of one rate and length: how they are decoded, described, drawn and partly hushed. Saved with the model.

They are drawn as bands over time, spaced as in every spectrogram of the house: a place on one is the same on all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from automl.modalities import encoders
from automl.modalities.audio import sounds, spectra
from automl.modalities.audio.sounds import Hearing
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.modalities.encoders.described import as_plain, beside, said_names
from automl.modalities.files.decoding import each
from search_spaces.checked import whole
from search_spaces.knobs import MOST_RATE
from search_spaces.neural.mel import Mel, filters
from search_spaces.spec import Media, MediaKind

BANDS = 64  # of the spectrogram that is drawn
WINDOW_MS, HOP_MS = 32.0, 10.0
MOST_FRAMES = 128  # of a long sound; more could not be told apart on a page
DEPTH_NEPERS = 14.0  # power below a sound's loudest spot that is drawn black, 60 dB
CELLS = (6, 12)  # bands and times whose parts can be hushed
MOST_S = 20.0  # of a sound, that a saved model may say it hears
HUSHED = 0.03  # what is left of a hushed part, 30 dB down: silence would be a sound of its own

Window = tuple[slice, slice]  # of cells


@dataclass(frozen=True)
class AudioCodec:
    """Sounds of one rate and length."""

    hearing: Hearing
    kind: MediaKind = "audio"
    encoder: Checkpoint | None = None  # a trained network that describes them as well
    hiding: str = "hushed"

    @property
    def names(self) -> list[str]:
        """Names of the numbers that describe a sound."""
        return [*spectra.names(), *said_names(self.encoder)]

    @property
    def drawn(self) -> AudioCodec:
        """Sounds are drawn as bands over time."""
        return self

    def encode(self, cells: Sequence[Any]) -> Media:
        """Sounds in memory."""
        decoded = each(lambda cell: sounds.decode(cell, self.hearing), cells)
        waves = [wave for wave, _ in decoded]
        store = np.stack(waves) if waves else np.zeros((0, self.hearing.samples), dtype=np.int16)
        lengths = np.array([length for _, length in decoded], dtype=np.int64)
        return Media("audio", store, np.arange(len(cells)), self.hearing.rate, lengths)

    def describe(self, block: Media) -> np.ndarray:
        """Spectra, how they change, how loud it is when, and what a trained network says."""
        return beside(spectra.describe(block), block, self.encoder)

    def plane(self, block: Media) -> list[np.ndarray]:
        """Loudness in bands over time, the lowest band first."""
        logs = spectra.log_mel(block.values(), block.rate, drawn_mel(block))
        loudest = logs.max(axis=(1, 2), keepdims=True)
        return list(np.clip(1 + (logs - loudest) / DEPTH_NEPERS, 0, 1))

    def size(self, block: Media) -> tuple[int, int]:
        """Bands and frames."""
        mel = drawn_mel(block)
        return mel.bands, mel.frames(int(block.store.shape[1]), block.rate)

    def grid(self, block: Media) -> tuple[int, int]:  # noqa: ARG002 - alike for all sounds
        """Bands and times."""
        return CELLS

    def hide(self, block: Media, windows: Sequence[Window]) -> np.ndarray:
        """Each copy has one range of bands hushed for a while."""
        return _hushed(block.values(slice(0, 1))[0], CELLS, windows, block.rate)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": self.kind, **asdict(self.hearing), **as_plain(self.encoder)}


def codec_from_json(plain: Mapping[str, Any], weights: bytes | None = None) -> AudioCodec:
    """What `as_json` wrote; without the weights of its encoder it decodes but cannot describe."""
    facts = {name: value for name, value in plain.items() if name not in ("kind", "encoder")}
    encoder = encoders.from_json(plain["encoder"], weights) if "encoder" in plain else None
    rate = whole(facts["rate"], "rate", 1, MOST_RATE)
    whole(facts["samples"], "samples", 1, int(MOST_S * rate))
    return AudioCodec(Hearing(**facts), encoder=encoder)


def drawn_mel(block: Media) -> Mel:
    """The spectrogram that is drawn of sounds of this length."""
    length_ms = 1000 * block.store.shape[1] / block.rate
    return Mel(WINDOW_MS, max(HOP_MS, length_ms / MOST_FRAMES), BANDS)


def _hushed(wave: np.ndarray, cells: tuple[int, int], windows: Sequence[Window], rate: int) -> np.ndarray:
    """Copies of a sound, each with one range of bands hushed for a while: spectra of half-overlapping frames."""
    mel = Mel(WINDOW_MS, bands=cells[0])
    size = mel.fft(rate)
    half = size // 2
    weights = filters(rate, mel)
    band = np.argmax(weights / weights.max(axis=0), axis=1)  # of each frequency
    padded = np.pad(wave.astype(np.float32), (half, size + half - len(wave) % half))
    taper = np.sin(np.pi * (np.arange(size, dtype=np.float32) + 0.5) / size)  # squares of neighbours add up to one
    heard_in = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, size)[::half] * taper)
    time = np.minimum(np.arange(len(heard_in)) * half * cells[1] // max(1, len(wave)), cells[1] - 1)
    copies = np.empty((len(windows), len(wave)), dtype=wave.dtype)
    for copy, (bands, times) in zip(copies, windows, strict=True):
        is_hushed = ((time >= times.start) & (time < times.stop))[:, None] & (
            (band >= bands.start) & (band < bands.stop)
        )
        frames = np.fft.irfft(np.where(is_hushed, np.float32(HUSHED), np.float32(1)) * heard_in, size) * taper
        sums = np.zeros((len(frames) + 1, half))
        sums[:-1] += frames[:, :half]
        sums[1:] += frames[:, half:]
        heard = sums.reshape(-1)[half : half + len(wave)]
        copy[:] = np.clip(np.round(heard), -32768, 32767).astype(wave.dtype)
    return copies
