"""The tokens of BERT: words in small letters without accents, cut into the longest pieces that a vocabulary knows.

As published with BERT (Devlin et al. 2018). What a word becomes is remembered: texts repeat their words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

LONGEST_WORD = 100  # letters; a longer one is unknown
MOST_KNOWN = 200_000  # words remembered, some 50 MB
LONGEST_KNOWN = 64  # letters of one that is remembered, with what clings to it
PADDING, UNKNOWN, FIRST, LAST = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
INSIDE = "##"  # begins a piece that is not the beginning of a word
REPLACEMENT = "\ufffd"
_SPACES = "\t\n\r"
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPiece:
    """Texts as numbers of a vocabulary, in whose lines the tokens stand in order; ValueError where it lacks one."""

    def __init__(self, vocabulary: Sequence[str], *, is_lower: bool = True) -> None:
        self.numbers = {token: number for number, token in enumerate(vocabulary)}
        if missing := [token for token in (PADDING, UNKNOWN, FIRST, LAST) if token not in self.numbers]:
            raise ValueError(f"a vocabulary of {len(vocabulary)} tokens lacks {missing[0]!r}. Give the one of a BERT.")
        self.padding, self.unknown, self.first, self.last = (
            self.numbers[token] for token in (PADDING, UNKNOWN, FIRST, LAST)
        )
        self.is_lower = is_lower
        self._known: dict[str, tuple[int, ...]] = {}
        self._longest = max(map(len, vocabulary))

    def encode(self, text: str) -> list[int]:
        """The numbers of a text, without those that mark its ends."""
        numbers: list[int] = []
        known = self._known
        for word in text.translate(_GONE).split():
            found = known.get(word)
            numbers.extend(self._learned(word) if found is None else found)
        return numbers

    def _learned(self, word: str) -> tuple[int, ...]:
        """What stands between two spaces."""
        found = tuple(number for part in words(word, is_lower=self.is_lower) for number in self._pieces(part))
        if len(word) <= LONGEST_KNOWN:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[word] = found
        return found

    def _pieces(self, word: str) -> list[int]:
        """The longest known beginning, then the longest of what is left, and so on; all or nothing."""
        if len(word) > LONGEST_WORD:
            return [self.unknown]
        pieces: list[int] = []
        start = 0
        while start < len(word):
            mark = INSIDE if start else ""
            for end in range(min(len(word), start + self._longest), start, -1):
                number = self.numbers.get(mark + word[start:end])
                if number is not None:
                    pieces.append(number)
                    start = end
                    break
            else:
                return [self.unknown]
        return pieces


def words(text: str, *, is_lower: bool = True) -> list[str]:
    """Words, marks and ideographs, each apart."""
    cleaned = text.translate(_CLEAN)
    if is_lower:
        cleaned = unicodedata.normalize("NFD", cleaned)
    return cleaned.translate(_LOWER if is_lower else _APART).split()


class _Clean(dict[int, str]):
    """Per letter: controls vanish, spaces are one kind, ideographs stand apart."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        if letter in _SPACES:
            told = " "
        elif letter in ("\0", REPLACEMENT) or unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cs"):
            told = ""
        elif any(low <= code <= high for low, high in _IDEOGRAPHS):
            told = f" {letter} "
        else:
            told = " " if letter.isspace() else letter
        self[code] = told
        return told


class _Apart(dict[int, str]):
    """Per letter: marks stand apart."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        is_ascii_mark = 33 <= code <= 126 and not letter.isalnum()
        is_mark = is_ascii_mark or unicodedata.category(letter).startswith("P")
        self[code] = f" {letter} " if is_mark else letter
        return self[code]


class _Lower(dict[int, str]):
    """Per letter of a text whose accents stand by themselves: these vanish, the others are made small."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        self[code] = (
            "" if unicodedata.category(letter) == "Mn" else "".join(_APART[ord(part)] for part in letter.lower())
        )
        return self[code]


_CLEAN, _APART, _LOWER = _Clean(), _Apart(), _Lower()
# controls that Python takes for spaces: they vanish, and what they parted is one word
_GONE = dict.fromkeys((*range(11, 13), *range(28, 32), 133))
