"""The words in which a search is planned: what is tried, what it is granted, what comes next, what it is up against."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from automl.modalities.mixture import PLAIN
from automl.records import Fold, Plan, Spent
from automl.records.choice import Gain
from cluster.pool import Node
from search_spaces.spec import TABLE, Family, Size

TIMED_S = 1.0  # that a batch of rows may take to be priced on the CPU, after a course on a GPU
CUT = 1.5  # times longer that a fold would have taken, had its time not been over
MEMORY_SHARE = 0.7  # of a machine's free memory that fits may take together


@dataclass(frozen=True)
class Course:
    """What a network is granted before it starts: its learning rate must come to rest in time."""

    soft_s: float
    threads: int
    gpus: float = 0.0
    is_long: bool = False  # meant for the model, not only to choose by
    is_cap: bool = False  # a limit that is not meant to be reached: what it cuts would have taken longer


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
    threads: int = 1  # most that a fold of it had
    retries: int = 0  # jobs given again, since their worker died
    has_heir: bool = False  # tried again on fewer rows
    is_gone: bool = False  # an earlier end of the run removed its models: it teaches, and is no candidate
    course: Course | None = None  # what its next fold is granted, where it is a network's

    @property
    def error(self) -> float:
        """Mean error over the folds so far."""
        return sum(f.error for f in self.folds.values()) / len(self.folds) if self.folds else math.inf

    @property
    def fold_s(self) -> float:
        """Seconds of one thread for a fold, by the median so far; one that was cut would have taken longer."""
        longer = CUT if self.granted is None else 1.0
        times = [fold.fit_s * self.threads * (longer if fold.is_cut else 1.0) for fold in self.folds.values()]
        return median(times) if times else 0.0

    @property
    def share(self) -> float:
        """Of the training rows that it learns from."""
        return float(self.plan.features.get("share", 1.0))

    @property
    def is_probe(self) -> bool:
        """Whether it is a cheap look on a part of the rows, of which nothing further is wanted."""
        return self.plan.is_quick and self.share < 1

    @property
    def granted(self) -> Course | None:
        """What each further fold is granted, as the first one was; None where it takes as long as it takes."""
        return None if self.course is None or self.course.is_cap else self.course

    def missing(self, count: int) -> list[int]:
        """Folds neither done nor under way."""
        return [k for k in range(count) if k not in self.folds and k not in self.running]


@dataclass(frozen=True, kw_only=True)
class Start:
    """Begin a new trial."""

    family: Family
    given: dict[str, Any] | None  # a tried-first configuration; None: ask the sampler
    because: str
    recipe: str = PLAIN  # of features
    share: float = 1.0  # of the training rows
    is_quick: bool = False  # not a fair trial of its configuration: its sampler is not told
    parent: int | None = None  # the trial that it tries again on fewer rows
    course: Course | None = None

    @property
    def granted_s(self) -> float:
        """What each fold of a network on a table is granted; others are granted anew for each."""
        course = self.course
        return 0.0 if course is None or course.is_cap or self.family.is_coursed else course.soft_s


@dataclass(frozen=True)
class Continue:
    """Give a trial its next fold."""

    number: int
    fold: int
    course: Course | None = None


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a search is up against."""

    folds: int
    goal: int  # folds that make a bag: all of them, or the first alone where a holdout must do
    size: Size  # of a training fold
    slots: int
    neural_share: float = 1.0
    is_careful: bool = False  # one fold holds out so few rows that looks at it would only pick the lucky
    recipes: tuple[str, ...] = (PLAIN,)  # of features that can make something of these columns
    room_mb: float = math.inf  # memory for one fit
    widest: int = 0  # threads that one fit may have, on the largest machine; 0: all
    gpus: float = 0.0
    gpus_together: int = 0  # of one machine, at most
    is_rough: bool = False  # the one fold that all get holds out so few rows that leaders are due more
    distinct: float = 1.0  # share of the rows that is left where those that repeat others are counted once
    deal: int = 0  # folds in which each row is held out once; 0: all
    gain: Gain | None = None  # what is thought of networks on a table; None where one route alone takes part
    held: int = 0  # rows that a fold holds out
    is_number: bool = False  # what is predicted

    def on(self, nodes: Sequence[Node], slots: int) -> Load:
        """The same on the machines that there are now; what is there when none is left may come back."""
        if not nodes:
            return self
        widest, gpus = min(slots, max(node.cpus for node in nodes)), sum(node.gpus for node in nodes)
        together = int(max(node.gpus for node in nodes))
        room = room_mb(nodes)
        return replace(self, slots=slots, widest=widest, gpus=gpus, gpus_together=together, room_mb=room)

    def recipes_of(self, family: Family) -> list[str]:
        """Those of a family that make something of these columns; what networks see needs no features."""
        able = [recipe for recipe in family.recipes if recipe in self.recipes] if family.reads & TABLE else []
        return able or [PLAIN]

    def price_s(self, family: Family) -> float:
        """Predicted seconds of a default fit, before a run has measured one."""
        share = self.distinct if family.counts_weights else 1.0
        return family.price.fit_s(replace(self.size, rows=max(1, round(share * self.size.rows))))


def room_mb(nodes: Iterable[Node]) -> float:
    """Memory for a fit of one thread on the tightest machine, with all its CPUs at work."""
    return min((MEMORY_SHARE * node.memory_mb / node.cpus for node in nodes), default=float("inf"))
