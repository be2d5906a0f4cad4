"""What just arrived, at a glance: its kind, rows, files and columns, told without reading all of it into memory.

This works in the process that looks at data (looker.py). Whatever cannot be a data set is refused here, while the
user waits for the answer to the upload.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from automl.doors.service.data.unpacking import FREE_BYTES, MOST_RATIO, Most, TooLargeError, unpack
from automl.errors import InputError
from automl.messages import counted, one_line, shown
from automl.places import inside

WHOLE_BYTES = 2**20  # up to which rows are counted one by one
BLOCK = 2**22
ROWS_LOOKED_AT = 200  # of JSON lines, for their names
ROWS_CHECKED = 2_000  # of other lines, for their width
MOST_COLUMNS, MOST_LETTERS = 20_000, 500  # and of the name of one
NAMES = {"image": "images", "audio": "audio", "text": "texts"}


@dataclass(frozen=True, kw_only=True)
class Glance:
    """What a look found."""

    kind: str  # table, images, audio, texts
    rows: int | None  # of a large table counted by its lines
    files: int | None
    columns: Sequence[str]
    target: str | None = None  # what a run predicts when no target is named
    notes: Sequence[str] = ()


def land(order: Mapping[str, Any]) -> dict[str, Any]:
    """Unpack what is packed, and look at it: its facts, and the name of the file or folder that holds them."""
    folder, most = Path(order["folder"]), Most(order["most_bytes"], order["most_files"])
    place = inside(folder, order["file"])
    if order["archive"] is not None:
        place = _unpacked(Path(order["archive"]), folder, order["file"], most)
    found = facts_of(place, most.size_bytes)
    return {"file": place.name, "size_bytes": size_of(place), "facts": vars(found)}


def refer(order: Mapping[str, Any]) -> dict[str, Any]:
    """The same of what stays where it is; told apart later by what it holds, a folder by its files and their sizes."""
    place = Path(order["place"])
    found = facts_of(place, order["most_bytes"])
    return {"size_bytes": size_of(place), "sha256": _digest(place), "facts": vars(found)}


def facts_of(place: Path, most_bytes: float) -> Glance:
    """What a file or a folder holds, at a glance."""
    if place.is_dir():
        return _of_folder(place)
    suffixes = [suffix.lower() for suffix in place.suffixes]
    is_packed = suffixes[-1:] == [".gz"]
    suffix = suffixes[-2 if is_packed else -1]
    if suffix == ".parquet":
        return _of_parquet(place, most_bytes)
    with place.open("rb") as raw, _counted(raw, is_packed=is_packed, most_bytes=most_bytes) as stream:
        try:
            return _of_text(stream, suffix)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"it cannot be unpacked: {one_line(error)}. Check that the file is whole.") from error


def size_of(place: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if place.is_file():
        return place.stat().st_size
    return sum(file.lstat().st_size for file in place.rglob("*"))


# --- folders and archives --------------------------------------------------------------------------------------------


def _unpacked(archive: Path, folder: Path, name: str, most: Most) -> Path:
    """An archive of one table as that table, any other as a folder."""
    from automl.doors.service.data.formats import TABLES
    from automl.modalities.files.listing import is_text_name, kind_of_name, suffix_of

    target = inside(folder, name)
    target.mkdir()
    files = unpack(archive, target, most)
    if not files:
        raise InputError("the archive holds no file but hidden ones. Pack a folder of files, or one table.")
    suffix = suffix_of(files[0])
    if len(files) == 1 and suffix in TABLES and not (suffix == ".txt" and "/" in files[0]):
        table = inside(folder, f"{name}{suffix}")
        inside(target, files[0]).rename(table)
        _remove_empty(target)
        return table
    if not any(kind_of_name(file) or is_text_name(file) for file in files):
        raise InputError(
            f"the archive holds {counted(len(files), 'file')}, for instance {shown(files[0])}, and neither one table "
            "alone nor pictures, sounds or texts. Pack either."
        )
    return target


def _remove_empty(folder: Path) -> None:
    for below in sorted(folder.rglob("*"), reverse=True):
        below.rmdir()
    folder.rmdir()


def _of_folder(place: Path) -> Glance:
    from automl.modalities.files.folder import read_folder

    found = read_folder(place)
    own = found.kind if found.table is None or found.kind not in found.table.columns else f"{found.kind}_file"
    columns = [own, *([] if found.table is None else map(str, found.table.columns))]
    return Glance(
        kind=NAMES[found.kind], rows=len(found.files), files=len(found.files), columns=_named(columns),
        target=None if found.labels is None else "class", notes=found.notes,
    )  # fmt: skip


def _digest(place: Path) -> str:
    digest = hashlib.sha256()
    if place.is_dir():
        for one in sorted(place.rglob("*")):
            digest.update(f"{one.relative_to(place)} {one.lstat().st_size}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()
    with place.open("rb") as file:
        while content := file.read(BLOCK):
            digest.update(content)
    return digest.hexdigest()


# --- tables ----------------------------------------------------------------------------------------------------------


def _of_parquet(place: Path, most_bytes: float) -> Glance:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(place) as file:
            told, names = file.metadata, file.schema_arrow.names
            size = sum(told.row_group(group).total_byte_size for group in range(told.num_row_groups))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"it is not a Parquet file that can be read: {one_line(error)}. Write it again.") from error
    if size > most_bytes:
        raise TooLargeError(f"it unpacks to {size / 1e6:,.0f} MB, and {most_bytes / 1e6:,.0f} MB are taken. Send less.")
    return Glance(kind="table", rows=told.num_rows, files=None, columns=_named(names))


def _of_text(stream: IO[bytes], suffix: str) -> Glance:
    from automl.modalities.files.sniff import PREFIX, find_encoding, find_ragged, records, sniff

    start = stream.read(PREFIX)
    if suffix in (".jsonl", ".ndjson") or (suffix == ".json" and start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"):
        return _of_json_lines(start, stream)
    if suffix == ".json":
        return _of_json(start + stream.read())
    if len(start) == PREFIX and b"\n" not in start and b"\r" not in start:
        raise InputError(f"no line ends within its first {PREFIX // 2**20} MB, so this is no table of lines.")
    begin = _whole_lines(start) if len(start) == PREFIX else start
    dialect = sniff(begin)
    text = begin[:WHOLE_BYTES].decode(find_encoding(begin), errors="ignore")
    if ragged := find_ragged(
        text if len(start) <= WHOLE_BYTES else text[: text.rfind("\n") + 1], dialect, ROWS_CHECKED
    ):
        line, width = ragged
        raise InputError(
            f"line {line} has {width} fields, but the header has {len(dialect.names)}. Put quotes around a field that "
            "holds the delimiter, or name every column."
        )
    if len(start) <= WHOLE_BYTES:
        rows = sum(1 for _ in records(text, dialect.delimiter)) - 1
    else:
        rows = _lines(start, stream) - 1
    return Glance(kind="table", rows=rows, files=None, columns=_named(dialect.names), notes=dialect.notes)


def _whole_lines(start: bytes) -> bytes:
    """Up to where a letter ends for sure."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # of four bytes at most, and of two for the most
        return start
    return start[: max(start.rfind(b"\n"), start.rfind(b"\r")) + 1]


