"""Saved state that a stranger may have written: every size is compared with the file before memory is taken for it.

A model is read in the process that serves it, and libraries behind it trust the indices they are given. So what a
family reads back it checks first, with these words; a ValueError in one line says what does not fit.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

FREE_BYTES, TIMES = 64 * 2**20, 32  # an archive may expand to so much, and to so many times its own size
MOST_MEMBERS = 100_000
KINDS = "biuf"  # of numbers; nothing else is stored in arrays
MOST_DIMENSIONS, MOST_HEADER = 8, 20_000
AT_ONCE = 1 << 20  # bytes


def need(is_so: bool, what: str) -> None:
    """ValueError where something is not as it must be."""
    if not is_so:
        raise ValueError(what)


def json_object(blob: bytes) -> dict[str, Any]:
    """A JSON object; nesting without end is an error like any other."""
    try:
        facts = json.loads(blob)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    need(isinstance(facts, dict), "its JSON is no object")
    return dict(facts)


def whole(value: Any, name: str, low: int, high: int) -> int:
    """A whole number within bounds."""
    need(isinstance(value, int) and not isinstance(value, bool) and low <= value <= high, f"{name} is {value!r:.40}")
    return int(value)


def texts(values: Any, name: str) -> tuple[str, ...]:
    """A list of texts."""
    need(isinstance(values, list | tuple) and all(isinstance(one, str) for one in values), f"{name} are not all texts")
    return tuple(values)


def finite(value: Any, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A number within bounds."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    need(is_number and math.isfinite(value) and low <= value <= high, f"{name} is {value!r:.40}")
    return float(value)


def arrays(blob: bytes, free: int = FREE_BYTES) -> dict[str, np.ndarray]:
    """The arrays of an .npz: plain numbers alone, each exactly as long as its header says, none expanded unseen.

    `free`: bytes that it may expand to however small it is.
    """
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        members = archive.infolist()
        need(len(members) <= MOST_MEMBERS, f"{len(members)} arrays in one archive")
        expanded = sum(member.file_size for member in members)
        most = max(free, TIMES * len(blob))
        need(expanded <= most, f"an archive of {len(blob):,} bytes says that it holds {expanded:,}")
        found: dict[str, np.ndarray] = {}
        for member in members:
            name = member.filename.removesuffix(".npy")
            need(name not in found and name != member.filename, f"an array is called {member.filename!r:.60}")
            is_known = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            need(is_known, f"{name!r:.60} is packed in an unknown way")
            with archive.open(member) as file:
                found[name] = _array(_whole_of(file, member.file_size), name)
    return found


def _whole_of(file: IO[bytes], size: int) -> bytearray:
    """All of a member, held once."""
    content, at = bytearray(size), 0
    while at < size and (some := file.read(min(AT_ONCE, size - at))):
        content[at : at + len(some)] = some
        at += len(some)
    need(at == size and not file.read(1), "an archive is cut off")
    return content


def _array(content: bytearray, name: str) -> np.ndarray:
    """One .npy, in the memory that it was read into."""
    file = io.BytesIO(content[:MOST_HEADER])
    version = np.lib.format.read_magic(file)
    need(version in ((1, 0), (2, 0)), f"{name!r:.60} is of an unknown version")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(file)
    need(dtype.kind in KINDS and dtype.subdtype is None, f"{name!r:.60} holds {dtype!s:.40}, not numbers")
    need(len(shape) <= MOST_DIMENSIONS and all(side >= 0 for side in shape), f"{name!r:.60} has the shape {shape}")
    wanted, there = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
    need(wanted == there, f"{name!r:.60} has the shape {shape!s:.60} and {there} bytes")
    flat = np.frombuffer(content, dtype, math.prod(shape), file.tell())
    return flat.reshape(shape, order="F" if is_fortran else "C")


def table(found: Mapping[str, np.ndarray], name: str, shape: tuple[int | None, ...], kinds: str = KINDS) -> np.ndarray:
    """One of the arrays, of this shape (None: any length) and of one of these kinds of numbers."""
    need(name in found, f"there is no array {name!r:.60}")
    array = found[name]
    fits = array.ndim == len(shape) and all(w is None or w == s for w, s in zip(shape, array.shape, strict=True))
    need(fits, f"{name} has the shape {array.shape}, not {shape}".replace("None", "any"))
    need(array.dtype.kind in kinds, f"{name} holds {array.dtype}")
    return array


def indices(array: np.ndarray, name: str, below: int) -> np.ndarray:
    """Whole numbers from 0 on, below a bound."""
    if array.dtype.kind not in "iu":  # words are made only where they are said: this is asked many times
        raise ValueError(f"{name} holds {array.dtype}")
    if array.size and not (int(array.min()) >= 0 and int(array.max()) < below):
        raise ValueError(f"{name} points outside of {below:,}")
    return array


def places(array: np.ndarray, name: str, below: int) -> np.ndarray:
    """Indices that rise, so that none comes twice."""
    indices(array, name, below)
    need(bool((array[1:] > array[:-1]).all()), f"{name} do not rise")
    return array


def family(left: np.ndarray, right: np.ndarray, nodes: np.ndarray, first: np.ndarray) -> None:
    """Two children for each inner node of many trees, in its own tree, none the child of two: so every way ends.

    `nodes`: how many the tree of each has; `first`: how many there are before that tree.
    """
    for side in (left, right):
        is_inside = (side >= 1) & (side < nodes)
        need(bool(is_inside.all()), "a node of a tree has a child outside of it")
    found = np.concatenate([left + first, right + first])
    need(int(np.bincount(found).max(initial=0)) <= 1, "a node of a tree is the child of two")
