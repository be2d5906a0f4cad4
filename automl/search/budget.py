"""The clock of a run: what was granted, what is left, and what is kept back so that the end fits in as well."""

from __future__ import annotations

import math
import time

from automl.options import Budget

FINISH_SHARE = 0.06  # of the budget, kept for ensemble, refit, saving and the report
REFIT_SHARE = 0.2  # kept back instead where every member must be refitted at the end
FINISH_S = (1.5, 60.0)  # bounds of both


class Clock:
    """Seconds since the call to fit(), and until its promised return."""

    def __init__(self, budget: Budget, started: float | None = None) -> None:
        self.budget = budget
        self.started = time.monotonic() if started is None else started
        self.finish_share = FINISH_SHARE
        self.stages: dict[str, float] = {}
        self._stage: tuple[str, float] | None = None

    @property
    def is_timed(self) -> bool:
        """Whether the budget is in seconds. Otherwise nothing may depend on the clock: runs repeat exactly."""
        return self.budget.time_s is not None

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def until(self) -> float:
        """time.monotonic() of the promised return."""
        return self.started + self.budget.time_s if self.budget.time_s is not None else math.inf

    @property
    def finish_s(self) -> float:
        """Seconds kept back for what follows the search."""
        if self.budget.time_s is None:
            return 0.0
        low, high = FINISH_S
        return min(max(self.finish_share * self.budget.time_s, low), high, 0.5 * self.budget.time_s)

    @property
    def search_until(self) -> float:
        """time.monotonic() at which the search ends."""
        return self.until - self.finish_s

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
        return None if self.budget.time_s is None else self.elapsed - self.budget.time_s
