"""The columns a model was trained on and how each is encoded: fixed at training, saved with the model.

Plain columns become one block of numbers, codes and texts; each decoded one a block of its own, described in numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from automl import modalities
from automl.errors import InputError, SchemaError
from automl.messages import near, shown
from automl.modalities.encoders import kept
from automl.modalities.protocol import Raw
from automl.modalities.series.steps import LongTable
from automl.modalities.table import encode
from automl.modalities.table.encode import Coding, coding_as_json, coding_from_json, column_from_json, learn_coding
from automl.plain import as_json
from automl.records import Codec, Column, Decoded, Drawn, Kind, Profile
from search_spaces.checked import texts
from search_spaces.spec import Media, MediaKind

if TYPE_CHECKING:
    import pandas as pd


WORDED = "text"  # what a column is decoded as that holds words
AT_ONCE = 64  # cells decoded together when those are sought that cannot be


@dataclass(frozen=True)
class Decoder:
    """How one column is decoded."""

    column: Column
    codec: Codec

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers that describe it."""
        return tuple(f"{self.column.name}.{name}" for name in self.codec.names)

    @property
    def beside(self) -> tuple[str, ...]:
        """Further columns that its cells are made of."""
        return tuple(getattr(self.codec, "beside", ()))

    @property
    def is_of_rows(self) -> bool:
        """Whether its cells are steps of series, each made of several columns of its row."""
        return hasattr(self.codec, "gather") and not hasattr(self.codec, "columns")

    @property
    def optional(self) -> tuple[str, ...]:
        """Columns that its cells are made of where rows bring them."""
        return tuple(getattr(self.codec, "optional", ()))

    def missing(self, present: Collection[str]) -> list[str]:
        """Columns that it needs and that are not there; cells that were gathered before need none beside them."""
        if self.column.name not in present:
            return [self.column.name]
        lost = [name for name in self.beside if name not in present]
        return [] if self.is_of_numbers and len(lost) == len(self.beside) else lost

    @property
    def is_of_numbers(self) -> bool:
        """Whether its cells are made of plain numbers in many columns, and may stand in the first of these."""
        return bool(getattr(self.codec, "columns", ()))

    def cells(self, frame: pd.DataFrame) -> Sequence[Any]:
        """Its cells in a table."""
        gather = getattr(self.codec, "gather", None)
        if hasattr(self.codec, "columns") and (not self.is_of_numbers or self.beside[0] not in frame.columns):
            gather = None
        cells: Sequence[Any] = frame[self.column.name].tolist() if gather is None else gather(frame)
        return cells


