"""Which columns hold free text: sentences that people wrote, not names, codes or dates, which a table reads itself."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from automl.messages import percent
from automl.modalities.protocol import Claim

if TYPE_CHECKING:
    import pandas as pd

LOOKED_AT, READ = 2_000, 5_000  # cells of a column, spread over it, and characters of each
NEARLY_ALL = 0.95  # of its cells that hold something must be texts
LEAST_WORDS, MANY_WORDS = 4.0, 8.0  # words on average; with many, templates may repeat
DISTINCT, FEW_DISTINCT = 0.5, 0.05  # share of the cells that must differ; where words are many
LEAST_VOCABULARY = 30  # different words with letters: dates and codes are made of fewer
LEAST_ALONE, LENGTH_ALONE = 0.5, 3.0  # of a lone column: share of distinct cells, letters on average
SURENESS = 0.8  # names of files and what files hold are told apart more surely


def claim(cells: pd.Series) -> Claim | None:
    """Whether most cells are sentences, most of them different ones."""
    known = _texts(cells)
    if not known:
        return None
    distinct = list(dict.fromkeys(known))
    words = float(np.mean([count_words(text) for text in distinct]))
    share = len(distinct) / len(known)
    if words < LEAST_WORDS or share < (FEW_DISTINCT if words >= MANY_WORDS else DISTINCT):
        return None
    if not _has_language(distinct):
        return None
    return Claim(f"{percent(share)} of its cells differ and hold {words:.1f} words on average: text", SURENESS)


def claim_alone(cells: pd.Series) -> Claim | None:
    """Whether the only column there is can be read as text at all: there is nothing else to learn from."""
    known = _texts(cells)
    letters = float(np.mean([sum(map(str.isalpha, text)) for text in known])) if known else 0.0
    share = len(set(known)) / max(1, len(known))
    if letters < LENGTH_ALONE or share < LEAST_ALONE:
        return None
    return Claim(f"{percent(share)} of its cells differ, and no other column says anything: text", SURENESS)


def count_words(text: str) -> int:
    """Words; in scripts without blanks two characters count as one."""
    return max(len(text.split()), sum(map(_is_apart, text)) // 2)


def _texts(cells: pd.Series) -> list[str]:
    """The cells looked at that hold something, where nearly all of them are texts; else none."""
    if cells.dtype.kind in "iufbcMm":
        return []
    some = cells.iloc[:: max(1, len(cells) // LOOKED_AT)].dropna().tolist()
    some = [cell[:READ] if isinstance(cell, str) else cell for cell in some]
    known = [cell for cell in some if isinstance(cell, str) and cell.strip()]
    held = [cell for cell in some if not isinstance(cell, str) or cell.strip()]
    return known if known and len(known) >= NEARLY_ALL * len(held) else []


def _has_language(texts: Sequence[str]) -> bool:
    """Whether there are many different words: of four in a text, two at least have letters."""
    found: set[str] = set()
    share = 0.0
    for text in texts[:500]:
        mine = text.split()
        lettered = [word.lower() for word in mine if sum(map(str.isalpha, word)) >= 2]
        share += len(lettered) / max(1, len(mine)) if not any(map(_is_apart, text)) else 1.0
        found.update(lettered)
        found.update(letter for letter in text if _is_apart(letter))
    return len(found) >= min(LEAST_VOCABULARY, 2 * len(texts)) and share >= 0.5 * min(500, len(texts))


def _is_apart(letter: str) -> bool:
    """Of a script that puts no blanks between words."""
    return letter >= "\u2e80" and unicodedata.category(letter) == "Lo"
