"""The pages of an account, its tokens, and for admins those of all users and of the log."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from automl.doors.service.access.accounts import ROLES, SCOPES, Principal
from automl.doors.service.ground.problems import Problem
from automl.doors.service.pages.drawing import PageRoute, attempt, page
from automl.doors.service.pages.forms import Sent, SentForm
from automl.doors.service.routes import Reader, needs
from automl.doors.service.routes import accounts as api
from automl.doors.service.shapes.accounts import NewToken, NewUser, UserChange

router = APIRouter(route_class=PageRoute, include_in_schema=False)
ADMIN = [needs("admin")]
LASTS = (("7", "a week"), ("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "until it is revoked"))
A_PAGE = 100  # deeds
TOKENS, SESSIONS, USERS = 60, 20, 40  # that a page shows


# --- one's own --------------------------------------------------------------------------------------------------------


@router.get("/account")
def account(request: Request, by: Reader) -> Response:
    """Who you are, and your tokens."""
    return page(request, "account", _account(request, by))


@router.post("/account/tokens")
def make_token(request: Request, by: Reader, sent: Sent) -> Response:
    """A new token; its secret is on the page that answers, and on no other."""
    shown: dict[str, Any] = {}

    def act() -> str:
        days = sent.or_none("days")
        asked = NewToken(name=sent.text("name"), scope=sent.text("scope"), days=days and float(days))  # type: ignore[arg-type]
        shown["made"] = api.make_token(request, by, asked)
        return ""

    def again(problem: Problem) -> Response:
        failed = {"where": "token", "detail": problem.detail}
        return page(request, "account", _account(request, by) | {"failed": failed, "given": sent}, problem.status)

    answer = attempt(act, again)
    return page(request, "account", _account(request, by) | shown, 201) if shown else answer


@router.post("/account/tokens/{token_id}/revoke")
def revoke(request: Request, by: Reader, token_id: str) -> Response:
    """It holds no longer."""

    def act() -> str:
        api.revoke(request, by, token_id)
        return "/account"

    def again(problem: Problem) -> Response:
        failed = {"where": "tokens", "detail": problem.detail}
        return page(request, "account", _account(request, by) | {"failed": failed}, problem.status)

    return attempt(act, again)


def _account(request: Request, by: Principal) -> dict[str, Any]:
    tokens = [token.model_dump() for token in api.tokens(request, by).items]
    scopes = SCOPES[: SCOPES.index(by.scope) + 1]
    lasting, sessions = ([one for one in tokens if one["session"] is is_session] for is_session in (False, True))
    return {
        "tokens": lasting[:TOKENS], "more_tokens": len(lasting[TOKENS:]), "own": by.token_id, "scopes": scopes,
        "sessions": sessions[:SESSIONS], "all_sessions": len(sessions), "lasts": LASTS,
        "limits": api.me(request, by).limits,
    }  # fmt: skip


# --- everybody, for admins --------------------------------------------------------------------------------------------


@router.get("/users", dependencies=ADMIN)
def users(request: Request, start: Annotated[int, Query(ge=0, le=1_000_000)] = 0) -> Response:
    """Who may sign in."""
    return page(request, "users", _users(request, start))


@router.post("/users", dependencies=ADMIN)
def add(request: Request, sent: Sent) -> Response:
    """Somebody new."""

    def act() -> str:
        asked = NewUser(name=sent.text("name"), role=sent.text("role"), password=sent.exact("password") or None)  # type: ignore[arg-type]
        api.add_user(request, asked)
        return "/users"

    return attempt(act, lambda problem: _refused(request, "add", problem, sent))


@router.post("/users/{user_id}", dependencies=ADMIN)
def change(request: Request, user_id: str, sent: Sent) -> Response:
    """Another role or password, disabled, or let in again."""

    def act() -> str:
        disabled = sent.or_none("disabled")
        asked = UserChange(
            role=sent.or_none("role"), password=sent.exact("password") or None,  # type: ignore[arg-type]
            disabled=None if disabled is None else disabled == "yes",
        )  # fmt: skip
        api.change_user(request, user_id, asked)
        return "/users"

    return attempt(act, lambda problem: _refused(request, user_id, problem, sent))


@router.get("/log", dependencies=ADMIN)
def log(request: Request, before: Annotated[int | None, Query(ge=0, lt=2**53)] = None) -> Response:
    """Who did what."""
    found = api.deeds(request, A_PAGE, before)
    return page(request, "log", {"deeds": found.items, "next": found.next, "is_first": before is None})


def _users(request: Request, start: int = 0, first: str | None = None) -> dict[str, Any]:
    """Those of a page by name; one that something was refused of stands at its head."""
    found = sorted(api.users(request).items, key=lambda user: user.id != first)
    more = start + USERS if len(found) > start + USERS else None
    return {"users": found[start : start + USERS], "next": more, "roles": tuple(ROLES)}


def _refused(request: Request, where: str, problem: Problem, sent: SentForm) -> Response:
    shown = _users(request, 0, where) | {"failed": {"where": where, "detail": problem.detail}, "given": sent}
    return page(request, "users", shown, problem.status)
