"""The way in and out on the page, and whether the server is well."""

from __future__ import annotations

from asyncio import to_thread
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import RedirectResponse, Response

from automl.doors.service.access.guard import COOKIE, set_cookie
from automl.doors.service.ground.problems import Problem
from automl.doors.service.service import Service, service_of
from automl.doors.service.shapes.problem import problems

router = APIRouter(tags=["doorway"])
MOST_BYTES = 4096


class SignIn(BaseModel):
    """A token, or a name and a password."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"examples": [{"name": "ada", "password": "correct horse"}]}
    )

    token: str = ""
    name: str = ""
    password: str = ""
    next: str = "/"


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """It is alive."""
    return {"status": "ok"}


@router.get("/readyz", responses=problems(503))
def readyz(request: Request) -> dict[str, str]:
    """It reaches its database."""
    service_of(request).accounts.users()
    return {"status": "ready"}


@router.post("/signin", status_code=204, responses=problems(413, 415), openapi_extra={
    "requestBody": {"content": {"application/json": {"schema": SignIn.model_json_schema()}}, "required": True}
})  # fmt: skip
async def sign_in(request: Request) -> Response:
    """Make a session; from a form it leads on, from JSON it only sets the cookie."""
    asked, is_form = await _asked(request)
    service = service_of(request)
    try:
        secret = await to_thread(_secret, service, asked)
    except Problem as problem:
        if not is_form:
            raise
        request.state.refused = problem.status
        return RedirectResponse(f"/signin?failed={problem.status}", status_code=303)
    request.state.signed_in = await to_thread(service.accounts.who, secret)
    goes_on = asked.next if asked.next.startswith("/") and not asked.next.startswith(("//", "/\\")) else "/"
    response = RedirectResponse(goes_on, status_code=303) if is_form else Response(status_code=204)
    set_cookie(response, secret, service.settings)
    return response


@router.post("/signout", status_code=204, responses=problems(404))
def sign_out(request: Request) -> Response:
    """End the session, here and on the server."""
    service = service_of(request)
    principal = request.scope.get("state", {}).get("principal")
    if principal is not None and principal.is_session:
        service.accounts.revoke(principal, principal.token_id)
    is_page = "text/html" in request.headers.get("accept", "")
    response = RedirectResponse("/signin", status_code=303) if is_page else Response(status_code=204)
    response.delete_cookie(COOKIE, path="/")
    return response


def _secret(service: Service, asked: SignIn) -> str:
    if asked.token:
        return service.accounts.exchange(asked.token.strip())
    return service.accounts.sign_in(asked.name, asked.password)


async def _asked(request: Request) -> tuple[SignIn, bool]:
    """What came, and whether from a form."""
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if len(body) > MOST_BYTES:
        raise Problem(413, f"signing in takes no more than {MOST_BYTES:,} bytes, got {len(body):,}.")
    if kind == "application/x-www-form-urlencoded":
        fields = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        return SignIn(**fields), True
    if kind != "application/json":
        raise Problem(415, f"signing in takes a form or JSON, got {kind[:60] or 'no content type'}.")
    try:
        found = SignIn.model_validate_json(body)
    except ValidationError as error:
        raise Problem(422, "signing in takes a token, or name and password, each a text.", kind="bad-input") from error
    return found, False
