"""The tables of the server's database, and the records that their rows are read as.

Times are seconds since 1970 by the database's own clock, so that several servers agree. Options and answers are JSON.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA = 1  # raised with a step in database.py that brings older ones along
ALL = MetaData()


class State(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    WORKING = "working"
    STOPPING = "stopping"  # asked to end with the best so far
    DONE = "done"
    STOPPED = "stopped"  # ended on request; with a model, if the search had come so far
    FAILED = "failed"


BUSY = (State.WORKING, State.STOPPING)
OVER = (State.DONE, State.STOPPED, State.FAILED)

META = Table("meta", ALL, Column("name", String, primary_key=True), Column("value", Text, nullable=False))

USERS = Table(
    "users", ALL,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("password", String),  # salted and stretched; none: signs in by token
    Column("created_at", Float, nullable=False),
    Column("disabled_at", Float),
)  # fmt: skip

TOKENS = Table(
    "tokens", ALL,
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),
    Column("scope", String, nullable=False),
    Column("is_session", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("used_at", Float),
    Column("revoked_at", Float),
)  # fmt: skip

DATASETS = Table(
    "datasets", ALL,
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("file", String, nullable=False),  # under datasets/<id>/, or a path of this machine where is_outside
    Column("is_outside", Boolean, nullable=False),
    Column("size_bytes", Float, nullable=False),
    Column("sha256", String, nullable=False),
    Column("facts", Text, nullable=False),  # what a look at it found: kind, rows, columns
    Column("created_at", Float, nullable=False),
    Index("datasets_of_user", "user_id", "created_at", "id"),
)  # fmt: skip

RUNS = Table(
    "runs", ALL,
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("dataset_id", String, nullable=False, index=True),  # which may be removed once the run is over
    Column("name", String, nullable=False),
    Column("options", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("is_shared", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("queued_at", Float, nullable=False),
    Column("started_at", Float),
    Column("turn_at", Float),  # when its newest process was started: its user's turn was used then
    Column("ended_at", Float),
    Column("server", String),  # that its process was started by
    Column("attempt", Integer, nullable=False),  # counts its processes; only the newest may write
    Column("losses", Integer, nullable=False),  # processes that went away since the last one that got on
    Column("lease_until", Float),
    Column("stop", String),  # asked for: "best", or "now"
    Column("more", String),  # budget to go on with
    Column("seq", Integer, nullable=False),  # of its last event
    Column("progress", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("error", Text),
    Index("runs_of_user", "user_id", "created_at", "id"),
    Index("runs_by_state", "state", "queued_at"),
)  # fmt: skip

EVENTS = Table(
    "events", ALL,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("kind", String, nullable=False),
    Column("body", Text, nullable=False),
)  # fmt: skip

MODELS = Table(
    "models", ALL,
    Column("id", String, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("pick", String, nullable=False),  # empty: what the run chose
    Column("place", String, nullable=False),  # under the home
    Column("created_at", Float, nullable=False),
    UniqueConstraint("run_id", "pick"),
)  # fmt: skip

KEPT_ANSWERS = Table(
    "kept_answers", ALL,
    Column("user_id", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("fingerprint", String, nullable=False),
    Column("name", String, nullable=False),  # of what the request makes
    Column("status", Integer),  # none: it is still at work
    Column("body", Text),
    Column("created_at", Float, nullable=False),
    Column("begun_at", Float, nullable=False),  # the same, or when it was sent again after a crash
)  # fmt: skip

DEEDS = Table(
    "deeds", ALL,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False, index=True),
    Column("user_id", String),
    Column("user", String),
    Column("token_id", String),
    Column("address", String, nullable=False),
    Column("action", String, nullable=False),
    Column("place", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("times", Integer, nullable=False),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who may ask."""

    id: str
    name: str
    role: str
    has_password: bool
    created_at: float
    disabled_at: float | None


@dataclass(frozen=True, kw_only=True)
class Token:
    """What somebody asks with; the secret itself is nowhere."""

    id: str
    user_id: str
    name: str
    scope: str
    is_session: bool
    created_at: float
    expires_at: float | None
    used_at: float | None


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run as the server knows it."""

    id: str
    user_id: str
    dataset_id: str
    name: str
    options: dict[str, Any]
    state: State
    is_shared: bool
    created_at: float
    queued_at: float
    started_at: float | None
    ended_at: float | None
    attempt: int
    stop: str | None
    more: str | None
    seq: int
    progress: dict[str, Any]
    verdict: dict[str, Any]
    error: str | None


def new_id(kind: str, name: str | None = None) -> str:
    """A name that nobody guesses, for instance run_5f0c...; `kind` says of what."""
    return f"{kind}_{name or secrets.token_hex(8)}"
