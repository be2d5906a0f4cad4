"""When boosting stops: one rule for all three boosters, so that their rounds can be compared.

Patience grows with the rounds it took to get here and with a small learning rate; the clock is looked at every round.
Classes are watched by log loss whatever the metric: on four tables it stopped at a better ROC AUC, on average, than AUC
itself, which is rough on few rows.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from search_spaces.spec import Params

MOST_ROUNDS = 2000


@dataclass
class Patience:
    """Told the validation error after every round, says when to stop."""

    learning_rate: float
    until: float
    best: int = 0  # rounds to keep
    best_error: float = math.inf
    is_cut: bool = False

    def stops(self, rounds: int, error: float | None) -> bool:
        """Whether this round was the last; `error` is None without validation rows, where every round is kept."""
        if error is None:
            self.best = rounds
        elif error < self.best_error or not self.best:
            self.best, self.best_error = rounds, error
        if time.monotonic() >= self.until:
            self.is_cut = True
            return True
        wait = max(20, 2 / self.learning_rate, 20 + 0.3 * self.best)
        return error is not None and rounds - self.best >= wait


def share_of(until: float, parts: int) -> float:
    """When the first of so many parts of the time left is over."""
    now = time.monotonic()
    return now + (until - now) / parts


def most_rounds(params: Params, has_valid: bool) -> int:
    """Rounds to run at most: as given, else far where validation rows will stop it, else by the learning rate."""
    if "rounds" in params:
        return int(params["rounds"])
    return MOST_ROUNDS if has_valid else int(min(MOST_ROUNDS, max(50, 12 / params["learning_rate"])))
