"""Is this machine ready? Each check says what it found and, where something is missing, what to do about it."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from automl.errors import AutomlError
from automl.modalities.encoders import caches, packages
from automl.model.artifact import versions
from automl.options import Options
from automl.runtime.workplace import describe, open_pool
from cluster.cores import cores
from cluster.devices import working_gpus
from cluster.local import LocalPool

SKEW_S = 2.0  # between two clocks, from which logs of several machines mislead
NEEDED = ("numpy", "pandas", "pyarrow", "sklearn", "lightgbm", "xgboost", "torch", "optuna", "jinja2", "psutil")
EXTRAS = {
    "catboost": "catboost",
    "polars": "polars",
    "ray": "ray",
    "PIL": "images",
    "soundfile": "audio",
    "transformers": "pretrained",
}
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
    return [*checks, *_weights()]


def _weights() -> list[Check]:
    """Packages with weights of networks that were trained before, and what other programs left."""
    checks = []
    for package in packages.PACKAGES:
        is_here, trouble = packages.folder(package) is not None, ""
        try:
            told = (
                f"{packages.whole(package).stat().st_size / 1e6:.0f} MB" if is_here else f"{package.mb} MB to download"
            )
        except AutomlError as problem:
            told = trouble = str(problem)
        state = "" if is_here else "not installed (optional), "
        found = f"{state}{told}, {package.licence}; for {package.media}: {package.knows}"
        remedy = "" if is_here else package.command
        checks.append(Check(package.name, is_here and not trouble, trouble or found, remedy, is_needed=False))
    for media in caches.WELL_KNOWN:
        checks += [Check(place, True, f"fetched before, for {media}", is_needed=False) for place in caches.found(media)]
    return checks


def _version(module: str, installed: dict[str, str]) -> str:
    names = {"sklearn": ("scikit-learn",), "PIL": ("pillow",), "xgboost": ("xgboost-cpu", "xgboost")}.get(
        module, (module,)
    )
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
    from cluster.pool import Job, Status

    with LocalPool(1) as pool:
        pool.submit(Job("doctor", "automl.doors.doctor:answer", 20, hard_s=20))
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
    found = working_gpus()
    told = f"{len(found.gpus)} x {found.gpus[0].model}" if found.gpus else ""
    if found.trouble:
        remedy = "install the torch of this card: https://pytorch.org/get-started"
        return Check("gpu", False, "; ".join(filter(None, (told, found.trouble))), remedy, is_needed=False)
    if told:
        return Check("gpu", True, told)
    return Check("gpu", True, "none; neural models train on the CPU", is_needed=False)


# --- a cluster -------------------------------------------------------------------------------------------------------


def examine_cluster(options: Options, path: str | None = None) -> list[Check]:
    """Whether the machines of a cluster fit together; `path`: a folder that all of them should be able to write to."""
    try:
        pool, _ = open_pool(options, ())
    except AutomlError as problem:
        return [Check("cluster", False, str(problem), "see docs/cluster.md")]
    with pool:
        if isinstance(pool, LocalPool):
            return [Check("cluster", True, "none was asked for", "give --cluster ray", is_needed=False)]
        told = pool.survey(path)
    nodes = [machine["node"] for machine in told]
    checks = [Check("cluster", True, describe(nodes))]
    checks += [
        Check(m["node"].name, False, m["trouble"], "look at the machine's Ray logs") for m in told if "trouble" in m
    ]
    for machine in [machine for machine in told if "trouble" not in machine]:
        checks += _machine(machine, path)
    return checks


def _machine(told: dict[str, Any], path: str | None) -> list[Check]:
    """One machine against what this driver is, and against what Ray thinks that it has."""
    node, python = told["node"], platform.python_version()
    found = [_same("Python", told["python"], python, told["python"] == python)]  # Ray's own rule
    theirs, ours = told["versions"], {name: version(name) for name in ("ray", "automl-frontier")}
    found += [_same(name, theirs[name], ours[name], theirs[name] == ours[name]) for name in ours]
    cpus, store_mb, shm_mb, seen = told["cpus"], told["store_mb"], told["shm_mb"], len(told["gpus"])
    found += [
        (node.cpus <= cpus, f"{node.cpus} CPUs for Ray, {cpus} to be had",
         f"start Ray with --num-cpus {cpus}: more trials than cores slow each other down"),
        (store_mb <= max(shm_mb, 1.0), f"object store {store_mb:,.0f} MB, /dev/shm {shm_mb:,.0f} MB free",
         "a larger /dev/shm (docker --shm-size) or a smaller --object-store-memory: else data goes over the disk"),
        (not node.gpus or round(node.gpus) == seen, f"{node.gpus:g} GPUs for Ray, {seen} seen",
         "start Ray with the right --num-gpus, or see that the container gets them"),
        (abs(told["skew_s"]) <= SKEW_S, f"clock {told['skew_s']:+.1f} s from ours", "use one time server for all"),
    ]  # fmt: skip
    if path is not None:
        found.append((not told["path"], f"{path}: {told['path'] or 'can be written'}", "mount one folder everywhere"))
    summary = Check(node.name, all(is_fine for is_fine, _, _ in found), ", ".join(what for _, what, _ in found))
    return [summary, *(Check(node.name, False, what, remedy) for is_fine, what, remedy in found if not is_fine)]


def _same(name: str, theirs: str, ours: str, is_same: bool) -> tuple[bool, str, str]:
    return is_same, f"{name} {theirs}", f"install {name} {ours} there, as the driver has it"
