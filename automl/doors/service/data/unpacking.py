"""An archive that a stranger packed -> files below one folder of ours, or a refusal in one line.

Nothing is believed: names are checked part by part and never lead out, links and archives in the archive are refused,
bytes are counted as they come and not as the archive tells them. It works in the process that looks at data, which has
little memory and ends when that is used up.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from automl.errors import InputError
from automl.messages import one_line, shown
from automl.modalities.files.listing import CLUTTER, suffix_of
from automl.places import inside

MOST_RATIO = 200  # bytes out of one that is packed: text has 3 to 20, a table of zeros 100
FREE_BYTES = 64e6  # below which no ratio is asked after
LETTERS, PART_BYTES, DEPTH = 800, 200, 16  # of a name
BLOCK = 2**20
ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags of an entry
PACKED_AS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ARCHIVES = frozenset(
    [".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".zst", ".lz4", ".jar", ".whl", ".cab", ".iso"]
)
ARCHIVE_STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"(\xb5/\xfd")
_BROKEN = (
    OSError, EOFError, ValueError, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error,
    NotImplementedError, RuntimeError, OverflowError, LookupError,
)  # fmt: skip
_DRIVE = re.compile(r"[A-Za-z]:")


class TooLargeError(InputError):
    """It holds more than is taken here."""


@dataclass(frozen=True)
class Most:
    """What an archive may hold."""

    size_bytes: float
    files: int


def unpack(archive: Path, into: Path, most: Most) -> list[str]:
    """Unpack into a folder that is there and empty; the names of the files, relative to it."""
    try:
        with zipfile.ZipFile(archive) as opened:
            wanted = list(_checked(opened.infolist(), most.files))
            limit = min(most.size_bytes, max(FREE_BYTES, MOST_RATIO * archive.stat().st_size))
            left = limit
            for name, entry in wanted:
                left -= _unpack_one(opened, entry, inside(into, name), left)
                if left < 0:
                    raise _too_large(limit, most)
    except _BROKEN as error:
        if isinstance(error, InputError) or _is_of_our_disk(error):
            raise
        raise InputError(f"the archive is broken: {one_line(error)}. Pack it again as a plain .zip.") from error
    os.sync()  # one for all files: an archive may hold a hundred thousand
    return [name for name, _ in wanted]


def _checked(entries: Sequence[zipfile.ZipInfo], most_files: int) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """The files that are wanted, by names that are safe; an archive with a single one that is not is refused whole."""
    if len(entries) > most_files:
        raise TooLargeError(f"the archive holds {len(entries):,} files, and {most_files:,} are taken. Send fewer.")
    if not entries:
        raise InputError("the archive is empty. Pack a folder of files, or one table.")
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for entry in entries:
        name = _safe_name(entry.orig_filename)
        _check_kind(entry, name)
        parts = name.split("/")
        above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
        for folder in [*above, name] if entry.is_dir() else above:
            _agree(folders, folder)
        if entry.is_dir():
            continue
        if name.casefold() in files:
            _agree(files, name)
            raise InputError(f"{shown(name)} is in the archive twice. Pack it again.")
        files[name.casefold()] = name
        if not any(part.startswith(".") or part.lower() in CLUTTER for part in parts):
            if suffix_of(name) in ARCHIVES:
                raise _packed_itself(name)
            yield name, entry
    if both := files.keys() & folders.keys():
        raise InputError(f"{shown(files[min(both)])} is both a file and a folder in the archive. Pack it again.")


def _safe_name(name: str) -> str:
    """A name that stays below our folder, whatever it joins; without the slash that folders end with."""
    bare = name[:-1] if name.endswith("/") else name
    parts = bare.split("/")
    is_safe = (
        len(name) <= LETTERS
        and len(parts) <= DEPTH
        and not _DRIVE.match(bare)
        and not any(part in ("", ".", "..") or len(_bytes(part)) > PART_BYTES for part in parts)
        and not any(letter == "\\" or unicodedata.category(letter) in ("Cc", "Cs") for letter in bare)
    )
    if not is_safe:
        raise InputError(
            f"{shown(name)} in the archive is no name for a file here: names must be short, plain, and lead nowhere "
            "else. Pack the folder itself, with its files below it."
        )
    return unicodedata.normalize("NFC", bare)


def _bytes(part: str) -> bytes:
    return part.encode("utf-8", "surrogatepass")


def _check_kind(entry: zipfile.ZipInfo, name: str) -> None:
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InputError(f"{shown(name)} in the archive is a link or a device, no file. Pack the files themselves.")
    if entry.flag_bits & ENCRYPTED:
        raise InputError(f"{shown(name)} in the archive is encrypted. Pack it without a password.")
    if entry.compress_type not in PACKED_AS:
        raise InputError(f"{shown(name)} in the archive is packed in a way that is not read here. Use a plain .zip.")


def _agree(known: dict[str, str], name: str) -> None:
    """Refuse two names that some disks would take for one."""
    if (other := known.setdefault(name.casefold(), name)) != name:
        raise InputError(f"{shown(name)} and {shown(other)} in the archive differ in capitals alone. Rename one.")


def _unpack_one(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, place: Path, left: float) -> float:
    """Write one file; how many bytes it has, or more than are left."""
    place.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with opened.open(entry) as stream, place.open("xb") as file:
        while content := stream.read(BLOCK):
            if not size and content.startswith(ARCHIVE_STARTS):
                raise _packed_itself(entry.filename)
            size += len(content)
            if size > left:
                return float(size)
            file.write(content)
    return float(size)


def _too_large(limit: float, most: Most) -> TooLargeError:
    if limit < most.size_bytes:
        return TooLargeError(
            f"the archive unpacks to more than {MOST_RATIO} times its size, as bombs do. Send it otherwise."
        )
    return TooLargeError(f"the archive unpacks to more than the {limit / 1e6:,.0f} MB that are taken here. Send less.")


def _packed_itself(name: str) -> InputError:
    return InputError(f"{shown(name)} in the archive is packed itself. Unpack it, and pack all as one .zip.")


def _is_of_our_disk(error: BaseException) -> bool:
    """Whether it was writing that failed; places in an archive that cannot be are wrong arguments."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
