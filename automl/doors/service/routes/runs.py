"""Runs: asked for, watched, stopped, given more, told of."""

from __future__ import annotations

import json
from asyncio import to_thread
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.responses import StreamingResponse

from automl.doors.service.access.accounts import Principal
from automl.doors.service.access.guard import REPORT_CSP
from automl.doors.service.access.idempotent import once
from automl.doors.service.ground.problems import Problem
from automl.doors.service.ground.tables import OVER, RunRecord, State
from automl.doors.service.line.trials import trials_of
from automl.doors.service.routes import Reader, Writer
from automl.doors.service.service import Service, service_of
from automl.doors.service.shapes.problem import problems
from automl.doors.service.shapes.runs import (
    More,
    NewRun,
    RowList,
    RunChange,
    RunPage,
    RunShape,
    TrialList,
    TrialShape,
)
from automl.plain import as_json

router = APIRouter(prefix="/v1/runs", tags=["runs"])
Key = Annotated[str | None, Header(description="the same key gives the same answer, and makes one run")]


def shape(service: Service, run: RunRecord) -> RunShape:
    """A run as it is told."""
    model = service.models.of_run(run.id) if run.state in OVER else None
    return RunShape.of(run, service.accounts.name_of(run.user_id), place=service.runs.place_in_line(run), model=model)


@router.post("", status_code=201, response_model=RunShape, responses=problems(404, 409, 413, 507))
def begin(request: Request, by: Writer, asked: NewRun, idempotency_key: Key = None) -> Response:
    """Put a run into the line. Its options are those of `automl.fit`; GET /v1/options lists them."""
    service = service_of(request)

    def act(own: str) -> tuple[int, dict[str, Any]]:
        options = service.check_options(by, asked.options)
        dataset = service.datasets.get(by, asked.dataset)
        run = service.runs.add(by, dataset.id, asked.name or dataset.name, options, own)
        service.runner.wake()
        return 201, shape(service, run).model_dump(mode="json")

    kept_s = service.settings.idempotent_h * 3600
    status, body = once(service.database, by, idempotency_key, ["runs", asked.model_dump()], act, kept_s)
    headers = {"Location": f"/v1/runs/{body['id']}"}
    return Response(json.dumps(body), status, headers=headers, media_type="application/json")


@router.get("", responses=problems())
def page(
    request: Request, by: Reader, limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None, state: State | None = None,
) -> RunPage:  # fmt: skip
    """Runs that are yours or shared with you, the newest first."""
    service = service_of(request)
    found = service.runs.page(by, limit, cursor, state)
    return RunPage(items=[shape(service, run) for run in found.items], next=found.next)


@router.get("/{run_id}", response_model=RunShape, responses=problems(404))
async def look(request: Request, by: Reader, run_id: str) -> Response:
    """Where a run stands: stage, best score so far, trials, seconds left; its verdict when it is over."""
    service = service_of(request)
    if service.database.is_sqlite:  # a short look at a file: a thread for it would cost more than it takes
        run = service.runs.get(by, run_id)
    else:
        run = await to_thread(service.runs.get, by, run_id)
    is_short = service.database.is_sqlite and run.state not in OVER
    told = shape(service, run) if is_short else await to_thread(shape, service, run)
    return Response(told.model_dump_json(), media_type="application/json")


@router.patch("/{run_id}", responses=problems(404))
def change(request: Request, by: Writer, run_id: str, asked: RunChange) -> RunShape:
    """Call it otherwise, or share it."""
    service = service_of(request)
    return shape(service, service.runs.change(by, run_id, asked.name, asked.shared))


@router.delete("/{run_id}", status_code=204, responses=problems(404, 409))
def remove(request: Request, by: Writer, run_id: str) -> None:
    """Remove a run, its files and its models for good. One that works is to be stopped first."""
    service = service_of(request)
    service.runs.remove(by, run_id)
    service.models.forget(run_id)


@router.post("/{run_id}/cancel", responses=problems(404))
def cancel(request: Request, by: Writer, run_id: str, now: bool = False) -> RunShape:
    """End it with the best model so far; `now=true` at once and without one. What was finished stays for a resume."""
    service = service_of(request)
    return shape(service, service.runs.stop(by, run_id, now=now))


@router.post("/{run_id}/resume", responses=problems(404, 409))
def resume(request: Request, by: Writer, run_id: str, asked: More) -> RunShape:
    """Go on with a run that was stopped or failed; with more budget also with one that is done or at work."""
    service = service_of(request)
    run = service.runs.resume(by, run_id, asked.budget)
    service.runner.wake()
    return shape(service, run)


