"""A run as its page shows it: the steps, how much of the budget is gone, the best score over time, routes side by side.

Drawn from what the API tells, in the classes of the report's pictures, so that both follow the same colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from automl.doors.service.ground.tables import State
from automl.errors import OptionError
from automl.options import Budget
from automl.report import axes, charts, words
from automl.report.axes import Scale

if TYPE_CHECKING:
    from markupsafe import Markup

STEPS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("read", ("load", "embed")),
    ("describe", ("profile",)),
    ("search", ("search",)),
    ("combine", ("ensemble", "cheaper")),
    ("fit", ("refit",)),
    ("explain", ("explain", "importance")),
    ("report", ("report",)),
)
ROUTES = ("classical", "neural", "hybrid")
TOLD, FAILED = "told", "failed"


def steps(stage: str, *, is_over: bool) -> list[tuple[str, str]]:
    """Each step of a run and where it stands: past, now, or to come."""
    at = next((place for place, (_, names) in enumerate(STEPS) if stage in names), 0)
    stand = ["past" if is_over or place < at else "now" if place == at else "to come" for place in range(len(STEPS))]
    return [(name, where) for (name, _), where in zip(STEPS, stand, strict=True)]


def stage_of(told: Sequence[tuple[int, str, Mapping[str, Any]]]) -> str:
    """The last stage that has a step, by the events of a run since it last came out of the line."""
    known, found = {name for _, names in STEPS for name in names}, "load"
    for _, kind, body in told:
        if kind == "state" and body.get("state") == State.QUEUED:
            found = "load"
        elif kind == "stage" and body.get("stage") in known:
            found = str(body["stage"])
    return found


def spent(options: Mapping[str, Any], progress: Mapping[str, Any]) -> float | None:
    """The share of the budget that is gone; None where that is not known."""
    elapsed, left = words.finite(progress.get("elapsed_s")), words.finite(progress.get("left_s"))
    if elapsed is not None and left is not None and elapsed + left > 0:
        return min(1.0, elapsed / (elapsed + left))
    done = words.finite(progress.get("done"))
    try:
        trials = Budget.parse(options.get("budget", "10m")).trials
    except OptionError:
        return None
    return None if done is None or not trials else min(1.0, done / trials)


def of_newest_target(trials: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of the target that is searched for now: with each target numbers begin anew."""
    start = max((place for place, one in enumerate(trials) if one["trial"] == 0), default=0)
    return list(trials[start:])


def best_over_time(
    trials: Sequence[Mapping[str, Any]], metric: str | None, *, higher_is_better: bool
) -> tuple[Markup, Markup]:
    """The score of every trial when it was told, and the best until then as a line."""
    told = [one for one in trials if one["state"] == TOLD and words.finite(one["score"]) is not None]
    told.sort(key=lambda one: one["elapsed_s"])
    best: list[Mapping[str, Any]] = []
    for one in told:  # by when they were told: trials that were asked for first need not end first
        if not best or ((one["score"] > best[-1]["score"]) is higher_is_better and one["score"] != best[-1]["score"]):
            best.append(one)
    return charts.both(lambda width: _best(told, best, metric or "score", width))


def _best(told: Sequence[Mapping[str, Any]], best: Sequence[Mapping[str, Any]], metric: str, width: int) -> str:
    if not told:
        return ""
    high = 240
    low_y, high_y = axes.span([one["score"] for one in best], [one["score"] for one in told], 2.0)
    end = max(1.0, told[-1]["elapsed_s"])
    x, y = Scale(0.0, end * 1.02, 62, width - 14), Scale(low_y, high_y, high - 34, 12)
    body = axes.grid(x, y, (6 if width > charts.PHONE else 4, 4))
    for one in told[-charts.MOST_MARKS :]:
        if y.holds(one["score"]):
            body.append(axes.dot(x(one["elapsed_s"]), y(one["score"]), f"try {one['route'] or 'other'}", 3.5))
    points = _stairs([(x(one["elapsed_s"]), y(one["score"])) for one in best], x(end))
    body.append(axes.path(points, "step"))
    body.append(axes.diamond(x(best[-1]["elapsed_s"]), y(best[-1]["score"]), "chosen", 6))
    body.append(axes.text(width - 14, high - 2, "seconds", "label", "end"))
    title = f"{words.short(metric, 30)} over time"
    described = (
        f"{len(told)} trials; the best so far is {words.number(best[-1]['score'])} by {best[-1]['family']}, "
        f"after {words.seconds(best[-1]['elapsed_s'])}"
    )
    return axes.canvas(body, (width, high), "", (title, described))


def _stairs(points: Sequence[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    """A line that rises where a better one came, to the end."""
    stairs = [points[0]]
    for x, y in points[1:]:
        stairs += [(x, stairs[-1][1]), (x, y)]
    return [*stairs, (max(end, stairs[-1][0]), stairs[-1][1])]


def race(trials: Sequence[Mapping[str, Any]], *, higher_is_better: bool) -> list[dict[str, Any]]:
    """The routes that were tried, the one that leads first: its best, by which family, and how many trials it had."""
    rows = []
    for route in ROUTES:
        mine = [one for one in trials if one["route"] == route]
        told = [one for one in mine if one["state"] == TOLD and words.finite(one["score"]) is not None]
        if not mine:
            continue
        best = max(told, key=lambda one: one["score"] if higher_is_better else -one["score"], default=None)
        rows.append({
            "route": route, "best": None if best is None else best["score"],
            "family": None if best is None else best["family"], "tried": len(told),
            "failed": sum(one["state"] == FAILED for one in mine),
        })  # fmt: skip
    sign = -1 if higher_is_better else 1
    return sorted(rows, key=lambda row: (row["best"] is None, sign * (row["best"] or 0.0)))
