"""What waits for a machine, in fair order, and who works on what: decided in the database, so a crash loses nothing.

A process has a run for as long as it renews its lease. Each process is a new attempt, and only the newest may write:
one that was thought dead finds out and ends. A run whose process went away keeps its place in the queue.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from automl.doors.service.ground.database import Database
from automl.doors.service.ground.tables import BUSY, EVENTS, RUNS, USERS, State
from automl.doors.service.line.more import without

LEASE_S = 20.0  # after the last renewal; a process that was stopped for so long has lost its run
MOST_LOSSES = 3  # processes in a row that went away without a word
PUSHED = "the process of this run went away {losses} times in a row, last in its stage {stage}. {log}"
LOG_TELLS = "The server's folder logs/ tells more; POST /v1/runs/ID/resume tries again."


@dataclass(frozen=True)
class Assignment:
    """A run that one process may work on."""

    run_id: str
    attempt: int


@dataclass(frozen=True)
class Orders:
    """What a process hears when it renews its lease."""

    is_mine: bool
    stop: str | None = None


class Queue:
    """The line of runs."""

    def __init__(self, database: Database) -> None:
        self._db = database

    # --- for servers --------------------------------------------------------------------------------------------------

    def claim(self, server: str, jobs: int, most_working: int) -> Assignment | None:
        """The next run for this server; None where none waits, or it works on as many as it may."""
        with self._db.alone() as work:
            own = select(func.count()).select_from(RUNS).where(RUNS.c.state.in_(BUSY), RUNS.c.server == server)
            if work.execute(own).scalar_one() >= jobs:
                return None
            row = _next(work, most_working)
            if row is None:
                return None
            now = self._db.now(work)
            values = {
                "state": State.WORKING, "server": server, "attempt": row.attempt + 1, "lease_until": now + LEASE_S,
                "started_at": now if row.started_at is None else row.started_at, "turn_at": now, "error": None,
            }  # fmt: skip
            work.execute(update(RUNS).where(RUNS.c.id == row.id).values(**values))
            tell(work, row.id, now, [("state", {"state": State.WORKING})])
            return Assignment(row.id, row.attempt + 1)

    def give_back(self) -> list[str]:
        """Runs whose process is silent for too long go back to their place in the line; the ones that did."""
        with self._db.alone() as work:
            now = self._db.now(work)
            late = select(RUNS).where(RUNS.c.state.in_(BUSY), RUNS.c.lease_until < now).with_for_update()
            rows = work.execute(late).all()
            for row in rows:
                _lose(work, row, now)
        return [row.id for row in rows]

    def lost(self, claim: Assignment) -> None:
        """The process of this attempt is gone; nothing happens where it had come to its end, or another has the run."""
        with self._db.alone() as work:
            asked = select(RUNS).where(RUNS.c.id == claim.run_id, RUNS.c.attempt == claim.attempt)
            row = work.execute(asked.where(RUNS.c.state.in_(BUSY)).with_for_update()).first()
            if row is not None:
                _lose(work, row, self._db.now(work))

    # --- for the process of a run -------------------------------------------------------------------------------------

    def renew(self, claim: Assignment, said: Sequence[tuple[str, Mapping[str, Any]]], progress: str | None) -> Orders:
        """Keep the run for a while longer, tell what happened, and hear what to do."""
        with self._db.writing() as work:
            now = self._db.now(work)
            values: dict[str, Any] = {"lease_until": now + LEASE_S}
            if progress is not None:
                values["progress"] = progress
            if said:
                values["losses"] = 0
            mine = (RUNS.c.id == claim.run_id, RUNS.c.attempt == claim.attempt, RUNS.c.state.in_(BUSY))
            row = work.execute(update(RUNS).where(*mine).values(**values).returning(RUNS.c.stop)).first()
            if row is None:
                return Orders(is_mine=False)
            tell(work, claim.run_id, now, said)
            return Orders(True, row.stop)

    def has_more(self, claim: Assignment, more: str) -> None:
        """The budget `more` is written into the run's own folder; what was given meanwhile is still to come."""
        with self._db.writing() as work:
            mine = (RUNS.c.id == claim.run_id, RUNS.c.attempt == claim.attempt)
            given = work.execute(select(RUNS.c.more).where(*mine).with_for_update()).scalar()
            if given is not None:
                work.execute(update(RUNS).where(*mine).values(more=without(given, more)))

    def end(self, claim: Assignment, state: State, verdict: str | None, error: str | None) -> str | None:
        """The run came to its end; or the budget with which it goes on, since more was given meanwhile.

        That budget stays written down until the run's folder holds it (`has_more`), and where the run fails.
        """
        with self._db.writing() as work:
            now = self._db.now(work)
            mine = (RUNS.c.id == claim.run_id, RUNS.c.attempt == claim.attempt, RUNS.c.state.in_(BUSY))
            row = work.execute(update(RUNS).where(*mine).values(lease_until=now + LEASE_S).returning(RUNS)).first()
            if row is None:
                return None
            told = {} if verdict is None else {"verdict": _beside(row.verdict, verdict, state)}
            if state == State.DONE and row.more and row.stop is None:
                if told:
                    work.execute(update(RUNS).where(*mine).values(**told))
                tell(work, claim.run_id, now, [("note", {"line": f"goes on with {row.more}"})])
                return str(row.more)
            over = {"state": state, "ended_at": now, "error": error, "stop": None, "lease_until": None, "losses": 0}
            work.execute(update(RUNS).where(*mine).values(**over, **told))
            tell(work, claim.run_id, now, [("state", {"state": state, "error": error})])
        return None


