"""Who did what: a line for every request that changes something, takes something out, or was refused for who asks.

What happens hundreds of times a second, predictions, is counted for a second and written as one line. Bodies, answers
and secrets are never in it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError

from automl.doors.service.access.accounts import Principal
from automl.doors.service.ground.database import Database
from automl.doors.service.ground.tables import DEEDS

COUNTED_S = 1.0
MOST_TOLD_APART = 20  # lines of strangers, each time
MANY = "many places"


@dataclass(frozen=True, kw_only=True)
class Deed:
    """What was asked, by whom, and how it ended."""

    user_id: str | None
    user: str | None
    token_id: str | None
    address: str
    action: str  # GET, POST, ...
    place: str  # the path, without its query
    status: int

    @classmethod
    def of(cls, by: Principal | None, address: str, action: str, place: str, status: int) -> Deed:
        """From a request."""
        who = (None, None, None) if by is None else (by.user_id, by.user, by.token_id)
        return cls(
            user_id=who[0], user=who[1], token_id=who[2], address=address, action=action, place=place[:300],
            status=status,
        )  # fmt: skip


class Deeds:
    """The log of deeds."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._counted: Counter[Deed] = Counter()
        self._lock = threading.Lock()

    def note(self, deed: Deed) -> None:
        """Write it down now; with what is counted, where the database cannot take it."""
        try:
            self._write({deed: 1})
        except DBAPIError:
            self.count(deed)

    def count(self, deed: Deed) -> None:
        """Write it down soon, together with its like."""
        with self._lock:
            if deed.user_id is None and deed not in self._counted and len(self._counted) >= MOST_TOLD_APART:
                deed = replace(deed, place=MANY)  # strangers ask for what they like: that makes no lines without end
            self._counted[deed] += 1

    def flush(self) -> None:
        """Write down what was counted; where that fails it is counted still."""
        with self._lock:
            counted, self._counted = self._counted, Counter()
        try:
            if counted:
                self._write(counted)
        except DBAPIError:
            with self._lock:
                self._counted.update(counted)
            raise

    def _write(self, counted: dict[Deed, int]) -> None:
        at = time.time()
        with self._db.writing() as work:
            work.execute(insert(DEEDS), [{"at": at, **vars(deed), "times": times} for deed, times in counted.items()])

    def newest(self, count: int, before: int | None = None) -> list[dict[str, Any]]:
        """The last ones, the newest first; those `before` an id."""
        asked = select(DEEDS).order_by(DEEDS.c.id.desc()).limit(count)
        asked = asked if before is None else asked.where(DEEDS.c.id < before)
        with self._db.reading() as work:
            return [dict(row._mapping) for row in work.execute(asked)]
