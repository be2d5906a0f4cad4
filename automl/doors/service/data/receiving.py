"""A body on its way to the disk: block by block, counted and hashed, so that the server's memory does not grow with it.

What does not arrive whole leaves nothing. Bytes of a user that are on their way count like those that are stored, so
that many uploads at once cannot go round the limit.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect

from automl.doors.service.ground.problems import Problem

T = TypeVar("T")
BLOCK = 2**20  # bytes that are written at a time
IDLE_S = 120.0  # without a byte, after which a body is given up


@dataclass(frozen=True)
class Received:
    """A body that arrived whole."""

    path: Path
    size_bytes: int
    sha256: str


class Allowance:
    """What users may still bring."""

    def __init__(self, most_bytes: float) -> None:
        self._most = most_bytes
        self._coming: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def of(self, user_id: str, stored: float) -> Iterator[Callable[[int], None]]:
        """Counts bytes as they come; refuses those beyond what the user may store."""
        mine = 0

        def count(more: int) -> None:
            nonlocal mine
            with self._lock:
                mine += more
                self._coming[user_id] += more
                if stored + self._coming[user_id] > self._most:
                    raise beyond(self._most)

        try:
            yield count
        finally:
            with self._lock:
                self._coming[user_id] -= mine
                if self._coming[user_id] <= 0:
                    del self._coming[user_id]


def beyond(most_bytes: float) -> Problem:
    """The refusal of what a user may not store."""
    return Problem(413, f"your data sets would take more than the {most_bytes / 1e6:,.0f} MB that a user may store. "
                   "Remove some, or ask the admin for more.", kind="storage-limit")  # fmt: skip


class Writing:
    """A new file, which is gone again unless it is finished."""

    def __init__(self, place: Path, count: Callable[[int], None]) -> None:
        self._place, self._count = place, count
        self._digest, self._size = hashlib.sha256(), 0
        self._file = place.open("xb", buffering=0)

    def add(self, content: bytes | bytearray) -> None:
        """The next bytes."""
        self._count(len(content))
        self._digest.update(content)
        self._size += len(content)
        view = memoryview(content)
        while view:
            view = view[self._file.write(view) :]

    def finish(self) -> Received:
        """That was all; it is on the disk itself now."""
        os.fsync(self._file.fileno())
        self._file.close()
        return Received(self._place, self._size, self._digest.hexdigest())

    def give_up(self) -> None:
        """Leave nothing."""
        self._file.close()
        self._place.unlink(missing_ok=True)


async def receive(body: AsyncIterator[bytes], place: Path, count: Callable[[int], None]) -> Received:
    """Write a body to a new file; whatever goes wrong, nothing is left of it."""
    writing, waiting = Writing(place, count), bytearray()
    try:
        while chunk := await _next(body):
            waiting += chunk
            if len(waiting) >= BLOCK:
                await apart(writing.add, waiting)
                waiting = bytearray()
        await apart(writing.add, waiting)
        return await apart(writing.finish)
    except BaseException:
        writing.give_up()
        raise


async def apart(work: Callable[..., T], *given: Any, hands: Executor | None = None) -> T:
    """Have a thread do it, and wait for it also where the request is given up: it must not outlive its file.

    `hands`: threads for what takes long; those of everybody are few, and who asks is looked up by them.
    """
    task = asyncio.get_running_loop().run_in_executor(hands, work, *given)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _next(body: AsyncIterator[bytes]) -> bytes:
    """The next part that is not empty; an empty one at the end."""
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                chunk = await anext(body)
        except StopAsyncIteration:
            return b""
        except TimeoutError:
            raise Problem(408, f"nothing came for {IDLE_S:g} s, so the upload was given up. Send it again.") from None
        except ClientDisconnect:
            raise Problem(400, "the upload was cut off before its end. Send it again.") from None
        if chunk:
            return chunk
