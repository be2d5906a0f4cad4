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

GIVE_UP = 0.05  # of the gain over the baseline that the fastest and the smallest pick may give up
LOSS = 0.01  # of the error, that the default may be expected to give up for a cheaper model
FAR = 0.5  # more error than the best: so much is not given up for everyday limits that nobody asked for
HARDLY = 1.5  # a model that costs not so many times what another one does is hardly dearer
PREFERENCES = ("cheap", "balanced", "accurate", "fastest", "smallest")
PICKS = {"best": "accurate", "cheapest tied": "cheap", "fastest": "fastest", "smallest": "smallest"}  # named: preferred


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


NOTHING = Limits(0.0, 0.0)
STEPS = Limits(
    250.0, 25.0
)  # what a step of a series may cost for nothing: steps are asked for all together, now and then
EVERYDAY = Limits(20.0, 100.0)  # what any service can live with: what "balanced" may cost
FEW_FOLDS = 2  # kept of each member cost one or two percent of the error; a single one five and more


@dataclass(frozen=True, kw_only=True)
class Bargain:
    """What is weighed against what, where not the least error alone decides."""

    everyday: Limits = EVERYDAY  # what a service can live with
    baseline: Score | None = None  # a model's gain is over it
    perfect: float | None = None  # the score of no error; None: what it is by the way scores go
    give_up: float = GIVE_UP  # the share of the gain
    free: Limits = NOTHING  # "balanced" takes what costs no more as free
    is_timed: bool = True  # else runs repeat: what a clock measured decides nothing, sizes do

    def cost(self, one: Candidate) -> float:
        """To run: milliseconds for a row, or megabytes where these must not decide."""
        cost = one.row_ms if self.is_timed else one.size_mb
        return cost if math.isfinite(cost) else math.inf

    def least(self, one: Candidate) -> float:
        """The same, with one fold of each member kept."""
        return one.lean_ms if self.is_timed else one.lean_mb

    def loss(self, one: Candidate, best: Candidate) -> float:
        """By which share of the error this one is expected to be worse."""
        perfect = self.perfect if self.perfect is not None else float(best.score.higher_is_better)
        least, more = abs(best.score.value - perfect), error(one.score) - error(best.score)
        return more / least if least > 0 else math.copysign(math.inf, more) if more else 0.0

    def keeps(self, one: Candidate, best: Candidate) -> bool:
        """Whether all of the best one's gain but what may be given up is left."""
        if self.baseline is None:
            return error(one.score) <= error(best.score)
        gain = max(0.0, error(self.baseline) - error(best.score))
        return error(one.score) <= error(best.score) + self.give_up * (gain if math.isfinite(gain) else 0.0)


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
    """Whether `a` has no more error and costs no more per row than `b`, and less of at least one of the two.

    A cheaper form of `b` does not: held-out scores are of single folds, and `b` averages several, which is better.
    """
    if a.made_from == b.name:
        return False
    mine, theirs = _axes(a), _axes(b)
    return mine != theirs and mine[0] <= theirs[0] and mine[1] <= theirs[1]


def mark(candidates: Sequence[Candidate], tied: Tied, baseline: Score | None = None) -> list[Candidate]:
    """The candidates in their order, with `on_frontier`, `tied_with_best` and `picks` set.

    "best" has the least error. "cheapest tied" is the cheapest per row of those on the frontier that are tied with the
    best. "fastest" is the cheapest per row, and "smallest" the smallest on disk, of those that keep 95 % of the best
    one's gain over the baseline, if one is given.
    """
    frontier = _frontier(candidates)
    if not frontier:
        return []
    best = min(frontier, key=lambda one: (error(one.score), bool(one.made_from), _cost(one)))
    picks = {"best": best, "cheapest tied": _cheapest(_tied_with(best, frontier, tied))}
    if baseline is not None and math.isfinite(error(best.score)):
        bargain = Bargain(baseline=baseline)
        picks["fastest"] = _cheapest([one for one in frontier if bargain.keeps(one, best)])
        picks["smallest"] = _smallest([one for one in candidates if bargain.keeps(one, best)])
    return [
        replace(
            one,
            on_frontier=any(one is member for member in frontier),
            picks=tuple(name for name, picked in picks.items() if picked is one),
            tied_with_best=one is best or tied(best, one),
        )
        for one in candidates
    ]


