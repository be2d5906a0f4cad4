"""What a run says while it works. Stages report here; who listens (a terminal, a log, nobody) is not their business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """Where the search stands."""

    stage: str
    elapsed_s: float
    left_s: float | None  # of the whole budget; None when trials are counted
    done: int = 0
    failed: int = 0
    running: int = 0
    best: str = ""  # "roc_auc 0.9281 (lightgbm)"
    where: str = ""  # "2 machines, 7 of 8 CPUs, 1 of 1 GPUs"


class Watcher(Protocol):
    """A listener."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def say(self, line: str) -> None:
        """A guess or a finding that the user should see, in one line."""

    def trial(self, line: str) -> None:
        """A trial ended."""

    def pulse(self, pulse: Pulse) -> None:
        """The search goes on; called a few times a second."""


class Silence:
    """A listener that says nothing."""

    def stage(self, name: str) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""

    def trial(self, line: str) -> None:
        """Nothing."""

    def pulse(self, pulse: Pulse) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
