"""The verdict on the choice between routes: pure functions on what a run recorded, once its model is chosen.

Which route a trial followed, what a tie means, what more rows or seconds would change, what a year of training costs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import search_spaces
from automl.decision.probes import LEAST_NOISE
from automl.messages import one_line
from automl.records import Trial, TrialStatus
from automl.records.choice import Decision, Gain, Skip
from automl.records.verdict import (
    BOTH,
    TIMES,
    Change,
    Curve,
    Difference,
    Existing,
    Retraining,
    RouteShown,
    Turn,
)
from search_spaces.spec import BASELINE

CLASSICAL, NEURAL, HYBRID = "classical", "neural", "hybrid"
YEAR_S = 365 * 86_400.0
SHORT_CYCLE_S = 7 * 86_400.0  # trained 52 times a year: as often as a search of a minute or two tries models
OF_OTHER_DATA = ("reads ", "joins ", "on such data ", "does not do ")  # families that were never meant for these
WIDTH = 2 * NormalDist().inv_cdf(0.975)  # of a 95 % interval, in standard deviations


def route_of(family: str, *, has_encoder: bool) -> str:
    """The route of a family: behind a network that was trained before, classical models are the hybrid route."""
    known = search_spaces.get(family)
    if has_encoder and (known.goes_on or known.route == CLASSICAL):
        return HYBRID
    return str(known.route)


def route_of_blend(routes: Sequence[str]) -> str:
    """Of a model with members of these routes."""
    found = set(routes)
    return BOTH if len(found) > 1 else next(iter(found), CLASSICAL)


def shown(
    route: str, trials: Sequence[Trial], best: Trial | None, above: str, why_not: str, goal: int = 1
) -> RouteShown:
    """What a route's trials came to; `best`: the one that is compared, used with all `goal` folds of a finished one."""
    folds = list(best.folds.values()) if best else []
    used = goal / len(folds) if 0 < len(folds) < goal else 1.0
    return RouteShown(
        route=route, trials=len(trials), folds=sum(len(t.folds) for t in trials),
        cpu_s=sum(t.spent.cpu_s for t in trials), best=f"{best.plan.family} #{best.plan.number}" if best else "",
        row_ms=1e3 * used * sum(f.row_s for f in folds) if best else None,
        size_mb=used * sum(f.size_mb for f in folds) if best else None,
        train_s=used * best.spent.cpu_s if best else None, above=above, why_not=why_not,
    )  # fmt: skip


def why_not_compared(route: str, trials: Sequence[Trial], decision: Decision, families: Mapping[str, str]) -> str:
    """Why a route has no fold at all: never let in, failed, or too slow. `families`: the route of each by name."""
    if trials:
        failed = [t for t in trials if t.status is TrialStatus.FAILED and t.message]
        late = sum(t.status is TrialStatus.LATE for t in trials)
        if failed:
            return f"failed: {one_line(failed[-1].message)}"
        if late:
            return "too slow: no fold was finished in time"
        return "no fold was finished"
    if any(families.get(name) == route for name in decision.families):
        return "too slow: there was no time to begin one"
    mine = [skip for skip in decision.skipped if families.get(skip.family) == route]
    if not mine:
        return "no family of it is known"
    told = [skip.because for skip in mine]
    told = [one for one in told if not one.startswith(OF_OTHER_DATA)] or told
    return max(dict.fromkeys(told), key=told.count)  # what most of its families lack


def families_of(*, has_encoder: bool) -> dict[str, str]:
    """The route of each family, by name."""
    names = [name for name in search_spaces.names() if name != BASELINE]
    return {name: route_of(name, has_encoder=has_encoder) for name in names}


def took_cheap(route: str, routes: Sequence[RouteShown], differences: Sequence[Difference]) -> bool:
    """Whether no other route can be told apart from the chosen one, and each takes longer for a row."""
    if route == BOTH or not differences or any(one.is_real for one in differences):
        return False
    takes = {one.route: one.row_ms for one in routes if one.row_ms is not None}
    mine = takes.get(route)
    return mine is not None and all(takes.get(one.route, -math.inf) >= mine for one in differences)


def gain_after(before: Gain | None, route: str, differences: Sequence[Difference], doubt: float = 0.0) -> Gain | None:
    """What is thought of networks against classical models with what was measured; None where they were not.

    `doubt`: deviation by what was not tried of either route.
    """
    for one in differences:
        if {route, one.route} == {CLASSICAL, NEURAL} and min(one.our_error, one.their_error) > 0:
            mean, sd = _log_ratio(one)
            sd = math.hypot(sd, LEAST_NOISE, doubt)  # of another seed at least
            mean = mean if one.route == NEURAL else -mean
            told = f"{one.folds} common folds, {one.rows:,} rows"
            found = Gain(mean=mean, sd=sd, source="trials", told=told)
            return before.met(mean, sd, told) if before is not None and before.is_chance else found
    return None