def _beside(before: str, verdict: str, state: State) -> str:
    """What came of a run; that it failed now takes nothing from what it had come to before."""
    return json.dumps({**json.loads(before), **json.loads(verdict)}) if state == State.FAILED else verdict


def tell(work: Connection, run_id: str, at: float, said: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Append events to a run's; whoever does holds its row, so that numbers come to be seen in their order."""
    if not said:
        return
    grown = update(RUNS).where(RUNS.c.id == run_id).values(seq=RUNS.c.seq + len(said)).returning(RUNS.c.seq)
    first = work.execute(grown).scalar_one() - len(said) + 1
    rows = [
        {"run_id": run_id, "seq": first + place, "at": at, "kind": kind, "body": json.dumps(body, ensure_ascii=False)}
        for place, (kind, body) in enumerate(said)
    ]
    work.execute(insert(EVENTS), rows)


def _next(work: Connection, most_working: int) -> Row[Any] | None:
    """Of who has the fewest at work and waited longest for a start, the run that waits longest."""
    waiting = select(RUNS).join(USERS).where(RUNS.c.state == State.QUEUED, USERS.c.disabled_at.is_(None))
    first: dict[str, Row[Any]] = {}
    for row in work.execute(waiting.order_by(RUNS.c.queued_at, RUNS.c.id)):
        first.setdefault(row.user_id, row)
    busy = select(RUNS.c.user_id, func.count()).where(RUNS.c.state.in_(BUSY)).group_by(RUNS.c.user_id)
    at_work: dict[str, int] = {row[0]: row[1] for row in work.execute(busy)}
    started = select(RUNS.c.user_id, func.max(RUNS.c.turn_at)).group_by(RUNS.c.user_id)
    last: dict[str, float] = {row[0]: row[1] or 0.0 for row in work.execute(started)}
    able = [row for user, row in first.items() if at_work.get(user, 0) < most_working]
    return min(able, key=lambda r: (at_work.get(r.user_id, 0), last.get(r.user_id, 0.0), r.queued_at), default=None)


def _lose(work: Connection, row: Row[Any], now: float) -> None:
    """A process went away: back to the line, or, where that happens again and again, to an end."""
    losses = row.losses + 1
    if row.stop is not None:  # it was to end anyway
        values: dict[str, Any] = {"state": State.STOPPED, "ended_at": now, "stop": None, "lease_until": None}
        said: tuple[str, dict[str, Any]] = ("state", {"state": State.STOPPED, "error": None})
    elif losses >= MOST_LOSSES:
        stage = json.loads(row.progress).get("stage", "begin")
        error = PUSHED.format(losses=losses, stage=stage, log=LOG_TELLS)
        values = {"state": State.FAILED, "ended_at": now, "error": error, "lease_until": None}
        said = ("state", {"state": State.FAILED, "error": error})
    else:
        values = {"state": State.QUEUED, "lease_until": None}
        said = ("state", {"state": State.QUEUED, "error": "its process went away: what was finished is kept"})
    work.execute(update(RUNS).where(RUNS.c.id == row.id).values(**values, losses=losses))
    tell(work, row.id, now, [said])