@router.get(
    "/{run_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, **problems(404)},
)
async def events(
    request: Request, by: Reader, run_id: str, after: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> StreamingResponse:  # fmt: skip
    """What happens, as it happens: server-sent events `state`, `stage`, `note`, `trial`, `progress` and at last `end`.

    All but `progress` and `end` are numbered: with Last-Event-ID, or `after`, it goes on behind that one.
    """
    service = service_of(request)
    run = service.runs.get(by, run_id)
    seen = min(int(last_event_id), 2**31 - 1) if last_event_id and last_event_id.isdecimal() else after
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}

    def may() -> bool:
        try:
            return service.accounts.holds(by) and bool(service.runs.get(by, run_id))
        except Problem:  # it is no longer shared; one that is gone comes to its end by itself
            return service.runs.known_or_none(run_id) is None

    return StreamingResponse(service.live.watch(run, seen, may), media_type="text/event-stream", headers=headers)


@router.get("/{run_id}/trials", responses=problems(404))
def trials(request: Request, by: Reader, run_id: str) -> TrialList:
    """Every trial so far, with the score that the search was told of it."""
    service = service_of(request)
    found = trials_of(service.runs.folder(service.runs.get(by, run_id).id))
    items = [TrialShape(**item) for item in as_json(found["items"])]
    return TrialList(items=items, metric=found["metric"], higher_is_better=found["higher_is_better"])


@router.get(
    "/{run_id}/report",
    response_class=Response,
    responses={200: {"content": {"text/html": {}, "application/json": {}, "text/markdown": {}}}, **problems(404, 409)},
)
def report(request: Request, by: Reader, run_id: str, form: Literal["html", "json", "markdown"] = "html") -> Response:
    """The report of a finished run: the page, which runs no script, or what it is drawn from, or its story."""
    folder = finished(service_of(request), by, run_id)
    if form == "html":
        content = (folder / "report.html").read_text(encoding="utf-8")
        return Response(content, media_type="text/html", headers={"content-security-policy": REPORT_CSP})
    if form == "json":
        return Response((folder / "report.json").read_bytes(), media_type="application/json")
    from automl.doors.cli.telling import story_of
    from automl.report import told

    return Response(told.markdown(story_of(folder)), media_type="text/markdown; charset=utf-8")


@router.get("/{run_id}/leaderboard", responses=problems(404, 409))
def leaderboard(request: Request, by: Reader, run_id: str) -> RowList:
    """Every model that the run could return, the best first, with its costs; of several targets one after the other."""
    return RowList(items=list(_board(service_of(request), by, run_id)))


@router.get("/{run_id}/frontier", responses=problems(404, 409))
def frontier(request: Request, by: Reader, run_id: str) -> RowList:
    """The models that no other one beats in both score and time to predict."""
    return RowList(items=[row for row in _board(service_of(request), by, run_id) if row["on_frontier"]])


@router.get("/{run_id}/decision", responses=problems(404, 409))
def decision(request: Request, by: Reader, run_id: str) -> dict[str, Any]:
    """Which kinds of models took part, on what evidence, and what the choice cost."""
    folder = finished(service_of(request), by, run_id)
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return {"targets": told["targets"]} if "targets" in told else dict(told["decision"])


@router.get("/{run_id}/importance", responses=problems(404, 409))
def importance(request: Request, by: Reader, run_id: str) -> dict[str, Any]:
    """Which columns the model rests on, as far as the run had time to weigh them."""
    folder = finished(service_of(request), by, run_id)
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return {"importance": told.get("importance")}


def finished(service: Service, by: Principal, run_id: str) -> Path:
    """The folder of a run that has a report; 409 where it has none."""
    run = service.runs.get(by, run_id)
    folder = service.runs.folder(run.id)
    if not (folder / "report.json").is_file():
        raise Problem(409, f"this run is {run.state} and has no report yet. GET /v1/runs/ID/events tells when it has.")
    return folder


def _board(service: Service, by: Principal, run_id: str) -> Iterator[dict[str, Any]]:
    from automl.result import BundleResult, open_run

    run = open_run(finished(service, by, run_id))
    results = run.results if isinstance(run, BundleResult) else {"": run}
    for target, result in results.items():
        for row in as_json(result.leaderboard().to_dict(orient="records")):
            yield {"target": target, **row} if target else row
