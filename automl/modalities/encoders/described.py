"""What a trained network says of a block, beside the numbers that describe it without one."""

from __future__ import annotations

from typing import Any

import numpy as np

from automl.modalities.encoders.checkpoint import Checkpoint
from search_spaces.spec import Media


def beside(own: np.ndarray, block: Media, encoder: Checkpoint | None) -> np.ndarray:
    """Both: where weights know much our own numbers do no harm, and where they know little these carry the model."""
    if encoder is None:
        return own
    from automl.modalities.encoders.embed import embed  # torch comes with it

    said = embed(block, encoder).numbers
    return own if said is None else np.hstack([own, said])


def said_names(encoder: Checkpoint | None) -> list[str]:
    """Names of the numbers that it says."""
    return [] if encoder is None else [f"{encoder.kind}_{number}" for number in range(encoder.width)]


def as_plain(encoder: Checkpoint | None) -> dict[str, Any]:
    """As a codec's JSON holds it."""
    return {} if encoder is None else {"encoder": encoder.as_json()}
