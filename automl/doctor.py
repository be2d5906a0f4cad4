"""Is this machine ready? Each check says what it found and, where something is missing, what to do about it."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from automl.artifact import versions
from automl.cores import cores

NEEDED = ("numpy", "pandas", "pyarrow", "sklearn", "lightgbm", "xgboost", "torch", "optuna", "jinja2", "psutil")
EXTRAS = {"catboost": "catboost", "polars": "polars"}
LOW_DISK_GB, LOW_MEMORY_GB = 2.0, 2.0


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str
    is_fine: bool
    found: str
    remedy: str = ""
    is_needed: bool = True


def examine() -> list[Check]:
    """All checks, none of which changes anything."""
    checks = [_python(), _cores(), _memory(), _disk(), _workers(), _gpu()]
    installed = versions()
    for module in NEEDED:
        found = importlib.util.find_spec(module) is not None
        remedy = "" if found else "pip install automl-frontier"
        checks.append(Check(module, found, _version(module, installed) if found else "not installed", remedy))
    for module, extra in EXTRAS.items():
        found = importlib.util.find_spec(module) is not None
        remedy = "" if found else f"pip install 'automl-frontier[{extra}]'"
        told = _version(module, installed) if found else "not installed (optional)"
        checks.append(Check(module, found, told, remedy, is_needed=False))
    return checks


def _version(module: str, installed: dict[str, str]) -> str:
    names = {"sklearn": ("scikit-learn",), "xgboost": ("xgboost-cpu", "xgboost")}.get(module, (module,))
    return next((installed[name] for name in names if name in installed), "installed")


def _python() -> Check:
    is_fine = sys.version_info >= (3, 11)
    return Check("python", is_fine, f"{platform.python_version()} on {platform.system()} {platform.machine()}",
                 "" if is_fine else "use Python 3.11 or newer")  # fmt: skip


def _cores() -> Check:
    return Check("cores", True, f"{cores()} for this process")


def _memory() -> Check:
    import psutil

    free = psutil.virtual_memory().available / 1e9
    is_fine = free >= LOW_MEMORY_GB
    return Check(
        "memory", is_fine, f"{free:.1f} GB available", "" if is_fine else "close other programs", is_needed=False
    )


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    is_fine = free >= LOW_DISK_GB
    return Check("disk", is_fine, f"{free:.1f} GB free here", "" if is_fine else "free some space, or use --out",
                 is_needed=False)  # fmt: skip


def _workers() -> Check:
    """Whether worker processes start and answer."""
    from cluster.local import LocalPool
    from cluster.pool import Job, Status

    with LocalPool(1) as pool:
        pool.submit(Job("doctor", "automl.doctor:answer", 20, hard_s=20))
        outcomes = pool.wait(25)
    is_fine = bool(outcomes) and outcomes[0].status is Status.DONE and outcomes[0].value == 21
    found = "start and answer" if is_fine else outcomes[0].error if outcomes else "do not answer"
    return Check("workers", is_fine, found, "" if is_fine else f"check that {tempfile.gettempdir()} is writable")


def answer(_grant: object, value: int) -> int:
    """The job that `_workers` sends."""
    return value + 1


def _gpu() -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("gpu", False, "unknown without torch", is_needed=False)
    import torch

    if torch.cuda.is_available():
        return Check("gpu", True, f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}")
    return Check("gpu", True, "none; neural models train on the CPU", is_needed=False)
