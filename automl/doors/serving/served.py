"""A loaded model as it is served: its readers, and answers to the rows of several requests by one call.

Whoever asks beside, a request gets the bits that it would get alone: members of which each row's answer is its own by
construction are asked of all rows at once, others of each request's rows by themselves. Encoding, which takes longer
than most members, is shared either way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.doors.serving.asked import NAME, ServeOptions
from automl.doors.serving.cells import RowReader, joined
from automl.doors.serving.rows import BodyReader, CellRows
from automl.errors import InputError
from automl.modalities.mixture import Raw
from automl.model.bundle import Bundle, load
from automl.model.manifest import one_line_of
from automl.records import Kind
from automl.scoring.conformal import Said

if TYPE_CHECKING:
    from automl.model.predictor import FittedPart, Model
    from search_spaces.spec import Matrix

# Trees add up leaf by leaf, so a row's answer has the same bits in any company; products of matrices do not.
ROW_BY_ROW = frozenset({"catboost", "constant", "extra_trees", "forest", "lightgbm", "xgboost"})


class TargetModel:
    """The model of one target, and how its rows are read."""

    def __init__(self, model: Model, *, is_joined: bool) -> None:
        self.model, self.reader = model, RowReader(model.schema)
        self.target = str(model.manifest["target"])
        self.classes, self.readout = model.classes, model.readout
        self.class_names = [str(label) for label in self.classes]
        members = model.manifest["members"]
        self._is_alone = [not (is_joined or members[part.member]["family"] in ROW_BY_ROW) for part in model.parts]
        self._alone = {id(part) for part, is_alone in zip(model.parts, self._is_alone, strict=True) if is_alone}

    def encode(self, rows: CellRows) -> Raw:
        """Rows as members are given them; cells that cannot be read are refused by name."""
        with one_line_of("what this model knows of its columns"):
            raw = self.reader.plain(rows.cells, rows.count)
            schema = self.model.schema
            if not schema.decoders:
                return raw
            steps = schema.cells(rows.frame()) if schema.is_of_rows else {}
            return schema.decode(raw, {**rows.cells, **steps}, is_described=self.model.is_described)

    def answer(self, raws: Sequence[Raw]) -> list[Said]:
        """What the model says of the rows of each request."""
        if len(raws) == 1:
            return [self.model.said_of(raws)]
        if any(raw.blocks for raw in raws):
            return [self.model.said_of([raw]) for raw in raws]
        starts = np.cumsum([0, *map(len, raws)]).tolist()
        spans = [np.arange(first, last) for first, last in pairwise(starts)]

        def ask(part: FittedPart, rows: Matrix, threads: int) -> np.ndarray:
            if id(part) not in self._alone:
                return part.learner.predict(rows, threads)
            return np.concatenate([part.learner.predict(rows.take(span), threads) for span in spans])

        said = self.model.said_of([joined(raws)], ask)
        return [said.take(span) for span in spans]


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """What is served: a model of one target, or of several that read the same columns."""

    name: str
    version: str
    targets: Mapping[str, TargetModel]
    bodies: BodyReader

    @property
    def is_several(self) -> bool:
        """Whether there are several targets."""
        return len(self.targets) > 1

    @property
    def first(self) -> TargetModel:
        """That of the first target, whose columns are those of all."""
        return next(iter(self.targets.values()))

    def example(self) -> dict[str, Any]:
        """A row that can be asked, made of what the schema knows; empty where only files would do."""
        if self.bodies.of_files:
            return {}
        schema = self.first.model.schema
        known = {coding.column.name: coding for coding in schema.codings}
        made: dict[str, Any] = {}
        for one in schema.decoders:
            made |= one.codec.example() if one.is_of_rows else {}  # type: ignore[attr-defined]
        for column in schema.asked:
            if column.name in made:
                continue
            coding = known.get(column.name)
            if coding is None and column.kind == Kind.NUMBER:
                made[column.name] = 0.0  # a step of a series
            elif coding is None or column.kind == Kind.STRING:
                made[column.name] = "text"
            elif column.kind == Kind.CATEGORY:
                made[column.name] = coding.labels[0] if coding.labels else None
            elif column.kind == Kind.DATE:
                made[column.name] = "2024-12-31"
            else:
                made[column.name] = round(coding.offset)
        return made

    def ask_once(self) -> None:
        """One question through everything, so that the first caller does not wait for libraries; bad files show."""
        example = self.example()
        columns = {name: [value] for name, value in example.items()} or {name: [] for name in self.bodies.names}
        rows = self.bodies.columns(columns, 1 if example else 0)
        for one in self.targets.values():
            one.answer([one.encode(rows)])


def open_served(options: ServeOptions) -> ServedModel:
    """Load what shall be served."""
    model = _picked(options) if options.pick is not None else load(options.place)
    models: Mapping[str, Model] = model.models if isinstance(model, Bundle) else {str(model.manifest["target"]): model}
    return of_models(models, options)


def of_models(models: Mapping[str, Model], options: ServeOptions) -> ServedModel:
    """The same of models that are loaded already, by their targets."""
    targets = {name: TargetModel(one, is_joined=options.is_joined) for name, one in models.items()}
    schema = next(iter(models.values())).schema
    return ServedModel(
        name=options.name or name_of(options.place),
        version=version_of(models),
        targets=targets,
        bodies=BodyReader(schema, options.max_rows, options.files),
    )


def _picked(options: ServeOptions) -> Model:
    """Another model of a finished run."""
    from automl.result import BundleResult, open_run

    run = open_run(options.place)
    if isinstance(run, BundleResult):
        raise InputError(
            f"pick={options.pick!r} is of runs with one target. Give one of {str(run.folder / 'targets')!r}."
        )
    return run.select(options.pick)


def name_of(place: str) -> str:
    """As its folder is called, in letters that an address can have."""
    path = Path(place.rstrip("/"))
    name = path.name if path.name not in ("model", "") else path.resolve().parent.name
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "-" for letter in name)
    plain = plain.strip("-._")[:100]
    return plain if NAME.fullmatch(plain) else "model"


def version_of(models: Mapping[str, Model]) -> str:
    """A short number that is another one for each model that was ever saved."""
    told = {name: [one.manifest["files"], one.manifest.get("readout")] for name, one in models.items()}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:12]
