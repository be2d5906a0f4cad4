"""How data is searched in which models of numbers lead, with a share for networks that see some of its columns.

Families for tables get what they would get of any table. A first course comes once each of them had a look, no longer
than one fold's part of the networks' share; what it gives, beside the best of the others on the same rows, says
whether networks keep their share, get most of the time, or nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from automl.search.courses import BEHIND, SHORTEST_S, NetworkScheduler, first_error, is_behind
from automl.search.lanes import Lanes
from automl.search.steps import Attempt, Continue, Course, Start
from search_spaces.spec import Params

AHEAD_SHARE = 0.6  # of all seconds for networks that are better than every family for tables
LOOKED_SHARE = 0.5  # share of the others' seconds after which a first course comes, whoever had no look


@dataclass
class MixedScheduler(NetworkScheduler):
    """Decides the next step where a table leads and networks see some of its columns."""

    def next(self, left_s: float) -> Start | Continue | None:
        """The next step with `left_s` seconds to go; None where nothing more can finish, or others must end first."""
        self.all_s = self.all_s or left_s
        kept_s = max(0.0, self._share() * self.all_s - self._spent_s())
        if self._is_first_due(left_s, kept_s):
            return self._free_course(min(left_s, kept_s))
        is_idle = left_s > kept_s and not any(attempt.running for attempt in self._mine())
        if is_idle and (step := self.others.next(left_s - kept_s)) is not None:
            return step
        if kept_s > 0 and left_s > SHORTEST_S and (step := self._free_course(left_s)) is not None:
            return step
        return self._of_numbers(left_s)

    def whole_trial(self) -> Start:
        """The next configuration when only trials are counted: families in turn, then networks by their share."""
        unseen = [family for family in self.networks if not self._of(family)]
        if any(not self._of(family) for family in self.families):
            return self.others.whole_trial()
        if unseen:
            return self._start(unseen[0], unseen[0].configs()[0], "default: first look at the family")
        mine = len(self._mine())
        if self.families and mine >= self._share() * (mine + len(self._numbers())):
            return self.others.whole_trial()
        family, given, because = next(self._untried(), (self.networks[0], None, "search"))
        return self._start(family, given, because)

    def _share(self) -> float:
        """Of all seconds for networks, as the prior has it until they were seen, and then as they were seen."""
        done = [attempt for attempt in self._mine() if attempt.folds]
        numbers = [attempt for attempt in self._numbers() if attempt.folds]
        if not done:
            tried = self._mine()
            return 0.0 if tried and all(attempt.trouble for attempt in tried) else self.load.neural_share
        if not numbers or not is_behind(min(done, key=first_error), numbers, 1.0):
            return max(AHEAD_SHARE, self.load.neural_share)
        worth = self.others.worth()
        is_wanted = any(worth.get(attempt.plan.number, 0.0) > 0 for attempt in done)
        return self.load.neural_share if is_wanted or not self._is_far_behind(done, numbers) else 0.0

    def _is_far_behind(self, done: list[Attempt], numbers: list[Attempt]) -> bool:
        return all(is_behind(attempt, numbers, BEHIND) for attempt in done)

    def _is_first_due(self, left_s: float, kept_s: float) -> bool:
        """Whether no network was tried, though each other family was looked at or had half of the others' time."""
        if self._mine() or min(left_s, kept_s) <= SHORTEST_S * self._parts:
            return False
        looked = all(any(a.folds or a.trouble for a in self._of(family)) for family in self.families)
        return looked or self.all_s - left_s > LOOKED_SHARE * (self.all_s - kept_s)

    def _free_course(self, left_s: float) -> Start | Continue | None:
        """A network's next course, once there is room for it."""
        course, lanes = self._course(left_s)
        return course if course is not None and self._is_free(lanes, course) else None

    def _granted(self, name: str, given: Params, lanes: Lanes, left_s: float, folds: int = 0) -> Course:
        """Where all folds count, no more than an equal part: without the others one fold competes with nothing."""
        course = super()._granted(name, given, lanes, left_s, folds)
        return replace(course, soft_s=min(course.soft_s, left_s / (folds or self._parts)))

    @property
    def _parts(self) -> int:
        """Folds that a network must do to compete."""
        return self._deal if self._is_bagged else 1

    def _spent_s(self) -> float:
        """Seconds on the clock that networks had."""
        return sum(attempt.spent.wall_s for attempt in self._mine())

    def _numbers(self) -> list[Attempt]:
        return [attempt for family in self.families for attempt in self._of(family)]
