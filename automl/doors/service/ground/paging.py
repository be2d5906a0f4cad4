"""Long lists, a page at a time: by what the last row of the page before was, so that new rows shift nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Row, Select, Table, and_, or_

from automl.errors import OptionError
from automl.messages import shown

T = TypeVar("T")
MOST = 200


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list, and how to ask for the next one."""

    items: list[T]
    next: str | None


def after(asked: Select[Any], table: Table, cursor: str | None) -> Select[Any]:
    """The newest first, from where a page ended."""
    ordered = asked.order_by(table.c.created_at.desc(), table.c.id.desc())
    if cursor is None:
        return ordered
    try:
        at, name = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        at, name = float(at), str(name)
    except (ValueError, TypeError) as error:
        raise OptionError(f"cursor={shown(cursor)} is none that this server gave. Take the next of a page.") from error
    same = and_(table.c.created_at == at, table.c.id < name)
    return ordered.where(or_(table.c.created_at < at, same))


def page_of(rows: Sequence[Row[Any]], limit: int, read: Callable[[Row[Any]], T]) -> Page[T]:
    """A page of rows, of which one more than shown was asked for."""
    shown_rows = rows[:limit]
    more = None
    if len(rows) > limit:
        last = shown_rows[-1]
        more = base64.urlsafe_b64encode(json.dumps([last.created_at, last.id]).encode()).decode()
    return Page([read(row) for row in shown_rows], more)
