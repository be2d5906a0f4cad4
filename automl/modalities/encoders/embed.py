"""What a trained network says of every image, sound or text, in numbers: asked once for a run, in batches.

How long it takes is seen on the first batches, once the network is warm; what would take too long is not begun.
Predictions of a saved model come through here too. Of texts each is asked about once, however often it is there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
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
TEXTS, PROBED_TEXTS = 512, 32  # a network on texts makes batches of about one length out of many, but first of few
LATE = 1.5  # times the time that there was, after which even what seemed quick is given up
PROBED = 3  # batches in which the time of all is predicted
WARMING = 2  # rows asked about before the clock counts: the first call sets up, and that is no price of a row
FEW = 256  # rows that are not worth a way to the GPU

Report = Callable[[int, int], None]  # how many are done, of how many


@dataclass(frozen=True)
class Embedded:
    """What came of it."""

    numbers: np.ndarray | None  # float32 (rows, width); None: it would have taken too long
    row_s: float  # seconds for one row


def embed(
    media: Media,
    encoder: Checkpoint,
    limit_s: float = math.inf,
    report: Report | None = None,
    *,
    is_exact: bool = True,
) -> Embedded:
    """Ask of every row, unless that would take longer than `limit_s`; then only of the first batches.

    Texts that a model is to learn from need not be read exactly: in bfloat16, where a CPU multiplies it, they take half
    the time and their numbers have a cosine of 0.9999 with the exact ones. So with pictures: of 1,500 small ones read
    so a line was right on 0.714 of new ones read in full, else on 0.715. Predictions are exact, alike on any machine.
    """
    if encoder.media != "text":
        with _narrow(not is_exact and encoder.media == "image"):
            return _asked(media, encoder, limit_s, report)
    distinct, place = _distinct(media)
    order = np.random.default_rng(0).permutation(len(distinct))  # so that the first ones are as long as the others
    with _narrow(not is_exact):
        found = _asked(distinct.take(order), encoder, limit_s, report)
    if found.numbers is None:
        return found
    return Embedded(found.numbers[np.argsort(order)[place]], found.row_s)


@dataclass
class _Threads:
    """How many threads read: all, or one where that is quicker, for others hold the cores and each step waits."""

    most: int
    all_s: float = 0.0
    alone_s: float = math.inf

    def next(self, number: int) -> int:
        """For that batch: first all, then one, then what was quicker."""
        return 1 if number == 1 or (number > 1 and self.alone_s < self.all_s) else self.most

    def seen(self, number: int, row_s: float) -> None:
        """What a row of it took."""
        if number == 0:
            self.all_s = row_s
        elif number == 1:
            self.alone_s = row_s


def _asked(media: Media, encoder: Checkpoint, limit_s: float, report: Report | None) -> Embedded:
    import torch

    numbers = np.empty((len(media), encoder.width), dtype=np.float32)
    is_far = torch.cuda.is_available() and len(media) > FEW
    device = torch.device("cuda" if is_far else "cpu")
    network, before = _network(encoder, media.rate, device), torch.get_num_threads()
    row_s, threads = math.inf, _Threads(most=max(1, min(cores(), len(media))))  # a row alone gains nothing by several

    def ask(rows: slice) -> np.ndarray:
        values = media.values(rows)  # of texts, which a network takes as they are, an array of str
        given = values if values.dtype == object else torch.from_numpy(values).to(device)
        said: np.ndarray = network(given).float().cpu().numpy()
        return said

    try:
        with torch.inference_mode():
            torch.set_num_threads(threads.most)
            if len(media) > WARMING:  # fewer have no price to be told, and a row alone is not to be read twice
                ask(slice(0, WARMING))
            started = time.monotonic()
            for number, rows in enumerate(_batches(len(media), encoder.media, is_far=is_far)):
                torch.set_num_threads(threads.next(number))
                began = time.monotonic()
                said = ask(rows)
                numbers[rows] = said
                took_s = (time.monotonic() - began) / len(said)
                threads.seen(number, took_s)
                row_s = min(row_s, took_s)  # what else the machine did costs no more
                if 1 <= number <= PROBED and row_s * len(media) > limit_s:
                    return Embedded(None, row_s)
                spent_s = time.monotonic() - started
                is_late = spent_s > LATE * limit_s and rows.stop < len(media)
                if number > PROBED and is_late:  # others hold the cores, and may do so for long
                    return Embedded(None, spent_s / rows.stop)
                if report is not None:
                    report(rows.start + len(said), len(media))
    finally:
        torch.set_num_threads(before)
    return Embedded(np.nan_to_num(numbers), row_s if len(media) else 0.0)


def _narrow(is_wanted: bool) -> torch.autocast:
    import torch

    from search_spaces.neural.blocks import has_bf16

    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_wanted and has_bf16())


def _batches(count: int, kind: str, *, is_far: bool) -> Iterator[slice]:
    """Rows that are asked about at once."""
    start, many = 0, BATCH_ON_GPU if is_far else BATCH
    while start < count:
        if kind == "text":
            many = PROBED_TEXTS if start < (PROBED + 1) * PROBED_TEXTS else TEXTS
        yield slice(start, min(start + many, count))
        start += many


def _distinct(media: Media) -> tuple[Media, np.ndarray]:
    """Each text once, and for every row which of these it is."""
    seen: dict[str, int] = {}
    place = np.fromiter((seen.setdefault(text, len(seen)) for text in media.values()), np.int64, len(media))
    return Media(media.kind, np.array(list(seen), dtype=object), np.arange(len(seen))), place


@lru_cache(maxsize=4)
def _network(encoder: Checkpoint, rate: int, device: torch.device) -> torch.nn.Module:
    """Built once for all calls of a process, as quick as its kind can make it for reading alone."""
    made: torch.nn.Module = encoder.build(rate)
    if (fold := getattr(made, "fold", None)) is not None:
        made = fold()
    return made.to(device)
