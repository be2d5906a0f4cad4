"""Pictures as numbers that table models can learn from: edges, colours and textures, with nothing learned.

Made once for a run. Every picture is brought to one small size first, so that all have as many numbers.
"""

from __future__ import annotations

import numpy as np

from automl.modalities.image.colours import colour_names, colours
from automl.modalities.image.gradients import edge_names, edges
from automl.modalities.image.planes import in_blocks, planes
from automl.modalities.image.textures import texture_names, textures
from search_spaces.spec import Media

SIDE_PX = 32  # finer ones cost more and told no more


def describe(media: Media, threads: int = 1) -> np.ndarray:
    """float32 (rows, m), finite, in the order of `names`; the same for any number of threads."""
    return in_blocks(media, _described, threads)


def names(height: int, width: int, channels: int) -> list[str]:  # noqa: ARG001 - all sizes give as many
    """What the numbers of `describe` are for pictures of that shape."""
    return [*edge_names(), *colour_names(channels), *texture_names()]


def _described(values: np.ndarray) -> np.ndarray:
    flat = planes(values, SIDE_PX)
    return np.concatenate([edges(flat), colours(flat), textures(flat)], axis=1)
