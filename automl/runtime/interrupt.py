"""Ctrl-C while a run works: the first one asks for the best model so far, the second one means it.

A KeyboardInterrupt can strike anywhere, also between two writes of a journal. So from the start of the search to the
saved model it only sets a flag, which the search looks at between its steps.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interrupt:
    """A context in which `asked` tells whether the user wants to stop."""

    asked = False  # by the user, or by a run that cannot go on
    is_signalled = False

    def __enter__(self) -> Interrupt:
        self._is_ours = threading.current_thread() is threading.main_thread()  # only there can signals be caught
        if self._is_ours:
            self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._is_ours:
            signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.is_signalled:
            raise KeyboardInterrupt
        self.asked = self.is_signalled = True
