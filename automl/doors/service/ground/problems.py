"""What goes wrong, as a client sees it: problem+json (RFC 9457) with the same one line as on the command line.

Never a traceback, never the data: what nobody foresaw gets a number, under which the server's log tells more.
"""

from __future__ import annotations

import errno
import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, DBAPIError, StatementError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from automl.errors import ArtifactError, AutomlError, OptionError, RunError, SchemaError
from automl.messages import shown

MEDIA_TYPE = "application/problem+json"
# Clients raise the same error again; the most special first.
KINDS = ((SchemaError, "bad-rows"), (OptionError, "bad-option"), (AutomlError, "bad-input"))
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LOG = logging.getLogger("automl.service")


class Problem(Exception):  # noqa: N818 - the name that RFC 9457 has for it
    """A request that is refused."""

    def __init__(self, status: int, detail: str, *, kind: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, " ".join(detail.split()), dict(headers or {})
        self.kind = kind or HTTPStatus(status).phrase.lower().replace(" ", "-")

    def as_json(self) -> dict[str, Any]:
        """The members of a problem."""
        title = HTTPStatus(self.status).phrase
        return {"type": f"urn:automl:{self.kind}", "title": title, "status": self.status, "detail": self.detail}

    def response(self) -> Response:
        """The answer."""
        content = json.dumps(self.as_json(), ensure_ascii=False)
        return Response(content, self.status, headers=self.headers, media_type=MEDIA_TYPE)


def missing(what: str, name: str) -> Problem:
    """What is not there, or belongs to somebody else: nobody learns which."""
    return Problem(404, f"there is no {what} {shown(name)}. GET /v1/{what.replace(' ', '')}s lists yours.")


def problem_of(error: BaseException) -> Problem:
    """What a client is told of an error."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RunError):
        return Problem(503, str(error))
    if isinstance(error, ArtifactError):
        return Problem(409, str(error), kind="artifact")
    if isinstance(error, AutomlError):
        return Problem(422, str(error), kind=next(kind for of, kind in KINDS if isinstance(error, of)))
    if _is_full(error):
        return Problem(
            507, "the disk of the server is full, so nothing was kept of this request. Ask its admin to make room."
        )
    if isinstance(error, DataError | UnicodeEncodeError) or (
        isinstance(error, StatementError) and isinstance(error.orig, UnicodeError)
    ):
        return Problem(
            422, "a text holds letters that cannot be stored, as \\u0000 or half a surrogate pair. Leave them out."
        )
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Problem(503, "the database cannot be reached. Try again in a moment.", headers={"Retry-After": "2"})
    number = secrets.token_hex(4)
    LOG.error("error %s", number, exc_info=error)
    return Problem(500, f"something went wrong that nobody foresaw; the server's log tells more under {number}.")


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    return isinstance(error, DBAPIError) and "disk is full" in str(error.orig)


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Answer every error as a problem; `routes` are all that there are."""

    async def on_problem(_request: Request, error: Exception) -> Response:
        return problem_of(error).response()

    async def on_http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 400:  # the framework's word for a body whose bytes it cannot read at all
            return Problem(422, "the body cannot be read: send JSON in UTF-8. See /v1/openapi.json.").response()
        detail = error.detail if error.status_code not in (404, 405) else _lost(error.status_code, _request)
        headers = error.headers if error.status_code != 405 else {"Allow": ", ".join(_allowed(_request, routes))}
        return Problem(error.status_code, str(detail), headers=headers).response()

    async def on_shape(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return Problem(422, first_wrong(error.errors()), kind="bad-input").response()

    app.add_exception_handler(Exception, on_problem)
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(AutomlError, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_shape)


def _allowed(request: Request, routes: Sequence[BaseRoute]) -> list[str]:
    """What can be asked of a place, by whichever route: a router alone names only those of the first one."""
    known = [route for route in routes if isinstance(route, Route)]
    here = next((route.path for route in known if route.matches(request.scope)[0] != Match.NONE), None)
    return sorted({method for route in known if route.path == here for method in route.methods or ()})


def _lost(status: int, request: Request) -> str:
    where = f"{request.method} {shown(request.url.path)}"
    return f"{where} is nothing that this server {'knows' if status == 404 else 'does'}. See /v1/openapi.json."


def first_wrong(errors: Sequence[Any]) -> str:
    """The first thing that does not fit, in a line: where, what was seen, what is wanted."""
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path")) or "the body"
    seen = first.get("input")
    told = "" if first["type"] == "missing" or isinstance(seen, dict | list) else f", got {shown(seen)}"
    return f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}{told}. See /v1/openapi.json."
