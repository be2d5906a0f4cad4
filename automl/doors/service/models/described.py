"""What a saved model says of itself, for lists, cards and the form that a page makes of its columns.

Read from the manifest and the drift reference alone: no member is loaded, so a list of models costs files of some
kilobytes. Usual values are the middle of what was learned from, or what came most often.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automl import modalities
from automl.errors import ArtifactError
from automl.modalities.schema import naming_in
from automl.model import manifest, reference
from automl.model.bundle import INDEX, target_folders
from automl.model.reference import Promise, Watched
from automl.records import Kind

MOST_CHOICES = 50  # labels of a column, of which a form can make a list
LONGEST = 200  # letters of an example


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """A column that rows must have."""

    name: str
    kind: str  # number, boolean, category, string, date, or the kind of file: image, audio, text
    may_be_empty: bool
    example: Any  # a usual value; None of files
    choices: tuple[Any, ...] | None  # what a cell may be, where that is little


@dataclass(frozen=True, kw_only=True)
class TargetTold:
    """What is predicted."""

    target: str
    name: str  # of the candidate, as the leaderboard calls it
    task: str
    classes: tuple[Any, ...]
    levels: tuple[float, ...]
    metric: str
    score: Promise | None


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """A model of one target or of several, and the columns that it reads."""

    targets: tuple[TargetTold, ...]
    columns: tuple[ColumnFacts, ...]
    names: tuple[str, ...]  # all columns that were learned from, in their order; those that models do not see, too
    decimal: str  # mark of the numbers in the file that was learned from
    size_mb: float


NOTHING = ModelFacts(targets=(), columns=(), names=(), decimal=".", size_mb=0.0)  # of what cannot be read


def facts_of(folder: Path) -> ModelFacts:
    """Of a saved model, of those of several targets, or of a run that holds either."""
    places = saved_in(folder)
    found = [_of_one(place) for place in places.values()]
    columns: dict[str, ColumnFacts] = {}
    for _, own, _ in found:
        columns |= {column.name: column for column in own if column.name not in columns}
    size = sum(one for _, _, one in found)
    schema = manifest.read(next(iter(places.values())))["schema"]  # several targets learned from the same table
    return ModelFacts(
        targets=tuple(one for one, _, _ in found), columns=tuple(columns.values()),
        names=tuple(map(str, schema.get("names", ()))), decimal=str(schema.get("decimal", ".")), size_mb=size,
    )  # fmt: skip


def saved_in(folder: Path) -> dict[str, Path]:
    """The folder of each target's saved model; of a single one under no name."""
    targets = target_folders(folder) if (folder / INDEX).is_file() else {"": folder}
    return {target: place if _is_saved(place) else place / "model" for target, place in targets.items()}


def _is_saved(place: Path) -> bool:
    return (place / manifest.NAME).is_file()


def _of_one(place: Path) -> tuple[TargetTold, tuple[ColumnFacts, ...], float]:
    told = manifest.read(place)
    known = _reference(place, told)
    with manifest.one_line_of("this model"):
        facts = TargetTold(
            target=told["target"], name=str(told.get("name", "")), task=told["task"], classes=tuple(told["classes"]),
            levels=tuple(told.get("levels", ())), metric=str(told["metric"]),
            score=None if known is None else known.promise,
        )  # fmt: skip
        watched = {} if known is None else {one.column: one for one in known.watched if not one.what}
        columns = _columns(told["schema"], watched)
        size = sum((place / name).stat().st_size for name in told["files"] if (place / name).is_file()) / 1e6
    return facts, columns, size


def _reference(place: Path, told: Mapping[str, Any]) -> reference.Reference | None:
    """The drift reference, where it is there and can be read: nothing here is worth a refusal."""
    if reference.NAME not in told["files"]:
        return None
    try:
        return reference.read((place / reference.NAME).read_bytes())
    except (ArtifactError, OSError):
        return None


def _columns(schema: Mapping[str, Any], watched: Mapping[str, Watched]) -> tuple[ColumnFacts, ...]:
    """In the order of the training data."""
    plain = [_plain(entry, watched.get(entry["column"]["name"])) for entry in schema["codings"] if "sense" not in entry]
    decoded = [_decoded(entry) for entry in schema.get("decoders", ())]
    seen = {one.name for one in (*plain, *decoded)}
    decoded += [
        ColumnFacts(name=name, kind=Kind.STRING, may_be_empty=False, example=None, choices=None)
        for name in naming_in(schema) if name not in seen
    ]  # fmt: skip
    order = {name: at for at, name in enumerate(schema.get("names", ()))}
    return tuple(sorted((*plain, *decoded), key=lambda one: order.get(one.name, len(order))))


def _decoded(entry: Mapping[str, Any]) -> ColumnFacts:
    column, kind = entry["column"], str(entry["codec"]["kind"])
    is_of_files = modalities.decoding(kind).is_of_files
    example = None if is_of_files else _first(column["examples"])
    return ColumnFacts(name=column["name"], kind=kind, may_be_empty=not is_of_files, example=example, choices=None)


def _plain(entry: Mapping[str, Any], watch: Watched | None) -> ColumnFacts:
    column, labels = entry["column"], tuple(entry["labels"])
    kind, examples = str(column["kind"]), tuple(column["examples"])
    choices: tuple[Any, ...] | None = None
    example: Any = _first(examples)
    if kind == Kind.CATEGORY:
        choices = labels if 0 < len(labels) <= MOST_CHOICES else None
        example = labels[0] if labels else None  # they stand in the order of how often they came
    elif kind == Kind.BOOLEAN:
        choices = tuple(sorted(map(str, examples))) if column["unique"] == len(examples) == 2 else None
    elif kind == Kind.NUMBER:
        example = _usual(watch, examples)
    return ColumnFacts(name=column["name"], kind=kind, may_be_empty=True, example=example, choices=choices)


def _first(examples: Sequence[Any]) -> Any:
    return str(examples[0])[:LONGEST] if examples else None


def _usual(watch: Watched | None, examples: Sequence[Any]) -> Any:
    """The middle of what was learned from, whole where all that is known are whole numbers."""
    if watch is None or watch.kind == "label" or not len(watch.edges) or not watch.before.counts.sum():
        return _number(_first(examples))
    below = np.cumsum(watch.before.counts)
    value = float(watch.edges[int(np.searchsorted(below, below[-1] / 2))]) + watch.offset
    are_whole = bool(examples) and all(str(one).lstrip("-").isdigit() for one in examples)
    return round(value) if are_whole else float(f"{value:.4g}")


def _number(text: Any) -> Any:
    """A text as the number that it spells; as it is where it spells none, for instance 1,5 or $ 3."""
    try:
        found = float(text)
    except (TypeError, ValueError):
        return text
    return (round(found) if found.is_integer() and abs(found) < 2**53 else found) if math.isfinite(found) else text
