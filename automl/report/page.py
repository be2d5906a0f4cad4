"""The page: each section's template drawn from the report's JSON, in the order of the table, in one frame.

Templates share their words and pieces here: whatever is missing is a dash, whatever is shown is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.plain import as_json
from automl.report import charts, sections, words
from automl.report.section import Section
from automl.runtime.durable import write_whole

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from markupsafe import Markup

MANY = 100  # rows of a table; the rest is in report.json
_PLAIN_FILTERS = (words.number, words.fixed, words.seconds, words.milliseconds, words.megabytes, words.percent)


def write(report: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write report.json and, from what it holds, report.html into the folder; give both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(report), ensure_ascii=False, indent=1, allow_nan=False)
    # a name from broken text may hold half a character; JSON spells it \udc80, HTML as a reference
    data = put(folder / "report.json", text, "backslashreplace")
    page = put(folder / "report.html", draw(json.loads(data.read_text(encoding="utf-8")), folder), "xmlcharrefreplace")
    return data, page


def draw(report: Mapping[str, Any], folder: Path | None = None) -> str:
    """The page of a report, given as plain JSON values (`schema.Report`); missing parts are left out or dashed.

    `folder`: of the run, whose pictures go into the page.
    """
    return framed(report, [piece(section, report, folder) for section in sections.all_sections()])


def framed(report: Mapping[str, Any], pieces: Sequence[Piece]) -> str:
    """The whole page of these pieces, the first of which is its head."""
    return _frame().render(report=report, pieces=pieces)


@dataclass(frozen=True)
class Piece:
    """A section as it stands on the page."""

    name: str
    title: str
    style: Markup
    drawn: Markup  # empty: it has nothing to show


def piece(section: Section, report: Mapping[str, Any], folder: Path | None = None) -> Piece:
    """Draw one section."""
    from markupsafe import Markup

    drawn = _template(section.page).render({**section.shown(report, folder), "report": report})
    style, text = Markup(section.style.strip()), Markup(drawn)  # noqa: S704 - its own; escaped as it was drawn
    return Piece(section.name, section.title, style, text if drawn.strip() else Markup())


def put(path: Path, text: str, errors: str) -> Path:
    """Write the file whole or not at all."""
    write_whole(path, text.encode("utf-8", errors))
    return path


def source(name: str) -> str:
    """A template of this room, read where the package lies, be it a folder or an archive."""
    return resources.files("automl.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _frame() -> Template:
    return _with_pieces().from_string(source("page.html.j2"))


@cache
def _template(page: str) -> Template:
    return _with_pieces().from_string(page.lstrip())


@cache
def _with_pieces() -> Environment:
    """With what the templates of several sections draw with."""
    made = environment()
    made.globals |= {"many": MANY, "lost": charts.LOST}
    macros = made.from_string(source("macros.html.j2")).module
    made.globals |= {name: getattr(macros, name) for name in ("behind", "figure", "more", "tile")}
    return made


def environment() -> Environment:
    """Jinja with the words of these pages: whatever is missing is a dash, whatever is shown is escaped."""
    from jinja2 import ChainableUndefined, Environment
    from markupsafe import Markup

    def is_missing(value: Any) -> bool:
        return value is None or isinstance(value, ChainableUndefined)

    def cut(value: Any, length: int = 40) -> str:
        """The text, shortened to the eye; the rest of it on hover."""
        if is_missing(value) or not str(value).strip():
            return words.DASH
        shown = words.short(value, length)
        if len(shown) >= len(str(value).strip()):
            return shown
        return Markup('<span title="{}">{}</span>').format(words.short(value, 600), shown)

    environment = Environment(
        autoescape=True,
        undefined=ChainableUndefined,
        finalize=lambda value: words.DASH if is_missing(value) else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "cut": cut,
        "each": words.each,
        "pairs": lambda value: list(value.items()) if isinstance(value, Mapping) else [],
        "score": words.value_of,
        "interval": words.interval_text,
        "effect": words.effect_text,
    }
    environment.filters |= {one.__name__: one for one in _PLAIN_FILTERS}
    environment.globals |= {"places": words.decimals}
    return environment
