"""The saved model as its user meets it: a DataFrame in, predictions out. Runs in a worker, where libraries are warm.

Where it looked at images or sounds is asked here too, of the model as it was saved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.errors import InputError
from automl.explain import explain
from automl.explain.wording import WeighedText, weigh_words
from automl.refit.asking import Packed, opened
from cluster.pool import Grant
from search_spaces.spec import Media

if TYPE_CHECKING:
    import pandas as pd

ROW_REPEATS = 7


@dataclass(frozen=True)
class Probe:
    """Which model, and the rows to try it on."""

    path: str  # where it lies; on other machines it comes with the job
    rows: pd.DataFrame


@dataclass(frozen=True)
class Used:
    """How long it took."""

    row_ms: float
    batch_ms: float  # 1,000 rows


def use(_grant: Grant, probe: Probe, packed: Packed | None = None) -> Used:
    """Load the model and predict: one row (median of several), many rows."""
    model = opened(probe.path, packed)
    one = probe.rows.iloc[:1]
    model.predict(one)  # the first call loads libraries
    row_ms = float(np.median([_busy(lambda: model.predict(one)) for _ in range(ROW_REPEATS)]))
    batch_ms = clocked(lambda: model.predict(probe.rows)) * 1000 / len(probe.rows)
    return Used(row_ms, batch_ms)


@dataclass(frozen=True)
class Answered:
    """What the model says of the rows that can be read, which these are, and what is wrong with the others."""

    said: np.ndarray
    kept: np.ndarray  # bool per row
    told: str = ""


def together(parts: Sequence[Answered]) -> Answered:
    """What was said of the rows of several questions, as if it had been one."""
    said = [part.said for part in parts if part.kept.any()] or [parts[0].said]
    told = next((part.told for part in parts if part.told), "")
    return Answered(np.concatenate(said), np.concatenate([part.kept for part in parts]), told)


def answer(_grant: Grant, probe: Probe, packed: Packed | None = None) -> Answered:
    """Load the model and predict: probabilities of classes, or numbers; nothing where no row can be read."""
    model = opened(probe.path, packed)
    predict = model.predict_proba if model.classes else model.predict
    try:
        return Answered(np.asarray(predict(probe.rows)), np.ones(len(probe.rows), dtype=bool))
    except InputError:
        kept, told = model.schema.readable(probe.rows)
        if not told:
            raise
        if not kept.any():
            return Answered(np.empty(0), kept, told)
        return Answered(np.asarray(predict(probe.rows[kept])), kept, told)


@dataclass(frozen=True)
class LookRequest:
    """Which model, and the images or sounds to see it look at; they are decoded, for files may be out of reach."""

    path: str
    rows: pd.DataFrame
    column: str  # that is looked at
    blocks: Mapping[str, Media]
    outputs: tuple[int, ...] | int  # of each row, or of all: the place of the class asked about


@dataclass(frozen=True)
class Looked:
    """Where it looked (`explain.Explained`): a map per row, fewer where time ran out."""

    told: str
    maps: tuple[np.ndarray, ...]


def look(grant: Grant, asked: LookRequest, packed: Packed | None = None) -> Looked:
    """Load the model and have its answers explained, as many as there is time for."""
    model = opened(asked.path, packed)
    found = explain(model.question(asked.rows, asked.column, asked.blocks, asked.outputs), grant.until)
    return Looked(found.told, found.maps)


@dataclass(frozen=True)
class WordRequest:
    """Which model, the rows, and the column of texts whose words are weighed."""

    path: str
    rows: pd.DataFrame
    column: str
    outputs: tuple[int, ...] | int


def weigh(grant: Grant, asked: WordRequest, packed: Packed | None = None) -> tuple[WeighedText, ...]:
    """Load the model and have the words of its texts weighed, as many as there is time for."""
    model = opened(asked.path, packed)
    return tuple(weigh_words(model.word_question(asked.rows, asked.column, asked.outputs), grant.until))


def _busy(call: Callable[[], object]) -> float:
    """Milliseconds of a call without those in which other programs held the cores: a limit is on the model alone."""
    worked = time.process_time()
    took = clocked(call)
    return min(took, 1e3 * (time.process_time() - worked))


def clocked(call: Callable[[], object]) -> float:
    """Milliseconds of a call."""
    started = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - started)
