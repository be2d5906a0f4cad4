"""What runs say, to everybody who watches, as server-sent events: one look finds out for all watchers of a run.

Every event has its number, so that who was cut off goes on where they were (Last-Event-ID). Progress has none: the
newest is all that counts.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import DBAPIError

from automl.doors.service.ground.tables import OVER, RunRecord, State
from automl.doors.service.line.runs import Runs

LOOK_S = 0.3
AWAY_S = 2.0  # between two looks at a database that is away
MAY_S = 5.0  # after which it is asked again whether somebody may watch
PING_S = 15.0  # proxies end what is silent
LOG = logging.getLogger("automl.service")


@dataclass
class _Watched:
    """A run that somebody looks at."""

    watchers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    mark: tuple[Any, ...] = ()  # what the last look saw
    task: asyncio.Task[None] | None = None


class Live:
    """All that is watched."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._watched: dict[str, _Watched] = {}
        self._is_over = False

    def end(self) -> None:
        """Let go of all who watch, so that the server can end: they ask again, and the next one goes on."""
        self._is_over = True
        for watched in self._watched.values():
            watched.changed.set()

    async def watch(self, run: RunRecord, seen: int, may: Callable[[], bool] = lambda: True) -> AsyncIterator[str]:
        """Events after the one of that number, until the run is over or whoever watches `may` no longer."""
        watched = self._watched.setdefault(run.id, _Watched())
        watched.watchers += 1
        if watched.task is None:
            watched.task = asyncio.create_task(self._look(run.id, watched))
        progress: dict[str, Any] = {}
        asked = time.monotonic()
        try:
            yield "retry: 2000\n\n"
            while not self._is_over:
                changed = watched.changed
                try:
                    if time.monotonic() >= asked + MAY_S:
                        if not await asyncio.to_thread(may):
                            return
                        asked = time.monotonic()
                    now, events = await asyncio.to_thread(self._news, run.id, seen)
                except DBAPIError:  # the look beside this one has it in the log
                    yield ": the database is away\n\n"
                    await asyncio.sleep(AWAY_S)
                    continue
                for number, kind, body in events:
                    seen = number
                    yield _event(kind, body, number)
                if now is not None and now.progress != progress:
                    progress = now.progress
                    yield _event("progress", progress)
                if now is None or (now.state in OVER and seen >= now.seq):
                    yield _event("end", {"state": State.STOPPED if now is None else now.state})
                    return
                if seen < now.seq:
                    continue
                try:
                    await asyncio.wait_for(changed.wait(), PING_S)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            watched.watchers -= 1
            if not watched.watchers and watched.task is not None:
                watched.task.cancel()
                self._watched.pop(run.id, None)

    def _news(self, run_id: str, seen: int) -> tuple[RunRecord | None, list[tuple[int, str, dict[str, Any]]]]:
        return self._runs.known_or_none(run_id), self._runs.events(run_id, seen)

    async def _look(self, run_id: str, watched: _Watched) -> None:
        """Wake the watchers whenever something is new; each then reads what it has not seen."""
        while True:
            try:
                now = await asyncio.to_thread(self._runs.known_or_none, run_id)
            except DBAPIError:
                LOG.exception("a run could not be looked at for its watchers; tried again")
                await asyncio.sleep(AWAY_S)
                continue
            mark = () if now is None else (now.seq, now.state, json.dumps(now.progress))
            if mark != watched.mark:
                watched.mark = mark
                woken, watched.changed = watched.changed, asyncio.Event()
                woken.set()
            await asyncio.sleep(LOOK_S)


def _event(kind: str, body: dict[str, Any], number: int | None = None) -> str:
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"
