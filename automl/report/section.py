"""What a section of the report is: the keys of report.json that it holds, how they are gathered, how they are drawn.

A section stands in one file of `sections/`. Its page is a Jinja template that sees the report's JSON and nothing else,
save what its `shown` makes of that JSON; the words and pieces that all templates share are in page.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs


class ScoreJson(TypedDict, total=False):
    """A `records.Score`; of a mean over some folds the interval is missing."""

    metric: str
    value: float
    low: float
    high: float
    higher_is_better: bool
    level: float
    optimism: float  # already removed from the value


def _nothing(_report: Mapping[str, Any], _folder: Path | None) -> Mapping[str, Any]:
    return {}


def late(inputs: ReportInputs, name: str, nothing: Mapping[str, Any]) -> Mapping[str, Any]:
    """A finding of gather/findings.py; where it came too late what there is without it, and why."""
    found: Mapping[str, Any] | None = inputs.found.get(name)
    return {**nothing, "why_not": "no time was left for it; give a larger budget"} if found is None else found


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report.

    `gather` gives plain JSON values; it imports what is heavy only when it is called, so that drawing stays light.
    A template that draws nothing leaves its section out of the page.
    """

    name: str  # of its file, and its place in the page
    title: str  # in the list of the page's parts
    holds: type  # a TypedDict: its keys of report.json, any of which may be missing or null
    gather: Callable[[ReportInputs], Mapping[str, Any]]
    page: str  # the template
    shown: Callable[[Mapping[str, Any], Path | None], Mapping[str, Any]] = _nothing  # what the template shows besides
    style: str = ""  # lines of CSS that no other section needs
