"""The pages for people, put together: each is a module of `pages/`; here are the way in and the files beside them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from automl.doors.service.ground.problems import missing
from automl.doors.service.pages import compared, dataset, home, model, people, run
from automl.doors.service.pages.drawing import PageRoute, page, static_file

router = APIRouter(route_class=PageRoute, include_in_schema=False)
FAILED = {
    "401": "Name, password or token are wrong. Ask an admin for a new one if yours is lost.",
    "429": "Too many tries. Wait a minute, then try again.",
}


@router.get("/signin")
def sign_in(request: Request, next: str = "/", failed: str | None = None) -> Response:
    """The way in; who is in already goes on."""
    is_own = next.startswith("/") and not next.startswith(("//", "/\\"))
    goes_on = next if is_own else "/"
    if request.scope.get("state", {}).get("principal") is not None and failed is None:
        return RedirectResponse(goes_on, status_code=303)
    told = None if failed is None else FAILED.get(failed, "That did not work. Try again.")
    return page(request, "signin", {"failed": told, "goes_on": goes_on}, 200 if failed is None else 401)


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Style and scripts."""
    found = static_file(name)
    if found is None:
        raise missing("file", name)
    return found


for part in (home, dataset, run, compared, model, people):
    router.include_router(part.router)
