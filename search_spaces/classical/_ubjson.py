"""Universal Binary JSON, the part of it that XGBoost writes: every length is held against the bytes that are left."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from search_spaces.checked import need

NUMBERS = {"i": "b", "U": "B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
WHOLE = "iUIlL"
DEEPEST = 24


def read(blob: bytes) -> Any:
    """The value: dict, list, str, numbers, and arrays of numbers as numpy's; ValueError for what is none."""
    reader = _Reader(blob)
    value = reader.value(reader.mark(), 0)
    need(reader.at == len(blob), "something follows the end of an XGBoost model")
    return value


class _Reader:
    def __init__(self, blob: bytes) -> None:
        self.blob, self.at = blob, 0

    def mark(self) -> str:
        """The next mark."""
        return self.take(1).decode("latin-1")

    def take(self, count: int) -> bytes:
        """So many bytes."""
        need(0 <= count <= len(self.blob) - self.at, "an XGBoost model is cut off")
        start, self.at = self.at, self.at + count
        return self.blob[start : self.at]

    def number(self, mark: str) -> int | float:
        """One of the marks of numbers."""
        need(mark in NUMBERS, f"an XGBoost model holds {mark!r} where a number should be")
        form = NUMBERS[mark]
        found: int | float = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return found

    def length(self) -> int:
        """A whole number from 0 on."""
        mark = self.mark()
        need(mark in WHOLE, "an XGBoost model has a length that is no number")
        found = int(self.number(mark))
        need(found >= 0, "an XGBoost model has a length below zero")
        return found

    def text(self) -> str:
        """Its length first."""
        return self.take(self.length()).decode()

    def value(self, mark: str, depth: int) -> Any:
        """Whatever a mark begins."""
        need(depth <= DEEPEST, "an XGBoost model is nested too deeply")
        if mark == "{":
            return self._object(depth)
        if mark == "[":
            return self._array(depth)
        if mark == "S":
            return self.text()
        if mark in "TFZ":
            return {"T": True, "F": False, "Z": None}[mark]
        return self.number(mark)

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while (mark := self.mark()) != "}":
            need(mark in WHOLE, "an XGBoost model has a name without a length")
            self.at -= 1
            name = self.text()
            need(name not in found, f"an XGBoost model says twice what {name[:40]!r} is")
            found[name] = self.value(self.mark(), depth + 1)
        return found

    def _array(self, depth: int) -> Any:
        mark = self.mark()
        if mark == "$":
            kind = self.mark()
            need(kind in NUMBERS and self.mark() == "#", "an XGBoost model has an array of an unknown kind")
            form = np.dtype(NUMBERS[kind])
            content = self.take(self.length() * form.itemsize)
            return np.frombuffer(content, form).astype(form.newbyteorder("="))
        if mark == "#":
            count = self.length()
            need(count <= len(self.blob) - self.at, "an XGBoost model is cut off")  # each takes a byte at least
            return [self.value(self.mark(), depth + 1) for _ in range(count)]
        found = []
        while mark != "]":
            found.append(self.value(mark, depth + 1))
            mark = self.mark()
        return found
