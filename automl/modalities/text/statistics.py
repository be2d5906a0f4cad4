"""What can be counted of a text without knowing its language: lengths, capitals, signs, links."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

NAMES = (
    "characters", "words", "letters_a_word", "capitals", "shouted", "digits", "signs", "exclamations", "questions",
    "links", "mentions", "tags", "lines", "repeated_words", "not_ascii",
)  # fmt: skip
LOOKED_AT = 100_000  # characters of a text
_LINK = re.compile(r"https?://|www\.", re.IGNORECASE)


def count(texts: Sequence[str]) -> np.ndarray:
    """(texts, NAMES) float32: sizes as logarithms, the rest as shares of the characters or words."""
    if not len(texts):
        return np.zeros((0, len(NAMES)), dtype=np.float32)
    return np.array([_count(text[:LOOKED_AT], len(text)) for text in texts], dtype=np.float32)


def _count(text: str, length: int) -> tuple[float, ...]:
    words = text.split()
    size, many = max(1, len(text)), max(1, len(words))
    letters = sum(map(str.isalpha, text))
    capitals = sum(map(str.isupper, text))
    digits = sum(map(str.isdigit, text))
    blanks = sum(map(str.isspace, text))
    return (
        np.log1p(length),
        np.log1p(len(words)),
        letters / many,
        capitals / max(1, letters),
        sum(word.isupper() and len(word) > 1 for word in words) / many,
        digits / size,
        (len(text) - letters - digits - blanks) / size,
        np.log1p(text.count("!")),
        np.log1p(text.count("?")),
        np.log1p(len(_LINK.findall(text))),
        np.log1p(text.count("@")),
        np.log1p(text.count("#")),
        np.log1p(text.count("\n")),
        1 - len({word.lower() for word in words}) / many,
        0.0 if text.isascii() else sum(letter > "\x7f" for letter in text) / size,
    )
