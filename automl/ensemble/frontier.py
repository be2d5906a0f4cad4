"""Which candidates are worth their cost, and which one to return.

Two axes decide: the error and the milliseconds to predict one row, the cost that stays for as long as a model is used.
Training seconds and size are reported and size can be limited, but with more axes nearly every model is undominated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from automl.records import Candidate, Fold, Score

Tied = Callable[[Candidate, Candidate], bool]  # cannot be told apart on the same rows: their paired interval holds zero

FAST_LOSS = 0.05  # of the gain over the baseline that the "fastest" pick may give up


@dataclass(frozen=True)
class Limits:
    """What a model may cost: milliseconds to predict a row, megabytes on disk."""

    row_ms: float = math.inf
    size_mb: float = math.inf

    def hold_for(self, one: Candidate, folds: int = 1) -> bool:
        """Whether they can be met with so many folds of each member; what was not measured (NaN) meets no limit."""
        takes_ms = min(one.row_ms, folds * (one.lean_ms - one.told_ms) + one.told_ms)
        takes_mb = min(one.size_mb, folds * (one.lean_mb - one.told_mb) + one.told_mb)
        is_fast = math.isinf(self.row_ms) or takes_ms <= self.row_ms
        return is_fast and (math.isinf(self.size_mb) or takes_mb <= self.size_mb)

    def tightened(self, other: Limits) -> Limits:
        """The tighter of each."""
        return Limits(min(self.row_ms, other.row_ms), min(self.size_mb, other.size_mb))

    def __str__(self) -> str:
        return f"max_latency_ms={self.row_ms:g}, max_model_mb={self.size_mb:g}"


EVERYDAY = Limits(20.0, 100.0)  # what any service can live with: what "balanced" may cost
FEW_FOLDS = 2  # kept of each member cost one or two percent of the error; a single one five and more


@dataclass(frozen=True)
class Pick:
    """The candidate to return, why in one line, and the limits it was chosen for."""

    candidate: Candidate
    because: str
    limits: Limits
    instead: str = ""  # of which one, where a tie went to the cheaper to train


def error(score: Score) -> float:
    """A score as something to minimise; what was not measured is infinitely bad."""
    if not math.isfinite(score.value):
        return math.inf
    return -score.value if score.higher_is_better else score.value


def dominates(a: Candidate, b: Candidate) -> bool:
    """Whether `a` has no more error and costs no more per row than `b`, and less of at least one of the two."""
    mine, theirs = _axes(a), _axes(b)
    return mine != theirs and mine[0] <= theirs[0] and mine[1] <= theirs[1]


def mark(candidates: Sequence[Candidate], tied: Tied, baseline: Score | None = None) -> list[Candidate]:
    """The candidates in their order, with `on_frontier` and `picks` set.

    "best" has the least error. "cheapest tied" is the cheapest per row of those on the frontier that are tied with the
    best. "fastest" is the cheapest per row that keeps 95 % of the best one's gain over the baseline, if one is given.
    """
    frontier = _frontier(candidates)
    if not frontier:
        return []
    best = min(frontier, key=_axes)
    picks = {"best": best, "cheapest tied": _cheapest(_tied_with(best, frontier, tied))}
    if baseline is not None:
        allowed = error(best.score) + FAST_LOSS * max(0.0, error(baseline) - error(best.score))
        if math.isfinite(allowed):
            picks["fastest"] = _cheapest([one for one in frontier if error(one.score) <= allowed])
    return [
        replace(
            one,
            on_frontier=any(one is member for member in frontier),
            picks=tuple(name for name, picked in picks.items() if picked is one),
        )
        for one in candidates
    ]


def choose(
    candidates: Sequence[Candidate], tied: Tied, limits: Limits, prefer: str = "balanced", everyday: Limits = EVERYDAY
) -> Pick | None:
    """The candidate to return; None where none is within the limits.

    The limits come first. A model is within them if it is with two folds of each member kept; where none is, with one
    (`trim`). Of those left, "accurate" takes the least error, "cheap" the cheapest per row that is tied with it, and
    "balanced" the least error that a service can live with: 20 ms a row and 100 MB. A blend made for a tighter limit
    is left to the one who asks for it: what was chosen from fewer models scores better by luck alone.
    """
    if prefer not in ("cheap", "balanced", "accurate"):
        raise ValueError(f"prefer must be cheap, balanced or accurate, got {prefer!r}.")
    allowed = _within(limits, candidates)
    if not allowed:
        return None
    best = _best(_loosest(allowed))
    chosen = best
    if prefer == "balanced":
        limits = limits.tightened(everyday)
        chosen = _best(_loosest(_within(limits, allowed)) or [min(allowed, key=lambda one: one.lean_ms)])
    elif prefer == "cheap":
        chosen = _cheapest(_tied_with(best, allowed, tied))
    is_aside = error(_best(allowed).score) < error(best.score)
    told = _because(chosen, best, tied(best, chosen), (len(allowed), len(candidates)), is_aside)
    return Pick(chosen, told, limits)


def cheapest_to_train(found: Pick, candidates: Sequence[Candidate], tied: Tied) -> Pick:
    """For a model that is trained again and again: of those tied with the best that the limits allow, the cheapest."""
    allowed = _within(found.limits, candidates)
    if not allowed:
        return found
    best, taken = _best(_loosest(allowed)), found.candidate
    able = _tied_with(best, allowed, tied)
    cheapest = min(able, key=lambda one: (one.fit_s, error(one.score)))
    if cheapest is taken or cheapest.fit_s >= taken.fit_s:
        return found
    told = (
        f"cannot be told apart from the best, {best.name}, and takes {cheapest.fit_s:.3g} s of CPU to train instead of "
        f"{taken.fit_s:.3g}, again and again"
    )
    return Pick(cheapest, told, found.limits, taken.name)


def _within(limits: Limits, candidates: Sequence[Candidate]) -> list[Candidate]:
    held = [one for one in candidates if limits.hold_for(one, FEW_FOLDS)]
    return held or [one for one in candidates if limits.hold_for(one)]


def _loosest(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Without the blends that were made for a tighter limit than another one here."""
    widest = max((one.within_ms for one in candidates if len(one.weights) > 1), default=math.inf)
    return [one for one in candidates if len(one.weights) == 1 or one.within_ms == widest]


