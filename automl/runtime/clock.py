"""The clock of a run: what was granted, what is left, and what is kept back so that the end fits in as well."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from automl.options import Budget

FINISH_SHARE = 0.06  # of the budget, kept for ensemble, refit, saving and the report
REFIT_SHARE = 0.2  # kept back instead where every member must be refitted at the end
FINISH_S = (1.8, 60.0)  # bounds of the first
REFIT_S = 600.0  # most of the second: fits of minutes take as long at the end
# Of these, seconds that a stage keeps back for those after it:
CHOSEN_S = 0.8  # after the candidates: fitting no more, saving the model, the report
SAVED_S = 1.0  # after refits: saving the model, the report
WRITTEN_S = 0.5  # after the last measurement: the report
TOGETHER_S = 0.3  # after the last of several targets: their common report
ANSWERED_S = 0.2  # for a worker's answer to be taken in
LOOK_S, LOOK_SHARE = 0.8, 0.04  # to see where a model looks; at most that share of the budget
PARTS_S, PARTS_SHARE = 8.0, 0.06  # to learn without each part of a table; at most that share of the budget
EXPLAIN_S, EXPLAIN_SHARE = 3.0, 0.1  # to explain what is returned, where that is required; at most that share
PICKS_S, PICKS_SHARE = 5.0, 0.02  # to save and measure the named picks; at most that share of the budget
STUDENT_S, STUDENT_SHARE = 60.0, 0.1  # for one model that learns from the blend; at most that share of the budget
STUDENT_FROM_S = 20.0  # budgets below have no time for it
FOUND_SHARE = 0.03  # of the budget, for all that is found out of the returned model when it is saved
TEST_SHARE, TEST_ROW_S = 0.3, 1e-5  # of the budget at most, to score the model on test rows; a quick one takes so long
LEAST_ASKED_S = 0.3  # below it, no worker is asked for more


@dataclass(frozen=True)
class Tariff:
    """What a second of holding the machines costs."""

    money: float = 0.0
    kwh: float = 0.0


class Clock:
    """Seconds since the call to fit(), and until its promised return; money and energy are the seconds they buy."""

    def __init__(self, budget: Budget, started: float | None = None, *, money: float = 0.0, kwh: float = 0.0) -> None:
        self.budget = budget
        self.started = time.monotonic() if started is None else started
        self.limit_s = budget.time_s  # from the start to the promised return
        self.finish_share, self.is_refitted = FINISH_SHARE, False
        self.test_s = 0.0  # kept back for the rows that the returned model is scored on
        self.explain_s = 0.0  # kept back to explain what is returned
        self.student_s = 0.0  # kept back for models that learn from others
        self.found_s = 0.0  # kept back to find out how good it is where
        self.goodbye_s = 0.0  # kept back for the workers to end
        self.money, self.kwh = money, kwh  # spent on machines until `_since`
        self.stages: dict[str, float] = {}
        self._tariff, self._since = Tariff(), time.monotonic()
        self._stage: tuple[str, float] | None = None

    def hold(self, tariff: Tariff) -> None:
        """These machines are held from now on: settle what the earlier ones cost, and see how long the rest lasts."""
        now = time.monotonic()
        self.money += (now - self._since) * self._tariff.money
        self.kwh += (now - self._since) * self._tariff.kwh
        self._tariff, self._since = tariff, now
        budget, limits = self.budget, [self.budget.time_s]
        if budget.money is not None and tariff.money:
            limits.append(self.elapsed + (budget.money - self.money) / tariff.money)
        if budget.energy is not None and tariff.kwh:
            limits.append(self.elapsed + (budget.energy - self.kwh) / tariff.kwh)
        self.limit_s = min((limit for limit in limits if limit is not None), default=None)

    @property
    def is_timed(self) -> bool:
        """Whether the budget is in seconds. Otherwise nothing may depend on the clock: runs repeat exactly."""
        return self.budget.trials is None

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def until(self) -> float:
        """time.monotonic() of the promised return."""
        return self.started + self.limit_s - self.goodbye_s if self.limit_s is not None else math.inf

    @property
    def finish_s(self) -> float:
        """Seconds kept back for what follows the search."""
        if self.limit_s is None:
            return 0.0
        low, high = FINISH_S
        kept_s = min(max(self.finish_share * self.limit_s, low), REFIT_S if self.is_refitted else high)
        return min(kept_s + self.student_s + self.found_s + self.test_s, 0.5 * self.limit_s)

    @property
    def students_until(self) -> float:
        """time.monotonic() at which models that learn from others must be there."""
        return self.until - (self.finish_s - self.student_s)

    @property
    def search_until(self) -> float:
        """time.monotonic() at which the search ends."""
        return self.until - self.finish_s

    def left(self, kept_s: float = 0.0) -> float:
        """Seconds until the promised return, less those kept back."""
        return self.until - kept_s - time.monotonic()

    def keep_for_refits(self) -> None:
        """Keep back what it takes to fit every member once more on all rows."""
        self.finish_share, self.is_refitted = self.finish_share + REFIT_SHARE - FINISH_SHARE, True

    def keep_for_looks(self) -> None:
        """Keep back what it takes to see where the model looks, too."""
        if self.limit_s is not None:
            self.finish_share += min(LOOK_SHARE, LOOK_S / self.limit_s)

    def keep_for_explanations(self) -> None:
        """Keep back what it takes to explain what is returned, from the end of the search on."""
        if self.limit_s is not None:
            self.explain_s = min(EXPLAIN_S, EXPLAIN_SHARE * self.limit_s)
            self.finish_share += self.explain_s / self.limit_s

    def keep_for_picks(self) -> None:
        """Keep back what it takes to save and measure the named picks, too."""
        if self.limit_s is not None:
            self.finish_share += min(PICKS_SHARE, PICKS_S / self.limit_s)

    def keep_for_students(self) -> None:
        """Keep back what it takes to make a model that learns from others; a run of seconds has none to spare."""
        if self.limit_s is not None and self.limit_s >= STUDENT_FROM_S:
            self.student_s = min(STUDENT_S, STUDENT_SHARE * self.limit_s)

    def keep_for_findings(self) -> None:
        """Keep back what it takes to find out how good the returned model is where, and why, too."""
        if self.limit_s is not None:
            self.found_s = max(LEAST_ASKED_S, FOUND_SHARE * self.limit_s)

    def keep_for_parts(self) -> None:
        """Keep back what it takes to learn without each part of a table, too."""
        if self.limit_s is not None:
            self.finish_share += min(PARTS_SHARE, PARTS_S / self.limit_s)

    def keep_for_test(self, seconds: float) -> None:
        """Keep back what it takes to read the rows that the final model is scored on."""
        if self.limit_s is not None:
            self.test_s += min(TEST_SHARE * self.limit_s, seconds)

    @property
    def search_left(self) -> float:
        """Seconds of search left; infinite when only trials are counted."""
        return self.search_until - time.monotonic()

    def enter(self, stage: str) -> None:
        """Close the running stage's account and open the next one's."""
        now = time.monotonic()
        if self._stage is not None:
            name, since = self._stage
            self.stages[name] = self.stages.get(name, 0.0) + now - since
        self._stage = (stage, now)

    def overrun_s(self) -> float | None:
        """Seconds past the promise; below zero when early; None without a promise."""
        return None if self.limit_s is None else self.elapsed - self.limit_s
