"""Pictures of any size and kind -> one store of small ones of one size, decoded once for a whole run.

The look, their size and whether they have colours, is chosen from headers before anything is decoded. It is saved
with the model: decoding is the same at training and prediction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automl.errors import InputError
from automl.modalities.files.store import Store, new_store
from automl.modalities.image.pixels import header, loaded, pillow

MEASURED = 2_000  # pictures whose headers are read; more say the same
PEEKED = 60  # pictures of colour that are looked into: many are grey in all but name
ALIKE = 0.9  # of the pictures of one size: then this is the size of the set
LONGEST_PX, LONGEST_FEW_PX, FEW = 128, 160, 2_000  # what a network on a CPU gets through in minutes
SHORTEST_PX, STEP_PX = 8, 8  # networks halve sides three times
STEEPEST = 3.0  # longer side to shorter one; what is longer is squashed
CHUNK_MB = 4.0  # of pictures that a thread decodes before it writes

Report = Callable[[int, int], None]  # how many are done, of how many


@dataclass(frozen=True)
class PictureShape:
    """The one shape in which a model sees every picture."""

    height: int
    width: int
    channels: int  # 1: grey, 3: colour

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1 or self.channels not in (1, 3):
            raise InputError(f"a look needs sides and 1 or 3 channels, got {self}. Give for instance 64, 64, 3.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """As an array of one picture has it."""
        return self.height, self.width, self.channels


@dataclass(frozen=True)
class Sizes:
    """What headers say of pictures; one number for each that could be read."""

    widths: np.ndarray
    heights: np.ndarray
    grey_share: float  # stored as grey
    is_grey: bool  # all are, or were found to be so when looked into
    broken: int = 0  # of those measured

    def __len__(self) -> int:
        return len(self.widths)


@dataclass(frozen=True)
class PictureStore:
    """A store on disk: uint8 (pictures, height, width, channels), in the order they were given."""

    path: str
    failures: Mapping[int, str]  # which could not be decoded, and why; they are black in the store

    def open(self) -> np.ndarray:
        """The store, mapped read-only."""
        store: np.ndarray = np.load(self.path, mmap_mode="r")
        return store


def decode(source: Any, look: PictureShape) -> np.ndarray:
    """One picture (path, bytes, array or Pillow image) as uint8 (height, width, channels); InputError says why not.

    It is squashed into the look, whose sides have the usual proportion of the set: cropping would cut off what may
    be the subject, and bars at the sides would tell proportions where they mean nothing.
    """
    image = loaded(source, (look.width, look.height), look.channels)
    if image.size != (look.width, look.height):
        # Pillow's bilinear filter widens as it shrinks, so it averages areas, and it blends where it enlarges; what is
        # far larger is first averaged in whole blocks, which costs little and shows nowhere.
        image = image.resize((look.width, look.height), pillow().Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image).reshape(look.shape)


def measure(sources: Sequence[Any]) -> Sizes:
    """Sizes and colours by the headers of some pictures, spread over all; a few are looked into for greys."""
    pillow()
    step = max(1, len(sources) / MEASURED)
    sample = [sources[int(at * step)] for at in range(math.ceil(len(sources) / step))]
    found: list[tuple[int, int, bool]] = []
    coloured: list[Any] = []
    for source in sample:
        try:
            found.append(header(source))
        except InputError:
            continue
        if not found[-1][2]:
            coloured.append(source)
    facts = np.array(found, dtype=np.int64).reshape(-1, 3)
    is_grey = bool(found) and all(map(_is_grey, coloured[:: math.ceil(len(coloured) / PEEKED) or 1]))
    share = float(facts[:, 2].mean()) if found else 0.0
    return Sizes(facts[:, 0], facts[:, 1], share, is_grey, len(sample) - len(found))


def choose_look(sizes: Sizes, rows: int, memory_mb: float) -> tuple[PictureShape, str]:
    """The look for so many pictures, which may take so much memory all together, and why, in one sentence."""
    if not len(sizes):
        raise InputError(f"none of {sizes.broken:,} pictures looked at can be read. Check that the files are whole.")
    channels = 1 if sizes.is_grey else 3
    colours = "grey" if sizes.is_grey else "in colour"
    pairs, counts = np.unique(np.stack([sizes.heights, sizes.widths]), axis=1, return_counts=True)
    height, width = (int(side) for side in pairs[:, counts.argmax()])
    share = counts.max() / len(sizes)
    if share >= ALIKE and max(height, width) <= LONGEST_PX:
        which = "all pictures are" if share == 1 else f"{math.floor(1000 * share) / 10:g}% of the pictures are"
        why = f"{width} x {height} pixels, {colours}, as {which}"
    else:
        height, width, why = _usual(sizes, rows)
        why = f"{width} x {height} pixels, {colours}: {why}"
    bytes_each = memory_mb * 2**20 / max(1, rows) / channels
    if height * width <= bytes_each:
        return PictureShape(height, width, channels), why
    shrink = math.sqrt(bytes_each / (height * width))
    height, width = (max(SHORTEST_PX, int(side * shrink) // STEP_PX * STEP_PX) for side in (height, width))
    why = f"{width} x {height} pixels, {colours}: {rows:,} pictures that are larger do not fit into {memory_mb:,.0f} MB"
    return PictureShape(height, width, channels), why


def decode_all(
    sources: Sequence[Any], look: PictureShape, store_path: str | Path, threads: int = 1, report: Report | None = None
) -> PictureStore:
    """All pictures into a .npy file, which appears when it is complete; memory is bounded by a few MB a thread.

    An error that `report` raises ends the work, leaves no file and goes on to the caller.
    """
    pillow()
    total, failures, done = len(sources), dict[int, str](), 0
    at_once = max(1, int(CHUNK_MB * 2**20 / math.prod(look.shape)))
    at_once = max(1, min(at_once, 256, total // (8 * threads)))  # enough chunks that no thread ends long before others
    with new_store(Path(store_path), (total, *look.shape), "|u1") as store, ThreadPoolExecutor(threads) as pool:
        try:
            work = [
                pool.submit(_decode_some, sources[at : at + at_once], at, look, store)
                for at in range(0, total, at_once)
            ]
            for ended in as_completed(work):
                count, failed = ended.result()
                failures.update(failed)
                done += count
                if report is not None:
                    report(done, total)
        finally:
            pool.shutdown(cancel_futures=True)
    return PictureStore(str(store_path), dict(sorted(failures.items())))


# --- parts ---------------------------------------------------------------------------------------------------------


def _is_grey(source: Any) -> bool:
    """Whether a picture stored in colour shows none, but for what compression adds; so too where it is broken."""
    try:
        seen = decode(source, PictureShape(32, 32, 3)).astype(np.int16)
    except InputError:
        return True
    return bool((seen.max(axis=2) - seen.min(axis=2)).max() <= 8)


def _usual(sizes: Sizes, rows: int) -> tuple[int, int, str]:
    """Sides in the usual proportion, each a multiple of eight, the longer one as long as is worth its time."""
    longer = np.maximum(sizes.heights, sizes.widths)
    usual = float(np.median(longer))
    tilt = float(np.exp(np.median(np.log(sizes.widths / sizes.heights))))
    tilt = min(STEEPEST, max(1 / STEEPEST, tilt))
    is_few_and_large = rows <= FEW and usual >= 2 * LONGEST_FEW_PX
    cap = LONGEST_FEW_PX if is_few_and_large else LONGEST_PX
    side = min(float(cap), usual)
    sides = (side, side * tilt) if tilt < 1 else (side / tilt, side)
    height, width = (max(SHORTEST_PX, round(length / STEP_PX) * STEP_PX) for length in sides)
    spread = f"{longer.min()} to {longer.max()}" if longer.min() < longer.max() else f"{longer.max()}"
    why = f"their longer sides have {spread} pixels, {usual:.0f} at the median"
    if usual > cap:
        why += f", and {cap} are worth their time" + (" where pictures are few" if is_few_and_large else "")
    return height, width, why


def _decode_some(sources: Sequence[Any], first: int, look: PictureShape, store: Store) -> tuple[int, dict[int, str]]:
    chunk = np.zeros((len(sources), *look.shape), dtype=np.uint8)
    failed: dict[int, str] = {}
    for at, source in enumerate(sources):
        try:
            chunk[at] = decode(source, look)
        except InputError as error:
            failed[first + at] = str(error)
    store.write(first, chunk)
    return len(sources), failed
