"""What a body is that somebody sent, told by its first bytes, and by its name where these leave it open.

The name that a user gave is shown to people and never used as a path: what lies on the disk has a name of plain
letters, made here.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

from automl.doors.service.ground.problems import Problem
from automl.errors import InputError
from automl.messages import shown

ZIP, PARQUET, GZIP = ".zip", ".parquet", ".gz"
OF_LINES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json")
TABLES = (*OF_LINES, PARQUET)
TAKEN = "csv, tsv, jsonl or parquet, text also as .gz, or a .zip of a folder or of one table"
START = 4096  # bytes that are looked at
NAME_LETTERS, STEM_LETTERS = 120, 60
_ZIPPED = (".docx", ".xlsx", ".xlsm", ".pptx", ".odt", ".ods", ".jar", ".apk", ".epub", ".whl", ".npz", ".keras")
_OTHERS = {  # first bytes of what people try
    b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"GIF8": "a picture", b"BZh": "a .bz2", b"%PDF": "a PDF",
    b"\xfd7zXZ": "an .xz", b"7z\xbc\xaf": "a .7z", b"Rar!": "a .rar", b"\x28\xb5\x2f\xfd": "a .zst", b"RIFF": "a sound",
    b"fLaC": "a sound", b"OggS": "a sound", b"ID3": "a sound", b"SQLite format 3": "an SQLite file",
    b"\xd0\xcf\x11\xe0": "an old Office file", b"\x7fELF": "a program", b"ORC": "an ORC file",
    b"\x80\x04\x95": "a pickle", b"ARROW1": "an Arrow file", b"\x89HDF": "an HDF5 file",
}  # fmt: skip
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_-]+")


def shown_name(name: str) -> str:
    """A name as people see it: one line of letters that can be printed, none of which turns its direction."""
    clean = "".join(letter if letter.isprintable() else " " for letter in unicodedata.normalize("NFC", name))
    return " ".join(clean.split())[:NAME_LETTERS] or "data"


def stem_of(name: str) -> str:
    """The name that a file or folder has on the disk, without its extension."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = unicodedata.normalize("NFKD", last.partition(".")[0]).encode("ascii", "ignore").decode()
    return _NOT_PLAIN.sub("_", plain).strip("_-")[:STEM_LETTERS] or "data"


def suffix_of(name: str, start: bytes) -> str:
    """The extension by which a body is kept and read; Problem 415 where it is nothing that is read here."""
    if not start:
        raise InputError(f"the body is empty. Send the file itself as the body: {TAKEN}.")
    told = [suffix.lower() for suffix in PurePosixPath(name.replace("\\", "/")).suffixes]
    last = told[-1] if told else ""
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        if last in _ZIPPED:
            raise _unread(f"{shown(name)} is a {last} file")
        return ZIP
    if start.startswith(b"PAR1"):
        return PARQUET
    if start.startswith(b"\x1f\x8b"):
        inner = told[-2] if last == GZIP and len(told) > 1 else last
        return (inner if inner in OF_LINES else ".csv") + GZIP
    for mark, what in _OTHERS.items():
        if start.startswith(mark):
            raise _unread(f"{shown(name)} begins as {what} does")
    if last in (ZIP, PARQUET, GZIP):
        raise _unread(f"{shown(name)} is called {last} and does not begin as such a file does")
    if last in OF_LINES:
        return last
    first = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return {b"{": ".jsonl", b"[": ".json"}.get(first, ".csv")


def _unread(what: str) -> Problem:
    return Problem(415, f"{what}, which is not read here. Send {TAKEN}.", kind="not-read")
