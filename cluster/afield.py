"""What runs on another machine: a job with its two messages, and small errands. Plain functions, whoever sends them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.meter import Meter
from cluster.pool import Outcome
from cluster.task import Begun, Task, perform

LOG_BYTES = 20_000  # of a dead worker's last words


def live(task: Task, *values: Any) -> Generator[Begun | Outcome]:
    """A job's life on a worker: say that it has begun, then how it ended."""
    if not task.gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # else those of the machine would be in sight
    meter = Meter()
    yield Begun(meter.started_s, meter.cpu_at_start_s, _own_log())
    yield perform(task, meter, lambda: values)


def load(modules: Sequence[str]) -> None:
    """Import what jobs will need."""
    for module in modules:
        with suppress(Exception):  # a job that needs it fails with this very error; others go on without it
            importlib.import_module(module)


def tail(path: str) -> str:
    """The end of a file of this machine."""
    try:
        return Path(path).read_bytes()[-LOG_BYTES:].decode(errors="replace")
    except OSError as problem:
        return f"(its log cannot be read: {problem})"


def _own_log() -> str:
    """The file this worker's errors go to."""
    try:
        return str(Path("/proc/self/fd/2").readlink())
    except OSError:
        return ""
