"""The nouns of a quote: what a run is expected to take until its model is good, and until more hardly helps."""

from __future__ import annotations

from dataclasses import dataclass

AUTO_ROUTE = "auto"  # both routes in one run, as the budget is split between them


@dataclass(frozen=True)
class Range:
    """Where a number is expected: 10, 50 and 90 % of such runs are below these."""

    low: float
    middle: float
    high: float

    def times(self, factor: float) -> Range:
        """All three, so many times."""
        return Range(factor * self.low, factor * self.middle, factor * self.high)


@dataclass(frozen=True)
class Takes:
    """Seconds from the call on, and what holding the machines for so long costs."""

    seconds: Range
    money: Range
    kwh: Range


@dataclass(frozen=True, kw_only=True)
class RouteQuote:
    """One way to go about it."""

    route: str  # a Route, or AUTO_ROUTE
    good: Takes  # the best error so far is within 5 % of what the run would end with, given plenty of time
    flattened: Takes  # within 1 %
    is_measured: bool  # whether runs on such data were looked at; else the range is a guess, and wider


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What a run is expected to take, before anything is fitted."""

    routes: tuple[RouteQuote, ...]  # the way that the run will go first
    rows: int
    task: str
    currency: str
    cores: int
    gpus: float
    reading_s: float  # of the seconds, to read and describe the data
    advice: str
    rests_on: str
    budget: str | None = None  # as it was given
