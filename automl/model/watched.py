"""What of rows is watched after deployment: their plain columns, and simple facts of texts, images and sounds.

Numbers, dates and truth values as models read them, labels by their codes, of words how many are unheard of, of decoded
columns what their kind tells and how unlike the rows that were learned from they are. The same code looks at the rows
that were learned from and at those that came later.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.modalities.mixture import Raw, Schema, measures
from automl.modalities.table.encode import is_unseen
from automl.records import Kind
from search_spaces.checked import need

if TYPE_CHECKING:
    import pandas as pd

MISSING, NEW = -1, -2  # among codes
BITS = 1 << 16  # of the words that were met; two that share one are taken for each other, on both sides alike
WORD = re.compile(r"\w{2,}")
MOST_WORDS = 400  # of a text that are looked up
MOST_NUMBERS = 256  # of those that describe a block, by which it is told how unlike the others it is
LENGTH, UNHEARD, UNLIKE = "length", "unknown words", "unlike what was learned from"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One thing that is watched, of each row."""

    column: str
    what: str = ""  # of the column; empty: itself
    kind: str = "number"  # "number", "date" or "label"
    values: np.ndarray  # float64 with NaN, of labels codes
    offset: float = 0.0  # to be added to numbers before they are shown
    state: Mapping[str, Any] | None = None  # what of the rows learned from it takes to see the same of others


def look(frame: pd.DataFrame, raw: Raw, schema: Schema, known: Mapping[tuple[str, str], Any] | None) -> Iterator[Seen]:
    """Everything that is watched of these rows.

    `known`: states by column and what; None where these are the rows that are learned from, which make them.
    """
    yield from _plain(frame, raw, schema)
    for name, texts in _texts(raw, schema):
        yield Seen(column=name, what=LENGTH, values=_length(texts))
        met = None if known is None else known.get((name, UNHEARD))
        if known is None or met is not None:
            state, shares = unheard_of(texts, met)
            yield Seen(column=name, what=UNHEARD, values=shares, state=state)
    for one in schema.decoders:
        name = one.column.name
        for what, values in measures(one.codec.kind, raw.blocks[name]).items():
            yield Seen(column=name, what=what, values=_as_read(values))
        place = raw.describing(name)
        usual = None if known is None else known.get((name, UNLIKE))
        if len(place) and (known is None or usual is not None):
            state, far = unlike(raw.numbers[:, place.start : place.stop], usual)
            yield Seen(column=name, what=UNLIKE, values=far, state=state)


def _plain(frame: pd.DataFrame, raw: Raw, schema: Schema) -> Iterator[Seen]:
    """The table's own columns; of a date the day."""
    number = code = 0
    for coding in schema.codings:
        name = coding.column.name
        if coding.column.kind == Kind.CATEGORY:
            codes = raw.codes[:, code].astype(np.int64) - 1
            lost = np.flatnonzero(codes < 0)
            codes[lost[is_unseen(frame[name].iloc[lost])]] = NEW
            yield Seen(column=name, kind="label", values=codes)
            code += 1
        elif coding.names:
            kind = "date" if coding.column.kind == Kind.DATE else "number"
            yield Seen(column=name, kind=kind, values=_as_read(raw.numbers[:, number]), offset=coding.offset)
            number += len(coding.names)


def _texts(raw: Raw, schema: Schema) -> Iterator[tuple[str, Sequence[str]]]:
    """Short texts and long ones."""
    yield from zip(schema.text_names, (texts.tolist() for texts in raw.texts), strict=True)
    for name in schema.worded:
        yield name, raw.blocks[name].values().tolist()


def _length(texts: Sequence[str]) -> np.ndarray:
    """Characters; an empty text is missing."""
    return np.array([len(text) or np.nan for text in texts], dtype=np.float64)


def _as_read(values: np.ndarray) -> np.ndarray:
    """As float32 has them, since edges of cells are kept like that."""
    return values.astype(np.float32).astype(np.float64)


# --- words ------------------------------------------------------------------------------------------------------------


def unheard_of(texts: Sequence[str], state: Mapping[str, Any] | None) -> tuple[Mapping[str, Any], np.ndarray]:
    """Of each text the share of its words that had not been met; NaN where it has none.

    Without a state these are the texts that make one: of them a word counts as unheard of that no other text has.
    """
    places = [np.unique([_bit(word) for word in WORD.findall(text.lower())[:MOST_WORDS]]) for text in texts]
    if state is None:
        times = np.zeros(BITS, dtype=np.int64)
        for some in places:
            times[some.astype(np.int64)] += 1
        is_new, made = times <= 1, {"met": _packed(times > 0)}
    else:
        is_new, made = ~_unpacked(state["met"]), dict(state)
    shares = [float(is_new[some.astype(np.int64)].mean()) if len(some) else np.nan for some in places]
    return made, _as_read(np.array(shares, dtype=np.float64))


def _bit(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "replace")) % BITS


def _packed(bits: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(np.packbits(bits).tobytes(), 9)).decode("ascii")


def _unpacked(text: Any) -> np.ndarray:
    """What `_packed` gave; never more than that expands to."""
    need(isinstance(text, str) and len(text) <= BITS, "the words that were met are no text")
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(base64.b64decode(text), BITS // 8 + 1)
    need(len(content) == BITS // 8, "the words that were met are not as many as there are")
    return np.unpackbits(np.frombuffer(content, dtype=np.uint8)).astype(bool)


# --- what describes a block -------------------------------------------------------------------------------------------


def unlike(numbers: np.ndarray, state: Mapping[str, Any] | None) -> tuple[Mapping[str, Any], np.ndarray]:
    """How far each row is from the mean of what was learned from, in deviations; without a state these make one."""
    if state is None:
        places = np.unique(np.linspace(0, numbers.shape[1] - 1, min(MOST_NUMBERS, numbers.shape[1])).astype(np.int64))
        some = numbers[:, places].astype(np.float64)
        mean, deviation = some.mean(axis=0), some.std(axis=0)
        deviation[~(deviation > 1e-6 * (np.abs(mean) + 1e-6))] = np.inf  # what is alike in all rows tells nothing
        state = {
            "places": places.tolist(),
            "mean": _short(mean),
            "deviation": [_none(one) for one in _short(deviation)],
        }
    places = np.array(state["places"], dtype=np.int64)
    mean = np.array(state["mean"], dtype=np.float64)
    deviation = np.array([np.inf if one is None else one for one in state["deviation"]], dtype=np.float64)
    need(len(places) == len(mean) == len(deviation) <= MOST_NUMBERS, "what describes a column is not as many numbers")
    need(bool(len(places)) and int(places.max()) < numbers.shape[1] and int(places.min()) >= 0, "a number is not there")
    apart = np.square((numbers[:, places] - mean) / deviation)
    return state, _as_read(np.sqrt(apart.mean(axis=1)))


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.5g}") for value in values.tolist()]


def _none(value: float) -> float | None:
    return value if np.isfinite(value) else None
