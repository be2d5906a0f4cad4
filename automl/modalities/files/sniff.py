"""The bytes of a delimited text file -> its dialect: encoding, delimiter, decimal mark, column names.

Only the beginning is looked at, with the same rules for quotes as the parser that reads the rest, so that both see the
same fields. The first line is always the header. Whatever does not look like a table of text is refused here.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from automl.errors import InputError

PREFIX = 16 * 2**20  # bytes; a header must end within them, or this is not a table of lines
DELIMITERS = (",", ";", "\t", "|")  # in the order that decides ties
NAMED = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}

_SAMPLE_ROWS = 200
_SAMPLE_FIELDS = 100_000
_CHUNK = 2**22
_BOMS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# How a word looks that was read in the right charset: its letters come from one script. In Latin words accented
# letters stand between plain ones; read as Cyrillic or Japanese the same bytes would mix two scripts in one word.
_CHARSETS = {
    "cp1252": re.compile(r"(?:[À-ÖØ-öø-ÿŒœŠšŽžŸƒ]?[A-Za-z])+[À-ÖØ-öø-ÿŒœŠšŽžŸƒ]?"),
    "cp1251": re.compile(r"[А-яЁёІіЇїЄєҐґЎў]+"),
    "cp932": re.compile(r"[\u3005\u3041-\u30ff\u4e00-\u9fff]+"),
}
_WORD = re.compile(r"[^\W\d_]{2,}")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x19\x1b-\x1f\x7f]")
_BREAK = re.compile(r"\r\n|\r|\n")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"?')
# Unambiguous numbers only: 1,234 may be either.
_DECIMAL_COMMA = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+),(?:\d{1,2}|\d{4,})|[-+]?0,\d+")
_DECIMAL_POINT = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:,\d{3})+)\.(?:\d{1,2}|\d{4,})|[-+]?0\.\d+")


@dataclass(frozen=True)
class Dialect:
    """How a delimited text file is written."""

    encoding: str
    delimiter: str
    decimal: str
    names: tuple[str, ...]  # of the header, as they stand there
    ends_with_delimiter: bool  # on every line but the header, which adds an empty field
    notes: tuple[str, ...] = ()  # what was guessed

    @property
    def width(self) -> int:
        """Fields that a line may have."""
        return len(self.names) + self.ends_with_delimiter


def sniff(data: bytes, decimal: str = ".") -> Dialect:
    """Find the dialect, or refuse what is no table of text; `decimal`: the mark where no number tells it."""
    encoding = find_encoding(data)
    text = data[:PREFIX].decode(encoding, errors="ignore")
    by_delimiter = {mark: _sample(text, mark) for mark in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda mark: _consistency(by_delimiter[mark]))
    rows = by_delimiter[delimiter]
    if not rows:
        raise InputError("it is empty. Give a table with a line of column names and at least one more line.")
    ends = _ends_with_delimiter(rows)
    decimal = _find_decimal(rows[1:], decimal) if delimiter != "," else "."
    notes = [f"fields are separated by {NAMED[delimiter]}"] if delimiter != "," else []
    notes += ["numbers have a decimal comma"] if decimal == "," else []
    notes += ["every line ends with a delimiter, which holds no column"] if ends else []
    notes += encoding_notes(encoding)
    names = tuple(_unquoted(field) for field in rows[0])
    return Dialect(encoding, delimiter, decimal, names, ends, tuple(notes))


def find_encoding(data: bytes) -> str:
    """Find the encoding: by byte order mark, else UTF-8 where it fits, else the charset whose words look right."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            if not _decodes(data, encoding):
                raise InputError(f"it begins like {encoding} text, but the rest is not. Save it as UTF-8 text.")
            return encoding
    if b"\0" in data:
        raise InputError(f"byte {data.index(0)} is zero, so this is not a text file. Save the table as UTF-8 text.")
    if data.isascii() or _decodes(data, "utf-8"):
        return "utf-8"
    if control := _CONTROL.search(data):
        raise InputError(
            f"byte {control.start()} is {control[0]!r} and it is not UTF-8, so this is no text file. "
            "Save the table as UTF-8 text."
        )
    return _guess_charset(data)


