"""The same request twice, done once: whoever sends an Idempotency-Key may send again what got no answer.

The first request with a key writes the key down before it acts, with a name for what it will make: acted on again
after a crash, it is found to be made. The same key with another body is refused; while the first is still at work, too.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from automl.doors.service.access.accounts import Principal
from automl.doors.service.ground.database import Database
from automl.doors.service.ground.problems import Problem
from automl.doors.service.ground.tables import KEPT_ANSWERS
from automl.errors import AutomlError, OptionError

LETTERS = 200
STUCK_S = 120.0  # after which a first request without an answer is taken for dead, as after a crash

Answer = tuple[int, dict[str, Any]]
Act = Callable[[str], Answer]  # makes something under a name that it is given, or finds it made


def once(database: Database, by: Principal, key: str | None, asked: Any, act: Act, kept_s: float) -> Answer:
    """What `act` answers, or what it answered when this was asked before."""
    if key is None:
        return act(secrets.token_hex(8))
    if not key.isascii() or not key.isprintable() or not 0 < len(key) <= LETTERS:
        raise OptionError(f"Idempotency-Key must be 1 to {LETTERS} plain letters, got {len(key)}. A UUID will do.")
    fingerprint = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
    mine = (KEPT_ANSWERS.c.user_id == by.user_id, KEPT_ANSWERS.c.key == key)
    begun = _begin(database, {"user_id": by.user_id, "key": key, "fingerprint": fingerprint}, kept_s)
    if not isinstance(begun, str):
        return begun
    try:
        status, body = act(begun)
    except (AutomlError, Problem):
        with database.writing() as work:
            work.execute(delete(KEPT_ANSWERS).where(*mine))  # nothing was done: the key is free again
        raise
    except Exception:  # who knows what was done: asked again, it is found or made
        with suppress(DBAPIError), database.writing() as work:
            work.execute(update(KEPT_ANSWERS).where(*mine).values(begun_at=0.0))
        raise
    with database.writing() as work:
        work.execute(update(KEPT_ANSWERS).where(*mine).values(status=status, body=json.dumps(body)))
    return status, body


def forget_open(database: Database) -> None:
    """Requests that a crash of the only server left without an answer: whoever asks again needs not wait."""
    with database.writing() as work:
        work.execute(update(KEPT_ANSWERS).where(KEPT_ANSWERS.c.status.is_(None)).values(begun_at=0.0))


def _begin(database: Database, made: dict[str, str], kept_s: float) -> Answer | str:
    """The answer where there is one already; else the name of what is to be made, with the key written down."""
    mine = (KEPT_ANSWERS.c.user_id == made["user_id"], KEPT_ANSWERS.c.key == made["key"])
    try:
        with database.writing() as work:
            now = database.now(work)
            work.execute(delete(KEPT_ANSWERS).where(KEPT_ANSWERS.c.created_at < now - kept_s))
            row = work.execute(select(KEPT_ANSWERS).where(*mine).with_for_update()).first()
            if row is None:
                name = secrets.token_hex(8)
                work.execute(insert(KEPT_ANSWERS).values(**made, name=name, created_at=now, begun_at=now))
                return name
            if row.fingerprint != made["fingerprint"]:
                raise Problem(
                    422, "this Idempotency-Key was used for another request. Take a new one for each.",
                    kind="key-reused",
                )  # fmt: skip
            if row.status is not None:
                return row.status, json.loads(row.body)
            if row.begun_at >= now - STUCK_S:
                raise _at_work()
            work.execute(update(KEPT_ANSWERS).where(*mine).values(begun_at=now))
            return str(row.name)
    except IntegrityError:  # another one came between
        raise _at_work() from None


def _at_work() -> Problem:
    return Problem(409, "a request with this Idempotency-Key is still at work. Ask again in a moment.",
                   kind="key-at-work", headers={"Retry-After": "1"})  # fmt: skip
