"""Universal Binary JSON, the part of it that XGBoost writes: every length is held against the bytes that are left.

A model of 2,000 trees is 50,000 names and arrays, so they are read where they lie, and arrays are views of the bytes.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from search_spaces.checked import need

_WAYS = {"i": "b", "U": "B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
NUMBERS = {ord(mark): struct.Struct(form) for mark, form in _WAYS.items()}
FORMS = {mark: np.dtype(number.format) for mark, number in NUMBERS.items()}
WHOLE = frozenset(b"iUIlL")
DEEPEST = 24
_LONG, _OBJECT, _END, _ARRAY, _CLOSE, _KIND, _COUNT, _TEXT = b"L{}[]$#S"
_PLAIN = {ord("T"): True, ord("F"): False, ord("Z"): None}


def read(blob: bytes) -> Any:
    """The value: dict, list, str, numbers, and arrays of numbers as numpy's; ValueError for what is none."""
    reader = _Reader(blob)
    try:
        value = reader.value(0)
    except (IndexError, struct.error):  # of what lies behind the end
        raise ValueError("an XGBoost model is cut off") from None
    need(reader.at == len(blob), "something follows the end of an XGBoost model")
    return value


class _Reader:
    def __init__(self, blob: bytes) -> None:
        self.blob, self.at = blob, 0
        self.long = NUMBERS[_LONG].unpack_from

    def value(self, depth: int) -> Any:
        """Whatever stands here."""
        need(depth <= DEEPEST, "an XGBoost model is nested too deeply")
        mark = self.blob[self.at]
        self.at += 1
        if mark == _ARRAY:
            return self._array(depth)
        if mark == _TEXT:
            return self._text()
        if mark == _OBJECT:
            return self._object(depth)
        return _PLAIN[mark] if mark in _PLAIN else self._number(mark)

    def _number(self, mark: int) -> int | float:
        """One of the marks of numbers is behind us."""
        need(mark in NUMBERS, "an XGBoost model holds something else where a number should be")
        form = NUMBERS[mark]
        found: int | float = form.unpack_from(self.blob, self.at)[0]
        self.at += form.size
        return found

    def _length(self) -> int:
        """A whole number from 0 on."""
        mark = self.blob[self.at]
        if mark == _LONG:  # as the library writes them
            found = int(self.long(self.blob, self.at + 1)[0])
            self.at += 9
        else:
            need(mark in WHOLE, "an XGBoost model has a length that is no number")
            self.at += 1
            found = int(self._number(mark))
        need(0 <= found <= len(self.blob) - self.at, "an XGBoost model has a length that is none, or is cut off")
        return found

    def _text(self) -> str:
        """Its length first."""
        size = self._length()
        start, self.at = self.at, self.at + size
        return self.blob[start : self.at].decode()

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.blob[self.at] != _END:
            name = self._text()
            if name in found:
                raise ValueError(f"an XGBoost model says twice what {name[:40]!r} is")
            found[name] = self.value(depth + 1)
        self.at += 1
        return found

    def _array(self, depth: int) -> Any:
        mark = self.blob[self.at]
        if mark == _KIND:
            form = FORMS.get(self.blob[self.at + 1])
            need(form is not None and self.blob[self.at + 2] == _COUNT, "an XGBoost model has an array of no kind")
            self.at += 3
            count = self._length()
            array = np.frombuffer(self.blob, form, count, self.at)  # ValueError where it is cut off
            self.at += array.nbytes
            return array
        if mark == _COUNT:
            self.at += 1
            return [self.value(depth + 1) for _ in range(self._length())]  # each takes a byte at least
        found = []
        while self.blob[self.at] != _CLOSE:
            found.append(self.value(depth + 1))
        self.at += 1
        return found
