"""Rows asked about in batches: where memory runs out a batch is halved and tried again, and that is told.

Whoever wants to hear what is told opens `hearing` around the work; else it is nobody's concern.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from cluster.memory import is_out_of_memory

T = TypeVar("T")
_lines: ContextVar[list[str] | None] = ContextVar("lines", default=None)


@contextmanager
def hearing() -> Iterator[list[str]]:
    """The lines that are told meanwhile, each once."""
    lines: list[str] = []
    before = _lines.set(lines)
    try:
        yield lines
    finally:
        _lines.reset(before)


def tell(line: str) -> None:
    """Say something beside a result, to whoever is hearing."""
    lines = _lines.get()
    if lines is not None and line not in lines:
        lines.append(line)


def in_batches(count: int, most: int, ask: Callable[[slice], T], start: int = 0) -> Iterator[tuple[slice, T]]:
    """What `ask` says of rows up to `count`, `most` at once; of fewer from where memory runs out.

    Each answer comes with its rows, in their order. Where one row alone is too much, the error comes through.
    """
    while start < count:

        def some(at_once: int, start: int = start) -> tuple[slice, T]:
            rows = slice(start, min(start + at_once, count))
            return rows, ask(rows)

        most, (rows, said) = halved(min(most, count - start), some)
        yield rows, said
        start = rows.stop


def halved(most: int, work: Callable[[int], T]) -> tuple[int, T]:
    """What `work` makes of `most` rows at once, or of half as many, and so on where memory runs out; and how many."""
    while True:
        try:
            return most, work(most)
        except (RuntimeError, MemoryError) as problem:
            if not is_out_of_memory(problem) or most <= 1:
                raise
        # out here, since an error holds on to all that was being computed
        most //= 2
        tell(f"memory ran out: {most} rows at once from now on")
        let_go()


def let_go() -> None:
    """Give back what torch keeps of a GPU's memory for later; nothing where it computes on none."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
