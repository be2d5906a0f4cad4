"""Who gets the next worker: one more fold for a promising trial, or a first look at another configuration.

Every family gets one fair look, in the decision's order. Then families compete: the closer to the best and the cheaper,
the more trials. A trial proves itself on fold 0 before the rest of its bag is paid for, and nothing is started that
cannot finish. In runs counted in trials nothing here looks at the clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from automl.records import Fold, Plan, Spent
from search_spaces.spec import Family

LOOKS_PER_BAG = 3  # of three configurations looked at, about one is worth all its folds
GAP = 0.10  # an error 10 % above the best makes a family e times less likely to be asked
FIT_SHARE = 0.5  # of all search seconds at most for one bag; a fold that would take longer is cut by its deadline
SECONDS_PER_CELL = 3.5e-6  # of a default LightGBM fold on one thread; the families' `cost` is relative to it
START_S = 0.15


@dataclass
class Attempt:
    """A trial while it lives."""

    plan: Plan
    folds: dict[int, Fold] = field(default_factory=dict)
    running: set[int] = field(default_factory=set)
    spent: Spent = field(default_factory=Spent)
    trouble: str = ""  # why it will get no more folds
    status: str = ""  # of the job that went wrong
    ended_s: float = 0.0  # when its last fold ended, since the start of the run

    @property
    def error(self) -> float:
        """Mean error over the folds so far."""
        return sum(f.error for f in self.folds.values()) / len(self.folds) if self.folds else math.inf

    def missing(self, count: int) -> list[int]:
        """Folds neither done nor under way."""
        return [k for k in range(count) if k not in self.folds and k not in self.running]


@dataclass(frozen=True)
class Start:
    """Begin a new trial."""

    family: Family
    given: dict[str, Any] | None  # a tried-first configuration; None: ask the sampler
    because: str


@dataclass(frozen=True)
class Continue:
    """Give a trial its next fold."""

    number: int
    fold: int


class Allocator:
    """Decides the next step from what is known so far."""

    def __init__(self, families: list[Family], folds: int, work: float, slots: int) -> None:
        self.families = families
        self.folds = folds
        self.work = work  # cells of a training fold times outputs
        self.slots = slots
        self.attempts: dict[int, Attempt] = {}
        self.neural_share = 1.0

    # --- what things cost ---------------------------------------------------------------------------------------------

    def fold_s(self, family: Family) -> float:
        """Predicted seconds of one fold: the median seen in this run, else the prior scaled by what was seen."""
        seen = [fold.fit_s for a in self._of(family) for fold in a.folds.values()]
        if seen:
            return median(seen)
        ratios = [median(f.fit_s for f in a.folds.values()) / self._prior(a) for a in self._alive() if a.folds]
        return self._prior_s(family) * (median(ratios) if ratios else 1.0)

    def _prior(self, attempt: Attempt) -> float:
        return self._prior_s(next(f for f in self.families if f.name == attempt.plan.family))

    def _prior_s(self, family: Family) -> float:
        return START_S + family.cost * SECONDS_PER_CELL * self.work

    # --- the next step ------------------------------------------------------------------------------------------------

    def next(self, left_s: float) -> Start | Continue | None:
        """The next step with `left_s` seconds to go, or None when nothing more can finish."""
        first = self._first_look(left_s)
        if first is not None:
            return first
        step = self._continue(left_s)
        if step is not None:
            return step
        return self._start(left_s) or self._continue(left_s, only_good=False)

    def whole_trial(self) -> Start:
        """The next configuration when only trials are counted; all its folds will run."""
        unseen = [family for family in self.families if not self._of(family)]
        if unseen:
            return self._config(unseen[0], "first look at the family")
        return self._config(self._fairest(self.families, lambda family: family.cost), "")

    def _first_look(self, left_s: float) -> Start | None:
        for family in self.families:
            if not self._of(family) and self.fold_s(family) * 1.2 < left_s:
                return self._config(family, "first look at the family")
        return None

    def _continue(self, left_s: float, *, only_good: bool = True) -> Continue | None:
        """The best trial with folds to go, if it earned them and the rest of its bag fits."""
        looked = sorted((a for a in self._alive() if 0 in a.folds), key=lambda a: a.folds[0].error)
        worth = math.ceil(len(looked) / LOOKS_PER_BAG) + 1 if only_good else len(looked)
        for attempt in looked[:worth]:
            missing = attempt.missing(self.folds)
            if missing and self._bag_s(attempt, len(missing)) < left_s:
                return Continue(attempt.plan.number, missing[0])
        return None

    def _bag_s(self, attempt: Attempt, folds: int) -> float:
        """Seconds until the remaining folds of a trial are done."""
        each = max(fold.fit_s for fold in attempt.folds.values())
        return each * math.ceil((folds + len(attempt.running)) / self.slots)

    def _start(self, left_s: float) -> Start | None:
        """A new configuration of the family with the best claim, if a whole bag of it still fits."""
        bag = math.ceil(self.folds / self.slots)
        able = [f for f in self.families if self._of(f) and not self._is_hopeless(f) and self.fold_s(f) * bag < left_s]
        able = [f for f in able if f.route != "neural" or self._neural_spent() <= self.neural_share]
        return self._config(self._fairest(able, self.fold_s), "") if able else None

    def _fairest(self, families: list[Family], cost: Callable[[Family], float]) -> Family:
        """Closeness to the best error over the root of its cost and over the number of trials it already had."""
        best = min((a.error for a in self.attempts.values()), default=math.inf)

        def claim(family: Family) -> float:
            mine = min((a.error for a in self._of(family)), default=math.inf)
            gap = (mine - best) / abs(best) if math.isfinite(mine) and best else 0.0 if mine == best else 50.0
            return math.exp(-min(gap / GAP, 50.0)) / math.sqrt(max(cost(family), 1e-3)) / (1 + len(self._of(family)))

        return max(families, key=claim)

    def _config(self, family: Family, because: str) -> Start:
        """The family's next configuration: its portfolio in order, then the sampler's ideas."""
        tried = len(self._of(family))
        configs = family.configs()
        if tried >= len(configs) and family.space:
            return Start(family, None, because or "search: its family is close to the best for its cost")
        place = "default" if tried == 0 else f"portfolio {tried} of {len(configs) - 1}"
        return Start(family, configs[min(tried, len(configs) - 1)], f"{place}{': ' + because if because else ''}")

    # --- who is who ---------------------------------------------------------------------------------------------------

    def _of(self, family: Family) -> list[Attempt]:
        return [a for a in self.attempts.values() if a.plan.family == family.name]

    def _alive(self) -> list[Attempt]:
        names = {family.name for family in self.families}  # the baseline is not among them
        return [a for a in self.attempts.values() if not a.trouble and a.plan.family in names]

    def _is_hopeless(self, family: Family) -> bool:
        """Nothing to tune, or nothing but trouble so far."""
        mine = self._of(family)
        return not family.space or (len(mine) >= 2 and all(a.trouble for a in mine))

    def _neural_spent(self) -> float:
        total = sum(a.spent.cpu_s for a in self.attempts.values())
        neural = {f.name for f in self.families if f.route == "neural"}
        return sum(a.spent.cpu_s for a in self.attempts.values() if a.plan.family in neural) / max(total, 1e-9)
