"""Runs side by side: their scores with intervals on one axis, what they cost, and the options in which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from automl.doors.service.access.accounts import Principal
from automl.doors.service.ground.problems import Problem
from automl.doors.service.pages.drawing import PageRoute, page
from automl.doors.service.routes import needs, runs
from automl.doors.service.service import service_of
from automl.report import axes, charts, words
from automl.report.axes import Scale

router = APIRouter(route_class=PageRoute, include_in_schema=False)
MOST, OFFERED = 12, 50  # runs on a page, and runs to choose from
ROW = 30  # pixels
USUAL = "as usual"  # what is said of an option that was not given


@router.get("/compare")
def compare(
    request: Request, by: Annotated[Principal, needs("read")], run: Annotated[list[str] | None, Query()] = None
) -> Response:
    """Those that are named, in this order; and others to add."""
    asked = list(dict.fromkeys(run or []))
    if len(asked) > MOST:
        raise Problem(422, f"at most {MOST} runs are compared at a time, got {len(asked)}. Tick fewer.")
    service = service_of(request)
    shown = [runs.shape(service, service.runs.get(by, one)).model_dump(mode="json") for one in asked]
    offered = [one.model_dump(mode="json") for one in runs.page(request, by, OFFERED).items]
    return page(request, "compare", {
        "runs": shown, "offered": offered, "asked": asked, "pictures": pictures(shown), "differ": differing(shown),
    })  # fmt: skip


def differing(shown: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Options that are not the same in all of these runs, each with its value in every one."""
    names = dict.fromkeys(name for run in shown for name in run["options"])
    rows = [(name, [run["options"].get(name, USUAL) for run in shown]) for name in names]
    return [(name, values) for name, values in rows if any(value != values[0] for value in values)]


def pictures(shown: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For every metric the scores of the runs that have it, with their intervals, on one axis."""
    by_metric: dict[str, list[Mapping[str, Any]]] = {}
    for run in shown:
        if words.value_of(words.part(run, "verdict", "score")) is not None:
            by_metric.setdefault(str(words.part(run, "verdict", "score", "metric")), []).append(run)
    return [{"metric": metric, "drawn": _drawn(metric, mine), "higher": _is_higher(mine[0])}
            for metric, mine in by_metric.items()]  # fmt: skip


def _is_higher(run: Mapping[str, Any]) -> bool:
    return words.part(run, "verdict", "score", "higher_is_better") is not False


def _drawn(metric: str, mine: Sequence[Mapping[str, Any]]) -> Any:
    return charts.both(lambda width: _intervals(metric, mine, width))


def _intervals(metric: str, mine: Sequence[Mapping[str, Any]], width: int) -> str:
    scores = [run["verdict"]["score"] for run in mine]
    values = [words.value_of(score) or 0.0 for score in scores]
    ends = [end for score in scores for end in words.ends(score) if end is not None]
    left = 210 if width > charts.PHONE else 118
    bottom = len(mine) * ROW + 6
    x = Scale(*axes.span([*values, *ends]), left, width - 16)
    best = max(values) if _is_higher(mine[0]) else min(values)
    body = []
    for value, label in x.ticks(6 if width > charts.PHONE else 3):
        body += [
            axes.line(x(value), 4, x(value), bottom, "grid"),
            axes.text(x(value), bottom + 18, label, "tick", "middle"),
        ]
    for place, (run, score, value) in enumerate(zip(mine, scores, values, strict=True)):
        y = place * ROW + ROW / 2 + 4
        low, high = words.ends(score)
        body.append(
            axes.text(left - 10, y + 4, words.short(run["name"], int((left - 12) / axes.NAME_PX)), "name", "end")
        )
        if low is not None and high is not None:
            body.append(axes.line(x(low), y, x(high), y, "whisker"))
        body.append(axes.diamond(x(value), y, "chosen") if value == best else axes.dot(x(value), y, "dot"))
    described = "; ".join(
        f"{words.short(run['name'])}: {words.score_text(s)}" for run, s in zip(mine, scores, strict=True)
    )
    return axes.canvas(
        body, (width, bottom + 24), "", (f"{words.short(metric, 30)} of each run with its interval", described)
    )
