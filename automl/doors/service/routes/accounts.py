"""Who asks, with which tokens; users and the log of deeds, for admins."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

from fastapi import APIRouter, Query, Request

from automl.doors.service.ground.asked import OPEN_TO_ALL
from automl.doors.service.ground.when import iso
from automl.doors.service.routes import Reader, needs
from automl.doors.service.service import service_of
from automl.doors.service.shapes.accounts import (
    DeedList,
    DeedShape,
    MadeToken,
    Me,
    NewToken,
    NewUser,
    OptionList,
    OptionShape,
    TokenList,
    TokenShape,
    UserChange,
    UserList,
    UserShape,
)
from automl.doors.service.shapes.problem import problems
from automl.options import Options
from automl.plain import as_json

router = APIRouter(prefix="/v1", tags=["accounts"])


@router.get("/me", responses=problems())
def me(request: Request, by: Reader) -> Me:
    """Who you are to this server, and what it lets you do."""
    settings = service_of(request).settings
    limits = {spec.name: getattr(settings, spec.name) for spec in fields(settings) if spec.name.startswith("most_")}
    return Me(user=by.user, role=by.role, scope=by.scope, limits=limits)  # type: ignore[arg-type]


@router.get("/options", dependencies=[needs("read")], responses=problems())
def options() -> OptionList:
    """Every option that a run may be given."""
    known = {spec.name: spec for spec in fields(Options)}
    items = [
        OptionShape(
            name=name, help=known[name].metadata["help"], default=as_json(known[name].default),
            choices=list(known[name].metadata["choices"]) if known[name].metadata.get("choices") else None,
        )
        for name in OPEN_TO_ALL
    ]  # fmt: skip
    return OptionList(items=items)


@router.get("/tokens", responses=problems())
def tokens(request: Request, by: Reader) -> TokenList:
    """Your tokens, the newest first; an admin sees everybody's."""
    service = service_of(request)
    return TokenList(items=[TokenShape.of(t, service.accounts.name_of(t.user_id)) for t in service.accounts.tokens(by)])


@router.post("/tokens", status_code=201, responses=problems(413))
def make_token(request: Request, by: Reader, asked: NewToken) -> MadeToken:
    """A token of yours that may do what you may, or less. Its secret is in this answer and nowhere else."""
    made, secret = service_of(request).accounts.make_token(by, asked.name, asked.scope, asked.days)
    return MadeToken.made(made, by.user, secret)


@router.delete("/tokens/{token_id}", status_code=204, responses=problems(404))
def revoke(request: Request, by: Reader, token_id: str) -> None:
    """It holds no longer, from now on."""
    service_of(request).accounts.revoke(by, token_id)


@router.get("/users", dependencies=[needs("admin")], responses=problems())
def users(request: Request) -> UserList:
    """Everybody, by name."""
    return UserList(items=[UserShape.of(user) for user in service_of(request).accounts.users()])


@router.post("/users", dependencies=[needs("admin")], status_code=201, responses=problems(409, 413))
def add_user(request: Request, asked: NewUser) -> UserShape:
    """Somebody new: with a password they sign in on the page, where they make tokens of their own."""
    return UserShape.of(service_of(request).accounts.add_user(asked.name, asked.role, asked.password))


@router.patch("/users/{user_id}", dependencies=[needs("admin")], responses=problems(404, 409, 413))
def change_user(request: Request, user_id: str, asked: UserChange) -> UserShape:
    """Another role or password; or disabled, and with them all their tokens."""
    accounts = service_of(request).accounts
    changed = accounts.change_user(user_id, role=asked.role, password=asked.password, is_disabled=asked.disabled)
    return UserShape.of(changed)


@router.get("/deeds", dependencies=[needs("admin")], responses=problems())
def deeds(
    request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
) -> DeedList:  # fmt: skip
    """Who did what, the newest first."""
    rows = service_of(request).deeds.newest(limit, before)
    names = tuple(DeedShape.model_fields)
    items = [DeedShape(**{**{name: row[name] for name in names}, "at": iso(row["at"])}) for row in rows]
    return DeedList(items=items, next=items[-1].id if len(items) == limit else None)
