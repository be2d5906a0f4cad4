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
    "decision": "automl.report.sections.decision",
    "lineage": "automl.report.sections.lineage",
    "frontier": "automl.report.sections.frontier",
    "picks": "automl.report.sections.picks",
    "leaderboard": "automl.report.sections.leaderboard",
    "cheaper": "automl.report.sections.cheaper",
    "cost": "automl.report.sections.cost",
    "ahead": "automl.report.sections.ahead",
    "audit": "automl.report.sections.audit",
    "data": "automl.report.sections.data",
    "forecasts": "automl.report.sections.forecasts",
    "mistakes": "automl.report.sections.mistakes",
    "calibration": "automl.report.sections.calibration",
    "residuals": "automl.report.sections.residuals",
    "rare": "automl.report.sections.rare",
    "slices": "automl.report.sections.slices",
    "coverage": "automl.report.sections.coverage",
    "columns": "automl.report.sections.columns",
    "slopes": "automl.report.sections.slopes",
    "shapes": "automl.report.sections.shapes",
    "surrogate": "automl.report.sections.surrogate",
    "single": "automl.report.sections.single",
    "parts": "automl.report.sections.parts",
    "looked": "automl.report.sections.looked",
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
