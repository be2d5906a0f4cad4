"""A vocabulary of small patches, learned from pictures without answers, after Coates, Lee and Ng (2011).

A picture is described by how much its patches resemble each word, on average over its quarters. Patches are whitened
first: without that, the words would all be smooth. Words are directions, and likeness what exceeds a threshold: as good
as distances to centres ("triangle") on photos and hands, and half the work, as whitening becomes part of the words.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from automl.modalities.image.planes import in_blocks, planes
from search_spaces.checked import need, table
from search_spaces.spec import Media

SIDE_PX = 32  # every picture is brought to this size
PATCH_PX = 6
QUARTERS = 2  # to a side
SEEN = 60_000  # patches to learn from
ROUNDS = 10  # of k-means: later ones move little
FAINT = 10.0  # squared grey levels: flat patches are not blown up to noise
FINE = 0.1  # added to each variance in whitening: directions of less are noise
LIKE = 0.5  # of a whitened patch to a word: below, it is not counted
# Pictures at a time: the likeness to all words stays in the processor's cache, and a picture alone is told bit for bit
# as among others, whatever a CPU does with products of other shapes.
BLOCK = 1


@dataclass(frozen=True)
class Patches:
    """Words, and the whitening of the patches they are compared with."""

    center: np.ndarray  # float32 (numbers of a patch,)
    whiten: np.ndarray  # float32 (numbers of a patch, same)
    words: np.ndarray  # float32 (words, numbers of a patch), whitened, of length one

    def transform(self, media: Media, threads: int = 1) -> np.ndarray:
        """float32 (rows, 4 * words); the same for any number of threads."""
        words = self.whiten @ self.words.T
        least = self.center @ words + np.float32(LIKE)

        def describe(values: np.ndarray) -> np.ndarray:
            patches = _all_patches(planes(values, SIDE_PX))
            like = _contrast(patches.reshape(-1, len(self.center))) @ words
            like -= least
            np.maximum(like, 0, out=like)
            return _quarters(like.reshape(len(values), -1, len(self.words)))

        return in_blocks(media, describe, threads, BLOCK)

    def arrays(self) -> dict[str, np.ndarray]:
        """The state: its constructor's arguments."""
        return asdict(self)


def read_patches(arrays: Mapping[str, np.ndarray]) -> Patches:
    """What `Patches.arrays` gave."""
    numbers = len(table(arrays, "center", (None,), "f"))
    need(numbers in (PATCH_PX**2, 3 * PATCH_PX**2), f"patches of {numbers} numbers")
    table(arrays, "whiten", (numbers, numbers), "f")
    table(arrays, "words", (None, numbers), "f")
    return Patches(**arrays)


def learn_patches(media: Media, centroids: int, seed: int, until: float = float("inf")) -> Patches:
    """A vocabulary of at most so many words; after `until` (time.monotonic) it is made of what was seen by then."""
    random = np.random.default_rng(seed)
    seen = _contrast(np.concatenate(list(_some_patches(media, random, until))))
    center = seen.mean(axis=0)
    variance, axes = np.linalg.eigh(np.cov(seen - center, rowvar=False, bias=True))
    whiten = np.asarray(axes / np.sqrt(np.maximum(variance, 0) + FINE) @ axes.T, dtype=np.float32)
    return Patches(center, whiten, _words((seen - center) @ whiten, centroids, random, until))


def _some_patches(media: Media, random: np.random.Generator, until: float) -> Iterator[np.ndarray]:
    """Patches from random places of pictures in random order, (patches, numbers)."""
    each = max(1, -(-SEEN // max(1, len(media))))
    order = random.permutation(len(media))[: -(-SEEN // each)]
    places = SIDE_PX - PATCH_PX + 1
    for first in range(0, len(order), 256):
        rows = np.sort(order[first : first + 256])
        windows = _windows(planes(media.values(rows), SIDE_PX))
        row = np.arange(len(rows))[:, None]
        y, x = random.integers(0, places, (2, len(rows), each))
        yield windows[row, :, y, x].reshape(len(rows) * each, -1)
        if time.monotonic() >= until:
            return


def _words(white: np.ndarray, count: int, random: np.random.Generator, until: float) -> np.ndarray:
    """The directions of spherical k-means; one that nothing is near to begins anew elsewhere."""
    from scipy.sparse import csr_array

    count = min(count, len(white))
    words = _of_length_one(white[random.choice(len(white), count, replace=False)])
    every = np.arange(len(white) + 1)
    for _ in range(ROUNDS):
        if time.monotonic() >= until:
            break
        nearest, like = _nearest(white, words)
        sums = csr_array((like, nearest, every), shape=(len(white), count)).T @ white
        lost = np.flatnonzero(np.bincount(nearest, minlength=count) == 0)
        sums[lost] = white[random.choice(len(white), len(lost))]
        words = _of_length_one(sums)
    return np.ascontiguousarray(words, dtype=np.float32)


def _nearest(white: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which word each patch is most like, and how much."""
    blocks = [white[first : first + 4096] @ words.T for first in range(0, len(white), 4096)]
    return np.concatenate([b.argmax(axis=1) for b in blocks]), np.concatenate([b.max(axis=1) for b in blocks])


def _of_length_one(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6))


def _windows(flat: np.ndarray) -> np.ndarray:
    """(rows, channels, places down, places across, height, width of a patch), a view."""
    return np.lib.stride_tricks.sliding_window_view(flat, (PATCH_PX, PATCH_PX), axis=(2, 3))


def _all_patches(flat: np.ndarray) -> np.ndarray:
    """(rows, places, numbers of a patch)."""
    windows = _windows(flat)
    rows, channels, down, across = windows.shape[:4]
    return np.asarray(windows.transpose(0, 2, 3, 1, 4, 5)).reshape(rows, down * across, channels * PATCH_PX**2)


def _contrast(patches: np.ndarray) -> np.ndarray:
    """Patches on a scale of their own, so that light and contrast do not matter."""
    centred: np.ndarray = patches - patches.mean(axis=1, keepdims=True)
    centred /= np.sqrt((centred * centred).mean(axis=1, keepdims=True) + np.float32(FAINT))
    return centred


def _quarters(like: np.ndarray) -> np.ndarray:
    """(rows, places, words) -> (rows, quarters * words), means over the places of each quarter."""
    places = SIDE_PX - PATCH_PX + 1
    part = np.arange(places) * QUARTERS // places
    quarter = (part[:, None] * QUARTERS + part).reshape(-1)
    share = np.asarray(quarter == np.arange(QUARTERS**2)[:, None], dtype=np.float32)
    share /= share.sum(axis=1, keepdims=True)
    return np.asarray(share @ like).reshape(len(like), -1)
