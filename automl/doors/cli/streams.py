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
    writers = {".csv": predictions.to_csv, ".parquet": predictions.to_parquet, ".jsonl": predictions.to_json}
    writer = writers.get(target.suffix.lower())
    if writer is None:
        raise InputError(f"output must end in {', '.join(writers)}, got {target.name!r}.")
    try:
        if target.suffix.lower() == ".jsonl":
            writer(target, orient="records", lines=True)
        else:
            writer(target, index=False)
    except OSError as error:
        raise InputError(f"{str(target)!r} cannot be written: {error.strerror or error}. Name another file.") from error
