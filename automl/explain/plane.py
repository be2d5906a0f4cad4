"""A map brought to the plane that heat is drawn on: the pixels of an image, or a sound's bands over time."""

from __future__ import annotations

import math

import numpy as np


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
