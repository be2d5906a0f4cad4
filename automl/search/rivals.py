"""Machine learning and deep learning as rivals in a search of tables: each is looked at soon enough to be compared.

First probes, where rows are many: the leading family of each route on a ninth and a third of them. Then the audit: the
leading network is granted seconds for the same folds as the first classical model, so that there are pairs to compare
whatever comes next. From then on each route has the share of the search that the evidence gives it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from automl.decision import probes
from automl.modalities.mixture import PLAIN
from automl.records.choice import Gain
from automl.search.steps import Attempt, Continue, Course, Load, Start
from search_spaces.spec import Family, Route

SHARES = (1 / 9, 1 / 3)  # of the training rows that probes learn from, rising
LEAST_ROWS = 300  # in the smallest of them, below which it says nothing of all rows
PROBES_SHARE = 0.08  # of all seconds for the probes of both routes together
PATIENCE = 2.0  # times the predicted seconds that a probe may take: a network that is cut on few rows shows nothing
UNSURE = (0.02, 0.98)  # chances of networks between which probes are worth their seconds
FOLDS = 3  # that both routes do, so that they can be compared
FIRST_PART = 0.6  # of the seconds that networks are thought to deserve, for the first one's folds
LEAST_S = 0.4  # of a probe: the first fit of a process takes as long to begin
SHORTEST_S = 1.5  # of a network's course, as far as it can be afforded: what learns sooner ends sooner
LEAST_COURSE = 0.5  # of the seconds that a network would take by itself: a shorter course shows less than it could
ENDING = 1.1  # times its seconds that a fold may take: it has to predict, too
SINGLE_SHARE = 0.15  # of all seconds, that one fold may take where the audit's share does not hold any


class Rivals:
    """The routes of one search, as far as both take part; what is known of them follows from the trials alone."""

    def __init__(self, families: list[Family], load: Load, attempts: Mapping[int, Attempt]) -> None:
        self._load, self._attempts, self._families = load, attempts, families
        self._route = {family.name: family.route for family in families}
        self._leads: dict[Route, Family] = {}
        for family in families:
            self._leads.setdefault(family.route, family)
        self._prior = load.gain if len(self._leads) == 2 else None
        self._known: tuple[tuple[int, int], Gain | None] = ((-1, -1), self._prior)

    def see(self, load: Load) -> None:
        """What the search is up against now."""
        self._load = load

    @property
    def is_open(self) -> bool:
        """Whether both routes take part, and something was thought of them before."""
        return self._prior is not None

    def gain(self) -> Gain | None:
        """What is thought of networks now."""
        if self._prior is None:
            return None
        key = len(self._attempts), sum(len(attempt.folds) for attempt in self._attempts.values())
        if key != self._known[0]:
            baseline = self._attempts.get(0)
            worst = baseline.error if baseline is not None else math.inf
            footing = probes.Footing(self._load.held, worst, self._load.is_number)
            self._known = key, probes.belief(self._prior, self._attempts.values(), footing)
        return self._known[1]

    def share(self, route: Route) -> float:
        """Of the search that a route may use."""
        gain = self.gain()
        if gain is not None and any(self._has_failed(other) for other in self._leads if other != route):
            return 1.0
        if gain is None:
            neural = self._load.neural_share
        else:
            neural = probes.neural_share(gain)
        return neural if route == "neural" else 1 - neural

    def _has_failed(self, route: Route) -> bool:
        """Whether every family of a route was tried, and ended in trouble."""
        names = {family.name for family in self._families if family.route == route}
        sound = {a.plan.family for a in self._attempts.values() if not (a.plan.is_quick or a.trouble)}
        tried = {a.plan.family for a in self._attempts.values() if not a.plan.is_quick}
        return names <= tried and not names & sound

    def spent(self, route: Route) -> float:
        """Of the seconds used so far by a route."""
        seconds = {
            name: sum(a.spent.cpu_s for a in self._attempts.values() if self._is_of(a, name)) for name in self._leads
        }
        return seconds.get(route, 0.0) / max(1e-9, sum(seconds.values()))

    def next(self, left_s: float, fold_s: Mapping[str, float]) -> Start | Continue | None:
        """A probe or a fold of the audit, where one is due; `fold_s`: predicted seconds of a fold by family."""
        if self._prior is None or left_s <= 0:
            return None
        whole_s = self._load.slots * left_s + sum(a.spent.cpu_s for a in self._attempts.values())
        return self._probe(whole_s, fold_s) or self._audit(left_s, whole_s, fold_s)

    # --- probes -------------------------------------------------------------------------------------------------------

    def _probe(self, whole_s: float, fold_s: Mapping[str, float]) -> Start | None:
        """The next look at a part of the rows; none where all rows are cheap, or one route is nearly sure to win."""
        prior = self._prior
        if prior is None or not UNSURE[0] < prior.win < UNSURE[1]:
            return None
        for share in self._shares(PROBES_SHARE * whole_s, fold_s):
            for family in self._leads.values():
                is_known = any(self._is_probe(attempt, family, share) for attempt in self._attempts.values())
                if not is_known and share <= self._room_share(family):
                    limit_s = PATIENCE * self._probe_s(family, share, fold_s)
                    return Start(
                        family=family,
                        given=family.configs()[0],
                        because=f"probe: default on {share:.0%} of the rows",
                        recipe=self._recipe(family),
                        share=share,
                        is_quick=True,
                        course=Course(max(LEAST_S, limit_s), threads=1, is_cap=True),
                    )
        return None

    def _shares(self, room_s: float, fold_s: Mapping[str, float]) -> list[float]:
        """Those that there are rows and seconds for: all, or the largest alone."""
        able = [share for share in SHARES if share * self._load.size.rows >= LEAST_ROWS]
        prices = {share: sum(self._probe_s(f, share, fold_s) for f in self._leads.values()) for share in able}
        return next((some for some in (able, able[-1:]) if sum(prices[share] for share in some) <= room_s), [])

    @staticmethod
    def _probe_s(family: Family, share: float, fold_s: Mapping[str, float]) -> float:
        """Predicted seconds of a fit on a share of the rows; what it takes to begin stays the same."""
        start_s = min(family.price.start_s, fold_s[family.name])
        return start_s + share * (fold_s[family.name] - start_s)

    @staticmethod
    def _is_probe(attempt: Attempt, family: Family, share: float) -> bool:
        return attempt.plan.family == family.name and attempt.share == share

    # --- the audit ----------------------------------------------------------------------------------------------------

    def _audit(self, left_s: float, whole_s: float, fold_s: Mapping[str, float]) -> Start | Continue | None:
        """The leading network after the first classical model, then folds on which the best of both are compared."""
        champions = {route: self._champion(route) for route in self._leads}
        if champions["classical"] is None:
            return None
        lead = self._next_network(self._audit_s(whole_s, "neural"), fold_s)
        if champions["neural"] is None and lead is not None:
            course = self._course((left_s, whole_s), fold_s[lead.name])
            if course is None:
                return None
            told = "default: the networks' part in the comparison of routes"
            return Start(family=lead, given=lead.configs()[0], because=told, recipe=self._recipe(lead), course=course)
        both, rooms = [a for a in champions.values() if a is not None], (left_s, whole_s)
        able = [a for a in both if self._is_owed(a, rooms, fold_s[a.plan.family])]
        if not able or len(both) < len(champions):  # one alone is compared with nothing
            return None
        first = min(able, key=lambda a: len(a.folds) + len(a.running))
        return Continue(first.plan.number, self._missing(first)[0], first.granted)

    def _champion(self, route: Route) -> Attempt | None:
        """Of a route's trials on all rows the one with the least error on the first fold; of networks the first one."""
        mine = [a for a in self._attempts.values() if self._is_of(a, route) and not (a.plan.is_quick or a.trouble)]
        mine = [a for a in mine if a.share == 1]
        if route == "neural":
            return mine[0] if mine else None
        return min((a for a in mine if 0 in a.folds), key=lambda a: a.folds[0].error, default=None)

    def _next_network(self, audit_s: float, fold_s: Mapping[str, float]) -> Family | None:
        """Of the networks that were not tried on all rows, and that there is memory for, the one to be compared.

        Of few rows the dearest whose folds the audit can pay for, since it is the surest there, too; else the first.
        """
        tried = {a.plan.family for a in self._attempts.values() if not a.plan.is_quick}
        able = [f for f in self._families if f.route == "neural" and f.name not in tried]
        able = [f for f in able if self._room_share(f) >= 1]
        folds = min(FOLDS, self._load.goal)
        paid = [f for f in able if folds * max(SHORTEST_S, 2 * fold_s[f.name]) <= audit_s and self._load.is_careful]
        return max(paid, key=lambda f: fold_s[f.name]) if paid else next(iter(able), None)

    def _room_share(self, family: Family) -> float:
        """The share of the rows that a fit has memory for."""
        return self._load.room_mb / max(1e-9, family.price.fit_mb(self._load.size))

    def _missing(self, attempt: Attempt) -> list[int]:
        return attempt.missing(min(FOLDS, self._load.goal))

    def _is_owed(self, attempt: Attempt, rooms: tuple[float, float], needed_s: float) -> bool:
        """Whether another fold for the comparison is due, and affordable for who may be losing.

        `rooms`: seconds left on the clock, and of all workers; `needed_s`: of a fold, as long as none was seen.
        """
        left_s, whole_s = rooms
        fold_s = (attempt.fold_s or needed_s) if attempt.granted is None else attempt.granted.soft_s
        room_s = max(self._audit_s(whole_s, self._route[attempt.plan.family]), SINGLE_SHARE * whole_s)
        used_s = sum(fold.fit_s for fold in attempt.folds.values()) * attempt.threads  # imports are nobody's fault
        is_dear = used_s + fold_s * (1 + len(attempt.running)) > room_s
        return not (attempt.trouble or not self._missing(attempt) or is_dear or fold_s * ENDING > left_s)

    def _course(self, rooms: tuple[float, float], needed_s: float) -> Course | None:
        """What a fold of the first network is granted, for as many folds as that allows; None: too little to show.

        It runs on one thread, so where there are many no course is longer than the clock.
        """
        left_s, whole_s = rooms
        audit_s = self._audit_s(whole_s, "neural")
        parts = [audit_s / folds for folds in range(min(FOLDS, self._load.goal), 0, -1)]
        for part_s in (*parts, SINGLE_SHARE * whole_s):
            granted_s = min(part_s, left_s / ENDING)
            if granted_s >= LEAST_COURSE * needed_s:
                return Course(min(max(SHORTEST_S, 2 * needed_s), granted_s), threads=1)
        return None

    def _audit_s(self, whole_s: float, route: Route) -> float:
        """Seconds for the folds by which a route is compared."""
        return max(probes.AUDIT, FIRST_PART * self.share(route)) * whole_s

    def _recipe(self, family: Family) -> str:
        able = self._load.recipes_of(family)
        return PLAIN if PLAIN in able else able[0]

    def _is_of(self, attempt: Attempt, route: Route) -> bool:
        return self._route.get(attempt.plan.family) == route
