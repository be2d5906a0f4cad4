"""The terms of texts: runs of words and of characters, counted by hash, so that no vocabulary has to be kept.

Counting looks at no answer and at no other text, so a whole store is counted once for a process; which terms are used,
and what they weigh, a fold learns (weights.py). A term's hash is the same on every machine.
"""

from __future__ import annotations

import html
import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from search_spaces.per_store import PerStore

if TYPE_CHECKING:
    from search_spaces.spec import Media

SPACE = 1 << 22  # hashes of one kind of terms; a corpus of a million distinct ones loses one in nine to another
MOST_CHARACTERS = 200_000  # of a text that are read; what follows is not
KEPT_TERMS = 400_000_000  # counted in a process and kept, about 3 GB
AT_ONCE = 5_000_000  # characters
PART = 0.25  # of a store: who asks for less of it does not have it counted
ODD, STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0x100000001B3)
_TAG = re.compile(r"<(?:/?[a-zA-Z][^<>]{0,300}|!--.{0,300}?--)>", re.DOTALL)
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]", re.UNICODE)
_BLANK = re.compile(r"\s+")
_APART = re.compile(r"([\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9d])")  # written without blanks

Unit = Literal["words", "characters"]


@dataclass(frozen=True)
class Terms:
    """Runs of so many words, or of so many characters within a word and its edges."""

    unit: Unit
    length: int


def clean(text: str) -> str:
    """As terms are read: entities resolved, markup out, one spelling for one letter, no capitals."""
    text = without_markup(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return text.lower()


def without_markup(text: str) -> str:
    """As much of a text as is read: entities resolved, markup out."""
    text = text[:MOST_CHARACTERS]
    return _TAG.sub(" ", html.unescape(text)) if "&" in text or "<" in text else text


def words(text: str) -> list[str]:
    """Words, signs and emoji of a cleaned text; in scripts without blanks every character is a word."""
    return _WORD.findall(text if text.isascii() else _APART.sub(r" \1 ", text))


def counts(block: Media, terms: Terms) -> Any:
    """(rows, SPACE) float32, sparse: how often each term occurs in each text of a block."""
    is_part = len(block) < PART * len(block.store)
    found = _counted.of(block.store, terms, lambda: count(block.store.tolist(), terms), is_part=is_part)
    if found is None:
        return count(block.values().tolist(), terms)
    is_all = len(block) == len(block.store) and np.array_equal(block.rows, np.arange(len(block)))
    return found if is_all else found[block.rows]


_counted = PerStore(KEPT_TERMS, lambda found: int(found.nnz))


def count(texts: Sequence[str], terms: Terms) -> Any:
    """The same, of texts; a few million characters at a time, for it takes some eighty bytes for each."""
    from scipy.sparse import vstack

    sizes = np.cumsum([min(len(text), MOST_CHARACTERS) for text in texts], dtype=np.int64)
    pieces = np.flatnonzero(np.diff(sizes // AT_ONCE, prepend=0)) if len(sizes) else np.zeros(0, dtype=np.int64)
    edges = [0, *(int(at) for at in pieces if at), len(texts)]
    made = [_count(texts[a:b], terms) for a, b in pairwise(edges)]
    return made[0] if len(made) == 1 else vstack(made, format="csr")


def _count(texts: Sequence[str], terms: Terms) -> Any:
    from scipy.sparse import csr_array

    rows, hashes = (_runs_of_words if terms.unit == "words" else _runs_of_characters)(texts, terms.length)
    together = (rows.astype(np.int64) << 22) | (hashes & np.uint64(SPACE - 1)).astype(np.int64)
    found, often = np.unique(together, return_counts=True)
    starts = np.searchsorted(found >> 22, np.arange(len(texts) + 1))
    columns = (found & (SPACE - 1)).astype(np.int32)
    return csr_array((often.astype(np.float32), columns, starts.astype(np.int64)), shape=(len(texts), SPACE))


def word_hashes(found: Sequence[str]) -> np.ndarray:
    """The place in SPACE of each word, as terms of one word have it."""
    stream = np.array([_hash(word) for word in found], dtype=np.uint64)
    _, hashes = _runs(stream, np.arange(len(found)), 1)
    return np.asarray(hashes & np.uint64(SPACE - 1), dtype=np.int64)


def _runs_of_words(texts: Sequence[str], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Of every run its text and its hash."""
    known: dict[str, int] = {}
    numbers: list[int] = []
    sizes = np.zeros(len(texts), dtype=np.int64)
    for at, text in enumerate(texts):
        mine = words(clean(text))
        sizes[at] = len(mine)
        numbers.extend([known.setdefault(word, len(known)) for word in mine])
    own = np.array([_hash(word) for word in known], dtype=np.uint64)
    stream = own[np.array(numbers, dtype=np.int64)] if numbers else np.zeros(0, dtype=np.uint64)
    return _runs(stream, np.repeat(np.arange(len(texts)), sizes), length)


def _runs_of_characters(texts: Sequence[str], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Runs within a word and the blanks around it."""
    cleaned = [f" {_BLANK.sub(' ', clean(text)).strip()} " for text in texts]
    sizes = np.array([len(text) for text in cleaned], dtype=np.int64)
    stream = np.frombuffer("".join(cleaned).encode("utf-32-le", "replace"), dtype=np.uint32)
    rows, hashes = _runs(stream.astype(np.uint64), np.repeat(np.arange(len(texts)), sizes), length)
    blanks = np.concatenate([[0], np.cumsum(stream == ord(" "))])
    first = _first_of_runs(np.repeat(np.arange(len(texts)), sizes), length)
    inside = blanks[first + length - 1] - blanks[first + 1] if length > 2 else np.zeros(len(first))
    return rows[inside == 0], hashes[inside == 0]


def _runs(stream: np.ndarray, rows: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of runs of items that lie in one text."""
    first = _first_of_runs(rows, length)
    mixed = np.zeros(len(first), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for step in range(length):
            mixed = mixed * STEP + stream[first + step] + ODD
    return rows[first], _mixed(mixed)


def _first_of_runs(rows: np.ndarray, length: int) -> np.ndarray:
    last = len(rows) - length + 1
    if last <= 0:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(rows[:last] == rows[length - 1 :])


def _mixed(hashes: np.ndarray) -> np.ndarray:
    """Bits spread evenly, as the finish of splitmix64 does."""
    with np.errstate(over="ignore"):
        mixed = hashes ^ (hashes >> np.uint64(30))
        mixed = mixed * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
        mixed = mixed * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _hash(word: str) -> int:
    content = word.encode("utf-8", "replace")
    return zlib.crc32(content) | (zlib.adler32(content) << 32)
