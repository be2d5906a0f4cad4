"""Progress for people: one live line on a terminal, plain lines elsewhere. Everything goes to standard error."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from automl.runtime.progress import Pulse, Silence, Watcher

REDRAW_S = 0.2


def watcher(verbose: int, stream: TextIO | None = None) -> Watcher:
    """A listener for this verbosity: 0 nothing, 1 stages and guesses (live on a terminal), 2 every trial too."""
    return Silence() if verbose <= 0 else Terminal(stream or sys.stderr, verbose)


class Terminal:
    """Writes what a run says."""

    def __init__(self, stream: TextIO, verbose: int = 1) -> None:
        self._stream = stream
        self._verbose = verbose
        self._is_live = stream.isatty()
        self._drawn = 0.0
        self._line = ""

    def stage(self, name: str) -> None:
        """Show the stage on the live line."""
        if self._is_live:
            self._draw(f"{name} ...")

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._erase()
        self._stream.write(line + "\n")
        self._stream.flush()

    def trial(self, line: str) -> None:
        """Print a trial's end when asked for."""
        if self._verbose >= 2:
            self.say(line)

    def pulse(self, pulse: Pulse) -> None:
        """Redraw the live line a few times a second."""
        if not self._is_live or time.monotonic() - self._drawn < REDRAW_S:
            return
        left = f"{_clock(max(0.0, pulse.left_s))} left" if pulse.left_s is not None else f"{_clock(pulse.elapsed_s)}"
        failed = f", {pulse.failed} failed" if pulse.failed else ""
        where = f" on {pulse.where}" if pulse.where else ""
        self._draw(
            f"{pulse.stage}  {left}  {pulse.done} trials{failed}, {pulse.running} running{where}  best {pulse.best}"
        )

    def close(self) -> None:
        """Leave a clean terminal."""
        self._erase()

    def _draw(self, line: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        line = line[:width]
        self._stream.write("\r" + line.ljust(len(self._line)))
        self._stream.flush()
        self._line, self._drawn = line, time.monotonic()

    def _erase(self) -> None:
        if self._line:
            self._stream.write("\r" + " " * len(self._line) + "\r")
            self._line = ""
            self._stream.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
