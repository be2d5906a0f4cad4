"""The server's records: SQLite in its home, or PostgreSQL for several servers; one writer at a time where order counts.

SQLite's writers begin with BEGIN IMMEDIATE: a transaction that reads, then writes would be refused at once beside
another one. `alone` holds a lock of the whole database on PostgreSQL too, for what must not be decided twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, create_engine, event, insert, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError

from automl.doors.service.ground.tables import ALL, META, SCHEMA
from automl.errors import InputError, RunError
from automl.messages import one_line

BUSY_S = 20.0  # that a writer waits for another
LOCK = 0x61_75_74_6F  # of the whole database on PostgreSQL
TRIES = 3  # of two servers that make the tables at once, one has to look again


class Database:
    """Where rows are read and written."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite:")
        try:
            if self.is_sqlite:
                given: dict[str, Any] = {"connect_args": {"timeout": BUSY_S, "check_same_thread": False}}
                self._engine = create_engine(url, hide_parameters=True, **given)
                event.listen(self._engine, "connect", _as_we_need_it)
                event.listen(self._engine, "begin", _begin)
            else:
                url = url.replace("postgresql://", "postgresql+psycopg://", 1)
                given = {"pool_pre_ping": True, "pool_size": 10, "max_overflow": 10}
                self._engine = create_engine(url, hide_parameters=True, **given)
        except (ArgumentError, ModuleNotFoundError) as error:
            lacks = isinstance(error, ModuleNotFoundError)
            remedy = "pip install 'automl-frontier[postgres]'" if lacks else "Give postgresql://USER:PASSWORD@HOST/NAME"
            raise InputError(f"the database cannot be used: {one_line(error)}. {remedy}.") from error

    def prepare(self) -> None:
        """Make the tables where they are not there; a database of a newer version is refused."""
        for attempt in range(TRIES):
            try:
                with self.writing() as work:
                    ALL.create_all(work)
                    found = work.execute(select(META.c.value).where(META.c.name == "schema")).scalar()
                    if found is None:
                        work.execute(insert(META).values(name="schema", value=str(SCHEMA)))
                break
            except (IntegrityError, DBAPIError) as error:
                if attempt + 1 == TRIES:
                    raise RunError(f"the database cannot be used: {one_line(error.orig)}. Check that it runs and its "
                                   "address.") from None  # fmt: skip
                time.sleep(0.5)
        if found is not None and int(found) > SCHEMA:
            raise RunError(f"the database is of a newer version ({found}) than this one knows ({SCHEMA}). Update.")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Look at rows as they are at one moment."""
        with self._engine.connect() as work:
            yield work

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Change rows, all of it or nothing."""
        with self._engine.connect().execution_options(is_writing=True) as work, work.begin():
            yield work

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """The same, while nobody else who asks to be alone does."""
        with self.writing() as work:
            if not self.is_sqlite:
                work.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            yield work

    def now(self, work: Connection) -> float:
        """The time by the one clock that all servers share."""
        if self.is_sqlite:
            return time.time()
        return float(work.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()


def _as_we_need_it(connection: Any, _record: Any) -> None:
    """Transactions begin where we say so; readers and the writer do not wait for each other."""
    connection.isolation_level = None
    for line in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {line}")


def _begin(work: Connection) -> None:
    is_writing = work.get_execution_options().get("is_writing", False)
    work.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")
