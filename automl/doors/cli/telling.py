"""What `automl report` does: the story of a run in the terminal, as Markdown, as a page, or as JSON."""

from __future__ import annotations

import json
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.doors.cli.streams import print_json
from automl.errors import InputError

if TYPE_CHECKING:
    from automl.report.told import Block


def report(given: Namespace) -> int:
    """Write what was asked for; the story on standard output where nothing else goes there."""
    from automl.result import open_run

    result = open_run(given.run)
    found = json.loads((result.folder / "report.json").read_text(encoding="utf-8"))
    asked = AskedReport(found, result.folder, str(result.folder / "report.html"), result.report)
    return tell_report(asked, given)


@dataclass(frozen=True)
class AskedReport:
    """The report that was asked for."""

    found: dict[str, Any]  # what report.json holds
    folder: Path | None  # where the run's files are, if they are here
    page: str  # where the page is to be read
    write: Callable[[str], Any]  # the page, to a file


def tell_report(asked: AskedReport, given: Namespace) -> int:
    """Write what was asked for of a report, wherever its run is."""
    from automl.report import told

    if given.json and given.markdown:
        raise InputError("--json and --markdown exclude each other, got both. Leave one away.")
    story = [] if given.json else _story(asked.found, asked.folder)
    if given.output:
        _write(given, asked, told.markdown(story))
    if given.json:
        print_json(asked.found)
    elif not given.markdown:
        _print(_set(story, asked.page))
    elif not given.output:
        _print(told.markdown(story))
    return 0


def story_of(folder: Path) -> list[Block]:
    """The story of a finished run."""
    return _story(json.loads((folder / "report.json").read_text(encoding="utf-8")), folder)


def _story(found: dict[str, Any], folder: Path | None) -> list[Block]:
    from automl.report import targets, told

    return told.taken_apart(targets.draw(found)) if "targets" in found else told.story(found, folder)


def _write(given: Namespace, asked: AskedReport, text: str) -> None:
    """The page, or Markdown, where it shall lie."""
    try:
        if given.markdown:
            Path(given.output).write_text(text, encoding="utf-8", errors="replace")
        else:
            asked.write(given.output)
    except OSError as error:
        raise InputError(f"{given.output!r} cannot be written: {error.strerror}. Name another file.") from error


def _set(story: list[Block], page: str) -> str:
    """The story as wide as the terminal is; plain, and 100 characters wide, where it goes into a file or a pipe."""
    from automl.report import terminal

    is_read = sys.stdout.isatty()
    width = shutil.get_terminal_size((100, 24)).columns if is_read else 100
    return f"{terminal.text(story, width, is_styled=is_read)}\n\nreport  {page}\n"


def _print(text: str) -> None:
    """Whatever the encoding of standard output cannot write is replaced."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), end="")
