"""Users, tokens and deeds over the wire."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from automl.doors.service.ground.tables import Token, User
from automl.doors.service.ground.when import iso

Scope = Literal["read", "predict", "write", "admin"]
Role = Literal["viewer", "member", "admin"]
ONE_LINE = r"^[^\x00-\x1f\x7f]*$"


class Me(BaseModel):
    """Who asks."""

    user: str
    role: Role
    scope: Scope
    limits: dict[str, Any]


class NewToken(BaseModel):
    """A token that is asked for."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"name": "nightly", "scope": "predict", "days": 90}]},
    )

    name: str = Field(min_length=1, max_length=80, pattern=ONE_LINE)
    scope: Scope = "write"
    days: float | None = Field(90.0, gt=0, le=3650, description="until it ends; null: never")


class TokenShape(BaseModel):
    """A token, without its secret."""

    model_config = ConfigDict(title="Token")

    id: str
    user: str
    name: str
    scope: Scope
    session: bool = Field(description="of somebody who signed in on the page")
    created_at: str
    expires_at: str | None
    used_at: str | None

    @classmethod
    def of(cls, token: Token, user: str) -> TokenShape:
        """As it is told."""
        return cls(**_told(token, user))


class MadeToken(TokenShape):
    """A new token."""

    model_config = ConfigDict(title="MadeToken")

    secret: str = Field(description="shown this once; the server keeps only its hash")

    @classmethod
    def made(cls, token: Token, user: str, secret: str) -> MadeToken:
        """With its secret."""
        return cls(**_told(token, user), secret=secret)


def _told(token: Token, user: str) -> dict[str, Any]:
    return {
        "id": token.id, "user": user, "name": token.name, "scope": token.scope, "session": token.is_session,
        "created_at": iso(token.created_at), "expires_at": None if token.expires_at is None else iso(token.expires_at),
        "used_at": None if token.used_at is None else iso(token.used_at),
    }  # fmt: skip


class NewUser(BaseModel):
    """Somebody new."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"name": "ada", "role": "member", "password": "correct horse"}]},
    )

    name: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x20\x7f/]+$")
    role: Role = "member"
    password: str | None = Field(None, min_length=10, max_length=200, description="to sign in on the page")


class UserChange(BaseModel):
    """What changes of somebody."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"role": "viewer"}]})

    role: Role | None = None
    password: str | None = Field(None, min_length=10, max_length=200)
    disabled: bool | None = None


class UserShape(BaseModel):
    """Somebody who may ask."""

    model_config = ConfigDict(title="User")

    id: str
    name: str
    role: Role
    has_password: bool
    created_at: str
    disabled: bool

    @classmethod
    def of(cls, user: User) -> UserShape:
        """As it is told."""
        return cls(
            id=user.id, name=user.name, role=user.role, has_password=user.has_password,  # type: ignore[arg-type]
            created_at=iso(user.created_at), disabled=user.disabled_at is not None,
        )  # fmt: skip


class DeedShape(BaseModel):
    """What somebody did."""

    id: int
    at: str
    user: str | None
    address: str
    action: str
    place: str
    status: int
    times: int


class OptionShape(BaseModel):
    """An option of a run."""

    model_config = ConfigDict(title="Option")

    name: str
    help: str
    default: Any
    choices: list[str] | None


class TokenList(BaseModel):
    """Tokens."""

    items: list[TokenShape]


class UserList(BaseModel):
    """Users."""

    items: list[UserShape]


class DeedList(BaseModel):
    """Deeds, the newest first."""

    items: list[DeedShape]
    next: int | None


class OptionList(BaseModel):
    """Options of a run."""

    items: list[OptionShape]
