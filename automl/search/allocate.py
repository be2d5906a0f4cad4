"""Who gets the next worker: one more fold for a trial that the ensemble wants, or a look at another configuration.

Every family gets one fair look. Then a greedy blend of all looks, on the rows that fold 0 holds out, says what each is
worth: trials with weight are owed the rest of their bags, their families get the next looks, which go on while the debt
fits into the time left. Nothing starts that cannot finish. Runs counted in trials never look at the clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import median

from automl.modalities.mixture import PLAIN
from automl.search.gaps import levelled, times_behind
from automl.search.rivals import Rivals
from automl.search.steps import Attempt, Continue, Course, Load, Start
from search_spaces.spec import Family, Float, Route

# Set while the ten tables were run at 30 and 60 s, none varied alone (benchmarks/LOG.md, 2026-11-21: "the first version
# that does it all" for bags and doubts, "recipes of features" for probes, hints and the order of looks).
LEADERS, RIVAL = 3, 1.5  # trials that get further folds where one tells little, with at most so many times the error
DOUBT_FOLDS, DOUBT_SHARE = 3, 0.5  # how many folds then, and of the time left at most for those that are missing
DEBT = 0.7  # of the time left may be owed to unfinished bags before looking further stops
CURIOSITY = 0.03  # weight of a family that the blend does not want, as a share of the whole
CHEAP_S = 0.5  # folds below it count as this long: being cheap alone is no reason to be asked again and again
NEAR = 1.15  # where one fold says little, trials within so many times the best error get their bags
STEEP = 6  # power by which a larger error makes a bag less urgent
FIRST = 10.0  # times as urgent is the bag of a family's default than that of its later ideas, there
HOPELESS = 1.6  # an error so many times the best one's ends a family's looks
START_S = 0.15  # keeps shares of very short times apart from noise
LOOK_SHARE = 0.15  # of all the workers' seconds left at most for the first look at a family
HOLDOUT_SHARE = 0.3  # the same where a look is all that a model gets
BAG_SHARE = 0.35  # and for the bag that has to follow where one fold says little
PROBE_SHARE = 0.2  # of all workers' seconds, for comparing the recipes with the first family
LOOKS_SHARE = 0.3  # the same where a whole bag takes more than that, so that each recipe has one fold
WORSE = 1.02  # an error so many times the best recipe's with another family is reason enough not to try a recipe
HINT_SHARE = 0.04  # of all workers' seconds left, that one more quick fit may take to compare recipes
FIRST_LOOK_ENDING = 1.2  # times its seconds that a first look may take
FAIR_SHARE, HURRY = 0.3, 3.0  # of them that a holdout's fit should take, and how far a learning rate is raised for it
LEAST_SHARE = 0.3  # of the rows, below which a fit says nothing of one on all
ALONE_SHARE = 0.06  # of all workers' seconds left, from which a fit gets all threads: what it tells, others wait for
LONG_FOLD_S = 2.5  # a first model that takes longer is preceded by a quick one

Weigh = Callable[[], Mapping[int, float]]  # what each looked-at trial is worth to a blend, by trial number


class Allocator:
    """Decides the next step from what is known so far."""

    def __init__(self, families: list[Family], load: Load, attempts: dict[int, Attempt], weigh: Weigh) -> None:
        self._families = families
        self._load = load
        self._attempts = attempts
        self._weigh = weigh
        self._rivals = Rivals(families, load, attempts)
        self.is_done_looking = False  # only folds of known trials from here on

    def next(self, left_s: float) -> Start | Continue | None:
        """The next step with `left_s` seconds to go, or None when nothing more can finish."""
        return (
            self._quick(left_s)
            or self._probe(left_s)
            or self._rivals.next(left_s, {family.name: self._fold_s(family) for family in self._families})
            or self._first_look(left_s)
            or self._doubt(left_s)
            or self._pay(left_s, self._load.goal, only_when_due=not self._load.is_careful)
            or (None if self.is_done_looking else self._look(left_s))
            or self._pay(left_s, self._load.goal)
            or self._pay(left_s, self._load.folds)
        )

    def see(self, load: Load) -> None:
        """What the search is up against now: machines come and go."""
        self._load = load
        self._rivals.see(load)

    def worth(self) -> Mapping[int, float]:
        """What each looked-at trial is worth to a blend, by its number."""
        return self._weigh()

    def threads(self, number: int, left_s: float) -> int:
        """Threads for a trial's next fold where no other runs: all of them for a long one, so that it is known soon."""
        attempt = self._attempts[number]
        if (family := next((f for f in self._families if f.name == attempt.plan.family), None)) is None:
            return attempt.threads  # those of its course, for it is none of these families
        if self._load.goal > 1 or not family.is_threaded:
            return 1
        fold_s, long_s = attempt.fold_s or self._fold_s(family) * attempt.share, ALONE_SHARE * left_s * self._load.slots
        return (self._load.widest or self._load.slots) if fold_s > max(LONG_FOLD_S, long_s) else 1

    def whole_trial(self) -> Start:
        """The next configuration when only trials are counted; all its folds will run."""
        unseen = [family for family in self._families if not self._of(family)]
        if unseen:
            return self._config(unseen[0], "first look at the family")
        return self._config(self._wanted(self._families, self._load.price_s), "")

    # --- steps --------------------------------------------------------------------------------------------------------

    def _quick(self, left_s: float) -> Start | None:
        """Where a fair fit takes long, quick ones of the first family: a model in seconds, and a hint at the recipe."""
        first, tried = self._families[0], self._mine()
        if not first.quick or self._load.price_s(first) < LONG_FOLD_S or left_s <= 0:
            return None
        unseen = [recipe for recipe in self._able(first) if recipe not in map(_recipe, tried)]
        is_cheap = max((a.fold_s for a in tried), default=0.0) < HINT_SHARE * left_s * self._load.slots
        if not unseen or not is_cheap or any(a.trouble or not a.plan.is_quick for a in tried):
            return None
        quick = {**first.configs()[0], **first.quick}
        told = _joined("a first model in seconds", unseen[0])
        return Start(family=first, given=quick, because=told, recipe=unseen[0], is_quick=True)

    def _probe(self, left_s: float) -> Start | Continue | None:
        """The first family's default with each recipe before others begin, so that they begin with the best.

        The others get their bags as long as they are no worse, luck apart; one fold of each is seen in any case, also
        where whole bags take too long: a recipe may matter more than any family.
        """
        first = self._families[0]
        mine = [a for a in self._of(first) if not a.plan.is_quick]
        has_hints = len(self._able(first)) < 2 or any(
            a.plan.is_quick for a in self._mine() if a.plan.family == first.name
        )
        if not mine or has_hints or left_s <= 0:
            return None
        folds = self._load.goal if self._load.is_careful else 1
        spent_s, whole_s = sum(a.spent.cpu_s for a in mine), self._spent_s() + left_s * self._load.slots
        tried = {_recipe(a): a for a in reversed(mine)}  # the default of each recipe came first
        gaps = self._gaps([a for a in tried.values() if a.folds])
        for attempt in reversed(tried.values()):
            is_worth_it = not attempt.trouble and attempt.fold_s * folds < PROBE_SHARE * whole_s
            is_good = attempt is mine[0] or gaps.get(attempt.plan.number, math.inf) <= 1.0
            if attempt.folds and is_worth_it and is_good and attempt.missing(folds):
                return Continue(attempt.plan.number, attempt.missing(folds)[0])
        unseen, fold_s = [recipe for recipe in self._able(first) if recipe not in tried], self._fold_s(first)
        is_dear = fold_s * folds >= PROBE_SHARE * whole_s
        needed_s, share = (fold_s, LOOKS_SHARE) if is_dear else (fold_s * folds, PROBE_SHARE)
        is_late = is_dear and (fold_s * FIRST_LOOK_ENDING > left_s or folds == 1 or not any(a.folds for a in mine))
        if unseen and spent_s + needed_s < share * whole_s and not is_late:
            return Start(
                family=first, given=first.configs()[0], because=f"default with {unseen[0]} features", recipe=unseen[0]
            )
        return None

    def _first_look(self, left_s: float) -> Start | None:
        """The next family that had no fair look yet, if it can be afforded; the first one always is.

        Once a quick model is there, and looks are all that is affordable, the cheap ones come first.
        """
        in_turn = self._families
        if self._load.goal == 1 and self._mine():
            in_turn = sorted(in_turn, key=lambda f: max(self._fold_s(f), ALONE_SHARE * left_s))
        for family in in_turn:
            if any(not a.plan.is_quick for a in self._of(family)) or self._has_had_its_share(family):
                continue
            share = self._share(family)
            needed_s = self._fold_s(family) * share / self._hurry(family, left_s)
            fair_s = self._fair_s(left_s)
            if needed_s > fair_s and self._load.goal == 1 and family is not self._families[0]:
                share, needed_s = share * fair_s / needed_s, fair_s
            course = None
            if needed_s > fair_s and self._rivals.is_open and family.route == "neural":
                needed_s = min(fair_s, 0.99 * left_s / FIRST_LOOK_ENDING)
                course = Course(needed_s, threads=1)  # it comes to rest in less time, a little worse
            ends_in_time = self._wall_s(family, needed_s) * FIRST_LOOK_ENDING < left_s
            is_fair = needed_s <= fair_s and share >= LEAST_SHARE and ends_in_time
            if is_fair or family is self._families[0]:
                return replace(self._config(family, "first look at the family", left_s, share), course=course)
        return None

    def _doubt(self, left_s: float) -> Continue | None:
        """Further folds for the leaders where one holds out too few rows: more configurations would only be luckier."""
        if not self._load.is_rough:
            return None
        able = sorted((a for a in self._mine() if 0 in a.folds and not a.trouble), key=lambda a: a.folds[0].error)
        near = [a for a in able[:LEADERS] if a.folds[0].error <= RIVAL * able[0].folds[0].error]
        for folds in range(2, min(DOUBT_FOLDS, self._load.folds) + 1):
            owed = [a for a in near if a.missing(folds)]
            if owed and self._debt_s(owed, folds) * 1.1 < DOUBT_SHARE * left_s:
                first = min(owed, key=lambda a: (len(a.folds) + len(a.running), a.fold_s))
                return self._further(first, folds)
        return None

    @staticmethod
    def _further(attempt: Attempt, folds: int) -> Continue:
        """The next fold of a trial, in as much time as those before it where that was granted."""
        return Continue(attempt.plan.number, attempt.missing(folds)[0], attempt.granted)

    def _has_had_its_share(self, family: Family) -> bool:
        """Whether its route used more of the search than the evidence gives it, where two compete."""
        is_first = family is self._families[0] and all(a.plan.is_quick for a in self._of(family))
        return (
            self._rivals.is_open and not is_first and self._rivals.spent(family.route) > self._route_share(family.route)
        )

    def _fair_s(self, left_s: float) -> float:
        """Seconds of a thread that a first look may take; where one says little, the whole bag must be affordable."""
        if self._load.goal == 1:
            return HOLDOUT_SHARE * left_s * self._load.slots
        if self._load.is_careful:
            return BAG_SHARE * left_s * self._load.slots / self._load.goal
        return LOOK_SHARE * left_s * self._load.slots

    def _hurry(self, family: Family, left_s: float) -> float:
        """How many times faster than by default a booster must learn for a holdout's fit to take its fair share."""
        if self._load.goal > 1 or family.route == "neural" or "learning_rate" not in family.space or left_s <= 0:
            return 1.0
        return min(HURRY, max(1.0, self._fold_s(family) / (FAIR_SHARE * left_s * self._load.slots)))

    def _wall_s(self, family: Family, fold_s: float) -> float:
        """Seconds on the clock: with a holdout, long fits mostly get all threads."""
        return fold_s / (0.75 * self._load.slots) if self._load.goal == 1 and family.is_threaded else fold_s

    def _share(self, family: Family) -> float:
        """The share of the rows that a fit has memory for."""
        return min(1.0, self._load.room_mb / family.price.fit_mb(self._load.size))

    def _pay(self, left_s: float, goal: int, *, only_when_due: bool = False) -> Continue | None:
        """The next fold of the trial whose bag gives most weight per second, if the bag can still be finished."""
        worth = self._worth()
        owed = [a for a in self._mine() if a.plan.number in worth and a.missing(goal)]
        if only_when_due and self._debt_s(owed, goal) < DEBT * left_s:
            return None
        for attempt in sorted(owed, key=lambda a: -worth[a.plan.number] / (len(a.missing(goal)) * a.fold_s + START_S)):
            # beyond the goal every single fold helps; up to it only a whole bag does
            folds = len(attempt.missing(goal)) if goal == self._load.goal else 1
            if attempt.fold_s * 1.1 * math.ceil((folds + len(attempt.running)) / self._load.slots) < left_s:
                return self._further(attempt, goal)
        return None

    def _worth(self) -> dict[int, float]:
        """The trials that deserve their bags: those with weight in the blend, or those near the best on their folds."""
        alive = [a for a in self._mine() if a.folds and not a.trouble]
        if not self._load.is_careful:
            weights = self._weigh()
            return {a.plan.number: w for a in alive if (w := weights.get(a.plan.number, 0.0)) > 0}
        gaps = self._gaps(alive)
        fair = [[a.plan.number for a in self._of(f) if not a.plan.is_quick] for f in self._families]
        first = {min(numbers) for numbers in fair if numbers}
        limit = {number: HOPELESS if number in first else NEAR for number in gaps}  # every family's default gets a bag
        urge = {number: FIRST if number in first else 1.0 for number in gaps}
        return {number: urge[number] / max(gap, 1e-9) ** STEEP for number, gap in gaps.items() if gap <= limit[number]}

    def _gaps(self, attempts: list[Attempt]) -> dict[int, float]:
        """How many times the best error on the same folds each has, luck apart."""
        leaders = [a for a in self._mine() if not a.trouble] + [a for a in attempts if a.trouble]
        if (baseline := self._attempts.get(0)) is not None:
            leaders.append(baseline)
        return times_behind(attempts, leaders, self._load)

    def is_owed(self, attempt: Attempt) -> bool:
        """Whether folds by which trials are judged are still to come: what a sampler is told waits for them."""
        if not self._load.is_careful or attempt.trouble or not attempt.folds:
            return False
        return len(attempt.folds) < self._load.goal and attempt.plan.number in self._worth()

    def _debt_s(self, owed: list[Attempt], goal: int) -> float:
        return sum(len(a.missing(goal)) * a.fold_s for a in owed) / self._load.slots

    def _look(self, left_s: float) -> Start | None:
        """Another configuration of the family with the best claim, if its whole bag would still fit."""
        rounds = 1 + math.ceil((self._load.goal - 1) / self._load.slots)
        able = [f for f in self._families if self._of(f)]
        needed = {f.name: self._fold_s(f) / self._hurry(f, left_s) for f in able}
        able = [f for f in able if self._wall_s(f, needed[f.name]) * 1.1 * rounds < left_s]
        able = [f for f in able if not self._is_hopeless(f)]
        if self._rivals.is_open:
            able = [f for f in able if not self._has_had_its_share(f)] or able
        elif self._rivals.spent("neural") > self._route_share("neural"):
            able = [f for f in able if f.route != "neural"]
        return self._config(self._wanted(able, self._fold_s), "", left_s) if able else None

    def _wanted(self, families: list[Family], cost: Callable[[Family], float]) -> Family:
        """Most weight in the blend for the number of trials it already had, and for the root of its cost."""
        weights = self._weigh()

        def claim(family: Family) -> float:
            mine = self._of(family)
            weight = sum(weights.get(a.plan.number, 0.0) for a in mine)
            return (CURIOSITY + weight) / (1 + len(mine)) / math.sqrt(max(cost(family), CHEAP_S))

        return max(families, key=claim)

    def _config(self, family: Family, because: str, left_s: float = math.inf, share: float = 1.0) -> Start:
        """The family's next configuration: its default with each recipe, its portfolio, then the sampler's ideas."""
        share = min(share, self._share(family))
        start = self._next_config(family, because)
        if start.given and (hurry := self._hurry(family, left_s)) > 1.0:
            rate = min(start.given["learning_rate"] * hurry, _high(family))
            start = replace(start, given={**start.given, "learning_rate": rate}, because=f"{start.because}, hurried")
        if share == 1.0:
            return start
        return replace(start, share=share, because=f"{start.because}, on {share:.0%} of the rows")

    def _next_config(self, family: Family, because: str) -> Start:
        tried = [a for a in self._of(family) if not a.plan.is_quick]
        recipes = self._recipes(family)
        configs = family.configs()
        if len(tried) < len(recipes):
            unseen = [recipe for recipe in recipes if all(_recipe(a) != recipe for a in tried)]
            told = "default" if unseen[0] == PLAIN else f"default with {unseen[0]} features"
            return Start(family=family, given=configs[0], because=_joined(told, because), recipe=unseen[0])
        place = 1 + len(tried) - len(recipes)
        if place < len(configs):
            told = f"portfolio {place} of {len(configs) - 1}"
            return Start(family=family, given=configs[place], because=_joined(told, because), recipe=recipes[0])
        told = because or "search: the ensemble wants more of its family"
        return Start(family=family, given=None if family.space else configs[0], because=told, recipe=recipes[0])

    def _recipes(self, family: Family) -> list[str]:
        """Those of the family that make something of this table, the most promising first."""
        able = self._able(family)
        mine = {recipe: self._recipe_error(recipe, self._of(family)) for recipe in able}
        fair = {recipe: self._recipe_error(recipe, self._mine()) for recipe in able}
        quick = {recipe: self._recipe_error(recipe, self._mine(), is_quick=True) for recipe in able}
        limits = WORSE * min(fair.values()), WORSE * min(quick.values())

        def is_promising(recipe: str) -> bool:
            if mine[recipe] < math.inf:
                return True
            told, limit = (fair, limits[0]) if fair[recipe] < math.inf else (quick, limits[1])
            return told[recipe] == math.inf or told[recipe] <= limit

        return sorted(filter(is_promising, able), key=lambda recipe: (mine[recipe], fair[recipe], quick[recipe]))

    def _able(self, family: Family) -> list[str]:
        return self._load.recipes_of(family)

    def _recipe_error(self, recipe: str, attempts: list[Attempt], *, is_quick: bool = False) -> float:
        """The least error so far of trials with this recipe, on the folds by which trials are judged, or as if."""
        folds = range(self._load.goal if self._load.is_careful and not is_quick else 1)
        same = [a for a in attempts if _recipe(a) == recipe and a.plan.is_quick == is_quick]
        judged = [a for a in same if all(k in a.folds for k in folds)]
        if not judged:
            begun = [a for a in same if a.folds and not a.trouble and not is_quick]
            return min((levelled(a, self._mine()) for a in begun), default=math.inf)
        return min(sum(a.folds[k].error for k in folds) / len(folds) for a in judged)

    # --- what is known ------------------------------------------------------------------------------------------------

    def _fold_s(self, family: Family) -> float:
        """Predicted seconds of one fold: the median seen in this run, else the prior scaled by what was seen."""
        seen = [_default_s(a, family) for a in self._of(family) if a.folds and not a.plan.is_quick]
        if seen:
            return median(seen)
        priors = {f.name: self._load.price_s(f) for f in self._families}
        fair = [(a, f) for f in self._families for a in self._of(f) if a.folds and not a.plan.is_quick]
        ratios = [_default_s(a, f) / priors[f.name] for a, f in fair]
        return priors[family.name] * (median(ratios) if ratios else 1.0)

    def _mine(self) -> list[Attempt]:
        """All attempts but the baseline, and but probes of the routes on a part of the rows: these are owed nothing."""
        names = {family.name for family in self._families}
        mine = (a for a in self._attempts.values() if a.plan.family in names)
        return [a for a in mine if not a.is_probe]

    def _of(self, family: Family) -> list[Attempt]:
        return [a for a in self._attempts.values() if a.plan.family == family.name]

    def _is_hopeless(self, family: Family) -> bool:
        """Nothing to tune, nothing seen yet but trouble or a probe, or errors far above the best."""
        mine = [a for a in self._of(family) if not a.is_probe]
        behind = self._gaps([a for a in mine if math.isfinite(a.error)]).values()
        is_far = bool(mine) and min(behind, default=math.inf) > HOPELESS
        return not family.space or is_far or (len(mine) >= 2 and all(a.trouble for a in mine))

    def _route_share(self, route: Route) -> float:
        """The share that the evidence gives a route, or what the blend makes of its trials if that is more."""
        mine = {a.plan.number for a in self._mine() if self._route(a) == route}
        return max(self._rivals.share(route), sum(w for number, w in self._weigh().items() if number in mine))

    def _spent_s(self) -> float:
        return sum(a.spent.cpu_s for a in self._mine())

    def _route(self, attempt: Attempt) -> str:
        return next(f.route for f in self._families if f.name == attempt.plan.family)


def _recipe(attempt: Attempt) -> str:
    return str(attempt.plan.features.get("recipe", PLAIN))


def _joined(told: str, because: str) -> str:
    return f"{told}: {because}" if because else told


def _default_s(attempt: Attempt, family: Family) -> float:
    """Seconds of a fold as if on all rows and at the usual learning rate: half of it takes boosting twice as long."""
    whole_s = attempt.fold_s / attempt.share
    if family.route == "neural" or "learning_rate" not in attempt.plan.params:
        return whole_s
    return float(whole_s * attempt.plan.params["learning_rate"] / family.configs()[0]["learning_rate"])


def _high(family: Family) -> float:
    """The highest learning rate of a family."""
    knob = family.space["learning_rate"]
    return knob.high if isinstance(knob, Float) else math.inf
