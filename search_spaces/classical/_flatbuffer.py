"""FlatBuffers, the part of them that CatBoost writes: every offset is held against the bytes that there are."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from search_spaces.checked import need

CUT = "a CatBoost model is cut off"


def root(content: bytes) -> BufferTable:
    """The table that a buffer holds."""
    return BufferTable(content, _forward(content, 0))


@dataclass(frozen=True)
class BufferTable:
    """A table in a buffer; fields go by their place in the schema."""

    content: bytes
    at: int

    def number(self, slot: int, form: str, usual: float = 0) -> int | float:
        """A field that is a number."""
        place = self._place(slot)
        found: int | float = _read(self.content, place, form) if place else usual
        return found

    def whole(self, slot: int, usual: int = 0) -> int:
        """A field that is an int."""
        return int(self.number(slot, "<i", usual))

    def table(self, slot: int) -> BufferTable:
        """A field that is a table, which must be there."""
        place = self._place(slot)
        need(place > 0, "a CatBoost model lacks a part")
        return BufferTable(self.content, _forward(self.content, place))

    def text(self, slot: int) -> str:
        """A field that is a text; none is an empty one."""
        return bytes(self.array(slot, "u1")).decode("utf-8", "replace")

    def array(self, slot: int, form: str | np.dtype, *, is_needed: bool = False) -> np.ndarray:
        """A field that is a vector of numbers; none is an empty one."""
        place = self._place(slot)
        need(place > 0 or not is_needed, "a CatBoost model lacks a part")
        if not place:
            return np.zeros(0, dtype=form)
        start, count = self._vector(place)
        size = np.dtype(form).itemsize
        need(count * size <= len(self.content) - start, CUT)
        return np.frombuffer(self.content, form, count, start)

    def tables(self, slot: int) -> list[BufferTable]:
        """A field that is a vector of tables, or of texts."""
        place = self._place(slot)
        if not place:
            return []
        start, count = self._vector(place)
        need(count * 4 <= len(self.content) - start, CUT)
        return [BufferTable(self.content, _forward(self.content, start + 4 * at)) for at in range(count)]

    def as_text(self) -> str:
        """What stands here, where it is a text in a vector and no table."""
        count = int(_read(self.content, self.at, "<I"))
        need(count <= len(self.content) - self.at - 4, CUT)
        return self.content[self.at + 4 : self.at + 4 + count].decode("utf-8", "replace")

    def _place(self, slot: int) -> int:
        """Where a field is; 0 where it is not set."""
        listed = self.at - int(_read(self.content, self.at, "<i"))
        need(listed >= 0, CUT)
        size, length = int(_read(self.content, listed, "<H")), int(_read(self.content, listed + 2, "<H"))
        need(size >= 4 and listed + size <= len(self.content) and self.at + length <= len(self.content), CUT)
        if 4 + 2 * slot + 2 > size:
            return 0
        away = int(_read(self.content, listed + 4 + 2 * slot, "<H"))
        need(away < max(1, length), CUT)
        return self.at + away if away else 0

    def _vector(self, place: int) -> tuple[int, int]:
        start = _forward(self.content, place)
        return start + 4, int(_read(self.content, start, "<I"))


def _read(content: bytes, at: int, form: str) -> int | float:
    need(0 <= at <= len(content) - struct.calcsize(form), CUT)
    found: int | float = struct.unpack_from(form, content, at)[0]
    return found


def _forward(content: bytes, at: int) -> int:
    """Where an offset leads: on, never back."""
    away = int(_read(content, at, "<I"))
    need(0 < away <= len(content) - at - 4, CUT)
    return at + away
