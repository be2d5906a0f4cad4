"""Names from outside on their way to a path: keys of a store, entries of a saved model, folders that a file names.

Whoever wrote them may have meant another folder than ours, so one function joins them, and refuses what leaves. A test
finds joins that go round it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from automl.errors import AutomlError, InputError
from automl.messages import shown


def inside(folder: Path, name: Any, refusal: type[AutomlError] = InputError) -> Path:
    """The place that a name from outside has in a folder; refused in one line where it would be elsewhere.

    What lies there may be a link: one that leads out is refused too.
    """
    is_plain = isinstance(name, str) and not set("\\\0") & set(name)
    parts = PurePosixPath(name).parts if is_plain else ()
    if parts and not {"/", "//", ".."} & set(parts):
        place: Path = folder / name
        with suppress(OSError, RuntimeError):  # longer than a name can be, or links in a circle
            if place.resolve().is_relative_to(folder.resolve()):
                return place
    raise refusal(
        f"{shown(name)} is named as a place in {str(folder)!r}, and would be outside of it. "
        "It is damaged or was made to do harm: do not use it."
    )