def encoding_notes(encoding: str) -> list[str]:
    """What there is to tell about an encoding: nothing where it is UTF-8."""
    if encoding.startswith("utf-8"):
        return []
    how = "by its byte order mark" if encoding.startswith("utf") else "a guess; save as UTF-8 if letters look wrong"
    return [f"text read as {encoding} ({how})"]


def records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Split text into records: the line it begins on and its fields, still quoted. Blank lines are left out.

    A quote opens a field only at its beginning; a doubled quote stands for one; line breaks may stand inside quotes.
    """
    mark = re.escape(delimiter)
    pattern = re.compile(
        rf'("[^"]*(?:""[^"]*)*(?:"[^{mark}\r\n]*|\Z)|[^{mark}\r\n]*)({mark}|\r\n|\r|\n|\Z)'  # a field and what ends it
    )
    line, fields, breaks = 1, [], 0
    for match in pattern.finditer(text):
        field, end = match.groups()
        fields.append(field)
        if field.startswith('"'):
            breaks += len(_BREAK.findall(field))
        if end == delimiter:
            continue
        if len(fields) > 1 or field.strip(" \t"):
            yield line, fields
        line, fields, breaks = line + breaks + 1, [], 0


def find_ragged(text: str, dialect: Dialect, rows: int | None = None) -> tuple[int, int] | None:
    """The first line, among so many rows, with more fields than the header, and how many; None where there is none."""
    for line, fields in islice(records(text, dialect.delimiter), rows):
        if len(fields) > dialect.width or (len(fields) > len(dialect.names) and fields[-1]):
            return line, len(fields)
    return None


def _sample(text: str, delimiter: str) -> list[list[str]]:
    """The first records; the last is left out where the text may have been cut within it."""
    rows: list[list[str]] = []
    fields = 0
    for _, row in records(text, delimiter):
        rows.append(row)
        fields += len(row)
        if len(rows) > _SAMPLE_ROWS or (fields > _SAMPLE_FIELDS and len(rows) > 2):
            return rows[:-1]
    return rows[:-1] if len(text) >= PREFIX else rows


def _consistency(rows: list[list[str]]) -> tuple[float, int]:
    """How well a delimiter fits: the share of rows as wide as the header, then the width; one column fits worst."""
    if not rows or len(rows[0]) < 2:
        return 0.0, 1
    width = len(rows[0]) + _ends_with_delimiter(rows)
    return sum(len(row) == width for row in rows[1:]) / max(1, len(rows) - 1), width


def _ends_with_delimiter(rows: list[list[str]]) -> bool:
    width = len(rows[0]) if rows else 0
    return len(rows) > 1 and all(len(row) == width + 1 and not row[-1] for row in rows[1:])


def _find_decimal(rows: list[list[str]], otherwise: str) -> str:
    cells = [_unquoted(field).strip() for row in rows for field in row]
    commas = sum(_DECIMAL_COMMA.fullmatch(cell) is not None for cell in cells)
    points = sum(_DECIMAL_POINT.fullmatch(cell) is not None for cell in cells)
    return otherwise if commas == points else "," if commas > points else "."


def _unquoted(field: str) -> str:
    if not field.startswith('"'):
        return field
    inner = _QUOTED.match(field)
    return field if inner is None else inner[1].replace('""', '"') + field[inner.end() :]


def _decodes(data: bytes, encoding: str) -> bool:
    """Whether all of it is text in this encoding, without holding all of the text."""
    decoder = codecs.getincrementaldecoder(encoding)()
    view = memoryview(data)
    try:
        for start in range(0, len(view), _CHUNK):
            text = decoder.decode(view[start : start + _CHUNK])
            if "\0" in text:
                return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _guess_charset(data: bytes) -> str:
    """The charset in which most words with foreign letters look right; Western European where none stands out."""
    lines = b"\n".join(line for line in data[:PREFIX].split(b"\n") if not line.isascii())[:_CHUNK]
    best, best_share = "cp1252" if _decodes(data, "cp1252") else "latin-1", 0.0
    for charset, plausible in _CHARSETS.items():
        words = [word for word in _WORD.findall(lines.decode(charset, errors="ignore")) if not word.isascii()]
        share = sum(plausible.fullmatch(word) is not None for word in words) / max(1, len(words))
        if share > best_share and _decodes(data, charset):
            best, best_share = charset, share
    return best
