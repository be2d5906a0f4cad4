"""When a run was good, and when it had flattened: read off the folds as they ended. Pure functions.

Every trial is compared with the best one on the folds that both did, so that an easy fold flatters nobody.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from search_spaces.spec import BASELINE

GOOD, FLAT = 0.05, 0.01  # of the error of the best: how far a model may be from it
ENOUGH_FOLDS = 3  # that a model must have done to be the one that others are compared with, where any has
SETTLED = 0.5  # of the search: who got there later may not have been done


@dataclass(frozen=True)
class FoldEnd:
    """A fold that was done."""

    at_s: float
    trial: int
    fold: int
    error: float


@dataclass(frozen=True, kw_only=True)
class Reached:
    """Seconds from the start of the run to the first model that was as good, beside the best one in the end."""

    good_s: float
    flattened_s: float
    until_s: float  # the end of the search

    @property
    def is_settled(self) -> bool:
        """Whether as much time again found nothing better, so that the end was not just where the time ran out."""
        return self.flattened_s <= SETTLED * self.until_s


def ends(events: Iterable[Mapping[str, Any]]) -> tuple[list[FoldEnd], float]:
    """The folds that were done, in the order of their ends, and the second at which the last search ended."""
    found, until_s, is_searching = [], 0.0, False
    for event in events:
        at_s = float(event.get("elapsed_s") or 0.0)
        until_s = max(until_s, at_s) if is_searching else until_s
        if event["event"] == "stage":
            is_searching = event["stage"] == "search"
        error = event.get("error")
        is_done = event["event"] == "finished" and event.get("status") == "done" and event.get("fold", -1) >= 0
        if is_done and event.get("family") != BASELINE and error is not None and math.isfinite(error):
            found.append(FoldEnd(at_s, int(event["trial"]), int(event["fold"]), float(error)))
    return sorted(found, key=lambda one: one.at_s), until_s


def reached(found: Sequence[FoldEnd], until_s: float, good: float = GOOD) -> Reached | None:
    """When the first model was good, and when one was that hardly differs from the best; None without any fold."""
    done: dict[int, dict[int, float]] = {}
    for one in found:
        done.setdefault(one.trial, {})[one.fold] = one.error
    if not done:
        return None
    best = done[_best(done)]
    so_far: dict[int, dict[int, float]] = {}
    met: dict[float, float] = {}
    for one in found:
        mine = so_far.setdefault(one.trial, {})
        mine[one.fold] = one.error
        common = mine.keys() & best.keys()
        if not common:
            continue
        error, least = fmean(mine[k] for k in common), fmean(best[k] for k in common)
        for mark in (good, FLAT):
            if error <= least + mark * abs(least):
                met.setdefault(mark, one.at_s)
    return Reached(good_s=met[good], flattened_s=met[FLAT], until_s=max(until_s, found[-1].at_s))


def _best(done: Mapping[int, Mapping[int, float]]) -> int:
    """The trial with the smallest mean error, of those with enough folds."""
    enough = min(ENOUGH_FOLDS, max(map(len, done.values())))
    return min((fmean(folds.values()), number) for number, folds in done.items() if len(folds) >= enough)[1]
