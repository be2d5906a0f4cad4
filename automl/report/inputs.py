"""What the stages of a run leave behind for its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.ensemble.candidates import HeldOutComparison
    from automl.options import Options
    from automl.records import Audit, Dataset, Profile, Trial
    from automl.records.choice import Decision
    from automl.records.verdict import Verdict
    from automl.refit.finish import Selection
    from automl.runtime.clock import Clock
    from automl.runtime.folder import RunFolder
    from automl.runtime.invoice import Invoice


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """What the stages left behind; what `gather/` found is in the form in which report.json holds it."""

    options: Options
    dataset: Dataset
    profile: Profile
    audit: Audit
    decision: Decision
    trials: Sequence[Trial]
    comparison: HeldOutComparison
    end: Selection
    started: str
    interrupted: bool
    source: str | None  # the file the data came from; None: from memory
    bill: Invoice
    clock: Clock
    folder: RunFolder
    confusion: Mapping[str, Any] | None = None  # of classes
    samples: Mapping[str, Any] | None = None  # of images and sounds
    importance: Mapping[str, Any] | None = None  # of the columns
    students: Sequence[Trial] = ()  # models that learned from others at the end
    verdict: Verdict | None = None  # on the choice between routes
    parts: Mapping[str, Any] | None = None  # of a table that has several
    found: Mapping[str, Any] = field(default_factory=dict)  # by the names of gather/findings.py
