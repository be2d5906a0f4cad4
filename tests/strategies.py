"""Hypothesis strategies of odd tables, for every test that must not be surprised by real data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

DELIMITERS = ",;\t|"

_anything = st.characters(exclude_categories=["Cs"], exclude_characters="\0")  # text that UTF-8 can hold


@dataclass(frozen=True)
class OddTable:
    """Columns of one kind each (None: missing), and how they shall be written."""

    names: tuple[str, ...]
    columns: tuple[tuple[Any, ...], ...]
    delimiter: str
    line_end: str
    encoding: str

    def csv(self) -> bytes:
        """The table as a delimited file."""
        lines = [self.names, *zip(*self.columns, strict=True)]
        text = "".join(self.delimiter.join(map(self._field, line)) + self.line_end for line in lines)
        return text.encode(self.encoding)

    def _field(self, cell: Any) -> str:
        """A cell, in quotes where it needs them; the standard writer of Python 3.11 leaves a lone return bare."""
        text = "" if cell is None else str(cell)
        return '"' + text.replace('"', '""') + '"' if set(text) & {'"', "\r", "\n", self.delimiter} else text


def texts(max_size: int = 12) -> st.SearchStrategy[str]:
    """Text as people and programs leave it in cells: quotes, line breaks, delimiters, any script."""
    odd = st.sampled_from(['"', "'", '""', "\n", "\r\n", " ", ",", ";", "\t", "007", "1,5", "NA", "é", "я", "京", "🦊"])
    return st.lists(odd | st.text(_anything, max_size=3), max_size=max_size // 2).map("".join)


def names(delimiter: str) -> st.SearchStrategy[str]:
    """A column name; the delimiters that are not this file's are left out, for a header that has both has no answer."""
    others = "".join(set(DELIMITERS) - {delimiter})
    return st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0" + others), min_size=1, max_size=8
    ).filter(lambda name: bool(name.strip()))


def cells(rows: int) -> st.SearchStrategy[tuple[Any, ...]]:
    """A column: whole numbers, real ones, or text that cannot be taken for numbers; some cells missing."""

    def some_missing(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
        return st.lists(st.none() | values, min_size=rows, max_size=rows).map(tuple)

    return st.one_of(
        some_missing(st.integers(-(2**53), 2**53)),
        some_missing(st.floats(allow_nan=False, allow_infinity=False)),
        some_missing(texts()).map(lambda column: ("~" + (column[0] or ""), *column[1:])),
    )


@st.composite
def odd_tables(draw: st.DrawFn, min_rows: int = 1, max_rows: int = 6) -> OddTable:
    """A table of two to five columns that a delimited file can hold without doubt."""
    delimiter = draw(st.sampled_from(DELIMITERS))
    width = draw(st.integers(2, 5))
    header = draw(st.lists(names(delimiter), min_size=width, max_size=width, unique_by=str.strip))
    rows = draw(st.integers(min_rows, max_rows))
    columns = draw(st.lists(cells(rows), min_size=width, max_size=width))
    line_end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    return OddTable(tuple(header), tuple(columns), delimiter, line_end, encoding)


def broken_bytes() -> st.SearchStrategy[bytes]:
    """What a file may hold that is no table: noise, and the pieces of tables in the wrong order."""
    pieces = (b",", b";", b"\t", b"|", b"\n", b"\r", b'"', b'""', b"1", b"-2.5", b"a", b" ", b"NA", b"inf", b"1,5")
    odd = (b"\0", b"\xff", b"\xfe", b"\xef\xbb\xbf", b"\xe9", b"\x82\xa0", b"\x1f\x8b", b"PK\x03\x04", b"BZh9")
    json = (b"{", b"}", b"[", b"]", b'"a"', b":", b'{"a": 1}', b'"\\ud800"', b"null", b"NaN", b"1e999", b"PAR1")
    return st.binary(max_size=200) | st.lists(st.sampled_from([*pieces, *odd, *json]), max_size=40).map(b"".join)
