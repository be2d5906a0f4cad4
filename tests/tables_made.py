"""Small tables as people bring them, written and read: what the tests of reading share."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, settings

from automl.data.reading import load
from automl.options import Options
from automl.records import Dataset

QUICK = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows(*lines: str, header: str = "a,b,y", times: int = 1) -> str:
    """A small file: its header, then its lines, repeated until there are enough to learn from."""
    body = list(lines) * times
    return "\n".join([header, *body]) + "\n"


TABLE = rows("1,red,yes", "2,blue,no", times=6)


def write(folder: Path, content: str | bytes, name: str = "table.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def read(folder: Path, content: str | bytes, name: str = "table.csv", **options: Any) -> Dataset:
    return load(write(folder, content, name), Options(**{"target": "y", **options}))


def small(count: int = 12) -> pd.DataFrame:
    at = np.arange(count)
    return pd.DataFrame({"a": at, "b": np.where(at % 2, "red", "blue"), "y": at % 2})


def packed_zip(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("table.csv", content)
    return packed.getvalue()
