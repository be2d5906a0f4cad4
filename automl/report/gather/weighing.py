"""The audit with what it would change: its findings are learned again without, within so many fits."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl.refit.relearn import Omission
from automl.report.gather import doubtful, droppable, moved, repeated
from automl.report.gather.doubtful import Doubtful
from automl.report.gather.droppable import Dropped
from automl.report.gather.ground import AuditGround, Without, without
from automl.report.sections.audit import AuditedJson

FITS_WITHOUT_ROWS = 5  # folds, at most, on which rows are done without: their effect is small
COLUMN_FOLDS = 2  # the same of a column, where fits are left over


@dataclass(frozen=True)
class WeighedAudit:
    """What is said of the audit, and every suspect row, of which the report shows the first."""

    told: AuditedJson
    suspects: Sequence[Mapping[str, Any]]


def weigh(ground: AuditGround) -> WeighedAudit:
    """Suspect rows, suspect columns and twins across folds, with what each does to the score."""
    found = doubtful.find(ground)
    chosen = droppable.choose(ground)
    said = _learned(ground, _planned(ground, found, chosen))
    told: AuditedJson = {
        "findings": droppable.tell(ground, chosen, said),
        "suspects": doubtful.tell(ground, found, said.get(doubtful.CHANGE)),
        "twins": repeated.find(ground) if _in_time(ground) else None,
        "shift": moved.find(ground) if _in_time(ground) else None,
    }
    drifted = None if told["shift"] is None else moved.finding(told["shift"])
    told["findings"] += [] if drifted is None else [drifted]
    return WeighedAudit(told, doubtful.listed(ground, found))


def _in_time(ground: AuditGround) -> bool:
    """Whether there is time for more; always, where trials are counted."""
    return time.monotonic() < ground.judged.until


def _planned(ground: AuditGround, found: Doubtful, chosen: Sequence[Dropped]) -> list[tuple[Omission, int]]:
    """Every column once, then the rows on every fold that learned from some, then columns on a second fold."""
    if not ground.learner or not ground.folds:
        return []
    first, *others = ground.folds
    plan = [(one.change, first) for one in chosen]
    if len(found.rows):
        learns = [k for k in ground.folds if np.isin(found.rows, ground.shared.folds.train(k)).any()]
        plan += [(found.change, fold) for fold in learns[:FITS_WITHOUT_ROWS]]
    plan += [(one.change, fold) for fold in others[: COLUMN_FOLDS - 1] for one in chosen]
    return plan[: ground.most_fits]


def _learned(ground: AuditGround, plan: Sequence[tuple[Omission, int]]) -> dict[str, Without | None]:
    """By change, what is said without it."""
    by_change: dict[str, dict[int, np.ndarray | None]] = {}
    for (change, fold), said in zip(plan, ground.learn(plan) if plan else (), strict=True):
        by_change.setdefault(change.name, {})[fold] = said
    return {name: without(ground, said) for name, said in by_change.items()}
