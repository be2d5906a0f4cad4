"""What ten times the rows, or the seconds, would do to each route: learning curves of the trials of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from automl.decision.curves import CurvePoint, Outlook, more_time, outlook
from automl.decision.probes import route_of, share_of
from automl.records import Trial
from automl.records.verdict import TIMES, Change, Curve
from search_spaces.spec import BASELINE, Route

FOLD = 0  # on which all were looked at
SEED_NOISE = 0.02  # of an error, by another seed alone
WITHIN = 2.5631  # standard deviations between the 10 and the 90 % ends of a normal distribution


def known_at(events: Iterable[Mapping[str, Any]]) -> dict[int, float]:
    """The second at which the error on the first fold was known, by trial."""
    ends = (e for e in events if e["event"] == "finished" and e.get("fold") == FOLD and e.get("error") is not None)
    return {int(event["trial"]): float(event["elapsed_s"]) for event in ends}


def curves(trials: Iterable[Trial], rows: int, known: Mapping[int, float]) -> dict[str, Curve]:
    """Of each route as far as its trials tell.

    `rows`: that a model on all of them learns from; `known`: when the first fold of each trial was.
    """
    told: dict[Route, list[Trial]] = {}
    for trial in trials:
        if trial.plan.family != BASELINE and FOLD in trial.folds:
            told.setdefault(route_of(trial), []).append(trial)
    return {route: Curve(rows=_with_rows(mine, rows), seconds=_with_time(mine, known)) for route, mine in told.items()}


def _with_rows(trials: list[Trial], rows: int) -> Change | None:
    """Of the one family that was tried on most shares of the rows, by its best at each; None of a single share."""
    points: dict[str, dict[float, float]] = {}
    for trial in trials:
        at, error = points.setdefault(trial.plan.family, {}), trial.folds[FOLD].error
        if not (share_of(trial) < 1 and trial.folds[FOLD].is_cut):  # it shows what it had no time for
            at[share_of(trial)] = min(error, at.get(share_of(trial), math.inf))
    seen = max(points.values(), key=len, default={})
    if len(seen) < 2 or 1.0 not in seen:
        return None
    curve = [CurvePoint(share * rows, error, SEED_NOISE * error) for share, error in sorted(seen.items())]
    return _change(outlook(curve, rows), outlook(curve, TIMES * rows))


def _with_time(trials: list[Trial], known: Mapping[int, float]) -> Change | None:
    """By the best error so far, as long as it was looked for; None of a single trial."""
    found = trace(trials, known)
    if len(found) < 2:
        return None
    last = max(at for at, _ in found)
    return _change(more_time(found, last), more_time(found, TIMES * last))


def trace(trials: Iterable[Trial], known: Mapping[int, float]) -> list[tuple[float, float]]:
    """The second and the error of each trial that learned from all rows, on the first fold."""
    whole = (one for one in trials if one.plan.family != BASELINE and FOLD in one.folds and share_of(one) == 1)
    return [(known[one.plan.number], one.folds[FOLD].error) for one in whole if one.plan.number in known]


def _change(now: Outlook | None, then: Outlook | None) -> Change | None:
    """The logarithm of an error over another; None where there is nothing left to gain, or nothing is known."""
    if now is None or then is None or now.mean <= 0 or then.low <= 0:
        return None
    return Change(math.log(then.mean / now.mean), math.log(then.high / then.low) / WITHIN)
