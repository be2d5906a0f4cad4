"""The sections of the report in the order of the page, found through the table below; what one is says section.py.

Adding a section is one new file here plus one line; its keys of report.json, its place on the page and its tests come
from the table. The first one is the head of the page.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automl.report.section import Section

_SECTIONS = {
    "verdict": "automl.report.sections.verdict",
    "frontier": "automl.report.sections.frontier",
    "mistakes": "automl.report.sections.mistakes",
    "columns": "automl.report.sections.columns",
    "parts": "automl.report.sections.parts",
    "decision": "automl.report.sections.decision",
    "leaderboard": "automl.report.sections.leaderboard",
    "cost": "automl.report.sections.cost",
    "data": "automl.report.sections.data",
    "trials": "automl.report.sections.trials",
    "environment": "automl.report.sections.environment",
}


def names() -> list[str]:
    """Every section's name."""
    return list(_SECTIONS)


def get(name: str) -> Section:
    """The section of that name; ValueError for an unknown one."""
    if name not in _SECTIONS:
        raise ValueError(f"unknown section {name!r}. Known sections: {', '.join(_SECTIONS)}.")
    found: Section = import_module(_SECTIONS[name]).SECTION
    return found


def all_sections() -> list[Section]:
    """Every section, in the order of the page."""
    return [get(name) for name in _SECTIONS]
