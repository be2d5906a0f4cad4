"""Rows of a store that are the same picture or sound, or nearly so: folds keep them together, the audit lists them.

Identical rows are found by their digests. Pictures that were saved again, resized or made brighter are found by 64-bit
hashes of their coarse pattern, which only propose: small copies of both must then agree. Cost grows with the rows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

import numpy as np

CHUNK_MB = 32.0  # of pictures as float32 at a time
PATTERN, THUMB = 8, 16  # sides of the pattern that is hashed, and of the copy that must agree
SMALLEST_PX = 16  # shorter sides show too little for two pictures to be told apart
FARTHEST = 6  # bits that hashes may differ in; up to 3 they always agree in one of four bands, above mostly
NEIGHBOURS = 24  # of each row in its bucket that are looked at
LEAST_CONTRAST = 4.0  # standard deviation in levels of 255; flatter pictures show nothing to compare
# Correlations of small copies. Other photographs reached 0.94, other written digits 0.98 now and then; copies saved as
# poor jpgs or from half their size had 0.986 and more at the median.
ALIKE, ALIKE_IN_COLOUR = 0.98, 0.95
LARGEST = 0.1  # of the rows: more that are nearly alike is how the pictures of this set are


def find_twins(store: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray | None:
    """A number for each row, the same for rows that look or sound alike; None where no two do.

    `store` is uint8 (all, height, width, channels) for pictures, (all, samples) for sounds; only `rows` of it, where
    given, are read. Rows that hold one value throughout (black, silent, undecoded) are nobody's twins.
    """
    rows = np.arange(len(store)) if rows is None else np.asarray(rows)
    if len(rows) < 2 or not store[0].size:
        return None
    same, is_flat = _identical(store, rows)
    if store.ndim == 4 and min(store.shape[1:3]) >= SMALLEST_PX:
        one_each = np.flatnonzero((same == np.arange(len(rows))) & ~is_flat)
        near = _joined(len(rows), one_each[_near(store, rows[one_each])])
        near = near[same]
        if np.bincount(near).max() <= max(2, LARGEST * len(rows), np.bincount(same).max()):
            same = near
    numbers, twins = np.unique(same, return_inverse=True)
    return None if len(numbers) == len(rows) else np.asarray(twins, dtype=np.int64)


def pairs_across(labels: np.ndarray, groups: np.ndarray) -> list[tuple[int, int]]:
    """Rows of one group that have different labels: in each, its first row with the first row of every other label."""
    labels = np.asarray(labels)
    _, codes = np.unique(labels.astype(str) if labels.dtype == object else labels, return_inverse=True)
    order = np.lexsort((np.arange(len(groups)), groups))
    first: dict[int, int] = {}
    seen: set[tuple[int, int]] = set()
    pairs = []
    crowded = np.bincount(np.unique(groups, return_inverse=True)[1])[np.unique(groups, return_inverse=True)[1]] > 1
    for row in order[crowded[order]].tolist():
        group, label = int(groups[row]), int(codes[row])
        start = first.setdefault(group, row)
        if codes[start] != label and (group, label) not in seen:
            seen.add((group, label))
            pairs.append((start, row))
    return pairs


def hashes(store: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """64 bits for each picture: where its 8 x 8 slowest waves (DCT) are above their median; uint64."""
    height, width = store.shape[1:3]
    down, across = _waves(height), _waves(width)
    found = np.empty(len(rows), dtype=np.uint64)
    for part, pictures in _chunks(store, rows):
        waves = (down @ pictures.mean(axis=3) @ across.T).reshape(len(pictures), -1)
        bits = waves > np.median(waves[:, 1:], axis=1, keepdims=True)  # the first wave is brightness alone
        bits[:, 0] = False
        found[part] = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    return found


# --- identical -----------------------------------------------------------------------------------------------------


def _identical(store: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row the first that holds the same (itself where none does), and whether it is flat."""
    first: dict[bytes, int] = {}
    same, is_flat = np.arange(len(rows)), np.zeros(len(rows), dtype=bool)
    for at, row in enumerate(rows):
        values = np.ascontiguousarray(store[row])
        digest = hashlib.blake2b(values.data, digest_size=16).digest()
        same[at] = first.setdefault(digest, at)
        if same[at] == at:
            is_flat[at] = (values == values.flat[0]).all()
    is_flat = is_flat[same]
    same[is_flat] = np.flatnonzero(is_flat)
    return same, is_flat


