"""What a column looks like, small enough to be drawn beside its name: bins, the commonest values, lengths, sizes.

Each picture is plain values with a `type` that says how it is drawn. Nothing in it names a place of the server.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.modalities.parse import distinct
from automl.modalities.table.kinds import to_dates, to_number
from automl.records import Column, Kind

if TYPE_CHECKING:
    import pandas as pd

BINS = 24
MOST_VALUES = 12
LETTERS = 60  # of a value that is shown
TEXTS, WORDS_OF = 5_000, 500  # texts whose lengths are measured, and those whose words are counted
FILES = 400  # whose headers are read
_WORD = re.compile(r"[^\W\d_]{3,}")

Picture = dict[str, Any]


def picture_of(cells: pd.Series, column: Column) -> Picture:
    """The picture that tells most of a column of this kind."""
    if column.kind == Kind.NUMBER:
        return histogram(to_number(cells, column))
    if column.kind == Kind.DATE:
        return dates(to_dates(cells, column))
    if column.kind in OF_FILES:
        return OF_FILES[column.kind](list(cells.iloc[:: max(1, len(cells) // FILES)]))
    if column.kind in (Kind.STRING, "text"):
        return lengths([str(cell) for cell in cells.dropna().iloc[:: max(1, len(cells) // TEXTS)]])
    return values(cells)


def histogram(numbers: np.ndarray, unit: str = "") -> Picture:
    """Counts in equal parts from the least to the largest."""
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return {"type": "empty"}
    low, high = float(known.min()), float(known.max())
    span = high - low
    if not np.isfinite(span) or span <= 0:
        return {"type": "histogram", "min": low, "median": float(np.median(known)), "max": high, "counts": [len(known)],
                "unit": unit}  # fmt: skip
    is_whole = bool((known == np.floor(known)).all()) and span < BINS
    bins = int(span) + 1 if is_whole else BINS
    places = np.minimum(((known - low) / span * bins).astype(np.int64), bins - 1)
    counts = np.bincount(places, minlength=bins)
    return {"type": "histogram", "min": low, "median": float(np.median(known)), "max": high,
            "counts": counts.tolist(), "unit": unit}  # fmt: skip


def dates(found: np.ndarray) -> Picture:
    """Counts over time."""
    known = found[~np.isnat(found)]
    if not len(known):
        return {"type": "empty"}
    drawn = histogram(known.astype("datetime64[s]").astype(np.float64))
    low, high = known.min().astype("datetime64[s]"), known.max().astype("datetime64[s]")
    return {"type": "dates", "min": str(low), "max": str(high), "counts": drawn["counts"]}


def values(cells: pd.Series) -> Picture:
    """The commonest values, and how many rows have another one."""
    codes, texts = distinct(cells)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    return commonest({text: int(count) for text, count in zip(texts, counts, strict=True)})


def commonest(counted: Mapping[str, int]) -> Picture:
    """The same of values that were counted."""
    order = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    first = [{"value": short(value), "count": count} for value, count in order[:MOST_VALUES]]
    rest = [count for _, count in order[MOST_VALUES:]]
    return {"type": "values", "values": first, "rest": sum(rest), "rest_values": len(rest)}


def lengths(texts: Sequence[str]) -> Picture:
    """How long texts are, in letters, and words that stand in many of them."""
    words = Counter(
        word for text in texts[:WORDS_OF] for word in {found.lower() for found in _WORD.findall(text[:5000])}
    )
    shown = sorted(words.items(), key=lambda item: (-item[1], item[0]))[:MOST_VALUES]
    drawn = histogram(np.array([len(text) for text in texts], dtype=np.float64), "letters")
    return {**drawn, "type": "lengths", "words": [short(word) for word, _ in shown]} if texts else drawn


def sizes(files: Sequence[Any]) -> Picture:
    """How many pictures have which width and height, by the headers of some of them."""
    from automl.modalities.image import pictures

    found = pictures.measure(files)
    counted = Counter(f"{w} x {h}" for w, h in zip(found.widths.tolist(), found.heights.tolist(), strict=True))
    return {**commonest(counted), "type": "sizes", "looked_at": len(found), "unreadable": found.broken}


def seconds(files: Sequence[Any]) -> Picture:
    """How long sounds last, by the headers of some of them."""
    from automl.modalities.audio import sounds

    found = sounds.measure(files)
    drawn = histogram(found.seconds, "s")
    return {**drawn, "looked_at": len(found), "unreadable": found.broken}


def short(value: Any, letters: int = LETTERS) -> str:
    """A value as text that fits under a picture."""
    text = str(value)
    return text if len(text) <= letters else text[: letters - 1] + "…"


OF_FILES = {"image": sizes, "audio": seconds}  # how columns are drawn whose cells are files
