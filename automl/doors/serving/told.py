"""What a model says of a request's rows -> columns -> JSON or CSV. One shape for any task, and for several targets."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.doors.serving.refused import RefusedError
from automl.doors.serving.served import ServedModel, TargetModel
from automl.errors import ArtifactError
from automl.model.certain import few_rows, labels_held, labels_known, numbers_known
from automl.scoring.conformal import Conformal, Said
from automl.scoring.readout import decided

if TYPE_CHECKING:
    from automl.model.predictor import Model


@dataclass(frozen=True)
class Wishes:
    """What is told beside predictions and probabilities."""

    interval: float | None = None  # the level at which ends of numbers are told
    labels: float | None = None  # the level at which sets of labels are told


@dataclass(frozen=True, kw_only=True)
class ToldAnswers:
    """The answers of one target's model."""

    target: str
    predictions: Mapping[str, list[Any]]  # a column; of quantiles one for each level
    shares: Mapping[str, list[float | None]] = field(default_factory=dict)  # by class, as text
    ends: tuple[list[float | None], list[float | None]] | None = None  # low, high
    labels: list[list[Any]] | None = None  # of each row the set that holds its label
    notes: tuple[str, ...] = ()


def check(served: ServedModel, wishes: Wishes) -> None:
    """Refuse a level that no target can tell of, before anything is asked."""
    models = [one.model for one in served.targets.values()]
    for level, known, is_meant in (
        (wishes.interval, numbers_known, [not model.classes for model in models]),
        (wishes.labels, labels_known, [bool(model.classes) for model in models]),
    ):
        if level is not None:
            for model, is_one in zip(models, is_meant, strict=True):
                if is_one or not any(is_meant):
                    _ask(known, model, level)


def _ask(known: Callable[[Model, float], Conformal], model: Model, level: float) -> None:
    try:
        known(model, level)
    except ArtifactError as problem:  # it is sound, but was saved without what this takes
        raise RefusedError(HTTPStatus.BAD_REQUEST, str(problem)) from problem


def tell(one: TargetModel, said: Said, wishes: Wishes) -> ToldAnswers:
    """What one target's model says, with what was wished for."""
    model, outputs = one.model, said.predictions
    if model.levels:
        names = [f"{one.target}_q{level:g}" for level in model.levels]
        predictions = {name: _numbers(column) for name, column in zip(names, outputs.T, strict=True)}
        return _with_ends(one, said, wishes, ToldAnswers(target=one.target, predictions=predictions))
    if not one.classes:
        return _with_ends(
            one, said, wishes, ToldAnswers(target=one.target, predictions={one.target: _numbers(outputs)})
        )
    classes = one.classes
    labels = [classes[place] for place in decided(outputs, one.readout).argmax(axis=1).tolist()]
    shares = {label: _numbers(column) for label, column in zip(one.class_names, outputs.T, strict=True)}
    told = ToldAnswers(target=one.target, predictions={one.target: labels}, shares=shares)
    if wishes.labels is None:
        return told
    known = labels_known(model, wishes.labels)
    held = labels_held(model, known, outputs, wishes.labels)
    sets = [[label for label, is_in in zip(classes, row, strict=True) if is_in] for row in held.tolist()]
    return ToldAnswers(
        target=told.target, predictions=told.predictions, shares=shares, labels=sets,
        notes=_notes(known, wishes.labels),
    )  # fmt: skip


def _with_ends(one: TargetModel, said: Said, wishes: Wishes, told: ToldAnswers) -> ToldAnswers:
    if wishes.interval is None:
        return told
    known = numbers_known(one.model, wishes.interval)
    low, high = known.interval(said, wishes.interval)
    return ToldAnswers(
        target=told.target, predictions=told.predictions, ends=(_numbers(low), _numbers(high)),
        notes=_notes(known, wishes.interval),
    )  # fmt: skip


def _notes(known: Conformal, level: float) -> tuple[str, ...]:
    return (few_rows(known, level),) if level > known.highest else ()


def _numbers(values: np.ndarray) -> list[Any]:
    """Numbers as JSON has them."""
    told: list[Any] = np.asarray(values, dtype=np.float64).tolist()
    return told if np.isfinite(values).all() else [value if math.isfinite(value) else None for value in told]


def as_object(served: ServedModel, told: Sequence[ToldAnswers], rows: int, wishes: Wishes) -> dict[str, Any]:
    """All answers as one plain object."""
    made: dict[str, Any] = {"model": served.name, "version": served.version, "rows": rows}
    made["predictions"] = {name: column for one in told for name, column in one.predictions.items()}
    if shares := {one.target: one.shares for one in told if one.shares}:
        made["probabilities"] = shares
    if ends := {one.target: dict(zip(("low", "high"), one.ends, strict=True)) for one in told if one.ends}:
        made["interval"] = {"level": wishes.interval, **ends}
    if sets := {one.target: one.labels for one in told if one.labels is not None}:
        made["set"] = {"level": wishes.labels, **sets}
    if notes := [note for one in told for note in one.notes]:
        made["notes"] = notes
    return made


def as_json_bytes(plain: Mapping[str, Any]) -> bytes:
    """One object of JSON, small."""
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def as_csv_bytes(told: Sequence[ToldAnswers], rows: int) -> bytes:
    """A line for each row: predictions, then churned_yes for the probability of a class, then ends or sets."""
    columns = dict(pair for one in told for pair in columns_of(one))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True) if rows else ())
    return out.getvalue().encode("utf-8", "backslashreplace")


def columns_of(one: ToldAnswers) -> Iterator[tuple[str, list[Any]]]:
    """Everything that is told of one target, by the name of its column in a table."""
    yield from one.predictions.items()
    for label, share in one.shares.items():
        yield f"{one.target}_{label}", share
    if one.ends is not None:
        yield f"{one.target}_low", one.ends[0]
        yield f"{one.target}_high", one.ends[1]
    if one.labels is not None:
        for label in one.shares:
            yield f"{one.target}_in_set_{label}", [label in map(str, row) for row in one.labels]
