"""Drift of what is asked: counts of the latest rows beside those that were learned from, as `automl monitor` tells it.

Rows are counted some hundred at a time by a thread of its own, which rests nine tenths of its time, and are not kept:
the window is made of counts, and its oldest ones go. What comes faster than it can be counted is left out, and said.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automl.doors.serving.rows import CellRows
from automl.errors import AutomlError
from automl.model import reference
from automl.model.monitor import Counted, count, tell, together

if TYPE_CHECKING:
    from automl.model.predictor import Model
    from automl.model.reference import Reference

PORTION = 250  # rows counted together
PORTION_OF_FILES = 25
WAITING = 8  # portions that may wait to be counted
REST = 9.0  # times as long as it worked
SOON_S = 10.0  # after which a portion is counted that is not full
NO_REFERENCE = "this model has no drift reference: it was saved by an earlier version, or there was no room for one"


@dataclass(frozen=True)
class DriftWindow:
    """What was counted of one target's model, in portions, the oldest first."""

    model: Model
    known: Reference
    portions: deque[Counted] = field(default_factory=deque)

    @property
    def rows(self) -> int:
        """In the window."""
        return sum(len(one.outputs) for one in self.portions)

    def add(self, found: Counted, portion: int, most_rows: int) -> None:
        """Take some in; the oldest go that are more than there is room for."""
        if self.portions and len(self.portions[-1].outputs) + len(found.outputs) <= portion:
            found = together([self.portions.pop(), found])
        self.portions.append(found)
        while self.rows - len(self.portions[0].outputs) >= most_rows:
            self.portions.popleft()


class DriftWatch:
    """The windows of all targets, and the thread that fills them."""

    def __init__(self, models: Mapping[str, Model], most_rows: int, *, reads_files: bool) -> None:
        self.portion, self.most_rows = min(most_rows, PORTION_OF_FILES if reads_files else PORTION), most_rows
        self._windows = {
            name: DriftWindow(model, reference.read(model.drift))
            for name, model in models.items()
            if model.drift is not None and most_rows
        }
        self._waiting: deque[CellRows] = deque()
        self._rows = self.skipped = self._seen = 0
        self.failed = ""
        self._latest: dict[str, dict[str, Any]] = {}
        self._changed, self._counting = threading.Condition(), threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="drift", daemon=True)
        if self._windows:
            self._thread.start()

    def note(self, rows: CellRows) -> None:
        """Rows that were answered; returns at once."""
        if not self._windows or not rows.count:
            return
        with self._changed:
            if self._rows >= WAITING * self.portion:
                self.skipped += rows.count
                return
            self._waiting.append(rows)
            self._rows += rows.count
            if self._rows >= self.portion:
                self._changed.notify()

    def told(self) -> dict[str, Any]:
        """What `automl monitor` would tell of the rows in the window, those that wait included."""
        self._count()
        found = {name: self._latest.get(name) for name in self._windows}
        return {
            "rows": {name: window.rows for name, window in self._windows.items()},
            "skipped_rows": self.skipped,
            "alarm": any(one is not None and one["alarm"] for one in found.values()),
            "targets": found,
            "notes": [*([] if self._windows else [NO_REFERENCE]), *([self.failed] if self.failed else [])],
        }

    @property
    def latest(self) -> Mapping[str, dict[str, Any]]:
        """What was found when rows were last counted, by target."""
        return self._latest

    @property
    def rows(self) -> Mapping[str, int]:
        """In the window of each target."""
        return {name: window.rows for name, window in self._windows.items()}

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._windows:
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._rows >= self.portion, SOON_S)
                if self._is_closed:
                    return
            began = time.thread_time()
            self._count()
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, REST * (time.thread_time() - began))

    def _count(self) -> None:
        """Count what waits, and compare."""
        with self._counting:
            with self._changed:
                some, self._waiting, self._rows = self._waiting, deque(), 0
            if not some:
                return
            rows = _as_one(some)
            for name, window in self._windows.items():
                try:
                    self._add(window, rows)
                    found = tell(window.model, window.known, together(list(window.portions)), [])
                    self._latest = {**self._latest, name: found}
                except (AutomlError, ArithmeticError, ValueError, LookupError) as problem:
                    self.skipped += rows.count
                    self.failed = f"some rows could not be counted: {type(problem).__name__}"
            self._seen += rows.count

    def _add(self, window: DriftWindow, rows: CellRows) -> None:
        frame = rows.frame()
        for at in range(0, len(frame), self.portion):
            some = frame.iloc[at : at + self.portion]
            window.add(count(window.model, some, window.known, self._seen + at), self.portion, self.most_rows)


def _as_one(some: Sequence[CellRows]) -> CellRows:
    """Rows of several requests as one."""
    names = dict.fromkeys(name for rows in some for name in rows.cells)  # not all have what is optional
    cells = {name: [cell for rows in some for cell in rows.cells.get(name, [None] * rows.count)] for name in names}
    return CellRows(cells, sum(rows.count for rows in some))
