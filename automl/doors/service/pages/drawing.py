"""Templates drawn into answers: what is shown is escaped, what is missing is a dash, and what goes wrong is a page too.

The words and small pictures are those of the report, so that both look alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from automl.doors.service.access.accounts import Principal
from automl.doors.service.ground.problems import Problem, problem_of
from automl.doors.service.pages import wording
from automl.doors.service.service import service_of
from automl.errors import AutomlError

if TYPE_CHECKING:
    from jinja2 import Environment

ROOM = "automl.doors.service.pages"
STATIC = {
    "page.css": "text/css; charset=utf-8",
    **dict.fromkeys(("page.js", "upload.js", "look.js", "watch.js", "many.js"), "text/javascript; charset=utf-8"),
}
YEAR_S = 31_536_000


def page(request: Request, name: str, shown: Mapping[str, Any], status: int = 200) -> Response:
    """A page of this template; `failed` in what is shown is what was refused, and where on the page."""
    by: Principal | None = request.scope.get("state", {}).get("principal")
    always = {"me": by, "path": request.url.path, "origin": origin(request)}
    text = _templates().get_template(f"{name}.html.j2").render({**always, **shown})
    return Response(text.encode("utf-8", "xmlcharrefreplace"), status, media_type="text/html")


def origin(request: Request) -> str:
    """How programs call this server."""
    scheme = "https" if service_of(request).settings.is_behind_proxy else request.url.scheme
    return f"{scheme}://{request.headers.get('host', '')}"


def attempt(act: Callable[[], str], again: Callable[[Problem], Response]) -> Response:
    """Go on to the place that acting gives; where it is refused, the page again with the reason beside its form."""
    try:
        return RedirectResponse(act(), status_code=303)
    except ValidationError as error:
        return again(unfit(error.errors()))
    except (Problem, AutomlError) as error:
        return again(problem_of(error))


class PageRoute(APIRoute):
    """A route whose refusals are pages: people get words, not JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, and what it says when it cannot."""
        handler = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handler(request)
            except RequestValidationError as error:
                problem = unfit(error.errors())
            except Exception as error:  # noqa: BLE001 - the edge: told, and logged where nobody foresaw it
                problem = problem_of(error)
            return page(request, "problem", {"problem": problem}, problem.status)

        return handled


def static_file(name: str) -> Response | None:
    """A file of this table; its address changes with what it holds, so it may be kept for good."""
    if name not in STATIC:
        return None
    headers = {"Cache-Control": f"public, max-age={YEAR_S}, immutable"}
    return Response(_held(name), headers=headers, media_type=STATIC[name])


def static_place(name: str) -> str:
    """Where a browser finds it."""
    return f"/static/{name}?v={hashlib.sha256(_held(name)).hexdigest()[:12]}"


@cache
def _held(name: str) -> bytes:
    return resources.files(ROOM).joinpath("static", name).read_bytes()


@cache
def _templates() -> Environment:
    from jinja2 import PackageLoader

    from automl.report.page import environment

    made = environment()
    made.loader = PackageLoader("automl.doors.service", "pages")
    made.globals |= {"static": static_place}
    made.filters |= wording.FILTERS
    return made


def unfit(errors: Any) -> Problem:
    """The first thing that does not fit, in a line."""
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path")) or "what was sent"
    return Problem(422, f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}.", kind="bad-input")
