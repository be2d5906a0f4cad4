"""Requests that arrive together are answered by one call of the model: a line, and a thread that takes all that waits.

Nobody is made to wait for others to come: a lone request is answered at once, and under load the line fills while the
thread is at work. What is wrong with one request is told to that one.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Generic, TypeVar

from automl.doors.serving.refused import RefusedError

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
ROOM = 50  # times the rows of a batch that may wait in line
BUSY = "more rows are waiting than can be answered soon. Ask again in a second, or run another server beside this one."


class Waiting(Generic[Asked, Answer]):
    """A request in line."""

    def __init__(self, asked: Asked, rows: int, loop: asyncio.AbstractEventLoop) -> None:
        self.asked, self.rows = asked, rows
        self.loop = loop
        self.future: asyncio.Future[Answer] = loop.create_future()


class Batcher(Generic[Asked, Answer]):
    """The line. `answer` is given requests that waited together, and gives each its answer or what is wrong with it."""

    def __init__(
        self, answer: Callable[[Sequence[Asked]], Sequence[Answer | BaseException]], most_rows: int, most_waiting: int
    ) -> None:
        self._answer, self.most_rows, self.most_waiting = answer, most_rows, most_waiting
        self._line: deque[Waiting[Asked, Answer]] = deque()
        self._rows = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="answers", daemon=True)
        self._thread.start()

    async def ask(self, asked: Asked, rows: int) -> Answer:
        """The answer, once it is this one's turn; refused where too many rows wait already."""
        one: Waiting[Asked, Answer] = Waiting(asked, rows, asyncio.get_running_loop())
        with self._changed:
            if self._is_closed or (self._rows and self._rows + rows > self.most_waiting):
                raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, BUSY)
            self._line.append(one)
            self._rows += rows
            self._changed.notify()
        return await one.future

    @property
    def waiting_rows(self) -> int:
        """Rows in line."""
        return self._rows

    def close(self) -> None:
        """Answer what is in line, then end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            if not batch:
                continue
            _hand_out(batch, self._answers([one.asked for one in batch]))

    def _answers(self, asked: Sequence[Asked]) -> Sequence[Answer | BaseException]:
        """Of all at once; where that fails, of each by itself, so that only what is at fault goes without."""
        try:
            return self._answer(asked)
        except BaseException as problem:  # noqa: BLE001 - the edge of the thread: told to whoever waits
            return [problem] if len(asked) == 1 else [self._answers([one])[0] for one in asked]

    def _next(self) -> list[Waiting[Asked, Answer]] | None:
        """The requests at the head of the line that fit into a batch, one at least; None where there will be none."""
        with self._changed:
            while not self._line:
                if self._is_closed:
                    return None
                self._changed.wait()
            batch: list[Waiting[Asked, Answer]] = []
            rows = 0
            while self._line and (not batch or rows + self._line[0].rows <= self.most_rows):
                one = self._line.popleft()
                self._rows -= one.rows
                if one.future.cancelled():  # whoever asked has gone
                    continue
                batch.append(one)
                rows += one.rows
                if self.most_rows == 1:
                    break
            return batch


def _hand_out(batch: Sequence[Waiting[Asked, Answer]], answers: Sequence[Answer | BaseException]) -> None:
    """Each its own, all of a loop in one go: waking a loop costs more than an answer."""
    loops = {id(one.loop): one.loop for one in batch}
    for key, loop in loops.items():
        own = [(one, answer) for one, answer in zip(batch, answers, strict=True) if id(one.loop) == key]
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set, own)


def _set(own: Sequence[tuple[Waiting[Asked, Answer], Answer | BaseException]]) -> None:
    for one, answer in own:
        if one.future.done():
            continue
        if isinstance(answer, BaseException):
            one.future.set_exception(answer)
        else:
            one.future.set_result(answer)
