"""How far each candidate's single predictions may be off, learned on its held-out predictions and kept for its model.

Scores are those of single fold models, read out as users see them; the model that is returned averages these, so it is
off a little less. Rows are weighed as in the comparison; where folds look forward, the newest count most.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from automl.data.prepare import Prepared
from automl.ensemble.candidates import HeldOutComparison
from automl.ensemble.frontier import error
from automl.modalities import mixture
from automl.modalities.mixture import Raw
from automl.model import conformity
from automl.records import Candidate
from automl.runtime.clock import SAVED_S, Clock
from automl.scoring import conformal
from automl.scoring.conformal import Conformal, Said, blended, rows_needed
from automl.scoring.metrics import SCALED, sample_rows
from automl.scoring.readout import calibrated

ROWS, CELLS, LEAST_ROWS = 10_000, 1_000_000, 2_000  # learned on so many rows, fewer where there are many classes
SHARE, LEAST_S = 0.005, 0.1  # of the budget that all candidates may take, and at least
_NONE = np.empty((0, 0))
OLDER = 0.5  # of the fold after it in time: what a row of an older one counts
LEAST_AGED = 2 * rows_needed(0.95)  # rows that are left by that, or all count alike: a level asks for more


@dataclass(frozen=True)
class HeldOutSample:
    """Held-out rows to learn from: which they are, their answers, and how they count."""

    rows: np.ndarray  # of the comparison's
    y: np.ndarray
    weight: np.ndarray | None
    blocks: np.ndarray | None
    levels: tuple[float, ...]
    is_of_classes: bool
    units: tuple[np.ndarray, np.ndarray] | None = None  # of steps of series
    is_aged: bool = False  # whether rows of older folds count less

    def learn(self, said: Said, rows: np.ndarray | None = None) -> Conformal:
        """From what a model says of these rows, or of some of them."""
        some = np.arange(len(self.y)) if rows is None else rows
        weight, blocks = (None if one is None else one[some] for one in (self.weight, self.blocks))
        if self.is_of_classes:
            return conformal.of_classes(self.y[some], said.predictions[some], weight=weight, blocks=blocks)
        return conformal.of_numbers(self.y[some], said.take(some), weight=weight, blocks=blocks)


def sample(comparison: HeldOutComparison, ready: Prepared, most: int | None = None) -> HeldOutSample:
    """The held-out rows, an even part of them where they are very many, or more than `most`."""
    wide = max(1, ready.shared.outputs)
    rows = sample_rows(comparison.y, max(LEAST_ROWS, min(ROWS, CELLS // wide)) if most is None else most)
    held = comparison.rows[rows]
    weight, is_aged = _aged(comparison, ready)
    return HeldOutSample(
        rows=rows,
        y=comparison.y[rows],
        weight=None if weight is None else weight[rows],
        blocks=None if comparison.blocks is None else comparison.blocks[rows],
        levels=tuple(ready.shared.levels),
        is_of_classes=comparison.metric.is_of_classes,
        units=mixture.units(Raw(_NONE, _NONE, blocks={n: b.take(held) for n, b in ready.shared.raw.blocks.items()})),
        is_aged=is_aged,
    )


def _aged(comparison: HeldOutComparison, ready: Prepared) -> tuple[np.ndarray | None, bool]:
    """What rows count: of older folds less, where as many are left as the usual levels need.

    Weights that bring errors of series to one scale say nothing of that: a step of a large series is one as well.
    """
    counted = None if comparison.metric.name in SCALED else comparison.weight
    if ready.shared.folds.kind != "forward":
        return counted, False
    fold = ready.shared.folds.of_row[comparison.rows]
    weight = np.ones(len(fold)) if counted is None else np.asarray(counted, dtype=np.float64)
    aged = weight * OLDER ** np.searchsorted(np.sort(comparison.folds), fold)
    if conformal.effective(fold, aged, None) < LEAST_AGED:
        return counted, False
    return aged, True


def said(candidate: Candidate, comparison: HeldOutComparison, given: HeldOutSample) -> Said:
    """What a candidate says of held-out rows, as users see it."""
    weights = [weight for weight in candidate.weights.values() if weight]
    members = [comparison.predictions[number][given.rows] for number, weight in candidate.weights.items() if weight]
    mixed = np.asarray(sum(weight * one for weight, one in zip(weights, members, strict=True)))
    told = blended(calibrated(mixed, candidate.readout), members, weights, given.levels)
    return told if given.units is None else replace(told, unit=given.units[0], step=given.units[1])


def until(clock: Clock) -> float:
    """When there is no time left for further candidates: refits and measurements come after them."""
    if clock.limit_s is None:
        return math.inf
    return min(clock.until - SAVED_S, time.monotonic() + max(LEAST_S, SHARE * clock.limit_s))


@dataclass(frozen=True)
class Conforming:
    """Learns for candidates as there is time, and at the latest when one is saved."""

    comparison: HeldOutComparison
    ready: Prepared
    run: Path

    def learn(self, field: Sequence[Candidate], until: float) -> None:
        """For all of them, the picks and the best first; what an earlier end of the run knew is forgotten."""
        shutil.rmtree(self.run / conformity.FOLDER, ignore_errors=True)
        given = sample(self.comparison, self.ready)
        known: dict[str, Conformal] = {}
        for one in sorted(field, key=lambda one: (not one.picks, error(one.score))):
            if time.monotonic() >= until:
                break
            known |= self._of(one, given)
        conformity.keep(self.run, known)

    def ensure(self, one: Candidate) -> None:
        """For the one that is saved, if there was no time before."""
        if conformity.of(self.run, one.name) is None:
            conformity.keep(self.run, self._of(one, sample(self.comparison, self.ready)))

    def _of(self, one: Candidate, given: HeldOutSample) -> dict[str, Conformal]:
        """By its name; nothing where its predictions are not finite."""
        told = said(one, self.comparison, given)
        return {one.name: given.learn(told)} if np.isfinite(told.predictions).all() else {}