def turns(route: str, differences: Sequence[Difference], curves: Mapping[str, Curve]) -> tuple[Turn, ...]:
    """What ten times the rows, or the seconds, would do to the verdict, as far as the learning curves of both tell."""
    found = []
    for what in ("rows", "seconds"):
        for one in differences:
            if min(one.our_error, one.their_error) <= 0:
                continue
            ours, theirs = (getattr(curves.get(name, Curve()), what) for name in (route, one.route))
            if ours is not None and theirs is not None:
                found.append(_turned(what, one, ours, theirs))
    return tuple(found)


def with_all_seconds(routes: Sequence[RouteShown], curves: Mapping[str, Curve]) -> dict[str, Change]:
    """What the error of each route would have changed by, had all of the run been its own; as far as its curve tells.

    A curve tells of ten times the seconds; on the way there errors fall as the logarithm of the seconds grows.
    """
    whole = sum(one.cpu_s for one in routes)
    found = {}
    for one in routes:
        known = curves.get(one.route, Curve()).seconds
        if known is not None and 0 < one.cpu_s < whole:
            part = min(1.0, math.log(whole / one.cpu_s) / math.log(TIMES))
            found[one.route] = Change(part * known.mean, part * known.sd)
    return found


def _turned(what: str, one: Difference, ours: Change, theirs: Change) -> Turn:
    mean, sd = _log_ratio(one)
    mean, sd = mean + theirs.mean - ours.mean, math.hypot(sd, ours.sd, theirs.sd)
    win = NormalDist().cdf(-mean / sd) if sd > 0 else float(mean < 0)
    return Turn(what=what, route=one.route, less=1 - math.exp(mean), win=win)


def _log_ratio(one: Difference) -> tuple[float, float]:
    """log(their error / ours) with its standard error."""
    if not (0 < one.their_error < math.inf and 0 < one.our_error < math.inf):
        return 0.0, math.inf
    mean = math.log(one.their_error / one.our_error)
    wide = (one.high - one.low) / WIDTH
    return mean, wide / min(one.their_error, one.our_error) if math.isfinite(wide) else math.inf


def by_limits(
    families: Mapping[str, Sequence[Trial]], limits: tuple[float, float], names: tuple[str, str]
) -> tuple[Skip, ...]:
    """The families none of whose trials is within the limits, or that memory did not suffice for."""
    found = []
    for family, trials in families.items():
        done = [next(iter(t.folds.values())) for t in trials if t.folds]
        if not done:
            full = [t for t in trials if "memory" in t.message.lower()]
            if full and len(full) == len(trials):
                found.append(Skip(family, f"memory did not suffice: {one_line(full[-1].message)}"))
            continue
        least_ms, least_mb = min(1e3 * f.row_s for f in done), min(f.size_mb for f in done)
        if least_ms > limits[0]:
            found.append(Skip(family, f"its fastest model takes {least_ms:.3g} ms a row, and {names[0]}"))
        elif least_mb > limits[1]:
            found.append(Skip(family, f"its smallest model has {least_mb:.3g} MB, and {names[1]}"))
    return tuple(found)


def retraining(every_s: float, cpu_s: float, money_cpu_s: float, currency: str, other: RouteShown | None) -> Retraining:
    """A year of it: a training costs what the model's members cost in this run."""
    return Retraining(
        every_s=every_s, times=YEAR_S / every_s, cpu_s=cpu_s, money=money_cpu_s * cpu_s, currency=currency,
        other_cpu_s=None if other is None else other.train_s,
    )  # fmt: skip


def against_number(
    score: float, promised: tuple[float, float, float], *, higher_is_better: bool, findings: tuple[str, ...]
) -> Existing:
    """A score that was told as a number, against what is promised of the returned model: (value, low, high)."""
    sign = 1.0 if higher_is_better else -1.0
    value, low, high = promised
    ends = sorted((sign * (low - score), sign * (high - score)))
    return Existing(
        name="the score that was given", score=score, how="as it was given: on which rows is not known",
        gain=sign * (value - score), gain_low=ends[0], gain_high=ends[1], findings=findings,
    )  # fmt: skip
