"""What an audit is weighed on: held-out answers, what models said of them, and a way to learn again without a part.

A run brings its own models; `automl audit` brings a quick one. All that follows is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from automl.data.prepare import Shared
from automl.modalities.mixture import Schema
from automl.records import Audit, Dataset, Profile, Score
from automl.refit.relearn import Omission
from automl.scoring.effects import Effect, Judged, effect

Learn = Callable[
    [Sequence[tuple[Omission, int]]], list[np.ndarray | None]
]  # without what, on which fold; None: not known


@dataclass(frozen=True, kw_only=True)
class AuditGround:
    """Held-out rows, and what was said of them."""

    dataset: Dataset
    profile: Profile
    audit: Audit
    schema: Schema
    shared: Shared
    judged: Judged  # all rows that were held out
    rows: np.ndarray  # of the data set, in their order
    said: np.ndarray  # of them by the most accurate model, as it is scored
    plain: np.ndarray  # the same as users read it: probabilities, or values
    teller: str  # the name of that model
    learner: str  # and of the configuration that is learned again; empty: none can be
    told: Mapping[int, np.ndarray]  # by fold, what that one said of its held-out rows
    learn: Learn
    most_fits: int
    why_none: str = ""  # why nothing is learned again
    held: Dataset | None = None  # the rows to test on
    apart: Callable[[Shared], np.ndarray | None] | None = None  # which of two samples rows are of, as a model says
    promised: Score | None = None
    test: Score | None = None  # on the rows to test on

    @property
    def folds(self) -> tuple[int, ...]:
        """Those that the configuration did."""
        return tuple(self.told)


@dataclass(frozen=True)
class Without:
    """What the configuration says without something, on the folds where that is known."""

    rows: np.ndarray  # of the data set
    before: np.ndarray
    after: np.ndarray
    folds: int


def without(ground: AuditGround, said: Mapping[int, np.ndarray | None]) -> Without | None:
    """The folds' answers together; None where no fold has any."""
    known = {fold: after for fold, after in said.items() if after is not None}
    if not known:
        return None
    return Without(
        np.concatenate([ground.shared.folds.held(fold) for fold in known]),
        np.concatenate([ground.told[fold] for fold in known]),
        np.concatenate(list(known.values())),
        len(known),
    )


def measured(ground: AuditGround, found: Without, among: np.ndarray | None = None) -> Effect | None:
    """The effect on all of these rows, or on those of them that are meant."""
    shared = ground.shared
    judged = Judged(
        metric=ground.judged.metric,
        y=shared.y[found.rows],
        weight=None if shared.weight is None else shared.weight[found.rows],
        blocks=None if shared.folds.blocks is None else shared.folds.blocks[found.rows],
        until=ground.judged.until,
    )
    if among is None:
        return effect(judged, found.before, found.after)
    return effect(judged.take(among), found.before[among], found.after[among])
