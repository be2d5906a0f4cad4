"""What a server keeps, as records: data sets and runs. Times are as the server tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self, TypeVar

T = TypeVar("T")


def _read(kind: type[T], told: Mapping[str, Any]) -> T:
    """A record of what is told; what this version does not know is left out, what is not told is None."""
    values = {}
    for spec in fields(kind):  # type: ignore[arg-type]
        value = told.get(spec.name)
        is_time = spec.name.endswith("_at") and isinstance(value, str)
        values[spec.name] = datetime.fromisoformat(str(value)) if is_time else value
    return kind(**values)


@dataclass(frozen=True, kw_only=True)
class RemoteDataset:
    """A data set on a server."""

    id: str
    name: str
    kind: str | None  # table, images, audio, texts
    rows: int | None
    files: int | None
    columns: list[str] | None
    size_bytes: int | None
    sha256: str | None
    created_at: datetime | None
    user: str | None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From a server's answer."""
        return _read(cls, told)


@dataclass(frozen=True, kw_only=True)
class RemoteRun:
    """A run on a server, as it stood when it was asked for."""

    id: str
    name: str
    dataset: str
    user: str | None
    state: str  # queued, working, stopping, done, stopped, failed
    shared: bool
    options: Mapping[str, Any]
    place_in_line: int | None  # runs that wait before it
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    progress: Mapping[str, Any]  # stage, elapsed_s, left_s, done, failed, running, best, where
    verdict: Mapping[str, Any]  # what came of it
    error: str | None
    model: str | None  # its id

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From a server's answer."""
        return _read(cls, told)

    @property
    def is_over(self) -> bool:
        """Whether it ended: done, stopped or failed."""
        return self.state in ("done", "stopped", "failed")