def _lines(start: bytes, stream: IO[bytes]) -> int:
    """Lines that end outside of quotes; blank ones count, which a reader of all of it leaves out."""
    end = b"\n" if b"\n" in start else b"\r"
    lines, is_quoted, last = 0, False, end
    content = start
    while content:
        parts = content.split(b'"') if b'"' in content or is_quoted else [content]
        for at, part in enumerate(parts):
            is_quoted ^= at > 0
            lines += 0 if is_quoted else part.count(end)
        last = content[-1:]
        content = stream.read(BLOCK)
    return lines + (last != end)


def _of_json_lines(start: bytes, stream: IO[bytes]) -> Glance:
    from automl.modalities.files.sniff import PREFIX, find_encoding

    if len(start) == PREFIX and b"\n" not in start:
        raise InputError(f"no line ends within its first {PREFIX // 2**20} MB. Give one object on each line.")
    begin = _whole_lines(start) if len(start) == PREFIX else start
    lines = begin.decode(find_encoding(begin), errors="ignore").split("\n")
    names: dict[str, None] = {}
    looked = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        looked += 1
        if looked > ROWS_LOOKED_AT:
            break
        row = _parsed(line, f"line {number}")
        if not isinstance(row, dict):
            raise InputError(f"line {number} is {shown(row)}, not an object. Give one {{...}} for each row.")
        names.update(dict.fromkeys(row))
    if not looked:
        raise InputError("it is empty. Give one object on each line.")
    whole = [line for line in lines if line.strip()] if len(start) < PREFIX else None
    rows = len(whole) if whole is not None else _lines_of_json(start, stream)
    return Glance(kind="table", rows=rows, files=None, columns=_named(list(names)))


def _lines_of_json(start: bytes, stream: IO[bytes]) -> int:
    lines, content, last = 0, start, b"\n"
    while content:
        lines, last = lines + content.count(b"\n"), content[-1:]
        content = stream.read(BLOCK)
    return lines + (last != b"\n")


def _of_json(content: bytes) -> Glance:
    from automl.modalities.files.sniff import find_encoding

    rows = _parsed(content.decode(find_encoding(content)), "it")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError("it is no array of objects, or an empty one. Give [{...}, ...], one object for each row.")
    names: dict[str, None] = {}
    for row in rows[:ROWS_LOOKED_AT]:
        names.update(dict.fromkeys(row))
    return Glance(kind="table", rows=len(rows), files=None, columns=_named(list(names)))


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is not JSON: {one_line(error)}. Give an object for each row.") from error


def _named(raw: Sequence[Any]) -> list[str]:
    """Column names as everybody calls them from now on."""
    from automl.data.names import unlike

    if len(raw) > MOST_COLUMNS:
        raise InputError(f"it has {len(raw):,} columns, and {MOST_COLUMNS:,} are taken here. Leave some out.")
    if (longest := max((len(str(name)) for name in raw), default=0)) > MOST_LETTERS:
        raise InputError(
            f"a column has a name of {longest:,} letters, and {MOST_LETTERS} are taken. The first line must hold names."
        )
    return unlike(raw)[0]


# --- packed text ------------------------------------------------------------------------------------------------------


@contextmanager
def _counted(raw: IO[bytes], *, is_packed: bool, most_bytes: float) -> Iterator[IO[bytes]]:
    """The plain bytes of a file; what is packed is counted as it comes."""
    if not is_packed:
        yield raw
        return
    size = Path(raw.name).stat().st_size
    with gzip.open(raw) as stream:
        yield cast("IO[bytes]", _Counted(stream, min(most_bytes, max(FREE_BYTES, MOST_RATIO * size))))


class _Counted:
    """Reads, and refuses to go on beyond a size."""

    def __init__(self, stream: Any, most_bytes: float) -> None:
        self._stream, self._most, self._left = stream, most_bytes, most_bytes

    def read(self, size: int = -1) -> bytes:
        """As of any file; of what is larger than is taken no more than that is ever held."""
        wanted = int(self._left) + 1 if size < 0 else size
        content: bytes = self._stream.read(wanted)
        self._left -= len(content)
        if self._left < 0:
            raise TooLargeError(
                f"it unpacks to more than the {self._most / 1e6:,.0f} MB that are taken of it. Send less."
            )
        return content