@dataclass(frozen=True)
class Schema:
    """The columns a model was trained on and how each is encoded."""

    codings: tuple[Coding, ...]
    decoders: tuple[Decoder, ...] = ()
    ignored: tuple[str, ...] = ()  # columns of the training data that models do not see
    names: tuple[str, ...] = ()  # all its columns, in order
    decimal: str = "."  # mark of the numbers in the file that was learned from

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that models see: plain ones, then decoded ones."""
        return (*(coding.column for coding in self.codings), *(one.column for one in self.decoders))

    @property
    def number_names(self) -> list[str]:
        """Names of the columns of `Raw.numbers`; those that describe blocks come last."""
        own = [name for coding in self.codings for name in coding.names]
        return [*own, *(name for one in self.decoders for name in one.names)]

    @property
    def category_names(self) -> list[str]:
        """Names of the columns of `Raw.codes`."""
        return [coding.column.name for coding in self.codings if coding.column.kind == Kind.CATEGORY]

    @property
    def text_names(self) -> list[str]:
        """Names of the columns of `Raw.texts`."""
        return [coding.column.name for coding in self.codings if coding.column.kind == Kind.STRING]

    @property
    def claims(self) -> dict[str, str]:
        """The columns that have to be decoded, and as what."""
        return {one.column.name: one.codec.kind for one in self.decoders}

    @property
    def verbatim(self) -> tuple[str, ...]:
        """Columns that a reader must not take for numbers: one row may look like it, the training data did not."""
        kinds = (Kind.CATEGORY, Kind.STRING, Kind.DATE)
        plain = tuple(coding.column.name for coding in self.codings if coding.column.kind in kinds)
        return (*plain, *(one.column.name for one in self.decoders if not one.is_of_numbers))

    @property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """Labels of each category column, in code order from 1."""
        return tuple(coding.labels for coding in self.codings if coding.column.kind == Kind.CATEGORY)

    @property
    def asked(self) -> tuple[Column, ...]:
        """The columns that rows bring: those that models see, of a series in many columns each of these numbers."""
        codecs = {one.column.name: one.codec for one in self.decoders if one.is_of_numbers}
        return tuple(
            column if name == column.name and column.name not in codecs
            else replace(column, name=name, kind=Kind.NUMBER)
            for column in self.columns for name in all_names([column.name], codecs)
        )  # fmt: skip

    def gathered(self, cells: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
        """Cells by column as `decode` takes them, of cells by the columns that are needed."""
        made = {one.column.name: one.codec.of_cells(cells) for one in self.decoders if one.is_of_numbers}  # type: ignore[attr-defined]
        return {**cells, **made}

    def cells(self, frame: pd.DataFrame) -> dict[str, Sequence[Any]]:
        """Those of steps of series, gathered from the columns that they are made of."""
        return {one.column.name: one.cells(frame) for one in self.decoders if one.is_of_rows}

    @property
    def steps(self) -> LongTable | None:
        """Of a long table, what makes its rows a case."""
        return next((own for one in self.decoders if (own := getattr(one.codec, "steps", None)) is not None), None)

    @property
    def drawn(self) -> dict[str, Drawn]:
        """How the rows of decoded columns are drawn, of those that can be looked at."""
        return {one.column.name: one.codec.drawn for one in self.decoders if one.codec.drawn is not None}

    @property
    def is_of_steps(self) -> bool:
        """Whether rows are steps of series: then none may come twice."""
        return any(hasattr(one.codec, "gather") for one in self.decoders)

    @property
    def is_of_rows(self) -> bool:
        """Whether a row is a step of a series, and not a whole one: then steps are asked for all together."""
        return any(one.is_of_rows for one in self.decoders)

    @property
    def worded(self) -> tuple[str, ...]:
        """Decoded columns that hold words, which can be taken out one by one."""
        return tuple(one.column.name for one in self.decoders if one.codec.kind == WORDED)

    def encode(
        self,
        frame: pd.DataFrame,
        blocks: Mapping[str, Media] | None = None,
        numbers: Mapping[str, np.ndarray] | None = None,
        *,
        is_described: bool = True,
    ) -> Raw:
        """Arrays of a frame; extra and reordered columns are fine, missing and unreadable ones refused by name.

        `blocks`: columns that are decoded already; `numbers`: what describes them, where that is known. Blocks are
        described only if that is wanted.
        """
        self.require(frame.columns)
        cells = {one.column.name: one.cells(frame) for one in self.decoders if one.column.name not in (blocks or {})}
        return self.decode(encode.encode(frame, self.codings), cells, blocks, numbers, is_described=is_described)

    def decode(
        self,
        raw: Raw,
        cells: Mapping[str, Sequence[Any]],
        blocks: Mapping[str, Media] | None = None,
        numbers: Mapping[str, np.ndarray] | None = None,
        *,
        is_described: bool = True,
    ) -> Raw:
        """Rows whose plain columns are encoded, with the columns that have to be decoded: their cells by column."""
        known = {} if blocks is None else blocks
        decoded: dict[str, Media] = {}
        told: list[np.ndarray] = []
        for one in self.decoders:
            name = one.column.name
            decoded[name] = known[name] if name in known else one.codec.encode(cells[name])
            if numbers is not None and name in numbers:
                told.append(numbers[name])
            elif is_described:
                told.append(one.codec.describe(decoded[name]))
        if not told:
            return replace(raw, blocks=decoded)
        widths = {one.column.name: said.shape[1] for one, said in zip(self.decoders, told, strict=True)}
        return replace(raw, numbers=np.hstack([raw.numbers, *told]), blocks=decoded, described=widths)

    def check(self, frame: pd.DataFrame) -> None:
        """Refuse what `encode` would refuse, but blocks: these are decoded for it."""
        self.require(frame.columns)
        encode.check(frame, self.codings)

    def readable(self, frame: pd.DataFrame) -> tuple[np.ndarray, str]:
        """The rows all of whose cells can be decoded, as truths, and what is wrong with others, the first by name."""
        is_read, told = np.ones(len(frame), dtype=bool), ""
        for one in self.decoders:
            cells = one.cells(frame)
            lost = _lost(one.codec, cells)
            is_read[lost] = False
            if lost and not told:
                told = f"column {shown(one.column.name)}: {_trouble(one.codec, [cells[at] for at in lost])}"
        return is_read, told

    def require(self, names: Iterable[Any]) -> None:
        """Refuse rows with these columns where one that models see is not among them."""
        known = list(map(str, names))
        present = set(known)
        needed = [coding.column.name for coding in self.codings if coding.column.name not in present]
        missing = list(dict.fromkeys(needed + [name for one in self.decoders for name in one.missing(present)]))
        if missing:
            raise SchemaError(
                f"{len(missing)} column{'s' if len(missing) > 1 else ''} of the training data not found: "
                f"{', '.join(map(repr, missing[:5]))}.{near(missing[0], known)} "
                "Add the column, empty where nothing is known."
            )

    def as_json(self) -> dict[str, Any]:
        """Plain values, read back by `schema_from_json`."""
        return {
            "ignored": list(self.ignored),
            "names": list(self.names),
            "decimal": self.decimal,
            "codings": [coding_as_json(coding) for coding in self.codings],
            "decoders": [{"column": as_json(one.column), "codec": one.codec.as_json()} for one in self.decoders],
        }


def _lost(codec: Codec, cells: Sequence[Any]) -> list[int]:
    """Places of the cells that cannot be decoded."""
    lost: list[int] = []
    for start in range(0, len(cells), AT_ONCE):
        some = cells[start : start + AT_ONCE]
        if _trouble(codec, some):
            lost += [start + at for at, cell in enumerate(some) if _trouble(codec, [cell])]
    return lost


def _trouble(codec: Codec, cells: Sequence[Any]) -> str:
    """Why not all of these can be decoded; empty where they can."""
    try:
        codec.encode(cells)
    except InputError as error:
        return str(error)
    return ""


def schema_from_json(plain: Mapping[str, Any], weights: Mapping[MediaKind, bytes] | None = None) -> Schema:
    """The schema written by `Schema.as_json`; `weights`: of the networks that describe its blocks, by their kind.

    Models of format 2 held their one decoded column among the others, with its codec as "sense".
    """
    old = [{"column": e["column"], "codec": e["sense"]} for e in plain["codings"] if e.get("sense")]
    return Schema(
        tuple(coding_from_json(entry) for entry in plain["codings"] if not entry.get("sense")),
        tuple(_decoder(entry, weights) for entry in plain.get("decoders", old)),
        texts(plain["ignored"], "ignored columns"),
        texts(plain.get("names", ()), "names of columns"),
        plain.get("decimal", "."),
    )


def claims_of(plain: Mapping[str, Any]) -> dict[str, str]:
    """`Schema.claims` of what `Schema.as_json` wrote, without reading the codecs."""
    old = [{"column": e["column"], "codec": e["sense"]} for e in plain.get("codings", ()) if e.get("sense")]
    return {entry["column"]["name"]: entry["codec"]["kind"] for entry in plain.get("decoders", old)}


def naming_in(plain: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that name series, of what `Schema.as_json` wrote, which no model sees and rows must have."""
    told = [entry["codec"].get("fields") for entry in plain.get("decoders", ())]
    return tuple(str(name) for fields in told if isinstance(fields, Mapping) for name in fields.get("series", ()))


