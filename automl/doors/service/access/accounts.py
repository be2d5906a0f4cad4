"""Who may ask: users with roles, and the tokens they ask with.

A token is 256 random bits, shown once; the database holds its hash. What somebody may do is the less of what the role
and the token allow, in the order of SCOPES. A password is only for signing in on the page, which makes a short token.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from automl.doors.service.ground.database import Database
from automl.doors.service.ground.problems import Problem, missing
from automl.doors.service.ground.tables import TOKENS, USERS, Token, User, new_id
from automl.errors import OptionError
from automl.messages import near, shown

SCOPES = ("read", "predict", "write", "admin")  # each may do what those before it may
ROLES = {"viewer": "predict", "member": "write", "admin": "admin"}  # what each may do at most
PREFIX = "aml_"
SESSION_S = 12 * 3600.0
TOKENLESS = "signed in"  # what a session is called that no token made
USED_S = 60.0  # between two notes of when a token was used
RECALLED_S = 1.0  # for which a token is not looked up again
MOST_RECALLED = 10_000
LEAST_PASSWORD = 10  # letters
COST = {"n": 2**14, "r": 8, "p": 1}  # of scrypt: some 50 ms and 16 MB, each time that somebody signs in


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who asks, and what they may do."""

    user_id: str
    user: str
    role: str
    token_id: str
    scope: str
    is_session: bool

    def may(self, scope: str) -> bool:
        """Whether role and token allow it."""
        return SCOPES.index(scope) <= SCOPES.index(self.scope)

    @property
    def is_admin(self) -> bool:
        """Whether everything of everybody is theirs to see."""
        return self.scope == "admin"


