"""Tokens learned from the texts themselves: frequent byte pairs merged again and again (Sennrich et al. 2016).

Any text of any language can be written in them, as bytes are the least of them. Pairs are merged in rounds of many that
cannot touch each other, which numpy does for all words at once; texts are then read by the longest token that fits,
which needs no order of merges and is as good (Uzan et al. 2024, "Greed is All You Need").
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from search_spaces.checked import json_object, need, whole

PADDING, UNKNOWN, SEPARATOR = 0, 1, 2  # a separator for each column of texts; tokens follow
LONGEST = 24  # letters of a word: beyond, and where a language knows no spaces, it is cut
WORD = re.compile(rf" ?(?:[^\W\d_]{{1,{LONGEST}}}|\d{{1,3}}|_+|[^\w\s]{{1,{LONGEST}}})")
MOST_WORDS = 60_000  # that are learned from, the most frequent ones: others are as good as unique
LEAST = 2  # times that a pair, or a token, must be there to be one
FEWEST, SHARE = 16, 0.12  # pairs merged in a round, of them and of those that were merged before
MOST_KNOWN = 200_000  # words remembered
MOST_LETTERS, MOST_COLUMNS = 4 * 4 * LONGEST, 10_000  # of a token, in bytes; of a saved vocabulary
SPACES = re.compile(r"\s+")


class BytePairs:
    """Texts as numbers of tokens, PADDING, UNKNOWN and separators left free."""

    def __init__(self, tokens: Sequence[str], first: int, *, is_lower: bool) -> None:
        self.tokens, self.first, self.is_lower = list(tokens), first, is_lower
        self._longest = max(map(len, tokens), default=1)
        self._known: dict[str, tuple[int, ...]] = {}

    @classmethod
    def learn(cls, texts: Iterable[str], size: int, columns: int = 1, *, is_lower: bool = True) -> BytePairs:
        """At most `size` tokens out of training texts; the same texts in any order give the same."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(WORD.findall(_even(text, is_lower=is_lower)))
        kept = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_WORDS]
        words = dict(kept)
        first = SEPARATOR + columns
        whole = cls(sorted(_merged(words, size)), first, is_lower=is_lower)
        used: Counter[int] = Counter()
        for word, count in words.items():
            for number in whole._learned(word):
                used[number] += count
        # what only helped to make others would never be trained
        often = sorted((n for n in used if used[n] >= LEAST and n != UNKNOWN), key=lambda n: (-used[n], n))[:size]
        return cls([whole.tokens[number - first] for number in often], first, is_lower=is_lower)

    @property
    def size(self) -> int:
        """Numbers that there are, free ones included."""
        return self.first + len(self.tokens)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: self.first + place for place, token in enumerate(self.tokens)}

    def encode(self, text: str) -> list[int]:
        """The numbers of a text."""
        numbers: list[int] = []
        known = self._known
        for word in WORD.findall(_even(text, is_lower=self.is_lower)):
            found = known.get(word)
            numbers.extend(self._learned(word) if found is None else found)
        return numbers

    def _learned(self, word: str) -> tuple[int, ...]:
        """The longest token that fits, then the longest that fits the rest."""
        raw, start, known = _as_letters(word), 0, self._numbers
        numbers: list[int] = []
        while start < len(raw):
            for end in range(min(len(raw), start + self._longest), start, -1):
                number = known.get(raw[start:end])
                if number is not None:
                    break
            else:
                number, end = UNKNOWN, start + 1
            if number != UNKNOWN or not numbers or numbers[-1] != UNKNOWN:  # however many bytes, it is one thing
                numbers.append(number)
            start = end
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[word] = tuple(numbers)
        return self._known[word]

    def dump(self) -> bytes:
        """As JSON."""
        return json.dumps({"tokens": self.tokens, "first": self.first, "is_lower": self.is_lower}).encode()

    @classmethod
    def read(cls, content: bytes) -> BytePairs:
        """What `dump` wrote."""
        return cls.of_json(json_object(content))

    @classmethod
    def of_json(cls, plain: Mapping[str, Any]) -> BytePairs:
        """The same, read already."""
        tokens, first = plain["tokens"], whole(plain["first"], "the first token", SEPARATOR, MOST_COLUMNS)
        need(
            isinstance(tokens, list) and all(isinstance(token, str) and token for token in tokens),
            "tokens are no texts",
        )
        need(max(map(len, tokens), default=1) <= MOST_LETTERS, "a token without end")
        return cls(tokens, first, is_lower=bool(plain["is_lower"]))


