"""The studies as others may watch them: copied into Optuna's journal file by a thread, while the search goes on.

Writing that file takes longer than asking for a trial, and 64 workers ask 64 times a second. Nothing reads it back: a
run that goes on replays its own journal.
"""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

PATIENCE_S = 10.0  # for the rest to be written at the end


class Showcase:
    """Trials in, a journal file out."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._waiting: queue.SimpleQueue[tuple[str, Any] | None] = queue.SimpleQueue()
        self._objectives: dict[str, int] = {}  # of each study
        self._trouble: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="automl showcase", daemon=True)
        self._thread.start()

    def open(self, study: str, objectives: int) -> None:
        """A study begins that minimises so many numbers."""
        self._objectives[study] = objectives

    def show(self, study: str, trial: Any) -> None:
        """Have a finished trial written; an earlier one that could not be is told now."""
        if self._trouble is not None:
            raise self._trouble
        self._waiting.put((study, trial))

    def close(self) -> None:
        """Write the rest."""
        self._waiting.put(None)
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        import optuna
        from optuna.storages.journal import JournalFileBackend

        storage = optuna.storages.JournalStorage(JournalFileBackend(str(self._journal)))
        studies: dict[str, Any] = {}
        while (item := self._waiting.get()) is not None:
            name, trial = item
            try:
                if name not in studies:
                    studies[name] = optuna.create_study(
                        storage=storage, study_name=name, directions=["minimize"] * self._objectives[name]
                    )
                studies[name].add_trial(trial)
            except OSError as problem:  # the disk is full: the driver learns of it with its next trial
                self._trouble = problem
                return
