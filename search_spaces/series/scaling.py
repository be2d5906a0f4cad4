"""Values of a series on a scale that all series share, set by what was known at each origin, and back again.

Scaled at the origin, not once for a series, a model learns shapes that come again at any level, of new series too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SCALINGS = ("none", "mean", "std", "log")  # divided by nothing, mean size or deviation; by mean size, then bent
BENT = 10.0  # of "log": below a tenth of a usual value the scale is about straight, above it logarithmic
LEAST = 1e-3  # of the largest value in sight: what varies less, or is smaller, sets no scale
FAR = 50.0  # on the bent scale: sinh of more is nothing that a float should hold


@dataclass(frozen=True)
class OriginScale:
    """Each value minus its `center`, over its `size`, bent where the scale is logarithmic."""

    center: np.ndarray  # (origins,)
    size: np.ndarray  # (origins,), above 0
    is_bent: bool = False

    def to(self, values: np.ndarray) -> np.ndarray:
        """Values (origins, ...) on the common scale."""
        scaled = (values - _beside(self.center, values)) / _beside(self.size, values)
        return np.asarray(np.arcsinh(BENT * scaled) if self.is_bent else scaled)

    def back(self, scaled: np.ndarray) -> np.ndarray:
        """What `to` was given."""
        plain = np.sinh(np.clip(scaled, -FAR, FAR)) / BENT if self.is_bent else scaled
        return np.asarray(plain * _beside(self.size, scaled) + _beside(self.center, scaled))

    def slope(self, scaled: np.ndarray) -> np.ndarray:
        """By how much values change where those on the scale change a little."""
        bend = np.cosh(np.clip(scaled, -FAR, FAR)) / BENT if self.is_bent else np.ones_like(scaled)
        return np.asarray(_beside(self.size, scaled) * bend)


def scale_at(kind: str, mean: np.ndarray, size: np.ndarray, top: np.ndarray) -> OriginScale:
    """Of each origin; `size`: the deviation for "std", else a mean size; `top`: the largest value in sight."""
    center = np.where(np.isfinite(mean), mean, 0.0) if kind == "std" else np.zeros_like(mean)
    is_telling = np.isfinite(size) & (size > LEAST * top) & (size > 0)
    return OriginScale(center, np.where(is_telling, size, np.where(top > 0, top, 1.0)), kind == "log")


def _beside(per_origin: np.ndarray, values: np.ndarray) -> np.ndarray:
    return per_origin.reshape(-1, *(1,) * (values.ndim - 1))