def _even(text: str, *, is_lower: bool) -> str:
    """With one kind of space, the first word like any other; in small letters where case tells little."""
    return " " + SPACES.sub(" ", text.lower() if is_lower else text).strip()


def _as_letters(word: str) -> str:
    """Bytes as letters: a string is searched faster, and JSON holds it."""
    return word.encode("utf-8", "surrogatepass").decode("latin-1")


def _merged(words: Mapping[str, int], size: int) -> set[str]:
    """Bytes, and what merging the most frequent pairs made of them."""
    tokens = [chr(byte) for byte in range(256)]
    known = {token: number for number, token in enumerate(tokens)}
    letters = [_as_letters(word) for word in words]
    lengths = np.array([len(word) for word in letters], dtype=np.int64)
    flat = np.frombuffer("".join(letters).encode("latin-1"), dtype=np.uint8).astype(np.int64)
    weight = np.repeat(np.fromiter(words.values(), dtype=np.int64, count=len(words)), lengths)
    is_last = np.zeros(len(flat), dtype=bool)
    is_last[np.cumsum(lengths) - 1] = True
    while len(tokens) < 256 + size:
        is_done = is_last & np.concatenate([[True], is_last[:-1]])  # words of one token have no pairs
        flat, weight, is_last = flat[~is_done], weight[~is_done], is_last[~is_done]
        pairs = np.where(is_last[:-1], -1, (flat[:-1] << 32) + flat[1:])
        room = min(256 + size - len(tokens), max(FEWEST, int(SHARE * len(tokens))))
        chosen = _frequent(pairs, weight[:-1], room)
        if not chosen:
            break
        made = []
        for pair in chosen:
            token = tokens[pair >> 32] + tokens[pair & 0xFFFFFFFF]
            if token not in known:
                known[token] = len(tokens)
                tokens.append(token)
            made.append(known[token])
        order = np.argsort(chosen)
        rising, new = np.array(chosen)[order], np.array(made)[order]
        place = np.minimum(np.searchsorted(rising, pairs), len(rising) - 1)
        hits = _apart(np.flatnonzero(rising[place] == pairs))
        flat[hits] = new[place[hits]]
        is_last[hits] = is_last[hits + 1]
        stays = np.ones(len(flat), dtype=bool)
        stays[hits + 1] = False
        flat, weight, is_last = flat[stays], weight[stays], is_last[stays]
    return set(known)


def _frequent(pairs: np.ndarray, weight: np.ndarray, room: int) -> list[int]:
    """The most frequent pairs, none of which begins with what another ends with: no two of them can overlap."""
    is_pair = pairs >= 0
    distinct, place = np.unique(pairs[is_pair], return_inverse=True)
    counts = np.bincount(place, weights=weight[is_pair], minlength=len(distinct))
    order = np.lexsort((distinct, -counts))[: 8 * room]
    chosen: list[int] = []
    begins: set[int] = set()
    ends: set[int] = set()
    for number in order:
        pair = int(distinct[number])
        if counts[number] < LEAST or len(chosen) == room:
            break
        begin, end = pair >> 32, pair & 0xFFFFFFFF
        if begin not in ends and end not in begins:
            chosen.append(pair)
            begins.add(begin)
            ends.add(end)
    return chosen


def _apart(hits: np.ndarray) -> np.ndarray:
    """Of hits side by side, as in "aaa", every second one."""
    if not len(hits):
        return hits
    is_new = np.concatenate([[True], np.diff(hits) != 1])
    first = np.maximum.accumulate(np.where(is_new, np.arange(len(hits)), 0))
    return np.asarray(hits[(np.arange(len(hits)) - first) % 2 == 0])
