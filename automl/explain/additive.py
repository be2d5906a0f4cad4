"""How an answer to a row of a table comes about: from the usual answer, what each column adds, to what is said.

Base and additions sum to what the model says: of numbers the value, of classes the log-odds of one as users see it.
Where all members are boosted trees or lines these are exact and come from the members themselves (paths.py); of any
other model they are asked for, against usual rows (shapley.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from automl.errors import InputError
from automl.explain import paths, readoff, shapley
from automl.explain.cells import Place, composed, stacked, with_own
from automl.explain.paths import AskedPart, PathQuestion
from automl.modalities.mixture import Raw
from automl.records import Calibration

ASKED = 2_000  # questions about a row of a table,
ASKED_OF_BLOCKS = 600  # or of one with images, sounds or texts, of which each takes long
CELLS = 20_000_000  # of the rows that are asked about together, so that memory stays bounded
EXACT = "paths of trees and slopes of lines"
SAMPLED = "columns taking their own cells in many orders"
ALL_SETS = "columns taking their own cells in every order"


@dataclass(frozen=True, kw_only=True)
class ColumnQuestion:
    """Answers to rows of a table, whose origin is asked for column by column."""

    raw: Raw
    places: tuple[Place, ...]
    outputs: np.ndarray  # int64: of each row, which of the model's outputs
    ask: Callable[[Raw], np.ndarray]  # calibrated answers of the whole model
    parts: tuple[AskedPart, ...]
    readout: Calibration
    is_numeric: bool
    usual: Raw | None = None  # rows to compare with
    asked: int | None = None  # questions about a row; None: as many as its columns call for


@dataclass(frozen=True)
class Additive:
    """Per row: base and additions sum to what is said; fewer rows if time ran out."""

    method: str
    base: np.ndarray  # (rows,)
    said: np.ndarray  # (rows,)
    values: np.ndarray  # (rows, columns)
    errors: np.ndarray  # (rows, columns): standard errors; zero where members told it themselves


def explain_columns(question: ColumnQuestion, until: float = float("inf")) -> Additive:
    """What each column adds; after `until` (time.monotonic()) no further row is begun.

    InputError where usual rows are needed and there are none.
    """
    said = readoff.number_of(question.ask(question.raw), question.outputs, is_numeric=question.is_numeric)
    exact = _exact(question, said)
    if exact is not None:
        base, values = exact
        return Additive(EXACT, base, said, values, np.zeros_like(values))
    if question.usual is None or not len(question.usual):
        raise InputError(
            "what columns add to the answers of this model is told against usual rows, and it carries none. Give some: "
            "background=, or --background; models of runs with explain='required' bring them along."
        )
    return _asked(question, question.usual, said, until)


def _exact(question: ColumnQuestion, said: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    if not paths.tells_all(question.parts) or not len(said):
        return None
    asked = PathQuestion(question.raw, question.usual, question.outputs, question.readout, question.is_numeric)
    members = paths.known(asked, question.parts)
    return None if members is None else paths.explained(asked, members, paths.by_source(question.places), said)


def _asked(question: ColumnQuestion, usual: Raw, said: np.ndarray, until: float) -> Additive:
    """Asked of the whole model, row by row."""
    asked = question.asked or (ASKED_OF_BLOCKS if question.raw.blocks else ASKED)
    walk = shapley.plan(len(question.places), len(usual), asked)
    usual = usual.take(np.arange(walk.usual))
    staying = set(question.raw.blocks) - {place.name for place in question.places}
    of_usual = np.empty(0) if staying else question.ask(usual)
    found, based = [], []
    for row in range(len(said)):
        compared = with_own(usual, question.raw, row, question.places)
        of_usual = question.ask(compared) if staying else of_usual
        stack = stacked(question.raw.take(np.array([row])), compared)
        output = question.outputs[row]

        def worth(own: np.ndarray, among: np.ndarray, stack: Raw = stack, output: int = output) -> np.ndarray:
            return _worth(question, stack, output, np.where(own, 0, 1 + among[:, None]))

        answers = _number(question, of_usual, output)
        found.append(shapley.additions(worth, walk, float(said[row]), answers))
        based.append(float(answers.mean()))
        if time.monotonic() >= until:
            break
    values, errors = (np.array([one[k] for one in found]).reshape(len(found), walk.columns) for k in (0, 1))
    method = ALL_SETS if walk.is_whole else SAMPLED
    return Additive(method, np.array(based), said[: len(found)], values, errors)


def _worth(question: ColumnQuestion, stack: Raw, output: int, rows: np.ndarray) -> np.ndarray:
    """The answers to rows put together of others, some at a time."""
    wide = max(1, stack.numbers.shape[1] + stack.codes.shape[1])
    at_once = max(1, CELLS // wide)
    parts = [
        _number(question, question.ask(composed(stack, question.places, rows[at : at + at_once])), output)
        for at in range(0, len(rows), at_once)
    ]
    return np.concatenate(parts)


def _number(question: ColumnQuestion, said: np.ndarray, output: int) -> np.ndarray:
    outputs = np.full(len(said), output, dtype=np.int64)
    return readoff.number_of(said, outputs, is_numeric=question.is_numeric)
