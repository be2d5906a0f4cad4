"""What is told of all rows of a store, counted once for a process: it hangs on no answer and on no other row."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from search_spaces.per_store import PerStore
from search_spaces.signals.aligned import Uneven, aligned, centred, differences
from search_spaces.spec import Media

KEPT_BYTES = 1_000_000_000  # in a process
PART = 0.25  # of a store: who asks for less of it does not have all of it counted
ROWS = 256  # of a thread at once
FLAT = 1e-6

_told = PerStore(KEPT_BYTES, lambda found: int(found.nbytes))

Tell = Callable[[np.ndarray], np.ndarray]  # of series without gaps (rows, channels, steps): (rows, numbers)


def told(block: Media, asked: Hashable, tell: Callable[[Media], np.ndarray]) -> np.ndarray:
    """(rows, ...) of a block; `asked` names what `tell` tells, with all that it depends on."""
    whole = Media(block.kind, block.store, np.arange(len(block.store)), block.rate, block.lengths)
    found = _told.of(block.store, asked, lambda: tell(whole), is_part=len(block) < PART * len(block.store))
    return tell(block) if found is None else np.asarray(found[block.rows])


def way_of(block: Media, uneven: Uneven) -> str:
    """What is done with early ends, where there are any; all that is told of a store hangs on it."""
    has_ends = block.lengths is not None and bool((block.lengths < block.store.shape[2]).any())
    return uneven if has_ends else ""


def views(block: Media, uneven: Uneven) -> tuple[np.ndarray, np.ndarray]:
    """Series around zero, and their differences on the same scale: both (rows, channels, steps) float32."""
    series = told(block, ("centred", way_of(block, uneven)), lambda some: centred(aligned(some, uneven)))
    return series, differences(series)


def in_threads(tell: Tell, series: np.ndarray, threads: int) -> np.ndarray:
    """The same, some rows on each thread."""
    if threads <= 1 or len(series) <= ROWS:
        return tell(series)
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(tell, _split(series))))


def _split(series: np.ndarray) -> Iterator[np.ndarray]:
    for at in range(0, len(series), ROWS):
        yield series[at : at + ROWS]
