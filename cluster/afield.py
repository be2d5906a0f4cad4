"""What runs on another machine: a job with its two messages, and small errands. Plain functions, whoever sends them."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import socket
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.cores import cores
from cluster.devices import working_gpus_of_machine
from cluster.meter import Meter
from cluster.pool import Outcome
from cluster.task import Begun, Task, perform

LOG_BYTES = 20_000  # of a dead worker's last words
_MB = 1024.0**2


def live(task: Task, *values: Any) -> Generator[Begun | Outcome]:
    """A job's life on a worker: say that it has begun, then how it ended."""
    if not task.gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # else those of the machine would be in sight
    meter = Meter()
    yield Begun(meter.started_s, meter.cpu_at_start_s, _own_log())
    yield perform(task, meter, lambda: values)


def live_unheard(task: Task, *values: Any) -> Outcome:
    """The same life where nobody can listen meanwhile: only how it ended."""
    *_, outcome = live(task, *values)
    assert isinstance(outcome, Outcome)
    return outcome


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


def facts(path: str | None) -> dict[str, Any]:
    """What this machine is and has, for a doctor; whether it can write to `path`, where one is given."""
    shm = Path("/dev/shm")  # noqa: S108 - looked at, not written to
    return {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("ray", "automl-frontier")},
        "cpus": cores(),
        "shm_mb": shutil.disk_usage(shm).free / _MB if shm.is_dir() else 0.0,
        "gpus": [gpu.model for gpu in working_gpus_of_machine().gpus],
        "at_s": time.time(),
        "path": None if path is None else _try_path(Path(path)),
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _try_path(path: Path) -> str:
    """Empty if a file can be written and removed there, else why not."""
    mine = path / f".automl-{socket.gethostname()}-{os.getpid()}"
    try:
        mine.write_text("here")
        mine.unlink()
    except OSError as problem:
        return problem.strerror or str(problem)
    return ""


def _own_log() -> str:
    """The file this worker's errors go to."""
    try:
        return str(Path("/proc/self/fd/2").readlink())
    except OSError:
        return ""