class Accounts:
    """Users and tokens."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._names: dict[str, str] = {}
        self._noted: dict[str, float] = {}  # when the use of a token was last seen to
        self._used: dict[str, float] = {}  # not written down yet
        self._recalled: dict[str, tuple[float, Principal]] = {}  # who asked a moment ago, and until when that is good
        self._changes = 0  # of users and tokens, here: what was found before one is not kept

    # --- who is it ----------------------------------------------------------------------------------------------------

    def recalled(self, secret: str) -> Principal | None:
        """Whose token this was a moment ago; None where that has to be looked up."""
        until, found = self._recalled.get(_hash(secret), (0.0, None))
        return found if until > time.time() else None

    def _forget(self) -> None:
        """Something changed: look again. What another server or the command line changed is seen after RECALLED_S."""
        self._changes += 1
        self._recalled.clear()

    def who(self, secret: str) -> Principal | None:
        """Whose token this is; None where it is nobody's, or no longer holds."""
        changes = self._changes
        asked = (
            select(TOKENS, USERS.c.name.label("user"), USERS.c.role)
            .join(USERS)
            .where(TOKENS.c.hash == _hash(secret), TOKENS.c.revoked_at.is_(None), USERS.c.disabled_at.is_(None))
        )
        with self._db.reading() as work:
            row = work.execute(asked).first()
        if row is None or (row.expires_at is not None and row.expires_at < time.time()):
            return None
        self._note_use(row.id)
        scope = min(row.scope, ROLES[row.role], key=SCOPES.index)
        found = Principal(
            user_id=row.user_id, user=row.user, role=row.role, token_id=row.id, scope=scope, is_session=row.is_session
        )
        if len(self._recalled) > MOST_RECALLED:
            self._recalled.clear()
        if changes == self._changes:
            until = time.time() + RECALLED_S
            self._recalled[_hash(secret)] = (min(until, row.expires_at or until), found)
        return found

    def holds(self, by: Principal) -> bool:
        """Whether somebody who was let in before would still be: who watches for hours is asked for again."""
        asked = select(TOKENS.c.expires_at).join(USERS).where(TOKENS.c.id == by.token_id)
        with self._db.reading() as work:
            row = work.execute(asked.where(TOKENS.c.revoked_at.is_(None), USERS.c.disabled_at.is_(None))).first()
        return row is not None and (row.expires_at is None or row.expires_at > time.time())

    def _note_use(self, token_id: str) -> None:
        now = time.time()
        if now - self._noted.get(token_id, 0.0) > USED_S:
            self._noted[token_id] = self._used[token_id] = now

    def flush(self) -> None:
        """Write down which tokens were used: beside the requests, which then wait for no writer and no full disk."""
        used, self._used = self._used, {}
        try:
            if used:
                with self._db.writing() as work:
                    for token_id, at in used.items():
                        work.execute(update(TOKENS).where(TOKENS.c.id == token_id).values(used_at=at))
        except DBAPIError:
            self._used = {**used, **self._used}
            raise

    def sign_in(self, name: str, password: str) -> str:
        """The secret of a new session; wrong names take as long to refuse as wrong passwords."""
        with self._db.reading() as work:
            row = work.execute(select(USERS).where(USERS.c.name == name, USERS.c.disabled_at.is_(None))).first()
        kept = row.password if row is not None and row.password else NOBODY
        if not _is_password(password, kept) or row is None:
            raise Problem(401, "name or password are wrong. Ask an admin for a new password if yours is lost.")
        return self._new_token(row.id, TOKENLESS, ROLES[row.role], SESSION_S, is_session=True)[1]

    def exchange(self, secret: str) -> str:
        """The secret of a new session for who has a token, with which it ends at the latest."""
        found = self.who(secret)
        if found is None:
            raise Problem(401, "this token is not known here, or no longer holds. Make one: automl token create.")
        with self._db.reading() as work:
            token = _token(work.execute(select(TOKENS).where(TOKENS.c.id == found.token_id)).one())
        name = token.name if token.is_session else _signed_in(token.name)
        left_s = SESSION_S if token.expires_at is None else min(SESSION_S, token.expires_at - time.time())
        return self._new_token(found.user_id, name, found.scope, left_s, is_session=True)[1]

    # --- tokens -------------------------------------------------------------------------------------------------------

    def make_token(self, by: Principal, name: str, scope: str, days: float | None) -> tuple[Token, str]:
        """A token of one's own and its secret, which is shown this once."""
        check_scope(scope)
        if not by.may(scope):
            raise Problem(403, f"you may not give the scope {scope!r}, as yours is {by.scope!r}. Ask for that or less.")
        lasts_s, left_s = None if days is None else days * 86400.0, self._left_s(by)
        if left_s is not None and (lasts_s is None or lasts_s > left_s):
            raise Problem(
                403, f"what you ask with ends in {left_s / 86400:.1f} days, and so must what you make with it. Give "
                "that or less in days, or sign in with a password."
            )  # fmt: skip
        return self._new_token(by.user_id, name, scope, lasts_s)

    def _left_s(self, by: Principal) -> float | None:
        """Seconds that the token asked or signed in with still lasts; None of passwords, and where it has no end."""
        mine = select(TOKENS).where(TOKENS.c.user_id == by.user_id, TOKENS.c.revoked_at.is_(None))
        with self._db.reading() as work:
            rows = [_token(row) for row in work.execute(mine).all()]
        own = next((row for row in rows if row.id == by.token_id), None)
        if own is not None and own.is_session:
            if own.name == TOKENLESS:
                return None
            twins = [row for row in rows if not row.is_session and _signed_in(row.name) == own.name]
            own = min(twins, key=lambda row: row.expires_at or math.inf, default=None)  # of one name: the strictest
        if own is None:
            raise Problem(401, "what you ask with was revoked in this moment. Sign in again.")
        return None if own.expires_at is None else own.expires_at - time.time()

    def make_token_of(self, user: str, name: str, scope: str, days: float | None) -> tuple[Token, str]:
        """The same for anybody: for the machine's own command line."""
        check_scope(scope)
        found = next((one for one in self.users() if one.name == user), None)
        if found is None:
            known = [one.name for one in self.users()]
            raise OptionError(f"there is no user {user!r}.{near(user, known)} Users: {', '.join(known) or 'none yet'}.")
        return self._new_token(found.id, name, scope, None if days is None else days * 86400.0)

    def _new_token(
        self, user_id: str, name: str, scope: str, lasts_s: float | None, *, is_session: bool = False
    ) -> tuple[Token, str]:
        secret = PREFIX + secrets.token_urlsafe(32)
        with self._db.writing() as work:
            now = self._db.now(work)
            made = Token(
                id=new_id("token"), user_id=user_id, name=name, scope=scope, is_session=is_session, created_at=now,
                expires_at=None if lasts_s is None else now + lasts_s, used_at=None,
            )  # fmt: skip
            work.execute(insert(TOKENS).values(**vars(made), hash=_hash(secret)))
        return made, secret

    def tokens(self, of: Principal) -> list[Token]:
        """What the user asks with, the newest first; an admin sees everybody's."""
        asked = select(TOKENS).where(TOKENS.c.revoked_at.is_(None)).order_by(TOKENS.c.created_at.desc())
        asked = asked if of.is_admin else asked.where(TOKENS.c.user_id == of.user_id)
        with self._db.reading() as work:
            rows = work.execute(asked).all()
        return [_token(row) for row in rows if row.expires_at is None or row.expires_at > time.time()]

    def revoke(self, by: Principal, token_id: str) -> None:
        """It no longer holds, from now on, nor do the sessions that were made with it; of what may do no more."""
        holding = select(TOKENS).where(TOKENS.c.id == token_id, TOKENS.c.revoked_at.is_(None))
        with self._db.writing() as work:
            row = work.execute(holding if by.is_admin else holding.where(TOKENS.c.user_id == by.user_id)).first()
            if row is None:
                raise missing("token", token_id)
            if not by.may(row.scope):
                raise Problem(403, f"this token may do more ({row.scope}) than yours. Revoke it with one that may.")
            made_with_it = and_(TOKENS.c.is_session.is_(True), TOKENS.c.name == _signed_in(row.name))
            ended = update(TOKENS).where(TOKENS.c.user_id == row.user_id, TOKENS.c.revoked_at.is_(None))
            ended = ended.where(or_(TOKENS.c.id == row.id, made_with_it))
            work.execute(ended.values(revoked_at=self._db.now(work)))
        self._forget()

    # --- users --------------------------------------------------------------------------------------------------------

    def first_admin(self) -> str | None:
        """The token of an admin, made where there is no user yet."""
        with self._db.alone() as work:
            if work.execute(select(func.count()).select_from(USERS)).scalar_one():
                return None
            user = self._add(work, "admin", "admin", None)
        return self._new_token(user.id, "first", "admin", None)[1]

    def users(self) -> list[User]:
        """Everybody, by name."""
        with self._db.reading() as work:
            return [_user(row) for row in work.execute(select(USERS).order_by(USERS.c.name))]

    def name_of(self, user_id: str) -> str:
        """What somebody is called; names do not change, so each is looked up once."""
        if user_id not in self._names:
            with self._db.reading() as work:
                name = work.execute(select(USERS.c.name).where(USERS.c.id == user_id)).scalar()
            if name is None:
                return "somebody who is gone"
            self._names[user_id] = str(name)
        return self._names[user_id]

    def add_user(self, name: str, role: str, password: str | None) -> User:
        """Somebody new."""
        _check_role(role)
        kept = None if password is None else _stretched(password)
        try:
            with self._db.writing() as work:
                return self._add(work, name, role, kept)
        except IntegrityError:
            raise Problem(409, f"there is a user {shown(name)} already. Take another name.") from None

    def _add(self, work: Connection, name: str, role: str, password: str | None) -> User:
        made = {"id": new_id("user"), "name": name, "role": role, "password": password, "created_at": time.time()}
        work.execute(insert(USERS).values(**made))
        return _user(work.execute(select(USERS).where(USERS.c.id == made["id"])).one())

    def change_user(
        self, user_id: str, *, role: str | None = None, password: str | None = None, is_disabled: bool | None = None
    ) -> User:
        """Another role or password; disabled, none of the user's tokens holds. The last admin stays one."""
        values: dict[str, Any] = {}
        if role is not None:
            _check_role(role)
            values["role"] = role
        if password is not None:
            values["password"] = _stretched(password)
        if is_disabled is not None:
            values["disabled_at"] = time.time() if is_disabled else None
        with self._db.alone() as work:
            row = work.execute(select(USERS).where(USERS.c.id == user_id)).first()
            if row is None:
                raise missing("user", user_id)
            if values:
                work.execute(update(USERS).where(USERS.c.id == user_id).values(**values))
            others = select(func.count()).where(USERS.c.role == "admin", USERS.c.disabled_at.is_(None))
            if not work.execute(others).scalar_one():
                raise Problem(409, f"{shown(row.name)} is the last admin and has to stay one. Make another one first.")
            if password is not None:  # who knew the old one is out
                ended = update(TOKENS).where(TOKENS.c.user_id == user_id, TOKENS.c.is_session.is_(True))
                work.execute(ended.values(revoked_at=time.time()))
            changed = _user(work.execute(select(USERS).where(USERS.c.id == user_id)).one())
        self._forget()
        return changed


