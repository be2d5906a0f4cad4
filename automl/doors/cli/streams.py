"""Standard input and output of the commands."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
