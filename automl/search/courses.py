"""How networks on images and sounds get their seconds: short courses of several configurations, then long ones.

A network is as good as its course is long, and at the end of it its learning rate must have come to rest; so a course
is granted its seconds before it starts. Short ones tell which configuration is worth a long one; where they would have
to be so short that they tell nothing, the default gets all the time. Models of described files come before.

Of few files one fold says little. There models of numbers get all folds first, and few of them compete; a network gets
one fold after another, as many as leave each enough epochs, before another configuration is begun.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from automl.ensemble.blend import most_candidates
from automl.search.allocate import HOPELESS, Allocator, Weigh
from automl.search.lanes import Lanes, together
from automl.search.steps import Attempt, Continue, Course, Load, Start
from search_spaces.spec import Family, Params

# Set while cifar10, sign_digits and fsdd were run (benchmarks/LOG.md, 2026-11-21, "images and sounds"); what concerns
# few files, from FEW_STEPS on, was never measured apart.
LOOKS_SHARE = 0.3  # of the networks' seconds for short courses, all together
LOOK_SHARE, SHORTEST_LOOK_S, LONGEST_LOOK_S = 0.08, 12.0, 300.0  # of them for one, and its bounds
LOOK_EPOCHS = 15  # that a short course must hold: after fewer, those that learn fast look best
FEWEST_LOOKS = 2  # one alone would decide nothing
KNOWING = 0.3  # of the epochs of others, for a network that goes on from one trained before
ENOUGH_EPOCHS = 40  # of a long course, beyond which another network adds more than more of the same
SHORTEST_S = 2.0  # a course that is worth starting
MOST_LONG = 3  # courses that the time left is divided by: several networks are better than one, many short ones are not
SATED = 0.05  # of the error without a model: below it, one fold has too few errors left to tell models apart
NUMBERS_SHARE = 0.08  # of all seconds at most for the first look at one family that reads numbers: networks wait for it
WORTH_MORE = 0.15  # of the networks' seconds must be left for another long course
LOOK_THREADS, LONG_THREADS = 4, 8  # at most; where there are more, courses run side by side
LOOKS_ON_GPU = 4  # side by side on one
LOOK_FILES = 150  # held out, below which a short course picks the lucky configuration, not the good one
FEW_STEPS = 20_000  # over the number of files: of few files, whose epochs have few steps, more epochs are enough,
MOST_ENOUGH = 120  # at most so many: below 200 files others do not help
BEHIND = 1.3  # an error so many times another network's, on the same few files, earns no further folds
MOST_BAGS = 3  # configurations of networks that get all folds before the best get a second deal of them
COMPETE = 2  # times the models that a blend chooses from: more of described files would only find luckier ones

_Idea = tuple[Family, dict[str, Any], str]  # what to try, and why
EpochSeconds = Callable[..., float]  # of a configuration, on so many threads and GPUs; 0: unknown


@dataclass
class NetworkScheduler:
    """Decides the next step of a search in which networks read images or sounds; see Allocator for those on tables."""

    networks: list[Family]
    families: list[Family]  # that read numbers
    others: Allocator  # of those
    load: Load
    attempts: dict[int, Attempt]
    epoch_s: EpochSeconds
    all_s: float = 0.0  # from the first step on
    whole_s: float = 0.0  # from the first course on

    @classmethod
    def of(
        cls, families: list[Family], load: Load, attempts: dict[int, Attempt], weigh: Weigh, epoch_s: EpochSeconds
    ) -> NetworkScheduler:
        """Networks apart from the others."""
        networks = [family for family in families if family.is_coursed]
        others = [family for family in families if not family.is_coursed]
        return cls(networks, others, Allocator(others, load, attempts, weigh), load, attempts, epoch_s)

    @property
    def is_done_looking(self) -> bool:
        """Whether only folds of known trials are still worth it."""
        return self.others.is_done_looking

    @is_done_looking.setter
    def is_done_looking(self, is_done: bool) -> None:
        self.others.is_done_looking = is_done

    def see(self, load: Load) -> None:
        """What the search is up against now: machines come and go, and GPUs with them."""
        self.load = load
        self.others.see(load)

    def next(self, left_s: float) -> Start | Continue | None:
        """The next step with `left_s` seconds to go; None where nothing more can finish, or others must end first."""
        self.all_s = self.all_s or left_s
        if (step := self._numbers_first(left_s)) is not None:
            return step
        if self._numbers_lead() and (step := self._of_numbers(left_s)) is not None:
            return step
        course, lanes = (None, self._lanes(1, 1)) if left_s <= SHORTEST_S else self._course(left_s)
        if course is not None:
            return course if self._is_free(lanes, course) else None
        return self._of_numbers(left_s)

    @staticmethod
    def is_owed(_attempt: Attempt) -> bool:
        """A trial's first fold, or as many as it was begun with, is what its sampler is told."""
        return False

    def threads(self, number: int, left_s: float) -> int:
        """Threads for the next fold of a model of numbers where no other runs."""
        return self.others.threads(number, left_s)

    def whole_trial(self) -> Start:
        """The next configuration when only trials are counted; all its folds will run."""
        unseen = [f for f in [*self.families[:2], *self.networks, *self.families[2:]] if not self._of(f)]
        if unseen:
            return self._start(unseen[0], unseen[0].configs()[0], "default: first look at the family")
        config = next(self._untried(), None)
        if config is not None:
            family, given, because = config
            return self._start(family, given, because)
        return self._start(self.networks[0], None, "search") if self.networks else self.others.whole_trial()

    # --- models of numbers --------------------------------------------------------------------------------------------

    def _numbers_first(self, left_s: float) -> Start | Continue | None:
        """What comes before the networks: a look at each family, and all folds of the good ones where files are few."""
        if (family := self._unseen_cheap(left_s)) is not None:
            limit = Course(max(SHORTEST_S, NUMBERS_SHARE * self.all_s), threads=1, is_cap=True)
            return self._start(family, family.configs()[0], "default: first look at the family", limit)
        return self._unpaid_cheap(left_s) if self._is_bagged else None

    def _of_numbers(self, left_s: float) -> Start | Continue | None:
        """The next step of a model of numbers, once networks have left the threads."""
        if not self.families or any(attempt.running for attempt in self._mine()):
            return None
        is_done = self.others.is_done_looking
        self.others.is_done_looking = is_done or self._has_seen_enough()
        step = self.others.next(left_s)
        self.others.is_done_looking = is_done
        return step

    def _has_seen_enough(self) -> bool:
        """Whether so many configurations compete on few files that another one would win by chance."""
        looked = sum(len(self._of(family)) for family in self.families)
        return self._is_bagged and looked >= COMPETE * most_candidates(self.load.size.rows)

    def _unpaid_cheap(self, left_s: float) -> Continue | None:
        """Another fold of a family's first model, as long as all of its folds leave the networks their share."""
        slots = self.load.slots
        looked = [a for family in self.families for a in self._of(family) if a.folds and not a.trouble]
        room_s = (1 - self.load.neural_share) * self.all_s * slots - sum(attempt.spent.cpu_s for attempt in looked)
        limit = HOPELESS * min(map(first_error, looked), default=0.0)
        for place, attempt in enumerate(sorted(looked, key=first_error)):
            missing = attempt.missing(self.load.goal)
            owed_s = len(missing) * attempt.fold_s
            most_s = NUMBERS_SHARE * self.all_s * slots if place else room_s  # without the best there is no evidence
            is_cheap = owed_s < min(room_s, most_s) and owed_s / slots < left_s / 2
            if missing and is_cheap and first_error(attempt) <= limit:
                return Continue(attempt.plan.number, missing[0])
        return None

    def _unseen_cheap(self, left_s: float) -> Family | None:
        """A family that was not looked at, as long as all first looks leave the networks their share.

        The first one is always looked at, on as many rows as its time allows: a course must not begin without a model.
        """
        if self.families and not any(attempt.plan.number for attempt in self.attempts.values()):
            return self.families[0]
        room_s = (1 - self.load.neural_share) * self.all_s * self.load.slots
        for family in self.families:
            mine = self._of(family)
            room_s -= max((a.fold_s or family.price.fit_s(self.load.size) for a in mine), default=0.0)
            price_s = self._likely_s(family)
            if not mine and price_s < min(room_s, NUMBERS_SHARE * self.all_s) and price_s < left_s / 2:
                return family
        return None

    def _likely_s(self, family: Family) -> float:
        """Predicted seconds of a fit: the prior, or less as far as those seen took less that had time for all rows."""
        most_s = NUMBERS_SHARE * self.all_s
        seen = [(a.fold_s, f.price.fit_s(self.load.size)) for f in self.families for a in self._of(f) if a.folds]
        ratios = [took_s / price_s for took_s, price_s in seen if price_s < most_s]
        return min(1.0, median(ratios) if ratios else 1.0) * family.price.fit_s(self.load.size)

    def _numbers_lead(self) -> bool:
        """Whether a model of numbers is better than all networks after a long course."""
        long = [attempt for attempt in self._mine() if attempt.plan.is_long and 0 in attempt.folds]
        numbers = [a for family in self.families for a in self._of(family) if 0 in a.folds]
        if not (long and numbers):
            return False
        best, rival = min(long, key=first_error), min(numbers, key=first_error)
        if self._is_bagged:
            return is_behind(min(long, key=lambda a: (-len(a.folds), a.error)), numbers, 1.0)
        return first_error(rival) < first_error(best) and not self._is_sated(best)

    # --- networks -----------------------------------------------------------------------------------------------------

    def _course(self, left_s: float) -> tuple[Start | Continue | None, Lanes]:
        """A short course of another configuration, or a long one of the best, and where it may run."""
        self.whole_s = self.whole_s or left_s
        mine, lanes = self._mine(), self._lanes(LOOK_THREADS, LOOKS_ON_GPU)
        look_s, looks = self._looks(lanes)
        if (torn := next((a for a in mine if not (a.folds or a.running or a.trouble)), None)) is not None:
            return self._again(torn, look_s, left_s)
        short = [attempt for attempt in mine if not attempt.plan.is_long]
        if len(short) < looks and len(short) == len(mine):
            family, given, told = next(self._untried(), (self.networks[0], None, "search"))
            course = Course(look_s, lanes.threads, lanes.gpus)
            return self._start(family, given, f"{told}: a short course", course), lanes
        lanes = self._lanes(LONG_THREADS, 1)
        long = [attempt for attempt in mine if attempt.plan.is_long]
        is_over = bool(long) and left_s < WORTH_MORE * self.whole_s
        if is_over or any(attempt.running for attempt in short):
            return None, lanes
        choose = self._bag if self._is_bagged else self._long_course
        return choose(short, long, lanes, left_s), lanes

    def _again(self, torn: Attempt, look_s: float, left_s: float) -> tuple[Continue, Lanes]:
        """A course that ended with an earlier driver goes on from the state that it kept."""
        plan = torn.plan
        lanes = self._lanes(LONG_THREADS, 1) if plan.is_long else self._lanes(LOOK_THREADS, LOOKS_ON_GPU)
        short = Course(min(look_s, left_s), lanes.threads, lanes.gpus)
        course = self._granted(plan.family, plan.params, lanes, left_s) if plan.is_long else short
        return Continue(plan.number, 0, course), lanes

    def _looks(self, lanes: Lanes) -> tuple[float, int]:
        """Seconds of a short course, and how many there are; none where they are too few to choose from."""
        default = self.networks[0]
        epochs = LOOK_EPOCHS * (KNOWING if default.goes_on else 1.0)
        least_s = max(SHORTEST_LOOK_S, epochs * self.epoch_s(default, default.configs()[0], lanes.threads))
        look_s = max(least_s, min(LONGEST_LOOK_S, LOOK_SHARE * self.whole_s))
        looks = int(LOOKS_SHARE * self.whole_s / look_s) * lanes.count
        if self._is_bagged and self.load.size.rows < LOOK_FILES * self._deal:
            looks = 0
        return look_s, looks if looks >= FEWEST_LOOKS else 0

    def _long_course(
        self, short: list[Attempt], long: list[Attempt], lanes: Lanes, left_s: float
    ) -> Start | Continue | None:
        """The best configuration that has not had one; once it makes hardly any errors, another fold of it."""
        done = [attempt for attempt in long if attempt.folds]
        best = min(done, key=first_error, default=None)
        if best is not None and self._is_sated(best) and best.missing(self.load.folds):
            return self._evidence(best, lanes, left_s)
        if any(attempt.trouble for attempt in long) and not done:
            return None  # it would fail again
        fresh = self._fresh(short, long) or (self._another_seed(best) if best is not None else None)
        if fresh is None:
            return None
        family, given, told = fresh
        return self._start(family, given, told, self._granted(family.name, given, lanes, left_s))

    def _bag(self, short: list[Attempt], long: list[Attempt], lanes: Lanes, left_s: float) -> Start | Continue | None:
        """Of few files: one fold after another of a network, until each file was held out; then the same of another."""
        alive = [attempt for attempt in long if not attempt.trouble]
        if long and not alive:
            return None  # it would fail again
        fresh = self._fresh(short, long)
        seen = {attempt.plan.family for attempt in long}
        if fresh is not None and (not long or (fresh[0].name not in seen and self._holds(fresh, lanes, left_s / 2))):
            return self._begun(fresh, lanes, left_s)
        good = sorted((a for a in alive if not is_behind(a, alive, BEHIND)), key=lambda a: (-len(a.folds), a.error))
        for attempt in good:
            if missing := attempt.missing(self._deal):
                return self._another_fold(attempt, missing, lanes, left_s)
        if fresh is not None and len(long) < MOST_BAGS and self._holds(fresh, lanes, left_s / self._deal):
            return self._begun(fresh, lanes, left_s)
        for attempt in sorted(good, key=lambda a: a.error):
            if missing := attempt.missing(self.load.folds):
                return self._another_fold(attempt, missing, lanes, left_s)
        again = self._another_seed(min(good, key=lambda a: a.error))
        return self._begun(again, lanes, left_s) if self._holds(again, lanes, left_s / self._deal) else None

    def _begun(self, fresh: _Idea, lanes: Lanes, left_s: float) -> Start:
        family, given, told = fresh
        return self._start(family, given, told, self._granted(family.name, given, lanes, left_s))

    def _another_fold(self, attempt: Attempt, missing: list[int], lanes: Lanes, left_s: float) -> Continue:
        plan = attempt.plan
        course = self._granted(plan.family, plan.params, lanes, left_s, len(missing))
        return Continue(plan.number, missing[0], course)

    def _holds(self, fresh: _Idea, lanes: Lanes, seconds: float) -> bool:
        """Whether so many seconds are enough epochs of a configuration."""
        return self._enough(fresh[0]) * self.epoch_s(fresh[0], fresh[1], lanes.threads) <= seconds

    def _fresh(self, short: list[Attempt], long: list[Attempt]) -> _Idea | None:
        """The best configuration that has not had a long course."""
        ranked = [attempt for attempt in sorted(short, key=lambda attempt: attempt.error) if attempt.folds]
        if len(long) < len(ranked):
            plan = ranked[len(long)].plan
            told = f"a long course of trial {plan.number}, place {len(long) + 1} of {len(ranked)} after short ones"
            return self._named(plan.family), dict(plan.params), told
        config = next(self._untried(), None)
        return None if config is None else (config[0], config[1], f"{config[2]}: a long course")

    def _another_seed(self, best: Attempt) -> _Idea:
        """Where all known configurations had their course: the best of them, begun from other weights."""
        told = f"a long course of trial {best.plan.number} with another seed"
        return self._named(best.plan.family), dict(best.plan.params), told

    def _evidence(self, best: Attempt, lanes: Lanes, left_s: float) -> Continue:
        """Another fold of a network that is right nearly always, and before it of its cheap rival, if that is, too."""
        fold = best.missing(self.load.folds)[0]
        numbers = [a for family in self.families for a in self._of(family) if self._is_sated(a) and not a.trouble]
        rival = min(numbers, key=first_error, default=None)
        if rival and fold in rival.missing(self.load.folds) and rival.fold_s < WORTH_MORE * left_s:
            return Continue(rival.plan.number, fold)
        return Continue(best.plan.number, fold, self._granted(best.plan.family, best.plan.params, lanes, left_s))

    def _is_sated(self, attempt: Attempt) -> bool:
        """Whether it made so few errors on the first fold that this fold tells no more."""
        baseline = self.attempts.get(0)
        return first_error(attempt) <= (SATED * baseline.error if baseline is not None and baseline.folds else 0.0)

    def _granted(self, name: str, given: Params, lanes: Lanes, left_s: float, folds: int = 0) -> Course:
        """What is left, or an equal part of it where several courses of enough epochs fit in."""
        epoch_s = self.epoch_s(self._named(name), given, lanes.threads)
        most = (folds or self._deal) if self._is_bagged else MOST_LONG
        enough = self._enough(self._named(name))
        parts = min(most, max(1, math.floor(left_s / (enough * epoch_s)))) if epoch_s > 0 else 1
        gpus = lanes.gpus
        if parts == 1 and lanes.gpus >= 1:
            seconds = {count: self.epoch_s(self._named(name), given, lanes.threads, count) for count in self._teams()}
            gpus = float(together(seconds, left_s, enough))
        return Course(left_s / parts, lanes.threads, gpus, is_long=True)

    def _teams(self) -> range:
        """How many GPUs of one machine may train one network."""
        return range(1, 1 + max(1, self.load.gpus_together))

    @property
    def _is_bagged(self) -> bool:
        """Whether files are so few that one fold of them says little."""
        return self.load.goal > 1

    @property
    def _deal(self) -> int:
        """Folds until each file was held out."""
        return self.load.deal or self.load.folds

    def _enough(self, family: Family) -> float:
        """Epochs of a long course, beyond which another one adds more."""
        share = KNOWING if family.goes_on else 1.0
        if not self._is_bagged:
            return share * ENOUGH_EPOCHS
        return share * max(ENOUGH_EPOCHS, min(MOST_ENOUGH, FEW_STEPS / self.load.size.rows))

    def _lanes(self, threads: int, on_gpu: int) -> Lanes:
        """Courses side by side: on GPUs so many on each, else as many as have their threads."""
        slots, widest = self.load.slots, self.load.widest or self.load.slots
        if self.load.gpus:
            count = max(1, round(self.load.gpus * on_gpu))
            return Lanes(count, max(1, min(widest, threads, slots // count)), 1 / on_gpu)
        threads = min(widest, threads)
        return Lanes(max(1, slots // threads), threads, 0.0)

    def _is_free(self, lanes: Lanes, step: Start | Continue) -> bool:
        """Whether a course may start; where there is room for one only it begins alone, to get its threads."""
        if lanes.count == 1:
            return not any(attempt.running for attempt in self.attempts.values())
        if step.course is not None and step.course.gpus > 1:
            held = sum(len(a.running) * (a.course.gpus if a.course else 0.0) for a in self.attempts.values())
            return held + step.course.gpus <= self.load.gpus
        return sum(len(attempt.running) for attempt in self._mine()) < lanes.count

    def _start(self, family: Family, given: dict[str, Any] | None, because: str, course: Course | None = None) -> Start:
        """A trial with the first of the recipes that make something for its family."""
        return Start(family=family, given=given, because=because, recipe=self.load.recipes_of(family)[0], course=course)

    def _untried(self) -> Iterator[tuple[Family, dict[str, Any], str]]:
        """Configurations known to be good that no trial had, the defaults first."""
        for place in range(max((len(family.configs()) for family in self.networks), default=0)):
            for family in self.networks:
                configs = family.configs()
                if len(configs) > place and all(configs[place] != dict(a.plan.params) for a in self._of(family)):
                    told = f"portfolio {place} of {len(configs) - 1}" if place else "default"
                    yield family, configs[place], told

    def _mine(self) -> list[Attempt]:
        return [attempt for family in self.networks for attempt in self._of(family)]

    def _of(self, family: Family) -> list[Attempt]:
        return [attempt for attempt in self.attempts.values() if attempt.plan.family == family.name]

    def _named(self, name: str) -> Family:
        return next(family for family in self.networks if family.name == name)


def is_behind(attempt: Attempt, rivals: Sequence[Attempt], times: float) -> bool:
    """Whether another one has an error so many times smaller on the folds that both did."""
    for rival in rivals:
        both = [k for k in attempt.folds if k in rival.folds]
        mine, theirs = (sum(one.folds[k].error for k in both) for one in (attempt, rival))
        if both and mine > times * theirs:
            return True
    return False


def first_error(attempt: Attempt) -> float:
    """On the first fold, which all have."""
    return attempt.folds[0].error if 0 in attempt.folds else math.inf