def _signed_in(token: str) -> str:
    """What a session that was made with a token of this name is called."""
    return f"signed in with {token}"


def check_scope(scope: str) -> None:
    """Refuse a scope that there is not."""
    if scope not in SCOPES:
        raise OptionError(f"scope must be one of {', '.join(SCOPES)}, got {scope!r}.{near(scope, SCOPES)}")


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise OptionError(f"role must be one of {', '.join(ROLES)}, got {role!r}.{near(role, ROLES)}")


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id, name=row.name, role=row.role, has_password=row.password is not None, created_at=row.created_at,
        disabled_at=row.disabled_at,
    )  # fmt: skip


def _token(row: Row[Any]) -> Token:
    names: Sequence[str] = tuple(Token.__dataclass_fields__)
    return Token(**{name: getattr(row, name) for name in names})


def _hash(secret: str) -> str:
    """Of 256 random bits nothing slower is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _stretched(password: str) -> str:
    """What is kept of a password."""
    if len(password) < LEAST_PASSWORD:
        raise OptionError(f"a password must have {LEAST_PASSWORD} letters or more, got {len(password)}.")
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}:{hashlib.scrypt(password.encode(), salt=salt, **COST).hex()}"


def _is_password(password: str, kept: str) -> bool:
    salt, _, wanted = kept.partition(":")
    found = hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=bytes.fromhex(salt), **COST).hex()
    return hmac.compare_digest(found, wanted)


NOBODY = f"{'00' * 16}:{'00' * 64}"  # no password is kept as this one
