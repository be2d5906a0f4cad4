"""The plane that heat is drawn on: the pixels of an image as the model sees it, or a sound's bands over time.

Bands are spaced as in every spectrogram of the house, so a place on one of them is the same place on all.
"""

from __future__ import annotations

import math

import numpy as np

from search_spaces.neural.mel import Mel
from search_spaces.spec import Media

BANDS = 64
WINDOW_MS, HOP_MS = 32.0, 10.0
MOST_FRAMES = 128  # of a long sound; more could not be told apart on a page


def plane_size(media: Media) -> tuple[int, int]:
    """Height and width: pixels, or bands (the lowest first) and frames."""
    if media.kind == "image":
        return int(media.store.shape[1]), int(media.store.shape[2])
    mel = drawn_mel(media)
    return mel.bands, mel.frames(int(media.store.shape[1]), media.rate)


def drawn_mel(media: Media) -> Mel:
    """The spectrogram that is drawn of sounds of this length."""
    length_ms = 1000 * media.store.shape[1] / media.rate
    return Mel(WINDOW_MS, max(HOP_MS, length_ms / MOST_FRAMES), BANDS)


def stretched(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map (height, width) brought to another size; straight lines between the middles of its cells."""
    return np.asarray(_lines(values.shape[0], size[0]) @ values @ _lines(values.shape[1], size[1]).T)


def _lines(old: int, new: int) -> np.ndarray:
    """How much each of `old` cells gives to each of `new`: (new, old)."""
    middle = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    below = np.array([math.floor(place) for place in middle], dtype=np.int64)
    above = np.minimum(below + 1, old - 1)
    weight = np.zeros((new, old))
    weight[np.arange(new), below] += 1 - (middle - below)
    weight[np.arange(new), above] += middle - below
    return weight
