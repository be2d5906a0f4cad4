"""A model after its deployment: what moved since it learned, what its score is likely to be now, whether to train anew.

Works from the saved model alone. All that is found out is one plain dictionary; pages and terminals are drawn from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data import spelling
from automl.data.source import Source, open_source
from automl.errors import ArtifactError, InputError
from automl.messages import one_line
from automl.model import reference, said
from automl.model.evaluate import AnsweredRows, answers_of, profile_of, score
from automl.model.expected import LikelyScore, Residuals, expect, is_below, likely
from automl.model.moved import Moved, as_plain, compare
from automl.model.reference import Reference, Watched
from automl.model.sentences import advice, sentence
from automl.model.watched import Seen, look
from automl.records import Score
from automl.scoring import metrics
from automl.scoring.drift import Spread
from automl.scoring.metrics import Metric

if TYPE_CHECKING:
    import pandas as pd

    from automl.model.predictor import Model

FORMAT = 1
CHUNK_ROWS = 50_000
FEW_ROWS = 100  # below it, only what is blatant is told from chance


def monitor(model: Model, data: Any, labels: str | None = None) -> dict[str, Any]:
    """Compare new rows, given as anything that `predict` takes, with those that the model learned from.

    `labels`: the column with the answers, if it is not called as in training; where the target is among the columns, or
    comes as the y of a pair, its answers are scored without being asked for.
    """
    if model.drift is None:
        raise ArtifactError(
            "this model has no drift reference: it was saved by an earlier version, or there was no room or time for "
            "one. Train it anew; evaluate scores it on rows with answers meanwhile."
        )
    known = reference.read(model.drift)
    frame, notes = _readable(model, data)
    if not len(frame):
        raise InputError("there are no rows to compare. Give at least some hundred.")
    return tell(model, known, count(model, frame, known), notes, _answers(model, data, labels, notes))


def tell(
    model: Model, known: Reference, counted: Counted, notes: list[str], answers: AnsweredRows | None = None
) -> dict[str, Any]:
    """What rows that were counted say, beside those that were learned from."""
    rows = len(counted.outputs)
    found = _scores(model, known, counted.outputs, answers)
    compared = len(counted.spreads) + (found.answers is not None)
    moved = [compare(watch, spread, compared, _names(model, watch), known) for watch, spread in counted.spreads]
    told = None
    if found.answers is not None and known.answers is not None:
        now = known.answers.count(said.answers(found.answers.y, known.answers.column))
        told = compare(known.answers, now, compared, list(model.classes), known)
    if rows < FEW_ROWS:
        notes.append(f"{rows} rows are few: of so many, only what is blatant is told from chance")
    if known.left_out:
        notes.append(f"{known.left_out:,} more columns are not watched")
    return _told(model, known, moved, told, found, (rows, compared, notes))


# --- reading and counting ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counted:
    """How what is watched lies in the new rows, and what the model says of them."""

    spreads: list[tuple[Watched, Spread]]
    outputs: np.ndarray


def together(parts: Sequence[Counted]) -> Counted:
    """The same of rows that were counted in parts."""
    sums: dict[tuple[str, str], tuple[Watched, Spread]] = {}
    for watch, spread in (pair for part in parts for pair in part.spreads):
        key = watch.column, watch.what
        sums[key] = watch, (_sum(sums[key][1], spread) if key in sums else spread)
    return Counted(list(sums.values()), np.concatenate([part.outputs for part in parts]))


def _readable(model: Model, data: Any) -> tuple[pd.DataFrame, list[str]]:
    """The rows that can be read, and a note on the others."""
    frame, notes = model.rows(data), []
    if model.schema.claims:
        kept, told = model.schema.readable(frame)
        if told:
            if not kept.any():
                raise InputError(f"no row can be read: {told}")
            notes.append(f"{(~kept).sum():,} of {len(kept):,} rows were left out: {told}")
            frame = frame[kept]
    return frame, notes


def count(model: Model, frame: pd.DataFrame, known: Reference, first: int = 0) -> Counted:
    """All rows, some thousand at a time; `first`: the number of the first one, where others were counted before."""
    starts = range(0, len(frame), CHUNK_ROWS)
    return together([_chunk(model, frame.iloc[at : at + CHUNK_ROWS], known, first + at) for at in starts])


def _chunk(model: Model, rows: pd.DataFrame, known: Reference, first: int) -> Counted:
    places = {(one.column, one.what): one for one in (*known.watched, *known.predictions)}
    raw = model.encoded(rows)
    said_of = said.alone(model, raw, first, known.deals)
    spreads = []
    for seen in (*look(rows, raw, model.schema, known.states), *_seen(model, said_of)):
        watch = places.get((seen.column, seen.what))
        if watch is not None and (watch.kind == "label") == (seen.kind == "label"):
            spreads.append((watch, watch.count(seen)))
    return Counted(spreads, said_of)


def _seen(model: Model, outputs: np.ndarray) -> Iterator[Seen]:
    return said.see(outputs, model.task, model.classes, model.readout)


def _sum(one: Spread, other: Spread) -> Spread:
    beyond, missing, above = one.beyond + other.beyond, one.missing + other.missing, one.above + other.above
    return Spread(one.counts + other.counts, beyond, missing, one.is_ordered, above)


def _names(model: Model, watch: Watched) -> list[Any]:
    """Of codes, the labels."""
    if watch.column == said.PREDICTION:
        return list(model.classes)
    schema = model.schema
    return list(schema.labels[schema.category_names.index(watch.column)]) if watch.kind == "label" else []


def _answers(model: Model, data: Any, labels: str | None, notes: list[str]) -> AnsweredRows | None:
    """Rows with their answers, where they came along; what is wrong with those nobody asked for is a note."""
    target = str(model.manifest["target"])
    spelled = spelling.of_saved({**model.manifest, "target": labels or target})
    source: Source = open_source(
        data, (labels or target, *spelled.verbatim), decimal=spelled.decimal, kept=spelled.kept
    )
    if labels is None and source.labels is None and target not in source.names:
        return None
    try:
        return answers_of({**model.manifest, "target": labels or target}, source)
    except InputError as problem:
        if labels is not None:
            raise
        notes.append(f"the answers cannot be scored: {one_line(problem, 300)}")
        return None


# --- scores -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Scores:
    """What the score is likely to be, what it is where answers are known, and whether that is below the promise."""

    metric: Metric | None
    likely: LikelyScore | None
    measured: Score | None = None
    rows: int = 0  # that have answers
    is_below: bool | None = None
    answers: AnsweredRows | None = None


def _scores(model: Model, known: Reference, outputs: np.ndarray, answers: AnsweredRows | None) -> _Scores:
    profile = profile_of(model.manifest)
    metric = None
    if profile.metric in metrics.names(profile.task):
        metric = metrics.get(profile.metric, profile.levels, profile.positive)
    found = None
    if metric is not None and known.promise is not None and known.expected is not None:
        residuals = None
        if known.residuals is not None and known.bins is not None:
            residuals = Residuals(known.residuals, known.bins)
        now = expect(metric, outputs, model.readout, residuals)
        found = None if now is None else likely(metric, known.promise, known.expected, now, len(outputs))
    if answers is None:
        return _Scores(metric=metric, likely=found)
    evaluated = score(model, answers)
    measured = next((one for one in evaluated.scores if one.metric == profile.metric), None)
    below = None
    if metric is not None and measured is not None and known.promise is not None:
        below = is_below(metric, known.promise, measured.value, len(answers.y))
    return _Scores(metric=metric, likely=found, measured=measured, rows=len(answers.y), is_below=below, answers=answers)


def _told(
    model: Model, known: Reference, moved: list[Moved], answers: Moved | None, found: _Scores,
    rest: tuple[int, int, list[str]],
) -> dict[str, Any]:  # fmt: skip
    """Everything as one dictionary."""
    rows, compared, notes = rest
    columns = sorted((one for one in moved if one.watch.column != said.PREDICTION), key=lambda one: one.rank)
    predictions = [one for one in moved if one.watch.column == said.PREDICTION]
    promise, guessed = known.promise, found.likely
    told: dict[str, Any] = {
        "format": FORMAT, "target": str(model.manifest["target"]), "task": model.task,
        "model": str(model.manifest.get("name", "")), "rows": rows, "learned_rows": known.rows, "compared": compared,
        "columns": [as_plain(one) for one in columns],
        "predictions": [as_plain(one) for one in predictions],
        "answers": None if answers is None else as_plain(answers),
        "score": {
            "metric": str(model.manifest["metric"]),
            "higher_is_better": None if found.metric is None else found.metric.higher_is_better,
            "promised": None if promise is None else {n: getattr(promise, n) for n in ("value", "low", "high", "rows")},
            "likely": None if guessed is None else {n: getattr(guessed, n) for n in ("value", "low", "high", "worse")},
            "is_likely_worse": None if guessed is None else guessed.is_worse,
            "measured": None if found.measured is None else {
                **{name: getattr(found.measured, name) for name in ("value", "low", "high")}, "rows": found.rows,
            },
            "is_below": found.is_below,
        },
        "notes": notes,
    }  # fmt: skip
    alarming = [*columns, *predictions, *([] if answers is None else [answers])]
    told["alarm"] = any(one.is_alarm for one in alarming) or bool(found.is_below) or bool(guessed and guessed.is_worse)
    told["retrain"] = advice(told)
    told["sentence"] = sentence(told)
    return told
