"""Runs as people ask for them: put into the line, looked at, stopped, given more, shared, removed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, or_, select, update

from automl.doors.service.access.accounts import Principal
from automl.doors.service.ground.asked import check_budget
from automl.doors.service.ground.database import Database
from automl.doors.service.ground.paging import Page, after, page_of
from automl.doors.service.ground.problems import Problem, missing
from automl.doors.service.ground.settings import Settings
from automl.doors.service.ground.tables import BUSY, EVENTS, MODELS, OVER, RUNS, RunRecord, State, new_id
from automl.doors.service.line.more import added, parsed
from automl.doors.service.line.queue import tell
from automl.errors import OptionError
from automl.messages import shown

NAME_LETTERS = 120


class Runs:
    """The runs of everybody."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._db, self._settings = database, settings

    def folder(self, run_id: str) -> Path:
        """Where a run's files are."""
        return self._settings.home / "runs" / run_id

    # --- asked for ----------------------------------------------------------------------------------------------------

    def add(
        self, by: Principal, dataset_id: str, name: str, options: Mapping[str, Any], own: str | None = None
    ) -> RunRecord:  # fmt: skip
        """A run at the end of the line, with options that were checked; asked for again by its `own` name, the same."""
        run_id = new_id("run", own)
        with self._db.alone() as work:
            if (there := work.execute(select(RUNS).where(RUNS.c.id == run_id)).first()) is not None:
                return _run(there)
            waiting = select(func.count()).select_from(RUNS).where(RUNS.c.user_id == by.user_id)
            if work.execute(waiting.where(RUNS.c.state == State.QUEUED)).scalar_one() >= self._settings.most_queued:
                raise Problem(
                    429, f"{self._settings.most_queued} of your runs wait already. Wait for one, or remove one.",
                    headers={"Retry-After": "60"},
                )  # fmt: skip
            now = self._db.now(work)
            made = {
                "id": run_id, "user_id": by.user_id, "dataset_id": dataset_id, "name": name[:NAME_LETTERS],
                "options": json.dumps(options), "state": State.QUEUED, "is_shared": False, "created_at": now,
                "queued_at": now, "attempt": 0, "losses": 0, "seq": 0, "progress": "{}", "verdict": "{}",
            }  # fmt: skip
            work.execute(insert(RUNS).values(**made))
            tell(work, run_id, now, [("state", {"state": State.QUEUED})])
            return _run(work.execute(select(RUNS).where(RUNS.c.id == run_id)).one())

    def get(self, by: Principal, run_id: str, *, to_change: bool = False) -> RunRecord:
        """One that is theirs, or that they may look at."""
        with self._db.reading() as work:
            return _run(_found(work, by, run_id, to_change=to_change))

    def known_or_none(self, run_id: str) -> RunRecord | None:
        """Whoever asks."""
        with self._db.reading() as work:
            row = work.execute(select(RUNS).where(RUNS.c.id == run_id)).first()
        return None if row is None else _run(row)

    def known(self, run_id: str) -> RunRecord:
        """The same of one that is there."""
        found = self.known_or_none(run_id)
        if found is None:
            raise missing("run", run_id)
        return found

    def page(self, by: Principal, limit: int, cursor: str | None, state: str | None = None) -> Page[RunRecord]:
        """The newest first, so many at a time."""
        asked = self._visible(by)
        if state is not None:
            if state not in list(State):
                raise OptionError(f"state must be one of {', '.join(State)}, got {shown(state)}.")
            asked = asked.where(RUNS.c.state == state)
        with self._db.reading() as work:
            rows = work.execute(after(asked, RUNS, cursor).limit(limit + 1)).all()
        return page_of(rows, limit, _run)

    def _visible(self, by: Principal) -> Select[Any]:
        asked = select(RUNS)
        return asked if by.is_admin else asked.where(or_(RUNS.c.user_id == by.user_id, RUNS.c.is_shared.is_(True)))

    def place_in_line(self, run: RunRecord) -> int | None:
        """How many runs are to begin before it, at least; None where it does not wait."""
        if run.state != State.QUEUED:
            return None
        before = select(func.count()).select_from(RUNS).where(RUNS.c.state == State.QUEUED)
        with self._db.reading() as work:
            return int(work.execute(before.where(RUNS.c.queued_at < run.queued_at)).scalar_one())

    def events(self, run_id: str, seen: int, limit: int = 1000) -> list[tuple[int, str, dict[str, Any]]]:
        """What happened after the event of that number: number, kind and what it tells."""
        asked = select(EVENTS).where(EVENTS.c.run_id == run_id, EVENTS.c.seq > seen).order_by(EVENTS.c.seq)
        with self._db.reading() as work:
            rows = work.execute(asked.limit(limit)).all()
        return [(row.seq, row.kind, {**json.loads(row.body), "at": row.at}) for row in rows]

    # --- changed ------------------------------------------------------------------------------------------------------

    def stop(self, by: Principal, run_id: str, *, now: bool) -> RunRecord:
        """End it with the best so far; `now`: without a model, at once. One that waits leaves the line."""
        with self._db.alone() as work:
            row = _found(work, by, run_id, to_change=True)
            at = self._db.now(work)
            if row.state == State.QUEUED:
                over = {"state": State.STOPPED, "ended_at": at, "stop": None, "more": None}
                work.execute(update(RUNS).where(RUNS.c.id == run_id).values(**over))
                tell(work, run_id, at, [("state", {"state": State.STOPPED})])
            elif row.state in BUSY:
                asked = {"state": State.STOPPING, "stop": "now" if now else "best", "more": None}
                work.execute(update(RUNS).where(RUNS.c.id == run_id).values(**asked))
                tell(work, run_id, at, [("state", {"state": State.STOPPING})])
            return _run(work.execute(select(RUNS).where(RUNS.c.id == run_id)).one())

    def resume(self, by: Principal, run_id: str, more: str | None) -> RunRecord:
        """Go on with what is over; one that works gets the budget `more` when it comes to its end."""
        extra = None if more is None else parsed(more)
        if extra is not None:
            check_budget(extra.time, self._settings)
        with self._db.alone() as work:
            row = _found(work, by, run_id, to_change=True)
            if row.state == State.DONE and more is None:
                raise Problem(409, 'this run is done. To go on searching give more: {"budget": "+10m"}.')
            if row.state == State.STOPPING:
                raise Problem(409, "this run is being stopped. Go on with it once it is.")
            values: dict[str, Any] = {} if more is None else {"more": added(row.more, more)}
            if row.state in OVER:
                values |= {
                    "state": State.QUEUED, "queued_at": self._db.now(work), "ended_at": None, "error": None, "losses": 0
                }  # fmt: skip
                tell(work, run_id, self._db.now(work), [("state", {"state": State.QUEUED})])
            if values:
                work.execute(update(RUNS).where(RUNS.c.id == run_id).values(**values))
            return _run(work.execute(select(RUNS).where(RUNS.c.id == run_id)).one())

    def change(self, by: Principal, run_id: str, name: str | None, is_shared: bool | None) -> RunRecord:
        """Another name; shared, everybody who signs in may read it and predict with its models."""
        values: dict[str, Any] = {} if name is None else {"name": name[:NAME_LETTERS]}
        values |= {} if is_shared is None else {"is_shared": is_shared}
        with self._db.writing() as work:
            _found(work, by, run_id, to_change=True)
            if values:
                work.execute(update(RUNS).where(RUNS.c.id == run_id).values(**values))
            return _run(work.execute(select(RUNS).where(RUNS.c.id == run_id)).one())

    def remove(self, by: Principal, run_id: str) -> None:
        """It, its models and its files; one that works has to be stopped first."""
        with self._db.alone() as work:
            row = _found(work, by, run_id, to_change=True)
            if row.state in BUSY:
                raise Problem(409, "this run is at work. Stop it first: POST /v1/runs/ID/cancel.")
            for table in (EVENTS, MODELS):
                work.execute(delete(table).where(table.c.run_id == run_id))
            work.execute(delete(RUNS).where(RUNS.c.id == run_id))
        self.sweep_one(run_id)

    def sweep_one(self, run_id: str) -> None:
        """Take a run's files away: first to a name that nothing reads, so that no half is left to be read."""
        folder = self.folder(run_id)
        if folder.exists():
            gone = folder.with_name(f".gone-{run_id}-{time.time_ns()}")
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        for log in (f"{run_id}.log", f"{run_id}.select.log"):
            (self._settings.home / "logs" / log).unlink(missing_ok=True)

    def sweep(self) -> None:
        """What a crash left of removed runs."""
        for gone in (self._settings.home / "runs").glob(".gone-*"):
            shutil.rmtree(gone, ignore_errors=True)


def _found(work: Connection, by: Principal, run_id: str, *, to_change: bool) -> Row[Any]:
    """Its row; one that is to change is held, so that what its process writes meanwhile is not overwritten."""
    asked = select(RUNS).where(RUNS.c.id == run_id)
    row = work.execute(asked.with_for_update() if to_change else asked).first()
    if row is None or not (by.is_admin or row.user_id == by.user_id or (row.is_shared and not to_change)):
        raise missing("run", run_id)
    return row


def _run(row: Row[Any]) -> RunRecord:
    read = {name: getattr(row, name) for name in RunRecord.__dataclass_fields__}
    for name in ("options", "progress", "verdict"):
        read[name] = json.loads(read[name])
    return RunRecord(**{**read, "state": State(row.state)})
