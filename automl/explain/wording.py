"""Which words of a text an answer rests on: what the answer loses, or gains, when they are taken out.

Asked of the whole model, so right for any member. Long texts are asked in stretches of words.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from automl.explain.occlusion import score

MOST_ASKED = 48  # questions about a text: words, or stretches of them
MOST_WORDS = 300  # of a text that are asked about; the rest stays as it is
TOLD = (
    "Blue words speak for the answer, orange ones against it: by how much it is less sure, or surer, when they are "
    "taken out; asked of the whole model"
)
_APART = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9d"  # written without blanks: letter by letter
_PIECE = re.compile(rf"[{_APART}]\s*|[^\s{_APART}]+\s*")

AskTexts = Callable[[int, Sequence[str]], np.ndarray]  # what the model answers of row i, were this its text


@dataclass(frozen=True)
class WeighedText:
    """The words of a text in their order, and what each weighs: 1 for the answer most, -1 against it as much."""

    words: tuple[str, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class WordQuestion:
    """Answers of a model whose words are asked for in one column, one per row."""

    texts: tuple[str, ...]
    outputs: np.ndarray  # int64: of each row, which of the model's outputs
    ask: AskTexts
    is_numeric: bool


def weigh_words(question: WordQuestion, until: float = float("inf")) -> Iterator[WeighedText]:
    """One per row, as many as there is time for."""
    for row, text in enumerate(question.texts):
        yield _weighed(question, row, text)
        if time.monotonic() >= until:
            break


def _weighed(question: WordQuestion, row: int, text: str) -> WeighedText:
    pieces = _PIECE.findall(text)
    asked, rest = pieces[:MOST_WORDS], "".join(pieces[MOST_WORDS:])
    if not asked:
        return WeighedText((), ())
    stretches = np.array_split(np.arange(len(asked)), min(MOST_ASKED, len(asked)))
    without = [
        "".join(piece for at, piece in enumerate(asked) if at not in set(own.tolist())) + rest for own in stretches
    ]
    said = score(question.ask(row, [text, *without]), int(question.outputs[row]), question.is_numeric)
    lost = said[0] - said[1:]
    most = float(np.abs(lost).max())
    scaled = lost / most if most > 1e-9 else np.zeros_like(lost)
    weights = np.repeat(scaled, [len(own) for own in stretches])
    return WeighedText(tuple(piece.strip() for piece in asked), tuple(float(round(weight, 4)) for weight in weights))
