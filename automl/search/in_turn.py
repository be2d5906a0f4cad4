"""Trials in the order of their numbers, when only these count: what is known when one is asked follows from its number.

Many run at once, and end in whatever order their machines bring about. So that the same seed and budget give the same
models anywhere, trial k is asked once all trials up to a lag before it have ended, and knows of these, in their order,
and of none after them. The lag grows with k: the longer a run, the more of its trials can be under way together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from automl.search.steps import Attempt, Start

# benchmarks/LOG.md, 2026-11-29, "trials in turn": a young sampler needs all results, a later one does with half
LEAST_LAG, NEEDED = 4, 40


def known_to(number: int) -> int:
    """The last trial whose results are known when trial `number` is asked; none before the first."""
    return max(0, number - max(LEAST_LAG, (number - NEEDED) // 2))


@dataclass
class Turns:
    """Whose turn it is: the trials as they are, and as the next one may know them."""

    attempts: dict[int, Attempt]
    folds: int  # of a whole trial
    known: dict[int, Attempt] = field(default_factory=dict)
    heirs: deque[Start] = field(default_factory=deque)  # of known trials for which memory ran out
    _shown: int = 0

    def is_next_due(self, count: int) -> bool:
        """Whether another one of `count` trials can be asked: all that it has to know have ended."""
        number = len(self.attempts)
        return number <= count and all(self._has_ended(n) for n in range(self._shown + 1, known_to(number) + 1))

    def show(self, again: deque[Start]) -> Iterable[Attempt]:
        """The trials that become known to the next one, in order; their heirs are taken out of `again`."""
        for number in range(self._shown + 1, known_to(len(self.attempts)) + 1):
            self.known[number] = self.attempts[number]
            self._shown = number
            mine = [start for start in again if start.parent == number]
            for start in mine:
                again.remove(start)
            self.heirs += mine
            yield self.attempts[number]

    def rest(self) -> Iterable[Attempt]:
        """Those that have ended and that none was there to know of."""
        return [a for number, a in sorted(self.attempts.items()) if number > self._shown and self._has_ended(number)]

    def begin(self, attempt: Attempt) -> None:
        """A trial was asked: others know its plan from now on."""
        self.known[attempt.plan.number] = Attempt(attempt.plan, has_heir=attempt.has_heir)

    def _has_ended(self, number: int) -> bool:
        attempt = self.attempts[number]
        return not attempt.running and (bool(attempt.trouble) or not attempt.missing(self.folds))
