"""Code that a checkpoint would bring along or have fetched: never run, and asking for it is refused, not passed over.

The libraries that read checkpoints would ask the user on the terminal whether to run it. In a pipe the rows to predict
would answer, so nothing that asks comes as far as that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from automl.errors import InputError

# The last is an argument of timm's, which transformers hands on from a config: timm reads any pickle at that place.
ASKING = ("auto_map", "custom_pipelines", "trust_remote_code", "checkpoint_path")
FETCHED = "_implementation"  # of attention, of experts: with a slash in it, compiled code from the hub
NAMED = ("architecture", "backbone")  # of timm: with a colon in it, a place on the hub or a folder
CONFIGS = "*config.json"


def refuse_code(told: Any, where: str) -> None:
    """InputError, that goes on from whose checkpoint it is, where a config or part of it asks for code."""
    for name in _asking(told):
        raise InputError(
            f"asks to run code of its own ({name} in {where}), which is never run. Give a checkpoint that the "
            "installed library knows by itself."
        )


def without_choices(told: Any) -> Any:
    """A config without what it says of how attention and experts are to be computed: that is for the machine to say."""
    if isinstance(told, Mapping):
        return {name: without_choices(one) for name, one in told.items() if not str(name).endswith(FETCHED)}
    return [without_choices(one) for one in told] if isinstance(told, list) else told


def refuse_code_in(folder: Path) -> None:
    """The same of all configs in a folder; those that cannot be read are told by whoever needs them."""
    for file in sorted(folder.rglob(CONFIGS)):
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        refuse_code(told, file.relative_to(folder).as_posix())


def _asking(told: Any) -> Iterator[str]:
    inner = list(told.values()) if isinstance(told, Mapping) else told if isinstance(told, list) else []
    if isinstance(told, Mapping):
        for name, value in told.items():
            is_fetched = str(name).endswith(FETCHED) and "/" in str(value)
            is_fetched = is_fetched or (name in NAMED and ":" in str(value))
            if (name in ASKING and value) or is_fetched:
                yield str(name)
    for one in inner:
        yield from _asking(one)