# --- nearly so -----------------------------------------------------------------------------------------------------


def _near(store: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Pairs of places in `rows` whose pictures are nearly the same, (pairs, 2)."""
    if len(rows) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    pairs = _proposed(hashes(store, rows))
    involved, places = np.unique(pairs, return_inverse=True)
    thumbs = _thumbs(store, rows[involved])
    a, b = places.reshape(-1, 2).T
    agree = np.zeros(len(a), dtype=bool)
    for at in range(0, len(a), 10_000):
        part = slice(at, at + 10_000)
        agree[part] = _agree(thumbs[a[part]], thumbs[b[part]])
    confirmed: np.ndarray = pairs[agree]
    return confirmed


def _proposed(found: np.ndarray) -> np.ndarray:
    """Pairs of hashes at most a few bits apart: neighbours among those that share one of the four bands."""
    bands = found.view(np.uint16).reshape(len(found), -1)
    pairs = []
    for band in bands.T:
        order = np.lexsort((found, band))
        for apart in range(1, min(NEIGHBOURS, len(order) - 1) + 1):
            left, right = order[:-apart], order[apart:]
            is_near = (band[left] == band[right]) & (np.bitwise_count(found[left] ^ found[right]) <= FARTHEST)
            pairs.append(np.stack([left[is_near], right[is_near]], axis=1))
    return np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)


def _thumbs(store: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Small copies, float32 (rows, channels, pixels)."""
    height, width, channels = store.shape[1:]
    down, across = _areas(height, THUMB), _areas(width, THUMB)
    copies = np.empty((len(rows), channels, THUMB * THUMB), dtype=np.float32)
    for part, pictures in _chunks(store, rows):
        small = down @ pictures.transpose(0, 3, 1, 2) @ across.T
        copies[part] = small.reshape(len(pictures), channels, -1)
    return copies


def _agree(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether small copies are the same but for brightness and contrast: in grey, and more coarsely in colour."""
    contrast = np.minimum(a.mean(axis=1).std(axis=1), b.mean(axis=1).std(axis=1))
    is_same = _correlation(a.mean(axis=1), b.mean(axis=1)) >= ALIKE
    is_same &= _correlation(_coarse(a), _coarse(b)) >= ALIKE_IN_COLOUR
    is_same &= contrast >= LEAST_CONTRAST
    return is_same


def _coarse(thumbs: np.ndarray) -> np.ndarray:
    """All channels side by side, at half the sides: copies keep their colours less well than their shapes."""
    half = THUMB // 2
    pooled = thumbs.reshape(*thumbs.shape[:2], half, 2, half, 2).mean(axis=(3, 5))
    return np.asarray(pooled.reshape(len(thumbs), -1))


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    norm = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.asarray((a * b).sum(axis=1) / np.maximum(norm, 1e-6))


def _joined(count: int, pairs: np.ndarray) -> np.ndarray:
    """For each row the least of all rows that pairs lead to from it."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, parts = connected_components(links, directed=False)
    first = np.full(parts.max() + 1, count)
    np.minimum.at(first, parts, np.arange(count))
    return np.asarray(first[parts])


def _chunks(store: np.ndarray, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    step = max(1, int(CHUNK_MB * 2**20 / (4 * math.prod(store.shape[1:]))))
    for start in range(0, len(rows), step):
        part = slice(start, min(len(rows), start + step))
        yield part, store[rows[part]].astype(np.float32)


def _areas(side: int, parts: int) -> np.ndarray:
    """Means over equal parts of a side, (parts, side): a pixel on a border counts to both by its share."""
    edges = np.linspace(0, side, parts + 1)
    pixels = np.arange(side)
    shared = np.minimum(pixels + 1, edges[1:, None]) - np.maximum(pixels, edges[:-1, None])
    weights = np.maximum(shared, 0) * parts / side
    return np.asarray(weights, dtype=np.float32)


def _waves(side: int) -> np.ndarray:
    """The slowest waves of a discrete cosine transform over a side that is cut into 32 parts, (8, side)."""
    parts = 32
    angles = math.pi / parts * (np.arange(parts) + 0.5) * np.arange(PATTERN)[:, None]
    return np.asarray(np.cos(angles) @ _areas(side, parts), dtype=np.float32)
