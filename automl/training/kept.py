"""The state of a training that takes minutes, kept in a file now and then: what dies on the way costs little then.

Momenta are not kept: they are back within some ten steps. The file is plain tensors, read without running code, and it
is gone once the fold is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from automl.runtime.durable import settle

EVERY_S = 20.0  # a small network is written in milliseconds


@dataclass
class Kept:
    """A file for one training; without a place nothing is kept."""

    place: Path | None
    wrote_at: float = field(default_factory=time.monotonic)

    @classmethod
    def at(cls, place: str) -> Kept:
        """In that file, if its folder is within reach: workers on other machines may have none."""
        return cls(Path(place) if place and Path(place).parent.is_dir() else None)

    def read(self) -> dict[str, Any] | None:
        """What an earlier attempt at the same training left; None where there is nothing that can be read."""
        if self.place is None or not self.place.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self.place, weights_only=True, map_location="cpu")
        except Exception:  # noqa: BLE001  # torn, or not ours, in whatever way: the training begins anew
            return None
        return state

    def write(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Keep the state, if the last one is old enough; a disk that is full costs only the keeping."""
        if self.place is None or time.monotonic() - self.wrote_at < EVERY_S:
            return
        beside = self.place.with_name(f".{self.place.name}")
        try:
            torch.save(dict(state()), beside)
            settle(beside, self.place)
        except (OSError, RuntimeError):
            self.place = None
        self.wrote_at = time.monotonic()
