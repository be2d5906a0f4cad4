"""Everything a run found, section by section, as the plain dictionary that becomes report.json."""

from __future__ import annotations

from typing import Any

from automl.report import sections
from automl.report.inputs import ReportInputs
from automl.report.schema import FORMAT, in_order


def report(inputs: ReportInputs) -> dict[str, Any]:
    """The report of one run, as `schema.Report` describes it."""
    found: dict[str, Any] = {"format": FORMAT}
    for section in sections.all_sections():
        found |= section.gather(inputs)
    return in_order(found)
