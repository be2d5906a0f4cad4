"""The report as plain text and as Markdown: the same parts in the same order and the same words as on the page.

The page is what is told: its pieces are taken apart again into headings, sentences and tables, so that a section says
each thing once and neither the terminal nor Markdown can fall behind. Of a picture its description is told, and the
table behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from automl.report import page, sections

SKIPPED = ("style", "script", "nav", "legend", "label", "template")
UNTOLD = ("key", "narrow", "hint", "skip", "switch", "told-all", "other")  # classes of what only eyes on the page need
VOID = ("br", "img", "input", "meta", "link", "hr", "wbr", "col")
ENDED = ("h1", "h2", "h3", "h4", "p", "li", "pre", "dd", "td", "th", "figcaption", "summary", "desc", "div")


@dataclass(frozen=True)
class Block:
    """A heading, a sentence, a fact with its name, lines of code, or a table."""

    kind: str  # "1" | "2" | "3" of headings; "say" | "item" | "fact" | "code" | "table"
    text: str = ""
    name: str = ""  # of a fact
    rows: tuple[tuple[str, ...], ...] = ()  # of a table, its head first
    numbers: tuple[bool, ...] = ()  # of a table: the columns that stand to the right


def story(report: Mapping[str, Any], folder: Path | None = None) -> list[Block]:
    """All that the page of this report says."""
    found: list[Block] = []
    for section in sections.all_sections():
        found += taken_apart(str(page.piece(section, report, folder).drawn))
    return found


def taken_apart(html: str) -> list[Block]:
    """What a piece of a page says."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.blocks


class _Reader(HTMLParser):
    """Gathers the text of each element where it ends."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self._open: list[tuple[str, bool, str]] = []  # tags, whether what they hold is told, what follows them
        self._text: list[str] = []
        self._name = ""
        self._rows: list[list[tuple[str, bool]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A line ends at a break; a table begins; what is not told is noted."""
        if tag == "br":
            self._text.append(" · " if self._is_in("tbody") else " ")
        if tag in VOID:
            return
        given = dict(attrs)
        classes = (given.get("class") or "").split()
        is_told = self._is_told and tag not in SKIPPED and not (set(classes) & set(UNTOLD))
        is_told = is_told and "hidden" not in given and (tag == "svg" or given.get("aria-hidden") != "true")
        if tag == "svg" and given.get("aria-hidden") == "true":
            is_told = False
        if tag in ENDED and tag != "div":
            self._text.clear()
        if tag == "table":
            self._rows = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th") and self._rows:
            self._rows[-1].append(("", "n" in classes))
        after = (
            ", " if "tag" in classes else " " if classes or "style" in given else ""
        )  # what stands apart by its looks
        self._open.append((tag, is_told, after))

    def handle_endtag(self, tag: str) -> None:
        """What has ended is told."""
        is_told = self._is_told
        if tag == "span" and self._open and self._open[-1][2]:
            self._text.append(self._open[-1][2])
        while self._open and self._open.pop()[0] != tag:
            pass
        text = " ".join("".join(self._text).split()).removesuffix(",").replace(" ,", ",")
        if tag in ENDED:
            self._text.clear()
        if tag == "table":
            self._end_table()
        elif tag in ("td", "th") and self._rows and self._rows[-1]:
            self._rows[-1][-1] = (text if is_told else "", self._rows[-1][-1][1])
        elif is_told and text:
            self._end(tag, text)

    def handle_data(self, data: str) -> None:
        """Words that are told; of a picture only its description."""
        if self._is_told and (not self._is_in("svg") or self._is_in("desc")):
            self._text.append(data)

    @property
    def _is_told(self) -> bool:
        return not self._open or self._open[-1][1]

    def _is_in(self, *tags: str) -> bool:
        return any(tag in tags for tag, *_ in self._open)

    def _end(self, tag: str, text: str) -> None:
        if tag in ("h1", "h2", "h3", "h4"):
            self.blocks.append(Block(min(tag[1], "3"), text))
        elif tag == "dt":
            self._name = text
        elif tag == "dd":
            self._fact(text)
        elif tag == "pre":
            self.blocks.append(Block("code", text))
        elif tag == "li":
            self.blocks.append(Block("item", text))
        elif tag in ("p", "desc", "figcaption", "div"):
            self.blocks.append(Block("say", text[:1].upper() + text[1:]))

    def _fact(self, text: str) -> None:
        """A second description of the same name goes behind the first."""
        if not self._name and self.blocks and self.blocks[-1].kind == "fact":
            last = self.blocks.pop()
            self.blocks.append(Block("fact", f"{last.text} ({text})", last.name))
            return
        self.blocks.append(Block("fact", text, self._name))
        self._name = ""

    def _end_table(self) -> None:
        """Without columns that only pictures stand in."""
        rows, self._rows = [row for row in self._rows if row], []
        width = max(map(len, rows), default=0)
        if len(rows) < 2 or not self._is_told:
            return
        whole = [[*row, *[("", False)] * (width - len(row))] for row in rows]
        kept = [at for at in range(width) if any(row[at][0] for row in whole[1:])]
        numbers = tuple(any(row[at][1] for row in whole) for at in kept)
        self.blocks.append(
            Block("table", rows=tuple(tuple(row[at][0] for at in kept) for row in whole), numbers=numbers)
        )


def markdown(story_: Sequence[Block]) -> str:
    """As Markdown, with nothing in it that any name from the data could turn into markup."""
    lines: list[str] = []
    before = ""
    for block in story_:
        is_list = block.kind in ("item", "fact")
        if lines and not (is_list and before in ("item", "fact")):
            lines.append("")
        before = block.kind
        if block.kind in "123":
            lines.append(f"{'#' * int(block.kind)} {_plain(block.text)}")
        elif block.kind == "code":
            fence = "`" * max(3, 1 + max((len(run) for run in _runs(block.text, "`")), default=0))
            lines += [fence, block.text, fence]
        elif block.kind == "table":
            lines += _table(block)
        elif block.kind == "fact":
            lines.append(f"- {_plain(block.name)}: {_plain(block.text)}")
        else:
            lines.append(("- " if block.kind == "item" else "") + _plain(block.text))
    return "\n".join(lines) + "\n"


def _table(block: Block) -> list[str]:
    head, *rows = ["| " + " | ".join(map(_plain, row)) + " |" for row in block.rows]
    under = "| " + " | ".join("---:" if is_number else "---" for is_number in block.numbers) + " |"
    return [head, under, *rows]


def _plain(text: str) -> str:
    """The text with every sign escaped that Markdown reads as something else."""
    for sign in "\\`*_[]<>|#~$&":
        text = text.replace(sign, f"\\{sign}")
    return f"\\{text}" if text[:1] in ("+", "-", "=") else text


def _runs(text: str, sign: str) -> list[str]:
    """The stretches of one sign."""
    return [run for run in "".join(c if c == sign else " " for c in text).split() if run]
