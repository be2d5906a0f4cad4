"""Cells of single rows -> encoded rows, without pandas: what takes milliseconds for a frame takes microseconds here.

The same answer as encoding a frame, by the same schema: plain numbers, truth values and labels are read here; any text
in a column of numbers or dates is read by the schema itself, once, and remembered.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from automl.modalities.files.read import MISSING
from automl.modalities.mixture import Raw, Schema
from automl.modalities.parse import ISO, spell
from automl.modalities.protocol import Unseen
from automl.modalities.table import encode
from automl.modalities.table.encode import Coding
from automl.records import Kind

MOST_REMEMBERED, LONGEST = 20_000, 100  # texts of a column, and letters of one
LIMIT = float(np.finfo(np.float32).max)
# Up to fifteen digits every reader of numbers gives the same bits.
SHORT_NUMBER = re.compile(r"[+-]?(?=.{1,16}$)(?:\d+\.?\d*|\.\d+)", re.ASCII)
ISO_DAY = re.compile(r"(?:19|20)\d\d-\d\d-\d\d", re.ASCII)
NOTHING = (math.nan,)

Cells = Mapping[str, Sequence[Any]]  # by the name of their column


class NumberReader:
    """The numbers that one column of numbers, truth values or dates gives."""

    def __init__(self, coding: Coding) -> None:
        self.coding, self.name = coding, coding.column.name
        self.width = len(coding.names)
        self.is_plain = coding.column.kind == Kind.NUMBER and coding.column.decimal == "."
        self.takes_numbers = coding.column.kind != Kind.DATE
        self.is_iso = coding.column.kind == Kind.DATE and coding.column.date_format in (None, ISO)
        self._known: dict[Any, tuple[float, ...]] = {}

    def read(self, cell: Any) -> tuple[float, ...]:
        """Of one cell, less the column's offset; a cell that training would refuse is refused."""
        kind = type(cell)
        if cell is None or (kind is float and math.isnan(cell)):
            return NOTHING * self.width
        if kind is str:
            if self.is_plain and SHORT_NUMBER.fullmatch(cell):
                return (float(cell) - self.coding.offset,)
        elif self.takes_numbers and kind in (int, float, bool) and abs(cell) < 2**63:
            return (float(cell) - self.coding.offset,)
        elif self.takes_numbers and kind is float:  # farther than whole numbers reach, or infinite, which is missing
            return NOTHING if math.isinf(cell) else (cell - self.coding.offset,)
        return self._as_learned(cell)

    def _as_learned(self, cell: Any) -> tuple[float, ...]:
        """As the schema reads a frame of this cell alone."""
        text = spell(cell)
        found = self._known.get(text)
        if found is None:
            found = self._asked(text)
            if len(text) <= LONGEST:
                if len(self._known) >= MOST_REMEMBERED:
                    self._known.clear()
                self._known[text] = found
        return found

    def _asked(self, text: str) -> tuple[float, ...]:
        if self.is_iso and ISO_DAY.fullmatch(text):
            with suppress(ValueError):  # the 30th of February, which the schema refuses
                parts = encode.date_parts(np.array([text], dtype="datetime64[s]"), self.coding.has_time)
                return tuple(float(part[0]) for part in parts)
        import pandas as pd

        column = pd.Series([text], dtype=object)
        return tuple(encode.encode(pd.DataFrame({self.name: column}), (self.coding,)).numbers[0].tolist())


class RowReader:
    """Rows of cells as a model's members are given them."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.names = [column.name for column in schema.columns]
        self._numbers = {
            coding.column.name: NumberReader(coding) for coding in schema.codings
            if coding.column.kind not in (Kind.CATEGORY, Kind.STRING)
        }  # fmt: skip
        self._width = sum(reader.width for reader in self._numbers.values())

    def plain(self, cells: Cells, rows: int) -> Raw:
        """The columns of a table's own, encoded; cells that cannot be read are refused by name."""
        numbers: list[Sequence[float]] = []
        codes: list[list[int]] = []
        texts: list[np.ndarray] = []
        unseen: list[Unseen] = []
        for coding in self.schema.codings:
            own = cells[coding.column.name]
            if coding.column.kind == Kind.CATEGORY:
                spelled = [_text(cell) for cell in own]
                found = [coding.code(text) for text in spelled]
                if coding.has_words and not all(found):
                    unseen += _unseen(spelled, found, len(codes))
                codes.append(found)
            elif coding.column.kind == Kind.STRING:
                made = np.empty(rows, dtype=object)
                made[:] = ["" if (text := _text(cell)) is None or text in MISSING else text for cell in own]
                texts.append(made)
            else:
                reader = self._numbers[coding.column.name]
                numbers.extend(zip(*map(reader.read, own), strict=True))
        if not rows or not self._width:
            values = np.empty((rows, self._width), dtype=np.float32)
        else:
            values = np.clip(np.array(numbers, dtype=np.float64).T, -LIMIT, LIMIT).astype(np.float32, order="C")
        as_codes = np.array(codes, dtype=np.int32).reshape(len(codes), rows).T
        return Raw(values, np.ascontiguousarray(as_codes), tuple(texts), tuple(unseen))


def _text(cell: Any) -> str | None:
    """A cell as it is looked up; None where there is nothing."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    return spell(cell) or None


def _unseen(texts: Sequence[str | None], codes: Sequence[int], column: int) -> list[Unseen]:
    """Labels outside the schema whose words may still tell something."""
    rows = [at for at, code in enumerate(codes) if not code and texts[at] is not None and texts[at] not in MISSING]
    if not rows:
        return []
    return [Unseen(column, np.array(rows), np.array([texts[at] for at in rows], dtype=object))]


def joined(raws: Sequence[Raw]) -> Raw:
    """Rows of several requests as one block; of plain columns only."""
    if len(raws) == 1:
        return raws[0]
    starts = np.cumsum([0, *(len(raw) for raw in raws)])
    unseen = [
        Unseen(own.column, own.rows + start, own.labels)
        for raw, start in zip(raws, starts.tolist(), strict=False)
        for own in raw.unseen
    ]
    return Raw(
        np.concatenate([raw.numbers for raw in raws]),
        np.concatenate([raw.codes for raw in raws]),
        tuple(np.concatenate(texts) for texts in zip(*(raw.texts for raw in raws), strict=True)),
        tuple(_by_column(unseen)),
    )


def _by_column(unseen: Sequence[Unseen]) -> list[Unseen]:
    """One entry for each column, as an encoded frame has them."""
    columns = sorted({own.column for own in unseen})
    told = [[own for own in unseen if own.column == column] for column in columns]
    return [
        Unseen(some[0].column, np.concatenate([own.rows for own in some]), np.concatenate([own.labels for own in some]))
        for some in told
    ]