def trim(folds: Sequence[Sequence[Fold]], weights: Sequence[float], limits: Limits) -> list[int]:
    """How many folds of each member can be kept within the limits; at least one of each.

    What a fold adds is taken as the variance that averaging it in removes, of a member's share of the mixture; the fold
    that adds least for what it costs is dropped first. So members that are dear and weigh little lose theirs early.
    """
    kept = [len(member) for member in folds]
    prices = [
        sum(max(f.row_s * 1e3 / max(limits.row_ms, 1e-9), f.size_mb / max(limits.size_mb, 1e-9)) for f in member)
        / len(member)
        for member in folds
    ]

    def is_too_much() -> bool:
        used = [fold for member, count in zip(folds, kept, strict=True) for fold in member[:count]]
        return sum(f.row_s for f in used) * 1e3 > limits.row_ms or sum(f.size_mb for f in used) > limits.size_mb

    def adds(k: int) -> float:
        return weights[k] ** 2 / (kept[k] * (kept[k] - 1)) / max(prices[k], 1e-12)

    while is_too_much() and max(kept) > 1:
        kept[min((k for k in range(len(kept)) if kept[k] > 1), key=adds)] -= 1
    return kept


def _because(chosen: Candidate, best: Candidate, is_tied: bool, counts: tuple[int, int], is_aside: bool) -> str:
    allowed, tried = counts
    among = f"{allowed} of {tried} models within the limits" if allowed < tried else f"{tried} models"
    if allowed == 1:
        return f"the only one of {tried} models within the limits" if allowed < tried else "the only model"
    if chosen is best:
        return f"the best score of {among}{', not counting blends made for tighter limits' if is_aside else ''}"
    ours, theirs = (f"{one.row_ms:.3g} ms a row and {one.size_mb:.3g} MB" for one in (chosen, best))
    cost = f"takes {ours} instead of {theirs}"
    told = "cannot be told apart from" if is_tied else "is behind"
    return f"{told} the best of {among}, {best.name}, and {cost}"


def _cost(one: Candidate) -> float:
    return one.row_ms if math.isfinite(one.row_ms) else math.inf


def _axes(one: Candidate) -> tuple[float, float]:
    return error(one.score), _cost(one)


def _frontier(candidates: Sequence[Candidate]) -> list[Candidate]:
    return [one for one in candidates if not any(dominates(other, one) for other in candidates)]


def _best(candidates: Sequence[Candidate]) -> Candidate:
    """Of equal scores the smallest, not the fastest: sizes are the same in every run of the same plan."""
    return min(candidates, key=lambda one: (error(one.score), one.size_mb, _cost(one)))


def _cheapest(candidates: Sequence[Candidate]) -> Candidate:
    return min(candidates, key=lambda one: (_cost(one), error(one.score)))


def _tied_with(best: Candidate, frontier: Sequence[Candidate], tied: Tied) -> list[Candidate]:
    return [one for one in frontier if one is best or tied(best, one)]
