"""Findings that take one call each, found through the table below: each while there is time, in the order of the table.

Adding one is one new file with a `gather(GatherInputs)` plus one line; a section of the report reads it as
`inputs.found[name]`. Together they take a small share of the budget; one that comes too late is left out, and the
section says so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from automl.runtime.clock import FOUND_SHARE, LEAST_ASKED_S, WRITTEN_S

if TYPE_CHECKING:
    from automl.options import Options
    from automl.records import Audit
    from automl.refit.finish import FinishInputs, Selection

SHARE = FOUND_SHARE  # of the budget, for all findings together
_FINDINGS: dict[str, str] = {
    "audited": "automl.report.gather.audited",
    "forecasts": "automl.report.gather.forecasts",
    "coverage": "automl.report.gather.coverage",
    "calibration": "automl.report.gather.calibration",
    "residuals": "automl.report.gather.residuals",
    "rare": "automl.report.gather.rare",
    "slices": "automl.report.gather.slices",
    "surrogate": "automl.report.gather.surrogate",
    "explanations": "automl.report.gather.single",
    "slopes": "automl.report.gather.slopes",
    "trial_scores": "automl.report.gather.trial_scores",
    "shapes": "automl.report.gather.shapes",
}


@dataclass(frozen=True, kw_only=True)
class GatherInputs:
    """What a finding may look at."""

    finish: FinishInputs
    end: Selection
    options: Options
    audit: Audit
    importance: Mapping[str, Any] | None  # of the columns, as report.json holds it
    until: float  # time.monotonic() by which it should have ended; infinite where trials are counted


def gather_all(
    finish: FinishInputs, end: Selection, options: Options, audit: Audit, importance: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Every finding there is time for, by name, in the form in which report.json holds it."""
    clock, found = finish.context.clock, {}
    share_s = float("inf") if clock.limit_s is None else max(LEAST_ASKED_S, SHARE * clock.limit_s)
    until = min(clock.until - WRITTEN_S, time.monotonic() + share_s)
    given = GatherInputs(finish=finish, end=end, options=options, audit=audit, importance=importance, until=until)
    for name, module in _FINDINGS.items():
        if time.monotonic() < until:
            found[name] = import_module(module).gather(given)
    return found
