"""The arithmetic of mel spectrograms, shared by the numpy description of sounds and by the networks' front end.

Windows are of any length, laid from the first sample on, the last one filled up with zeros: what a frame shows does not
depend on the padding that follows. Needs numpy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

FULL_SCALE = 32768.0  # of int16
FAINTEST = 1e-10  # power, relative to full scale: what is below is rounding


@dataclass(frozen=True)
class Mel:
    """How a wave becomes a picture of bands over time."""

    window_ms: float = 25.0
    hop_ms: float = 10.0
    bands: int = 64
    low_hz: float = 30.0
    high_hz: float = 0.0  # 0: up to half of the rate

    def window(self, rate: int) -> int:
        """Samples of a frame."""
        return max(2, round(rate * self.window_ms / 1000))

    def hop(self, rate: int) -> int:
        """Samples from one frame to the next."""
        return max(1, round(rate * self.hop_ms / 1000))

    def fft(self, rate: int) -> int:
        """Points of the transform: the power of two that holds a window."""
        return 1 << (self.window(rate) - 1).bit_length()

    def frames(self, samples: int, rate: int) -> int:
        """Frames that hold every sample; at least one."""
        return 1 + max(0, math.ceil((samples - self.window(rate)) / self.hop(rate)))


def taper(window: int) -> np.ndarray:
    """The window's weights, float32 with a power of one: Hann's, moved by half a sample so that none is zero."""
    weights = np.sin(np.pi * (np.arange(window) + 0.5) / window) ** 2  # Hamming's leak 40 dB below what is loud
    return np.asarray(weights / np.sqrt((weights**2).sum()), dtype=np.float32)


def filters(rate: int, mel: Mel) -> np.ndarray:
    """Triangles over the power spectrum, float32 (fft / 2 + 1, bands), each of the sum one and none empty."""
    top = min(mel.high_hz or rate / 2, rate / 2)
    low = min(mel.low_hz, top / 2)
    edges = _hz(np.linspace(_mel(low), _mel(top), mel.bands + 2))
    bin_hz = rate / mel.fft(rate)
    centre = edges[1:-1]
    rise = np.maximum(centre - edges[:-2], bin_hz)  # at low pitches bands are slimmer than the transform can tell
    fall = np.maximum(edges[2:] - centre, bin_hz)
    hz = np.arange(mel.fft(rate) // 2 + 1)[:, None] * bin_hz
    weights = np.maximum(0, np.minimum((hz - centre) / rise, (centre - hz) / fall) + 1)
    return np.asarray(weights / weights.sum(axis=0), dtype=np.float32)


def _mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)


def _hz(mel: np.ndarray) -> np.ndarray:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
