"""Texts taken in for a run, and what is odd about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from automl.messages import counted, percent, shown
from automl.modalities.files.look_alikes import pairs_across
from automl.modalities.protocol import Reading, Taken
from automl.modalities.text import near
from automl.modalities.text.claims import count_words
from automl.modalities.text.codec import TextCodec
from automl.records import Decoded, Finding
from search_spaces.text.terms import MOST_CHARACTERS

MANY_EMPTY = 0.05  # of the texts, from which it is told
SAMPLE = 2_000  # texts whose words are counted for the profile


def read(reading: Reading) -> Taken:
    """Every cell is a text: nothing is left out."""
    codec = TextCodec()
    block = codec.encode(reading.cells)
    texts = block.store.tolist()
    twins = near.find_twins(texts)
    findings = [*_empty(texts), *_long(texts), *_repeated(texts, twins), *_torn(texts, twins, reading.answers)]
    if reading.report is not None:
        reading.report(len(texts), len(texts))
    some = [text for text in texts[:: max(1, len(texts) // SAMPLE)] if text.strip()]
    words = float(np.mean([count_words(text) for text in some])) if some else 0.0
    why = f"{counted(len(texts), 'text')} of {words:.0f} words on average"
    decoded = Decoded(column=reading.column, block=block, codec=codec, why=why, twins=twins, findings=tuple(findings))
    return Taken(decoded, np.ones(len(texts), dtype=bool))


def _empty(texts: Sequence[str]) -> Iterator[Finding]:
    count = sum(not text.strip() for text in texts)
    if count == len(texts):
        message = f"all {len(texts):,} texts are empty: nothing can be learned from them"
        yield Finding("empty_texts", "danger", message, None, {"count": count})
    elif count > MANY_EMPTY * len(texts):
        message = f"{count:,} of {len(texts):,} texts ({percent(count / len(texts))}) are empty"
        yield Finding("empty_texts", "info", message, None, {"count": count})


def _long(texts: Sequence[str]) -> Iterator[Finding]:
    count = sum(len(text) >= MOST_CHARACTERS for text in texts)
    if count:
        message = f"{counted(count, 'text')} of {MOST_CHARACTERS:,} characters or more: what follows these is not read"
        yield Finding("long_texts", "warning", message, None, {"count": count})


def _repeated(texts: Sequence[str], twins: np.ndarray | None) -> Iterator[Finding]:
    if twins is None:
        return
    _, first, sizes = np.unique(twins, return_index=True, return_counts=True)
    count = int((sizes - 1).sum())
    example = texts[int(first[sizes.argmax()])]
    message = (
        f"{count:,} texts say the same as another one, or nearly, for instance {shown(example)}: such texts stay in "
        "one fold"
    )
    yield Finding("repeated_texts", "info", message, None, {"count": count})


def _torn(texts: Sequence[str], twins: np.ndarray | None, labels: np.ndarray) -> Iterator[Finding]:
    """Texts that say the same although their answers differ."""
    pairs = [] if twins is None or labels.dtype.kind == "f" else pairs_across(labels, twins)
    if pairs:
        told = "; ".join(f"{shown(texts[a])} is {labels[a]} and {labels[b]}" for a, b in pairs[:2])
        message = (
            f"{len(pairs):,} pairs of texts say the same but have different answers, for instance {told}: one of each "
            "is wrong, or the answer cannot be told from them"
        )
        yield Finding("contradictions", "warning", message, None, {"pairs": len(pairs)})
