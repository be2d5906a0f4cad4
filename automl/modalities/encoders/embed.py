"""What a trained network says of every image or sound, in numbers: asked once for a run, in batches.

How long it takes is seen on the first batches, once the network is warm; what would take too long is not begun.
Predictions of a saved model come through here too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from automl.modalities.encoders.checkpoint import Checkpoint
from cluster.cores import cores
from search_spaces.spec import Media

if TYPE_CHECKING:
    import torch

BATCH, BATCH_ON_GPU = 16, 128
PROBED = 3  # batches in which the time of all is predicted
WARMING = 2  # rows asked about before the clock counts: the first call sets up, and that is no price of a row
FEW = 256  # rows that are not worth a way to the GPU

Report = Callable[[int, int], None]  # how many are done, of how many


@dataclass(frozen=True)
class Embedded:
    """What came of it."""

    numbers: np.ndarray | None  # float32 (rows, width); None: it would have taken too long
    row_s: float  # seconds for one row


def embed(media: Media, encoder: Checkpoint, limit_s: float = math.inf, report: Report | None = None) -> Embedded:
    """Ask of every row, unless that would take longer than `limit_s`; then only of the first batches."""
    import torch

    numbers = np.empty((len(media), encoder.width), dtype=np.float32)
    is_far = torch.cuda.is_available() and len(media) > FEW
    device = torch.device("cuda" if is_far else "cpu")
    batch = BATCH_ON_GPU if is_far else BATCH
    network, before = _network(encoder, media.rate, device), torch.get_num_threads()
    torch.set_num_threads(cores())
    row_s = math.inf

    def ask(rows: slice) -> np.ndarray:
        said: np.ndarray = network(torch.from_numpy(media.values(rows)).to(device)).float().cpu().numpy()
        return said

    try:
        with torch.inference_mode():
            if len(media):
                ask(slice(0, WARMING))
            for number, at in enumerate(range(0, len(media), batch)):
                began = time.monotonic()
                said = ask(slice(at, at + batch))
                numbers[at : at + batch] = said
                row_s = min(row_s, (time.monotonic() - began) / len(said))  # what else the machine did costs no more
                if 1 <= number <= PROBED and row_s * len(media) > limit_s:
                    return Embedded(None, row_s)
                if report is not None:
                    report(at + len(said), len(media))
    finally:
        torch.set_num_threads(before)
    return Embedded(np.nan_to_num(numbers), row_s if len(media) else 0.0)


@lru_cache(maxsize=2)
def _network(encoder: Checkpoint, rate: int, device: torch.device) -> torch.nn.Module:
    """Built once for all calls of a process."""
    made: torch.nn.Module = encoder.build(rate).to(device)
    return made