def steps_in(plain: Mapping[str, Any]) -> LongTable | None:
    """`Schema.steps` of what `Schema.as_json` wrote."""
    found = next((told for entry in plain.get("decoders", ()) if (told := entry["codec"].get("steps"))), None)
    return None if found is None else LongTable.read(found)


def _decoder(entry: Mapping[str, Any], weights: Mapping[MediaKind, bytes] | None) -> Decoder:
    kind = entry["codec"]["kind"]
    codec = modalities.decoding(kind).codec(entry["codec"], kept.of_kind(weights, kind))
    return Decoder(column_from_json(entry["column"]), codec)


def learn_schema(
    frame: pd.DataFrame, profile: Profile, decoded: Mapping[str, Decoded] | None = None, decimal: str = "."
) -> Schema:
    """Fix the encoding of every used column of the training data; `decoded`: those that were.

    `decimal`: the mark of the numbers in the file that it came from, for numbers that come as text one day.
    """
    known, used = {} if decoded is None else decoded, set(profile.used)
    seen = [column for column in profile.columns if column.name in used]
    return Schema(
        tuple(
            learn_coding(frame[one.name], _marked(one, frame[one.name], decimal))
            for one in seen
            if one.name not in known
        ),
        tuple(Decoder(column, known[column.name].codec) for column in seen if column.name in known),
        tuple(column.name for column in profile.columns if column.name not in used),
        all_names(frame.columns, {name: one.codec for name, one in known.items()}),
    )


def all_names(names: Iterable[Any], codecs: Mapping[str, Codec]) -> tuple[str, ...]:
    """These columns, each followed by those that its cells took in."""
    return tuple(each for name in map(str, names) for each in (getattr(codecs.get(name), "columns", ()) or (name,)))


def _marked(column: Column, cells: pd.Series, decimal: str) -> Column:
    """A column whose numbers were read with the mark of their file, with that mark; texts told their own."""
    is_read = column.kind == Kind.NUMBER and cells.dtype.kind in "iuf"
    return replace(column, decimal=decimal) if is_read else column
