"""The report of a run for several targets: a list of verdicts, each with a link to the report of its own.

Like the report of one target it is drawn from its JSON alone and needs neither network nor script.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from automl.plain import as_json
from automl.report.page import environment, put, source

if TYPE_CHECKING:
    from jinja2 import Template

FORMAT = 1


def write(report: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write report.json and, from what it holds, report.html into the folder; give both paths."""
    text = json.dumps({"format": FORMAT, **as_json(report)}, ensure_ascii=False, indent=1, allow_nan=False)
    data = put(folder / "report.json", text, "backslashreplace")
    return data, put(folder / "report.html", draw(json.loads(data.read_text(encoding="utf-8"))), "xmlcharrefreplace")


def draw(report: Mapping[str, Any]) -> str:
    """The page of a report, given as plain JSON values."""
    return _page().render(report=report)


@cache
def _page() -> Template:
    made = environment()
    made.filters["link"] = lambda path: quote(str(path), errors="replace")
    return made.from_string(source("targets.html.j2"))
