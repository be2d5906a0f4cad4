"""Colours: their mean and spread in cells, and how much of each hue and lightness there is where.

Colours are measured as lightness, red against green and blue against yellow, which vary more apart from each other
than red, green and blue do. Grey pictures have lightness alone.
"""

from __future__ import annotations

import numpy as np

from automl.modalities.image.planes import cell_means

CELLS, COARSE = 4, 2  # to a side: for moments, for histograms
LIGHTS, HUES = 5, 8
AXES = ("lightness", "red against green", "blue against yellow")


def colours(flat: np.ndarray) -> np.ndarray:
    """float32 planes (rows, channels, side, side), 0 .. 255 -> (rows, m)."""
    axes = _axes(flat)
    mean, square = cell_means(axes, CELLS), cell_means(axes * axes, CELLS)
    spread = np.sqrt(np.maximum(square - mean * mean, 0))
    blocks = [mean, spread, _amounts(axes)]
    return np.concatenate([block.reshape(len(flat), -1) for block in blocks], axis=1)


def colour_names(channels: int) -> list[str]:
    """What the numbers of `colours` are."""
    axes = AXES[:channels]
    kinds = [f"lightness {k} of {LIGHTS}" for k in range(LIGHTS)]
    kinds += [f"hue {360 * k // HUES}" for k in range(HUES)] if channels == 3 else []
    return [
        *(
            f"{kind} of {axis} in {i}.{j}"
            for kind in ("mean", "spread")
            for axis in axes
            for i, j in np.ndindex(CELLS, CELLS)
        ),
        *(f"{kind} in {i}.{j}" for kind in kinds for i in range(COARSE) for j in range(COARSE)),
    ]


def _axes(flat: np.ndarray) -> np.ndarray:
    """Lightness 0 .. 1 and, of colours, both differences."""
    if flat.shape[1] == 1:
        return flat / np.float32(255)
    red, green, blue = flat[:, 0], flat[:, 1], flat[:, 2]
    light = (red + green + blue) / 3
    axes: np.ndarray = np.stack([light, (red - green) / 2**0.5, (red + green - 2 * blue) / 6**0.5], axis=1)
    axes /= np.float32(255)
    return axes


def _amounts(axes: np.ndarray) -> np.ndarray:
    """Shares of lightnesses, and hues by how strong they are; roots, as small shares tell the most."""
    step = axes[:, 0] * (LIGHTS - 1)
    kinds = [np.maximum(0, 1 - np.abs(step - light)) for light in range(LIGHTS)]
    if axes.shape[1] == 3:
        strength = np.sqrt(axes[:, 1] ** 2 + axes[:, 2] ** 2)
        turn = np.arctan2(axes[:, 2], axes[:, 1]) * np.float32(HUES / (2 * np.pi)) % HUES
        for hue in range(HUES):
            away = np.abs(turn - hue)
            kinds.append(np.maximum(0, 1 - np.minimum(away, HUES - away)) * strength)
    return np.asarray(np.sqrt(cell_means(np.stack(kinds, axis=1), COARSE)))
