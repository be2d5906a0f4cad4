"""What a trained network says of every image, sound or text, in numbers: asked once for a run, in batches.

How long it takes is seen on the first batches, once the network is warm; what would take too long is not begun.
Predictions of a saved model come through here too. Of texts each is asked about once, however often it is there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from automl.modalities.encoders.checkpoint import Checkpoint
from automl.runtime.batches import in_batches, let_go
from cluster import devices
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
            return _asked(media, encoder, limit_s, report, is_exact=is_exact)
    distinct, place = _distinct(media)
    order = np.random.default_rng(0).permutation(len(distinct))  # so that the first ones are as long as the others
    with _narrow(not is_exact):
        found = _asked(distinct.take(order), encoder, limit_s, report, is_exact=is_exact)
    if found.numbers is None:
        return found
    return Embedded(found.numbers[np.argsort(order)[place]], found.row_s)


@dataclass
class _Threads:
    """How many threads read: all, or one where that is quicker, for others hold the cores and each step waits."""

    most: int
    all_s: float = 0.0
    alone_s: float = math.inf
    batches: int = 0

    def next(self) -> int:
        """For the next batch: first all, then one, then what was quicker."""
        return 1 if self.batches == 1 or (self.batches > 1 and self.alone_s < self.all_s) else self.most

    def seen(self, row_s: float) -> None:
        """What a row of it took."""
        if self.batches == 0:
            self.all_s = row_s
        elif self.batches == 1:
            self.alone_s = row_s
        self.batches += 1


def _asked(media: Media, encoder: Checkpoint, limit_s: float, report: Report | None, *, is_exact: bool) -> Embedded:
    import torch

    numbers, before = np.empty((len(media), encoder.width), dtype=np.float32), torch.get_num_threads()
    row_s, threads = math.inf, _Threads(most=max(1, min(cores(), len(media))))  # a row alone gains nothing by several
    try:
        with _placed(encoder, media, is_exact=is_exact) as (network, device), torch.inference_mode():

            def ask(rows: slice) -> np.ndarray:
                values = media.values(rows)  # of texts, which a network takes as they are, an array of str
                given = values if values.dtype == object else torch.from_numpy(values).to(device)
                said: np.ndarray = network(given).float().cpu().numpy()
                return said

            def timed(rows: slice) -> float:
                torch.set_num_threads(threads.next())
                began = time.monotonic()
                numbers[rows] = ask(rows)
                return (time.monotonic() - began) / len(numbers[rows])

            torch.set_num_threads(threads.most)
            if len(media) > WARMING:  # fewer have no price to be told, and a row alone is not to be read twice
                ask(slice(0, WARMING))
            started = time.monotonic()
            asked = _in_phases(len(media), encoder.media, timed, is_far=device.type != "cpu")
            for number, (rows, took_s) in enumerate(asked):
                threads.seen(took_s)
                row_s = min(row_s, took_s)  # what else the machine did costs no more
                if 1 <= number <= PROBED and row_s * len(media) > limit_s:
                    return Embedded(None, row_s)
                spent_s = time.monotonic() - started
                is_late = spent_s > LATE * limit_s and rows.stop < len(media)
                if number > PROBED and is_late:  # others hold the cores, and may do so for long
                    return Embedded(None, spent_s / rows.stop)
                if report is not None:
                    report(rows.stop, len(media))
    finally:
        torch.set_num_threads(before)
    return Embedded(np.nan_to_num(numbers), row_s if len(media) else 0.0)


def _narrow(is_wanted: bool) -> torch.autocast:
    import torch

    from search_spaces.neural.blocks import has_bf16

    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_wanted and has_bf16())


def _in_phases(count: int, kind: str, ask: Callable[[slice], float], *, is_far: bool) -> Iterator[tuple[slice, float]]:
    """Rows that are asked about at once, and what was said; of texts first few at once, to see what they cost."""
    if kind != "text":
        yield from in_batches(count, BATCH_ON_GPU if is_far else BATCH, ask)
        return
    probed = min(count, (PROBED + 1) * PROBED_TEXTS)
    yield from in_batches(probed, PROBED_TEXTS, ask)
    yield from in_batches(count, TEXTS, ask, start=probed)


@contextmanager
def _placed(encoder: Checkpoint, media: Media, *, is_exact: bool) -> Iterator[tuple[torch.nn.Module, torch.device]]:
    """The network where it reads, and which device that is; off the GPU again afterwards, for others train there."""
    import torch

    network = _network(encoder, media.rate)
    if len(media) <= FEW or not devices.computes():
        yield network, torch.device("cpu")
        return
    device, before = torch.device("cuda"), torch.backends.cudnn.allow_tf32
    # predictions are the same on any machine, and in batches of any size
    torch.backends.cudnn.allow_tf32 = before and not is_exact
    try:
        yield network.to(device), device
    finally:
        torch.backends.cudnn.allow_tf32 = before
        network.cpu()
        let_go()


def _distinct(media: Media) -> tuple[Media, np.ndarray]:
    """Each text once, and for every row which of these it is."""
    seen: dict[str, int] = {}
    place = np.fromiter((seen.setdefault(text, len(seen)) for text in media.values()), np.int64, len(media))
    return Media(media.kind, np.array(list(seen), dtype=object), np.arange(len(seen))), place


@lru_cache(maxsize=4)
def _network(encoder: Checkpoint, rate: int) -> torch.nn.Module:
    """Built once for all calls of a process, on the CPU, as quick as its kind can make it for reading alone."""
    made: torch.nn.Module = encoder.build(rate)
    if (fold := getattr(made, "fold", None)) is not None:
        made = fold()
    return made


def forget() -> None:
    """Let go of the networks that were built: for a process that has read all that it will read."""
    _network.cache_clear()
    let_go()
