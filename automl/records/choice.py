"""The nouns of the choice between machine learning, deep learning and both: what is thought, decided and found.

A gain is told as the logarithm of errors: how far the best network's error is above that of the best classical model.
Below zero networks are better. Logarithms of ratios add up, and mean the same for every metric.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from search_spaces.spec import Route


@dataclass(frozen=True)
class Rule:
    """A rule that fired, with the values that made it fire."""

    name: str
    because: str
    effect: str
    source: str = ""  # who found it out: a paper, or a line of benchmarks/LOG.md


@dataclass(frozen=True)
class Skip:
    """A family that does not take part, and why."""

    family: str
    because: str


OF_SHARES = "shares"  # the source of a gain that was read off measured shares of the time: no chance that was tested


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What is thought of log(error of networks / error of classical models), as a normal distribution."""

    mean: float
    sd: float
    source: str  # "rules", "learned", "probes" or OF_SHARES
    told: str = ""  # the values it rests on, in words

    @property
    def is_chance(self) -> bool:
        """Whether it was made to say how likely networks are better, and may be told as that."""
        return self.source != OF_SHARES

    @property
    def win(self) -> float:
        """The probability that networks are better."""
        return NormalDist().cdf(-self.mean / self.sd) if self.sd > 0 else float(self.mean < 0)

    def met(self, mean: float, sd: float, told: str) -> Gain:
        """The same after an observation with an error of its own."""
        if not (math.isfinite(mean) and 0 < sd < math.inf):
            return self
        mine, theirs = self.sd**-2, sd**-2
        both = (self.mean * mine + mean * theirs) / (mine + theirs)
        return Gain(mean=both, sd=(mine + theirs) ** -0.5, source="probes", told=told)


@dataclass(frozen=True)
class Decision:
    """How the budget is split between the routes before anything is tried."""

    shares: Mapping[Route, float]  # of the search seconds, summing to one
    families: tuple[str, ...]  # in the order of their first look
    rules: tuple[Rule, ...] = ()
    skipped: tuple[Skip, ...] = ()
    gain: Gain | None = None  # what was thought before; None where one route alone takes part
