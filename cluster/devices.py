"""The GPUs of this machine: what the driver's files list, and on which of these torch computes.

Files tell that there may be GPUs, at no cost; whether they can be used only a computation tells: torch may be a build
without CUDA, its driver too old, the card one for which it has no code. It is made in a child that is asked once, since
a process that has started CUDA holds some of a card's memory and can fork no workers.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

VISIBLE = "CUDA_VISIBLE_DEVICES"
_LISTED = Path("/proc/driver/nvidia/gpus")
_HINTS = (_LISTED, Path("/dev/kfd"), Path("/dev/dxg"))  # of NVIDIA, of AMD, of Windows around this Linux
_SIDE = 64  # of the matrix whose square is taken
_PATIENCE_S = 60.0  # the first word of a driver that no program holds open takes long
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from cluster.devices import main; main()"


@dataclass(frozen=True)
class Gpu:
    """One GPU: how CUDA_VISIBLE_DEVICES names it, and its model."""

    key: str
    model: str


@dataclass(frozen=True)
class UsableGpus:
    """The GPUs that can be used, and why others cannot; empty where all can, or none is there."""

    gpus: tuple[Gpu, ...] = ()
    trouble: str = ""


# --- in the process that computes ------------------------------------------------------------------------------------


def computes() -> bool:
    """Whether torch computes on a GPU that this process was given: tried, once."""
    return not why_not()


def why_not() -> str:
    """Why it does not; empty where it does. A process that was given none starts nothing to find out."""
    visible = os.environ.get(VISIBLE)
    return "no GPU was given to this process" if visible == "" else _tried(visible)


@cache
def _tried(visible: str | None) -> str:
    del visible  # what was tried with other GPUs in sight says nothing of these
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} sees no GPU"
    return _square(torch, 0)


def _square(torch: Any, place: int) -> str:
    """A small computation on a GPU; why it failed, if it did."""
    try:
        ones = torch.ones(_SIDE, _SIDE, device=f"cuda:{place}")
        is_right = float((ones @ ones).sum()) == _SIDE**3
    except (RuntimeError, AssertionError) as problem:  # the latter from a torch without CUDA
        return f"torch {torch.__version__} cannot compute on it: {' '.join(str(problem).split())[:160]}"
    return "" if is_right else f"torch {torch.__version__} computes wrongly on it"


# --- for a process that only plans -----------------------------------------------------------------------------------


def working_gpus() -> UsableGpus:
    """The GPUs on which torch computes, of those that CUDA_VISIBLE_DEVICES leaves in sight; asked once."""
    return _asked(os.environ.get(VISIBLE))


def working_gpus_of_machine() -> UsableGpus:
    """The same, whatever is hidden from this process alone."""
    return _asked(os.environ.get(VISIBLE) or None)


@cache
def _asked(visible: str | None) -> UsableGpus:
    if visible == "" or not any(hint.exists() for hint in _HINTS):
        return UsableGpus()
    return ask_torch(find_gpus(visible=visible), visible)


def ask_torch(listed: Sequence[Gpu], visible: str | None = None) -> UsableGpus:
    """What torch makes of the GPUs that the driver lists, tried in a child."""
    if importlib.util.find_spec("torch") is None:
        return UsableGpus(trouble=_told(len(listed), 0, "torch is not installed")) if listed else UsableGpus()
    env = {name: value for name, value in os.environ.items() if name != VISIBLE}
    env |= {} if visible is None else {VISIBLE: visible}
    command = [sys.executable, "-c", _BOOT, json.dumps([entry or str(Path.cwd()) for entry in sys.path])]
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return UsableGpus(trouble=_told(len(listed), 0, f"torch gave no answer within {_PATIENCE_S:g} s"))
    return read_answer(done.stdout, listed, visible)


def read_answer(said: str, listed: Sequence[Gpu], visible: str | None = None) -> UsableGpus:
    """What the child found, beside what the driver lists."""
    try:
        told = json.loads(said.strip().splitlines()[-1])
    except (json.JSONDecodeError, IndexError):
        told = {"gpus": [], "why": "torch died when it was asked"}
    keys = [part.strip() for part in visible.split(",")] if visible else list(map(str, range(len(told["gpus"]))))
    tried = list(zip(keys, told["gpus"], strict=False))
    gpus = tuple(Gpu(key, model) for key, (model, trouble) in tried if not trouble)
    count = max(len(listed), len(tried))
    if len(gpus) == count:
        return UsableGpus(gpus)
    why = next((trouble for _, (_, trouble) in tried if trouble), told["why"])
    return UsableGpus(gpus, _told(count, len(gpus), why))


def _told(listed: int, used: int, why: str) -> str:
    return (
        f"{used or 'none'} of {listed} GPU{'s' if listed != 1 else ''} can be used: {why}. "
        f"Networks train on the {'others' if used else 'CPU'}."
    )


def main() -> None:
    """The child: try each GPU in sight, and print what came of it."""
    torch = importlib.import_module("torch")
    places = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    tried = [(torch.cuda.get_device_name(place), _square(torch, place)) for place in places]
    sys.stdout.write("\n" + json.dumps({"gpus": tried, "why": f"torch {torch.__version__} sees no GPU"}) + "\n")


# --- what is listed --------------------------------------------------------------------------------------------------


def find_gpus(listed: Path = _LISTED, visible: str | None = None) -> list[Gpu]:
    """All GPUs that the driver lists, within what we may see: `visible`, by default what CUDA_VISIBLE_DEVICES says."""
    if visible is None:
        visible = os.environ.get(VISIBLE)
    told = [_read(folder / "information") for folder in sorted(listed.iterdir())] if listed.is_dir() else []
    models, ids = [model for model, _ in told], [uuid for _, uuid in told]
    if visible is None:
        return [Gpu(str(place), model) for place, model in enumerate(models)]
    found = []
    for key in filter(None, (part.strip() for part in visible.split(","))):
        place = int(key) if key.isdigit() else next((i for i, uuid in enumerate(ids) if uuid.startswith(key)), -1)
        if not 0 <= place < len(models):
            break  # as the driver does: a name that is none hides it and all after it
        found.append(Gpu(key, models[place]))
    return found


def _read(information: Path) -> tuple[str, str]:
    """Model and UUID in one of the driver's files."""
    try:
        text = information.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "GPU", ""
    facts = dict(re.findall(r"^([^:\n]+):[ \t]*(.*?)[ \t]*$", text, re.MULTILINE))
    return facts.get("Model", "GPU"), facts.get("GPU UUID", "")
