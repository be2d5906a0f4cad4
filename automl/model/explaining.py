"""What a saved model tells of single answers: what columns add, what words weigh, where in a picture it looks.

One face for every kind of data: a row gets one Explanation, which has what its kind of data allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from automl.errors import InputError
from automl.explain import explain as draw_maps
from automl.explain.additive import explain_columns
from automl.explain.cells import told_places
from automl.explain.readoff import LOG_ODDS
from automl.explain.wording import weigh_words
from automl.modalities.mixture import Raw

if TYPE_CHECKING:
    import pandas as pd

    from automl.model.predictor import Model

AT_ONCE = 200  # rows whose additions are in memory together


@dataclass(frozen=True)
class Addition:
    """A column, the row's cell in it, and what that adds to the usual answer."""

    column: str
    value: Any
    contribution: float
    error: float  # standard error: other usual rows would give another number; zero of trees and lines


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """How the answer to one row comes about."""

    row: Any  # as the index of the rows calls it
    label: Any = None  # the class that is explained, or the level of a quantile
    unit: str = ""  # of the numbers below: log-odds, or what is predicted
    base: float | None = None  # the usual answer
    said: float | None = None  # base and all additions together
    columns: tuple[Addition, ...] = ()  # what adds or takes most comes first; none where there is one decoded column
    words: Mapping[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)  # by column: 1 .. -1 each
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)  # by column: 0 .. 1, highest where it counts

    @property
    def map(self) -> np.ndarray:
        """The first of its maps."""
        if not self.maps:
            raise InputError("this row has no map: these are of images and sounds. See its columns, or its words.")
        return next(iter(self.maps.values()))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its map."""
        return tuple(self.map.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Its map, where an array is wanted."""
        return np.array(self.map, dtype=dtype, copy=copy)


class Explanations(Sequence[Explanation]):
    """An Explanation for each row, in the order of the rows; of tables also as a DataFrame."""

    def __init__(self, rows: Sequence[Explanation], method: str = "", columns: Sequence[str] = ()) -> None:
        self._rows, self.method, self.columns = tuple(rows), method, tuple(columns)

    @overload
    def __getitem__(self, at: int) -> Explanation: ...
    @overload
    def __getitem__(self, at: slice) -> Explanations: ...
    def __getitem__(self, at: int | slice) -> Explanation | Explanations:
        if isinstance(at, slice):
            return Explanations(self._rows[at], self.method, self.columns)
        return self._rows[at]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self._rows)

    def __repr__(self) -> str:
        told = f", {len(self.columns)} columns by {self.method}" if self.columns else ""
        return f"<Explanations of {len(self)} rows{told}>"

    def _repr_html_(self) -> str:
        return str(self.wide().to_html())

    def table(self) -> pd.DataFrame:
        """A line for each row and column: its cell, what it adds, the standard error; what adds most first."""
        import pandas as pd

        lines = [
            (one.row, one.label, one.base, one.said, own.column, own.value, own.contribution, own.error)
            for one in self._rows
            for own in one.columns
        ]
        names = ["row", "label", "base", "said", "column", "value", "contribution", "error"]
        return pd.DataFrame(lines, columns=pd.Index(names))

    def wide(self) -> pd.DataFrame:
        """A line for each row: what each column adds, the base, and what is said, which is the sum of all these."""
        import pandas as pd

        found = [{own.column: own.contribution for own in one.columns} for one in self._rows]
        made = pd.DataFrame(found, index=[one.row for one in self._rows], columns=pd.Index(self.columns))
        made["(base)"], made["(said)"] = [one.base for one in self._rows], [one.said for one in self._rows]
        return made


def explain(
    model: Model, frame: pd.DataFrame, usual: Raw | None, asked: int | None, column: str | None
) -> Explanations:
    """All that can be told of the answers to these rows; of a decoded column that is named, its words or map alone."""
    drawn, worded = list(model.schema.drawn), list(model.schema.worded)
    if column is not None and column not in (*drawn, *worded):
        known = ", ".join(map(repr, (*drawn, *worded))) or "none here"
        raise InputError(
            f"column={column!r} is none that is looked at: columns of images, sounds or texts are, {known}. Leave it "
            "out for what every column adds."
        )
    model.schema.check(frame)
    if not len(frame):
        return Explanations((), columns=[place.name for place in told_places(model.schema)])
    told: list[dict[str, Any]] = [{"row": row, "words": {}, "maps": {}} for row in frame.index]
    method, names = "", [place.name for place in told_places(model.schema)] if column is None else []
    outputs: Sequence[int] | int | None = asked
    if names:
        method, outputs = _add_columns(model, frame, (usual, asked), told)
    for name in drawn if column is None else [one for one in drawn if one == column]:
        looked = model.question(frame, name, outputs=outputs)
        _label(model, looked.outputs, told)
        for one, heat in zip(told, draw_maps(looked).maps, strict=True):
            one["maps"][name] = heat
    for name in worded if column is None else [one for one in worded if one == column]:
        read = model.word_question(frame, name, outputs=outputs)
        _label(model, read.outputs, told)
        for one, text in zip(told, weigh_words(read), strict=True):
            one["words"][name] = tuple(zip(text.words, text.weights, strict=True))
    return Explanations([Explanation(**one) for one in told], method, names)


def _add_columns(
    model: Model, frame: pd.DataFrame, against: tuple[Raw | None, int | None], told: list[dict[str, Any]]
) -> tuple[str, list[int]]:
    """What columns add, some rows at a time; how it was found, and which output each row's is of."""
    usual, asked = against
    outputs: list[int] = []
    unit = LOG_ODDS if model.classes else str(model.manifest["target"])
    for first in range(0, len(frame), AT_ONCE):
        some = frame.iloc[first : first + AT_ONCE]
        question = model.column_question(some, usual, asked)
        found = explain_columns(question)
        cells = [some[place.name].tolist() for place in question.places]
        for at in range(len(some)):
            columns = [
                Addition(place.name, cells[k][at], float(found.values[at, k]), float(found.errors[at, k]))
                for k, place in enumerate(question.places)
            ]
            told[first + at] |= {
                "unit": unit,
                "base": float(found.base[at]),
                "said": float(found.said[at]),
                "columns": tuple(sorted(columns, key=lambda one: -abs(one.contribution))),
            }
        outputs += question.outputs.tolist()
    _label(model, np.array(outputs), told)
    return found.method, outputs


def _label(model: Model, outputs: np.ndarray, told: Sequence[dict[str, Any]]) -> None:
    """The class, or the level, that each row is explained for; plain numbers have none."""
    known = model.classes or list(model.levels)
    for one, output in zip(told, outputs.tolist(), strict=True):
        one["label"] = known[output] if known else None