def choose(
    candidates: Sequence[Candidate],
    tied: Tied,
    limits: Limits,
    prefer: str = "balanced",
    bargain: Bargain | None = None,
) -> Pick | None:
    """The candidate to return; None where none is within the limits.

    The limits come first. A model is within them if it is with two folds of each member kept; where none is, with one
    (`trim`). Of those left, "accurate" takes the least error, "cheap" the cheapest to run that is tied with it,
    "fastest" and "smallest" the cheapest and the smallest that keep 95 % of its gain. "balanced" looks at what a
    service can live with, 20 ms a row and 100 MB: there it takes the cheapest of those that are tied with the best and
    expected to lose at most 1 % of its error, but a better one that is hardly dearer; where all that is there errs half
    as much again as the best, it looks further. A blend made for a tighter limit is never the best: what was chosen
    from fewer models scores better by luck alone.
    """
    if prefer not in PREFERENCES:
        raise ValueError(f"prefer must be {', '.join(PREFERENCES[:-1])} or {PREFERENCES[-1]}, got {prefer!r}.")
    bargain = bargain or Bargain()
    allowed = _within(limits, candidates)
    if not bargain.is_timed:  # which models a blend for fewer milliseconds has, the clock decided
        allowed = [one for one in allowed if len(one.weights) == 1 or math.isinf(one.within_ms)] or allowed
    if not allowed:
        return None
    best = _best(_loosest(allowed))
    chosen = best
    if prefer == "balanced":
        tight = limits.tightened(bargain.everyday)
        able = _within(tight, allowed)
        if able and bargain.loss(_best(_loosest(able)), best) > FAR:
            able = allowed
        else:
            limits = tight
        chosen = _bargain(able, tied, limits, bargain) if able else min(allowed, key=bargain.least)
    elif prefer == "cheap":
        chosen = _cheapest(_tied_with(best, allowed, tied), bargain)
    elif prefer in ("fastest", "smallest"):
        able = [one for one in allowed if one is best or bargain.keeps(one, best)]
        chosen = _smallest(able) if prefer == "smallest" else _cheapest(able, bargain)
    is_aside = error(_best(allowed).score) < error(best.score)
    told = _because(chosen, best, tied(best, chosen), (len(allowed), len(candidates)), is_aside)
    return Pick(chosen, told, limits)


def _bargain(able: Sequence[Candidate], tied: Tied, limits: Limits, bargain: Bargain) -> Candidate:
    """The cheapest of those about as good as the best, or a better one that is hardly dearer."""
    best = _best(_loosest(able))
    names = {one.name for one in able}  # what a cheaper form of one of them loses is more than scores can tell
    able = [one for one in able if one.made_from not in names]
    near = [one for one in _tied_with(best, able, tied) if one is best or bargain.loss(one, best) <= LOSS]

    def in_kind(one: Limits) -> float:
        return one.row_ms if bargain.is_timed else one.size_mb

    def cost(one: Candidate) -> float:  # folds that break the limits are left out
        return min(max(bargain.cost(one), in_kind(bargain.free)), in_kind(limits))

    least = min(cost(one) for one in near)
    if cost(best) < HARDLY * least:
        return best
    return _best([one for one in near if cost(one) <= HARDLY * least])


def cheapest_to_train(found: Pick, candidates: Sequence[Candidate], tied: Tied, *, is_timed: bool = True) -> Pick:
    """For a model that is trained again and again: of those tied with the best that the limits allow, the cheapest.

    Where runs repeat, what a clock measured decides nothing: there the smallest.
    """
    allowed = _within(found.limits, candidates)
    if not allowed:
        return found
    best, taken = _best(_loosest(allowed)), found.candidate
    able = _tied_with(best, allowed, tied)

    def cost(one: Candidate) -> float:
        return one.fit_s if is_timed else one.size_mb

    cheapest = min(able, key=lambda one: (cost(one), error(one.score)))
    if cheapest is taken or cost(cheapest) >= cost(taken):
        return found
    ours, theirs = (f"{cost(one):.3g}" for one in (cheapest, taken))
    saved = f"takes {ours} s of CPU to train instead of {theirs}" if is_timed else f"has {ours} MB instead of {theirs}"
    told = f"cannot be told apart from the best, {best.name}, and {saved}, again and again"
    return Pick(cheapest, told, found.limits, taken.name)


def _within(limits: Limits, candidates: Sequence[Candidate]) -> list[Candidate]:
    held = [one for one in candidates if limits.hold_for(one, FEW_FOLDS)]
    return held or [one for one in candidates if limits.hold_for(one)]


def _loosest(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Without blends made for a tighter limit than another one here, and without cheaper forms of what is here."""
    names = {one.name for one in candidates}
    candidates = [one for one in candidates if one.made_from not in names]
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
    return min(candidates, key=lambda one: (error(one.score), one.size_mb))


def _cheapest(candidates: Sequence[Candidate], bargain: Bargain | None = None) -> Candidate:
    return min(candidates, key=lambda one: ((bargain or Bargain()).cost(one), error(one.score)))


def _smallest(candidates: Sequence[Candidate]) -> Candidate:
    return min(candidates, key=lambda one: (one.size_mb if math.isfinite(one.size_mb) else math.inf, error(one.score)))


def _tied_with(best: Candidate, frontier: Sequence[Candidate], tied: Tied) -> list[Candidate]:
    return [one for one in frontier if one is best or tied(best, one)]
