"""Standard input and output of the commands."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from automl.errors import InputError
from automl.plain import as_json


@contextmanager
def readable(data: str) -> Iterator[str | Path]:
    """What was named; of - a file with what comes in, since readers sniff a file, which a stream is not."""
    if data != "-":
        yield data
        return
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "stdin.csv"
        kept.write_bytes(sys.stdin.buffer.read())
        yield kept


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    print(json.dumps(as_json(value), ensure_ascii=False))


def write_table(predictions: Any, target: Path) -> None:
    """A frame as the file's ending says."""
    writers = {".csv": _write_csv, ".parquet": _write_parquet, ".jsonl": _write_lines}
    writer = writers.get(target.suffix.lower())
    if writer is None:
        raise InputError(f"output must end in {', '.join(writers)}, got {target.name!r}.")
    try:
        writer(predictions, target)
    except OSError as error:
        raise InputError(f"{str(target)!r} cannot be written: {error.strerror or error}. Name another file.") from error


def _write_csv(frame: Any, target: Path) -> None:
    frame.to_csv(target, index=False)


def _write_parquet(frame: Any, target: Path) -> None:
    frame.to_parquet(target, index=False)


def _write_lines(frame: Any, target: Path) -> None:
    """An object for each row, with all digits of its numbers and times as text; what is missing is null."""
    from pandas.api.types import is_datetime64_any_dtype

    times = {name: frame[name].astype(str) for name in frame.columns if is_datetime64_any_dtype(frame[name].dtype)}
    cells = frame.assign(**times).astype(object).where(frame.notna(), None)
    with target.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(as_json(row), ensure_ascii=False) + "\n" for row in cells.to_dict(orient="records"))
