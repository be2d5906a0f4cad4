"""Data on their way to a server, a piece at a time: a file as it is, a folder zipped as it goes, a frame as Parquet.

What comes in memory is read by the same function as everywhere, so names and pairs (X, y) mean what they mean here.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from automl.doors.client.nouns import RemoteDataset
from automl.doors.client.trouble import NoAnswerError
from automl.errors import InputError
from automl.messages import one_line, shown

if TYPE_CHECKING:
    import pandas as pd

    from automl.doors.client.wire import Wire
    from automl.runtime.progress import Watcher

KNOWN = re.compile(r"dataset_[0-9a-f]{16}")
PIECE = 1 << 20
TRIES, PAUSE_S = 3, 1.0
ROW_GROUP = 50_000  # rows of a Parquet file that are written together


@dataclass(frozen=True)
class Parcel:
    """What is uploaded; `open` gives it from its beginning, as often as it has to be sent."""

    name: str
    open: Callable[[], Iterator[bytes]]
    size: int | None = None  # bytes, where that is known before
    target: str | None = None  # what the answers of a pair (X, y) are called in it


def upload(wire: Wire, parcel: Parcel, name: str | None, listener: Watcher) -> RemoteDataset:
    """The data set that a server made of it; sent anew where the connection broke, and not kept twice."""
    for left in range(TRIES - 1, -1, -1):
        told = _Hashed(parcel.open, listener)
        params = {"name": name or parcel.name}
        try:
            kind = "application/octet-stream"
            return RemoteDataset.of(wire.send("/v1/datasets", params, kind, told.pieces, size=parcel.size))
        except NoAnswerError:
            if told.is_whole and (found := _arrived(wire, told.hash.hexdigest())) is not None:
                return found
            if not left:
                raise
        time.sleep(PAUSE_S)
    raise AssertionError  # the last try raises


def _arrived(wire: Wire, sha256: str) -> RemoteDataset | None:
    """What was sent, if it came to its end there although no answer came back."""
    newest = wire.get("/v1/datasets", {"limit": 20})["items"]
    return next((RemoteDataset.of(one) for one in newest if one.get("sha256") == sha256), None)


class _Hashed:
    """Pieces on their way, and what they come to."""

    def __init__(self, opened: Callable[[], Iterator[bytes]], listener: Watcher) -> None:
        self._opened, self._listener = opened, listener
        self.hash, self.is_whole = hashlib.sha256(), False

    def pieces(self) -> Iterator[bytes]:
        """Each as it goes out."""
        sent = 0
        for piece in self._opened():
            self.hash.update(piece)
            yield piece
            sent += len(piece)
            self._listener.stage(f"upload  {sent / 1e6:,.0f} MB")
        self.is_whole = True


# --- what is brought -------------------------------------------------------------------------------------------------


@contextmanager
def parcel_of(data: Any, target: Any = None) -> Iterator[Parcel]:
    """Anything that `fit` takes, to be sent."""
    from automl.runtime import remote

    if isinstance(data, str) and remote.is_url(data):
        data = remote.fetch(data)
    if isinstance(data, str | Path):
        yield _of_path(Path(data))
        return
    frame, answers = frame_of(data, target)
    with tempfile.TemporaryDirectory(prefix="automl-") as folder:
        place = Path(folder) / "data.parquet"
        write_parquet(frame, place)
        yield Parcel(place.name, lambda: _pieces(place), place.stat().st_size, answers)


def frame_of(data: Any, target: Any = None) -> tuple[pd.DataFrame, str | None]:
    """A table in memory with named columns; of a pair (X, y) with its answers, and what they are called."""
    from automl.data.source import named, open_source

    source = open_source(data, (str(target),) if isinstance(target, str) else ())
    frame, _ = named(source.table)
    if source.labels is None:
        return frame, None
    if source.labels_name in frame.columns:
        raise InputError(f"X still holds the column {shown(source.labels_name)} that y answers. Take it out of X.")
    return frame.assign(**{source.labels_name: source.labels.to_numpy()}), source.labels_name


def _of_path(path: Path) -> Parcel:
    if path.is_dir():
        files = _files(path)
        if not files:
            raise InputError(f"the folder {shown(str(path))} holds no file. Give one with pictures, sounds or texts.")
        return Parcel(f"{path.resolve().name or 'data'}.zip", lambda: zipped(files))
    if not path.is_file():
        state = "is no regular file" if path.exists() else "does not exist"
        raise InputError(f"cannot read {shown(path.name)}: it {state}. Give the path of a table or of a folder here.")
    return Parcel(path.name, lambda: _pieces(path), path.stat().st_size)


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece
    except OSError as error:
        raise InputError(f"cannot read {shown(path.name)}: {error.strerror or error}. Check the file.") from error


# --- folders ---------------------------------------------------------------------------------------------------------


def _files(folder: Path) -> list[tuple[Path, str]]:
    """Each file of a folder and its name in the archive; what is hidden stays, and no folder is entered twice."""
    found, seen = [], set()
    for place, inner, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and path.is_file():
                found.append((path, path.relative_to(folder).as_posix()))
    return found


def zipped(files: Sequence[tuple[Path, str]]) -> Iterator[bytes]:
    """A zip archive as it comes to be: pictures and sounds are packed already, so nothing is packed again."""
    out = _Sink()
    with zipfile.ZipFile(cast("IO[bytes]", out), "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for path, name in files:
            entry = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
            with archive.open(entry, "w") as kept:
                for piece in _pieces(path):
                    kept.write(piece)
                    yield from out.taken()
    yield from out.taken()


class _Sink:
    """Where an archive is written to; it cannot go back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, piece: bytes) -> int:
        """Keep it until it is taken."""
        self._parts.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing is behind."""

    def taken(self) -> Iterator[bytes]:
        """What was written since."""
        parts, self._parts = self._parts, []
        if parts:
            yield b"".join(parts)


# --- frames ----------------------------------------------------------------------------------------------------------


def write_parquet(frame: pd.DataFrame, place: Any) -> None:
    """A frame as Parquet, its index left behind; `place`: a path, or a file in memory."""
    import pyarrow.parquet as pq

    pq.write_table(arrow_of(frame), place, row_group_size=ROW_GROUP)


def arrow_of(frame: pd.DataFrame) -> Any:
    """A frame as an Arrow table; cells of several types in a column become text, as files would hold them."""
    import pyarrow as pa

    columns = {name: _sent(name, column) for name, column in frame.items()}
    try:
        import pandas as pd

        return pa.Table.from_pandas(pd.DataFrame(columns, index=frame.index, copy=False), preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"this table cannot be sent: {one_line(error)}. Write it to a file and give its path."
        ) from error


def _sent(name: Any, column: pd.Series) -> pd.Series:
    """A column that Arrow can hold."""
    import pyarrow as pa

    if column.dtype != object:
        return column
    try:
        pa.Array.from_pandas(column)
        return column
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        kinds = {type(cell) for cell in column if cell is not None}
    if odd := [kind.__name__ for kind in kinds if not issubclass(kind, PLAIN)]:
        raise InputError(
            f"column {shown(str(name))} holds cells of type {odd[0]}, which cannot be sent. Give plain values."
        )
    is_missing = column.isna()
    return column.astype(str).where(~is_missing, None)


def _plain_types() -> tuple[type, ...]:
    import datetime
    import decimal

    import numpy as np

    return str, int, float, bool, np.generic, Path, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal


PLAIN = _plain_types()
