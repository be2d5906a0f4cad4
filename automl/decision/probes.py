"""What looks at both routes showed, and what is thought of the routes after them: pure functions on records.

A probe is a cheap look: the leading family of each route on a part of the training rows. Looks at all rows follow. At
each share of the rows the best of both routes are paired on the folds that both did, so that what is hard about a fold
is hard for both; looks at few rows count for less, since the routes gain differently from more of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Protocol

import search_spaces
from automl.decision.expect import share_of as share_of_gain
from automl.records import Fold, Plan
from automl.records.choice import Gain
from search_spaces.spec import BASELINE, Route

AUDIT = 0.05  # of the search stays with the route that is losing
# What two trials that are equally good differ by on one fold, in the noise of its error; and what is never known
# better: of another seed, and of configurations that nobody tried.
ROW_NOISE, LEAST_NOISE = 1.0, 0.04
# Of the best of a route where one of its families was looked at; of several by the root of their number. On 76 tables
# first looks at both had the sign of the end in 71 %, the best of both in 76 % (benchmarks/LOG.md, 2026-11-29).
UNTRIED = 0.4
TREND = 0.25  # by which the gain may turn for every e-fold of the rows
CUT_NOISE = 0.1  # of a network that was granted less than it asked for
EXACT = 1e-3  # of the error without a model: smaller ones count as that


class Tried(Protocol):
    """A trial, whether it still lives or not."""

    @property
    def plan(self) -> Plan:
        """Its configuration."""

    @property
    def folds(self) -> Mapping[int, Fold]:
        """What it did so far."""


@dataclass(frozen=True)
class Footing:
    """What looks are made on."""

    held: int  # rows that a fold holds out
    worst: float  # the error without a model
    is_number: bool = True  # what is predicted

    def lifted(self, error: float) -> float:
        """An error as it is compared: of classes with one more row told wrong, since none is as good as it may look."""
        worst = self.worst if 0 < self.worst < math.inf else 1.0
        return max(error, EXACT * worst) if self.is_number else error + worst / max(1, self.held)

    def noise(self, error: float) -> float:
        """Of one fold's error, as a share of it: errors of classes are told by the few rows that are wrong."""
        return 1 / math.sqrt(max(1, self.held)) if self.is_number else math.sqrt(self.lifted(0.0) / self.lifted(error))


@dataclass(frozen=True, kw_only=True)
class Look:
    """The best of a route on a share of the training rows."""

    route: Route
    trial: int
    family: str
    share: float
    errors: Mapping[int, float]  # by fold
    is_cut: bool = False


def share_of(trial: Tried) -> float:
    """Of the training rows that a trial learns from."""
    return float(trial.plan.features.get("share", 1.0))


def route_of(trial: Tried) -> Route:
    """Of the family of a trial."""
    return search_spaces.get(trial.plan.family).route


def _claim(trial: Tried) -> tuple[float, float]:
    """What a trial is compared by: up to three folds, beyond which more of them are no reason, then the error."""
    return -min(3, len(trial.folds)), fmean(fold.error for fold in trial.folds.values())


def paired(trials: Iterable[Tried]) -> dict[float, tuple[Look, Look]]:
    """The classical and the neural look at each share of the rows at which both did the same folds, on these."""
    every: dict[float, dict[Route, list[Tried]]] = {}
    for trial in trials:
        if trial.plan.family != BASELINE and trial.folds:
            every.setdefault(share_of(trial), {}).setdefault(route_of(trial), []).append(trial)
    pairs = {}
    for share, routes in sorted(every.items()):
        if len(routes) < 2:
            continue
        able = [t for t in routes["neural"] if _common(t, routes["classical"])]
        if not able:
            continue
        network = min(able, key=_claim)
        folds = max((set(t.folds) & set(network.folds) for t in routes["classical"]), key=len)
        rivals = [t for t in routes["classical"] if folds <= set(t.folds)]
        other = min(rivals, key=lambda t: fmean(t.folds[k].error for k in folds))
        pairs[share] = (_on(other, folds), _on(network, folds))
    return pairs


def _common(trial: Tried, others: Iterable[Tried]) -> bool:
    return any(set(trial.folds) & set(other.folds) for other in others)


def _on(trial: Tried, folds: Iterable[int]) -> Look:
    """A trial on some of its folds."""
    kept = {k: trial.folds[k] for k in sorted(folds)}
    return Look(
        route=route_of(trial),
        trial=trial.plan.number,
        family=trial.plan.family,
        share=share_of(trial),
        errors={k: fold.error for k, fold in kept.items()},
        is_cut=any(fold.is_cut for fold in kept.values()),
    )


def belief(prior: Gain, trials: Iterable[Tried], footing: Footing) -> Gain:
    """The gain as it is seen after looks at both routes."""
    trials = [trial for trial in trials if trial.plan.family != BASELINE and trial.folds]
    doubt, seen = untried(trials), prior
    for share, (other, network) in paired(trials).items():
        if share < 1 and network.is_cut:
            continue  # it shows what it had no time for
        mean, sd = gain_of(other, network, footing)
        sd = math.hypot(sd, TREND * math.log(1 / share), doubt)
        folds = f"{len(network.errors)} fold{'s' if len(network.errors) > 1 else ''}"
        part = "" if share == 1 else f" of {share:.0%} of the rows"
        told = f"{network.family} had {math.exp(mean):.3g} times the error of {other.family} on {folds}{part}"
        seen = seen.met(mean, sd, told)
    return seen


def untried(trials: Iterable[Tried]) -> float:
    """What the gain may still change by, since only some families of either route were looked at."""
    looked = [t for t in trials if t.plan.family != BASELINE and t.folds]
    tried = [len({t.plan.family for t in looked if route_of(t) == route}) for route in ("classical", "neural")]
    return math.hypot(*(UNTRIED / math.sqrt(max(1, count)) for count in tried))


def gain_of(other: Look, network: Look, footing: Footing) -> tuple[float, float]:
    """The logarithm of how many times the other's error the network's is, on the same folds, and its error.

    An endless error where nothing can be compared.
    """
    both = [(network.errors[k], other.errors[k]) for k in network.errors]
    both = [(n, o) for n, o in both if math.isfinite(n) and math.isfinite(o)]
    if not both:  # one of them gave no numbers, or a user's function failed
        return 0.0, math.inf
    ratios = [math.log(footing.lifted(n) / footing.lifted(o)) for n, o in both]
    noise = ROW_NOISE * footing.noise(fmean([n + o for n, o in both]) / 2)
    if len(ratios) > 1:
        noise = max(noise, stdev(ratios))
    sd = math.hypot(noise / math.sqrt(len(ratios)), LEAST_NOISE)
    return fmean(ratios), math.hypot(sd, CUT_NOISE) if network.is_cut else sd


def neural_share(gain: Gain) -> float:
    """Of the search for networks, by how sure it is that they win; who is losing keeps the audit's share."""
    return min(1 - AUDIT, max(AUDIT, share_of_gain(gain)))
