"""The first page: data sets, runs, and the place to drop a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from automl.doors.service.access.accounts import Principal
from automl.doors.service.ground.problems import Problem
from automl.doors.service.ground.tables import OVER, State
from automl.doors.service.pages.drawing import PageRoute, attempt, page
from automl.doors.service.pages.forms import Sent
from automl.doors.service.routes import Reader, Writer, runs
from automl.doors.service.routes import datasets as api
from automl.doors.service.service import service_of
from automl.doors.service.shapes.datasets import Import
from automl.report import words

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Cursor = Annotated[str | None, Query(max_length=200)]
MANY = 25  # of a list on a page


@router.get("/")
def home(request: Request, by: Reader, datasets: Cursor = None, runs: Cursor = None) -> Response:
    """What there is."""
    return page(request, "home", _shown(request, by, datasets, runs))


@router.post("/imports")
def take(request: Request, by: Writer, sent: Sent) -> Response:
    """A data set from a path or an address that the server's settings allow."""

    def act() -> str:
        place = sent.text("place")
        kind = "url" if place.lower().startswith(("http:", "https:")) else "path"
        made = api.take_in(request, Response(), by, Import(**{kind: place}))
        return f"/datasets/{made.id}"

    def again(problem: Problem) -> Response:
        failed = {"where": "import", "detail": problem.detail}
        return page(request, "home", _shown(request, by, None, None) | {"failed": failed}, problem.status)

    return attempt(act, again)


def _shown(request: Request, by: Principal, datasets: str | None, after: str | None) -> dict[str, Any]:
    service = service_of(request)
    found = runs.page(request, by, MANY, after)
    lines = [run.model_dump(mode="json") | {"stand": stand(run.model_dump(mode="json"))} for run in found.items]
    settings = service.settings
    return {
        "datasets": api.page(request, by, MANY, datasets), "runs": lines, "next_runs": found.next,
        "is_first": datasets is None and after is None, "is_busy": any(run["state"] not in OVER for run in lines),
        "most_mb": settings.most_upload_mb, "roots": settings.roots, "urls": settings.urls,
        "may_write": by.may("write"),
    }  # fmt: skip


def stand(run: Mapping[str, Any]) -> str:
    """What a list says of a run beside its state: its score, or how far it has come."""
    verdict, progress = run["verdict"], run["progress"]
    if run["state"] == State.FAILED:
        return words.short(run["error"], 90)
    if targets := words.each(words.part(verdict, "targets")):
        return ", ".join(words.short(words.part(one, "target"), 30) for one in targets[:4])
    if words.part(verdict, "score"):
        return words.score_text(verdict["score"])
    if run["state"] == State.QUEUED:
        before = run["place_in_line"] or 0
        return "it is next" if not before else f"{before} before it"
    left = words.finite(words.part(progress, "left_s"))
    best = words.short(words.part(progress, "best"), 40) if words.part(progress, "best") else ""
    parts = [best and f"best so far {best}", "" if left is None else f"{words.seconds(left)} left"]
    return ", ".join(part for part in parts if part) or words.short(words.part(progress, "stage") or "", 40)
