"""What an answer loses when a part is hidden, asked of the whole model: right for any member, blind to nothing.

How a part is hidden is the codec's: a picture behind its own mean colour, a sound hushed in some bands for a while.
Windows of two by two cells overlap, so that what lies across an edge counts as well. One batch of some fifty questions
per row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from automl.explain import Explainer, Question
from search_spaces.spec import Media

REACH = 2  # cells that a window spans, down and across
FLOOR = 1e-6  # of probabilities, in odds

Window = tuple[slice, slice]  # of cells


def fits(_question: Question) -> bool:
    """Any model can be asked."""
    return True


def told(question: Question) -> str:
    """What was done."""
    done = question.drawn.hiding
    return f"Occlusion: bright is what the answer loses most by when it is {done}; asked of the whole model"


def maps(question: Question) -> Iterator[np.ndarray]:
    """One map of cells per row."""
    block, drawn = question.block, question.drawn
    cells = drawn.grid(block)
    windows = [
        (slice(top, top + REACH), slice(left, left + REACH))
        for top in range(max(1, cells[0] - REACH + 1))
        for left in range(max(1, cells[1] - REACH + 1))
    ]
    for row in range(len(block)):
        one = block.take(np.array([row]))
        asked = _like(one, np.concatenate([one.values(), drawn.hide(one, windows)]))
        said = score(question.ask(row, asked), int(question.outputs[row]), question.is_numeric)
        lost = said[0] - said[1:]
        yield _spread(np.abs(lost) if question.is_numeric else np.maximum(lost, 0), cells, windows)


def _like(one: Media, store: np.ndarray) -> Media:
    """A store of variants of one row as a block."""
    lengths = None if one.lengths is None else np.full(len(store), one.lengths[one.rows[0]])
    return replace(one, store=store, rows=np.arange(len(store)), lengths=lengths, encoder=None)


def score(said: np.ndarray, output: int, is_numeric: bool) -> np.ndarray:
    """The value asked about, of classes as log-odds: what is sure already can still be shaken."""
    chosen = (said if said.ndim == 1 else said[:, min(output, said.shape[1] - 1)]).astype(np.float64)
    if is_numeric:
        return chosen
    share = np.clip(chosen, FLOOR, 1 - FLOOR)
    return np.asarray(np.log(share / (1 - share)))


def _spread(lost: np.ndarray, cells: tuple[int, int], windows: list[Window]) -> np.ndarray:
    """For each cell the mean of the windows that cover it."""
    total, count = np.zeros(cells), np.zeros(cells)
    for value, window in zip(lost, windows, strict=True):
        total[window] += value
        count[window] += 1
    return total / np.maximum(count, 1)


EXPLAINER = Explainer("occlusion", fits, told, maps)
