"""The GPUs of this machine, found without loading a library: what the driver's files list, within what we may see."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_LISTED = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Gpu:
    """One GPU: how CUDA_VISIBLE_DEVICES names it, and its model."""

    key: str
    model: str


def find_gpus(listed: Path = _LISTED, visible: str | None = None) -> list[Gpu]:
    """All GPUs that this process may use; `visible` as CUDA_VISIBLE_DEVICES would say it, which is its default."""
    if visible is None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
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
