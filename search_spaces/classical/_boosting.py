"""When boosting stops: one rule for all three boosters, so that their rounds can be compared.

Patience grows with the rounds it took to get here and with a small learning rate; the clock is looked at every round.
A round of many classes on many rows may take seconds: where the rounds left are too few for learning to come to rest,
the learning rate rises. A booster that is cut half-way is right about classes and far too unsure of them.
Classes are watched by log loss whatever the metric: on four tables it stopped at a better ROC AUC, on average, than AUC
itself, which is rough on few rows.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from search_spaces.spec import Params

MOST_ROUNDS = 2000
# What the learning rates of all rounds should sum to at least. Measured on 23 classes: with 10 rounds a rate of 0.4 is
# better than 0.2 and 0.7, with 20 rounds 0.2 better than 0.4; past 0.4 trees of rare classes overshoot.
REST, FASTEST = 5.0, 0.4
NOTABLY = 1.1  # times higher that a rate must be to be changed: the clock of a busy machine trembles


@dataclass
class Patience:
    """Told the validation error after every round, says when to stop, and how fast to learn."""

    learning_rate: float  # of the next round
    until: float
    best: int = 0  # rounds to keep
    best_error: float = math.inf
    is_cut: bool = False
    learned: float = 0.0  # the sum of all learning rates so far
    is_steady: bool = False  # the library cannot change the learning rate on the way

    def __post_init__(self) -> None:
        self._planned, self._learned_best, self._first_at = self.learning_rate, 0.0, math.inf

    @property
    def rounds(self) -> int:
        """Those to keep, as so many at the learning rate that was planned."""
        return max(1, round(self._learned_best / self._planned))

    def stops(self, rounds: int, error: float | None) -> bool:
        """Whether this round was the last; `error` is None without validation rows, where every round is kept."""
        now = time.monotonic()
        self.learned += self.learning_rate
        if error is None or error < self.best_error or not self.best:
            self.best, self._learned_best = rounds, self.learned
            self.best_error = self.best_error if error is None else error
        if now >= self.until:
            self.is_cut = True
            return True
        self._hurry(rounds, now)
        wait = max(20, 2 / self.learning_rate, 20 + 0.3 * self.best)
        return error is not None and rounds - self.best >= wait

    def _hurry(self, rounds: int, now: float) -> None:
        """Learn faster where the seconds left hold too few rounds, by those so far; the first one also prepares."""
        self._first_at = min(self._first_at, now)
        if self.is_steady or rounds < 2 or math.isinf(self.until) or self.learned >= REST:
            return
        round_s = max(1e-9, (now - self._first_at) / (rounds - 1))
        needed = min(FASTEST, (REST - self.learned) * round_s / (self.until - now))
        if needed > NOTABLY * self.learning_rate:
            self.learning_rate = needed


def share_of(until: float, parts: int) -> float:
    """When the first of so many parts of the time left is over."""
    now = time.monotonic()
    return now + (until - now) / parts


def most_rounds(params: Params, has_valid: bool) -> int:
    """Rounds to run at most: as given, else far where validation rows will stop it, else by the learning rate."""
    if "rounds" in params:
        return int(params["rounds"])
    return MOST_ROUNDS if has_valid else int(min(MOST_ROUNDS, max(50, 12 / params["learning_rate"])))
