"""The page of a run: watched while it works, stopped or given more; at its end the verdict, its picks, the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from automl.doors.service.access.accounts import Principal
from automl.doors.service.ground.problems import Problem
from automl.doors.service.ground.tables import OVER
from automl.doors.service.pages import running
from automl.doors.service.pages.drawing import PageRoute, attempt, page
from automl.doors.service.pages.forms import Sent
from automl.doors.service.routes import Reader, Writer
from automl.doors.service.routes import models as model_api
from automl.doors.service.routes import runs as api
from automl.doors.service.service import service_of
from automl.doors.service.shapes.models import SelectionShape
from automl.doors.service.shapes.runs import More, RunChange
from automl.report import charts, words
from automl.result import board

router = APIRouter(prefix="/runs/{run_id}", route_class=PageRoute, include_in_schema=False)
MANY_NOTES, MANY_ROWS = 60, 12


@router.get("")
def look(request: Request, by: Reader, run_id: str) -> Response:
    """Where it stands."""
    return page(request, "run", _shown(request, by, run_id))


@router.get("/report")
def report(request: Request, by: Reader, run_id: str) -> Response:
    """The report in a frame, in which no script runs."""
    api.finished(service_of(request), by, run_id)
    service = service_of(request)
    return page(request, "report", {"run": service.runs.get(by, run_id)})


@router.post("/stop")
def stop(request: Request, by: Writer, run_id: str, sent: Sent) -> Response:
    """End it with the best so far, or at once."""
    is_now = sent.text("now") == "yes"
    return _change(request, by, run_id, "stop", lambda: api.cancel(request, by, run_id, now=is_now))


@router.post("/more")
def more(request: Request, by: Writer, run_id: str, sent: Sent) -> Response:
    """Go on, with more budget where some is given."""
    return _change(
        request, by, run_id, "more", lambda: api.resume(request, by, run_id, More(budget=sent.or_none("budget")))
    )


@router.post("/name")
def name(request: Request, by: Writer, run_id: str, sent: Sent) -> Response:
    """Call it otherwise."""
    return _change(
        request, by, run_id, "name",
        lambda: api.change(request, by, run_id, RunChange(name=sent.text("name"), shared=None)),
    )  # fmt: skip


@router.post("/share")
def share(request: Request, by: Writer, run_id: str, sent: Sent) -> Response:
    """Let everybody who signs in read it, or no longer."""
    asked = RunChange(name=None, shared=sent.text("shared") == "yes")
    return _change(request, by, run_id, "name", lambda: api.change(request, by, run_id, asked))


@router.post("/remove")
def remove(request: Request, by: Writer, run_id: str) -> Response:
    """Remove it, its files and its models."""
    return _change(request, by, run_id, "remove", lambda: api.remove(request, by, run_id), "/")


@router.post("/select")
def select(request: Request, by: Writer, run_id: str, sent: Sent) -> Response:
    """Another model of the run, to predict with."""

    def act() -> str:
        made = model_api.select(request, by, run_id, SelectionShape.model_validate({"pick": sent.text("pick")}))
        return f"/models/{made.id}"

    return attempt(act, lambda problem: _refused(request, by, run_id, ("select", problem)))


def _change(
    request: Request, by: Principal, run_id: str, where: str, act: Callable[[], Any], goes_on: str | None = None
) -> Response:
    def acted() -> str:
        act()
        return goes_on or f"/runs/{run_id}"

    return attempt(acted, lambda problem: _refused(request, by, run_id, (where, problem)))


def _refused(request: Request, by: Principal, run_id: str, failed: tuple[str, Problem]) -> Response:
    where, problem = failed
    shown = _shown(request, by, run_id) | {"failed": {"where": where, "detail": problem.detail}}
    return page(request, "run", shown, problem.status)


# --- what is shown ----------------------------------------------------------------------------------------------------


def _shown(request: Request, by: Principal, run_id: str) -> dict[str, Any]:
    service = service_of(request)
    found = service.runs.get(by, run_id)
    run = api.shape(service, found).model_dump(mode="json")
    events = service.runs.events(run_id, 0)
    tried = api.trials(request, by, run_id)
    trials = running.of_newest_target([one.model_dump() for one in tried.items])
    is_over = run["state"] in OVER
    rows = running.race(trials, higher_is_better=tried.higher_is_better)
    scale = charts.interval_scale([row["best"] for row in rows])
    return {
        "run": run, "is_over": is_over, "data_name": _data_name(request, by, found.dataset_id), "seq": found.seq,
        "may_change": by.may("write") and (by.is_admin or found.user_id == by.user_id),
        "notes": [body["line"] for _, kind, body in events if kind == "note"][-MANY_NOTES:],
        "steps": running.steps(running.stage_of(events), is_over=is_over),
        "spent": running.spent(run["options"], run["progress"]),
        "metric": tried.metric, "higher_is_better": tried.higher_is_better, "trials": len(trials),
        "picture": running.best_over_time(trials, tried.metric, higher_is_better=tried.higher_is_better), "race": rows,
        "strip": charts.strips([{"score": row["best"]} for row in rows]) if scale else None,
        **(_outcome(request, by, run_id) if is_over else {}),
    }  # fmt: skip


def _data_name(request: Request, by: Principal, dataset_id: str) -> str | None:
    """Of a run that was shared the data set may be out of sight."""
    try:
        return str(service_of(request).datasets.get(by, dataset_id).name)
    except Problem:
        return None


def _outcome(request: Request, by: Principal, run_id: str) -> dict[str, Any]:
    """The verdict in a sentence, what the choice of route came to, and the models there are to pick from."""
    try:
        folder = api.finished(service_of(request), by, run_id)
    except Problem:
        return {}
    told: Mapping[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    if "targets" in told:
        return {"has_report": True, "targets": words.each(told["targets"])}
    rows = [board.flat(row) for row in told["leaderboard"]]
    front = [row for row in rows if row["on_frontier"] or row["name"] == words.part(told, "verdict", "chosen")]
    scores = [{"score": {"value": row["score"], "low": row["low"], "high": row["high"]}} for row in front]
    return {
        "has_report": True, "sentence": words.verdict(told), "why": next(iter(words.verdict_lines(told)), ""),
        "dangers": words.dangers(told), "picks": front[:MANY_ROWS], "pick_strip": charts.strips(scores),
        "score": words.part(told, "verdict", "score"), "chosen": words.part(told, "verdict", "chosen"),
        "baseline": words.part(told, "verdict", "baseline"), "cost": words.part(told, "cost", "invoice"),
        "run_s": words.part(told, "run", "seconds"), "without": _without(told),
    }  # fmt: skip


def _without(told: Mapping[str, Any]) -> str:
    """What is said where there is no model."""
    if words.part(told, "forecasts"):
        return "the last season again"
    is_of_classes = words.part(told, "data", "task") in ("binary", "multiclass")
    return "how common each class is" if is_of_classes else "the same number for all"
