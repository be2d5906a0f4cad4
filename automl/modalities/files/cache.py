"""Decoded images and sounds on disk, so that the next run on the same files begins at once.

A store is named after its files (place, size, time of change) and how they were decoded; the least used go first when
all of them together are too large.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MOST_GB = 20.0  # of all stores together
KEPT = "automl-media"


def place_of_texts(texts: Sequence[str], how: dict[str, Any]) -> Path:
    """The folder of what is kept of these texts: named after what they say."""
    digest = hashlib.sha256(json.dumps(how, sort_keys=True).encode())
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(f"{len(content)}:".encode() + content)
    return root() / digest.hexdigest()[:24]


def place_for(files: Sequence[Any], how: dict[str, Any]) -> Path | None:
    """The folder of a store of these files; None where they are not files, and so have no name."""
    if not all(file is None or isinstance(file, str) for file in files):
        return None
    digest = hashlib.sha256(json.dumps(how, sort_keys=True).encode())
    for file in files:
        if file is None:
            digest.update(b"an empty cell\n")
            continue
        try:
            facts = Path(file).stat()
        except (OSError, ValueError):  # a name may hold what no name can
            digest.update(f"{file} is gone\n".encode("utf-8", "surrogatepass"))
            continue
        digest.update(f"{file} {facts.st_size} {facts.st_mtime_ns}\n".encode("utf-8", "surrogatepass"))
    return root() / digest.hexdigest()[:24]


def root() -> Path:
    """Where all stores are."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "automl" / KEPT


def touch(place: Path) -> None:
    """Mark a store as used."""
    os.utime(place)


def make_room() -> None:
    """Remove the stores that were not used for longest, as long as all together are too large."""
    stores = sorted((p for p in root().glob("*") if p.is_dir()), key=lambda p: p.stat().st_mtime)
    sizes = {p: sum(file.stat().st_size for file in p.iterdir()) / 1e9 for p in stores}
    total = sum(sizes.values())
    for store in stores:
        if total <= MOST_GB or time.time() - store.stat().st_mtime < 3600:  # one in use by another run
            return
        shutil.rmtree(store, ignore_errors=True)
        total -= sizes[store]
