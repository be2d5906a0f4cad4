"""The saved model as its user meets it: a DataFrame in, predictions out. Runs in a worker, where libraries are warm.

Where it looked at images or sounds is asked here too, of the model as it was saved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.errors import InputError
from automl.explain import explain
from automl.explain.wording import WeighedText, weigh_words
from automl.records.costs import Calls
from automl.refit import timing
from automl.refit.asking import Packed, opened
from cluster.pool import Grant
from search_spaces.spec import Media

if TYPE_CHECKING:
    import pandas as pd

ROW_REPEATS = 7
MANY_ROWS = 10_000  # asked at once, repeated where there are fewer (no steps of series); fewer where it takes long
OF_ONE = 0.4  # of the seconds to repeat calls for: those of one row


@dataclass(frozen=True)
class Probe:
    """Which model, and the rows to try it on."""

    path: str  # where it lies; on other machines it comes with the job
    rows: pd.DataFrame
    seconds: float = 0.0  # to repeat calls for; without any, few must do


@dataclass(frozen=True)
class Used:
    """How long it took, and what it needed."""

    row_ms: float
    batch_ms: float  # 1,000 rows
    one: Calls | None = None
    many: Calls | None = None
    core_s: float = math.nan  # of a row among many
    memory_mb: float = math.nan


def use(_grant: Grant, probe: Probe, packed: Packed | None = None) -> Used:
    """Load the model and predict: one row (median of several), many rows."""
    memory = timing.Memory()
    model = opened(probe.path, packed)
    one = probe.rows.iloc[:1].copy()  # in one piece, as whoever asks brings it: a file is read in pieces
    model.predict(one)  # the first call loads libraries
    row = timing.timed(lambda: model.predict(one), 0.0, (ROW_REPEATS, ROW_REPEATS))
    batch = timing.timed(lambda: model.predict(probe.rows), 0.0, (1, 1))
    batch_ms = batch.ms[0] * 1000 / len(probe.rows)
    more = timing.timed(lambda: model.predict(one), OF_ONE * probe.seconds, (0, timing.MOST_CALLS))
    told = timing.Timed(row.ms + more.ms, row.core_s + more.core_s).told(1)
    left_s = (1 - OF_ONE) * probe.seconds
    count = min(MANY_ROWS, int(left_s / (timing.FEWEST_OF_MANY * max(1e-6 * batch_ms, 1e-9))))
    if count < len(probe.rows) or model.schema.is_of_steps:
        count, many = len(probe.rows), batch
    else:
        rows = probe.rows.iloc[np.arange(count) % len(probe.rows)].reset_index(drop=True)
        many = timing.timed(lambda: model.predict(rows), left_s, (timing.FEWEST_OF_MANY, timing.MOST_OF_MANY))
    core_s = many.core_s / (len(many.ms) * count)
    return Used(float(np.median(row.ms)), batch_ms, told, many.told(count), core_s, memory.rise_mb())


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
