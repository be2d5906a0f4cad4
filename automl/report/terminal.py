"""The report in a terminal: its story set to the width there is, with bold headings where someone reads it."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence

from automl.report.told import Block

MOST_ROWS = 15  # of a table; the page has more, and report.json all
LEAST_WIDTH, MOST_WIDTH = 40, 160
MOST_WORD = 30  # characters; a longer word is broken before a column is left out
BOLD, FAINT, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def text(story: Sequence[Block], width: int = 80, *, is_styled: bool = False) -> str:
    """The story in lines of at most so many characters; `is_styled`: with bold headings and faint rules."""
    width = max(LEAST_WIDTH, min(width, MOST_WIDTH))
    lines: list[str] = []
    before = ""
    for block in story:
        if lines and not (block.kind == before and block.kind in ("item", "fact")):
            lines.append("")
        before = block.kind
        lines += _lines(block, width, is_styled=is_styled)
    return "\n".join(line.rstrip() for line in lines)


def clean(line: str) -> str:
    """Without signs that would move the cursor, colour the terminal or turn the line round."""
    return "".join(sign if unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co") else "�" for sign in line)


def _lines(block: Block, width: int, *, is_styled: bool) -> list[str]:
    said = clean(block.text)
    if block.kind in "123":
        return _heading(said, int(block.kind), width, is_styled=is_styled)
    if block.kind == "table":
        return _table(block, width)
    if block.kind == "code":
        return [f"    {said}"]  # whole, so that it can be copied
    start = {"item": "- ", "fact": f"{clean(block.name)}: "}.get(block.kind, "")
    return textwrap.wrap(start + said, width, subsequent_indent="  " if start else "", break_on_hyphens=False)


def _heading(said: str, level: int, width: int, *, is_styled: bool) -> list[str]:
    lines = textwrap.wrap(said, width)
    rule = {1: "=", 2: "-"}.get(level, "")
    if is_styled:
        lines = [f"{BOLD}{line}{PLAIN}" for line in lines]
        return [*lines, f"{FAINT}{'─' * width}{PLAIN}"] if rule else lines
    return [*lines, rule * min(width, max(map(len, lines), default=0))] if rule else lines


def _table(block: Block, width: int) -> list[str]:
    rows = [[clean(cell) for cell in row] for row in block.rows[: MOST_ROWS + 1]]
    widths, left_out = _fitted(rows, block.numbers, width)
    numbers = block.numbers[: len(widths)]
    lines = []
    for at, row in enumerate(rows):
        lines += _row(row[: len(widths)], widths, numbers)
        if at == 0:
            lines.append("  ".join("-" * wide for wide in widths))
    notes = [f"{len(block.rows) - 1 - MOST_ROWS} more lines"] if len(block.rows) - 1 > MOST_ROWS else []
    notes += [f"{left_out} more column{'s' * (left_out != 1)}"] if left_out else []
    return [*lines, *([f"({' and '.join(notes)} in report.html)"] if notes else [])]


def _fitted(rows: Sequence[Sequence[str]], numbers: Sequence[bool], width: int) -> tuple[list[int], int]:
    """The width of each column, words shrunk where they must be, and how many columns had no room at all."""
    wanted = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    least = []
    for at, is_number in enumerate(numbers):
        cells = [row[at] for row in rows]
        whole = cells[1:] if is_number else []  # a head may take several lines, and so may words, but no number
        longest = max((len(word) for cell in cells for word in cell.split()), default=0)
        least.append(max([min(longest, MOST_WORD), *map(len, whole)]))
    kept = len(least)
    while kept > 1 and sum(least[:kept]) + 2 * (kept - 1) > width:
        kept -= 1
    widths = least[:kept]
    room = width - sum(widths) - 2 * (kept - 1)
    while room > 0 and (short := [at for at in range(kept) if widths[at] < wanted[at]]):
        for at in short[:room]:
            widths[at] += 1
        room -= min(room, len(short))
    return [min(wide, width) for wide in widths], len(least) - kept


def _row(row: Sequence[str], widths: Sequence[int], numbers: Sequence[bool]) -> list[str]:
    """One row, in several lines where a cell needs them."""
    cells = [textwrap.wrap(cell, wide) or [""] for cell, wide in zip(row, widths, strict=True)]
    lines = []
    for line in range(max(map(len, cells))):
        parts = []
        for cell, wide, is_number in zip(cells, widths, numbers, strict=True):
            said = cell[line] if line < len(cell) else ""
            parts.append(f"{said:>{wide}}" if is_number else f"{said:<{wide}}")
        lines.append("  ".join(parts))
    return lines
