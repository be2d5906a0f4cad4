"""What `automl serve`, `automl token` and `automl user` do: a server, and who may ask it.

Flags of a server are read from the fields of Settings, so they are declared only once. Tokens and users are made in the
database itself, so a server need not be up.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.doors.cli.streams import print_json
from automl.doors.service.ground.settings import Settings
from automl.errors import InputError, OptionError

if TYPE_CHECKING:
    from automl.doors.service.access.accounts import Accounts

ABOUT = """Serve data sets, runs and models to people with a browser and to programs, by HTTP.

The first start prints the token of an admin, once; sign in with it on the page, or give it to programs:

  export AUTOML_TOKEN=aml_...
  automl fit churn.csv --target churned --server http://127.0.0.1:8642
  curl -H "Authorization: Bearer $AUTOML_TOKEN" http://127.0.0.1:8642/v1/runs

Data sets, runs and the database are in --home: keep that folder, and a server that was killed goes on where it was.
Ctrl-C stops the server and no run. It listens on this machine alone unless --host says otherwise; what comes from other
machines should come by TLS, through a proxy (--behind-proxy): docs/service.md has one that is ready."""
EXAMPLES = """examples:
  automl serve
  automl serve --home /srv/automl --jobs 2 --most-budget 1h
  automl serve --home /srv/automl --behind-proxy --hosts ml.example.org
  automl serve --config server.toml
"""
_SPELLED = {"is_behind_proxy": "--behind-proxy", "downloads_weights": "--download-weights"}
PLAIN_HOME = "the server's folder, as of automl serve"
LEAST_EXTRA = "a server needs what is not installed: {name}. pip install 'automl-frontier[serve]'."


# --- grammar ----------------------------------------------------------------------------------------------------------


def add_serve(verbs: Any) -> None:
    """The grammar of `automl serve`."""
    made = _verb(verbs, "serve", "serve data sets, runs and models over HTTP", ABOUT, EXAMPLES)
    made.add_argument("--config", metavar="FILE", help="settings as TOML, named as the flags are: most_budget = '1h'")
    for spec in fields(Settings):
        made.add_argument(_SPELLED.get(spec.name, f"--{spec.name.replace('_', '-')}"), **_argument(spec))


def _argument(spec: Any) -> dict[str, Any]:
    """How argparse reads one setting."""
    told = spec.metadata["help"]
    made: dict[str, Any] = {"dest": spec.name, "default": argparse.SUPPRESS, "help": told}
    if isinstance(spec.default, bool):
        return {**made, "action": "store_true"}
    declared = str(spec.type)
    kind = float if "float" in declared else int if "int" in declared else str
    shown = "" if spec.default in (None, (), "") else f" (default: {_shown(spec.default)})"
    metavar = {float: "NUMBER", int: "N"}.get(kind, spec.name.upper())
    return {**made, "type": kind, "metavar": metavar, "help": told + shown}


def _shown(default: Any) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)


def add_token(verbs: Any) -> None:
    """The grammar of `automl token`."""
    made = _verb(
        verbs, "token", "make, list or revoke tokens of a server",
        "Tokens are what programs ask a server with. A secret is shown once, when it is made.",
        "examples:\n  automl token create --user ada --scope write --days 90\n  automl token list\n"
        "  automl token revoke token_5f0c...\n",
    )  # fmt: skip
    ways = made.add_subparsers(dest="way", metavar="WHAT", required=True, parser_class=type(made))
    create = ways.add_parser("create", help="make one and print it")
    create.add_argument("--user", default="admin", help="whose it is (default: admin)")
    create.add_argument("--name", default="from the command line", help="what it is for")
    create.add_argument("--scope", default="write", help="read, predict, write or admin: each may what those before it "
                        "may (default: write)")  # fmt: skip
    create.add_argument("--days", type=float, metavar="N", help="how long it holds; for good when not given")
    listed = ways.add_parser("list", help="show those that hold")
    revoke = ways.add_parser("revoke", help="end one")
    revoke.add_argument("token", help="its id, as token list shows it")
    _everywhere(create, listed, revoke)


def add_user(verbs: Any) -> None:
    """The grammar of `automl user`."""
    made = _verb(
        verbs, "user", "add or list users of a server",
        "Users sign in on the page with name and password, and have tokens for programs.",
        "examples:\n  automl user add ada --password\n  automl user add dashboard --role viewer\n  automl user list\n",
    )  # fmt: skip
    ways = made.add_subparsers(dest="way", metavar="WHAT", required=True, parser_class=type(made))
    add = ways.add_parser("add", help="add one")
    add.add_argument("user", help="name")
    add.add_argument("--role", default="member", help="viewer reads and predicts what is shared, member works, admin "
                     "sees all (default: member)")  # fmt: skip
    add.add_argument("--password", action="store_true", help="ask for a password, or read it from standard input; "
                     "without one the user has tokens alone")  # fmt: skip
    _everywhere(add, ways.add_parser("list", help="show all"))


def _verb(verbs: Any, name: str, told: str, about: str, examples: str) -> Any:
    shape = argparse.RawDescriptionHelpFormatter
    return verbs.add_parser(name, help=told, description=about, epilog=examples, formatter_class=shape)


def _everywhere(*parsers: ArgumentParser) -> None:
    for parser in parsers:
        for name in ("home", "database"):
            spec = next(spec for spec in fields(Settings) if spec.name == name)
            parser.add_argument(f"--{name}", **_argument(spec))
        parser.add_argument("--config", metavar="FILE", help="the server's settings, as of automl serve")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output, for machines")


# --- verbs ------------------------------------------------------------------------------------------------------------


def serve(given: Namespace) -> int:
    """Run a server until it is told to stop."""
    settings = _settings(given, [spec.name for spec in fields(Settings)])
    _check_reach(settings)
    with _installed():
        from automl.doors.service.app import serve as run
    return run(settings)


def token(given: Namespace) -> int:
    """Make, list or revoke tokens."""
    with _accounts(given) as accounts:
        if given.way == "create":
            made, secret = accounts.make_token_of(given.user, given.name, given.scope, given.days)
            if given.json:
                print_json({**_token(made, given.user), "secret": secret})
            else:
                print(secret)
                print(f"{made.id} of {given.user}, scope {made.scope}; it is shown this once", file=sys.stderr)
            return 0
        if given.way == "revoke":
            accounts.revoke(_machine(accounts), given.token)
            if given.json:
                print_json({"revoked": given.token})
            return 0
        names = {user.id: user.name for user in accounts.users()}
        rows = [_token(one, names[one.user_id]) for one in accounts.tokens(_machine(accounts))]
    return _listed(rows, "tokens", given)


def user(given: Namespace) -> int:
    """Add or list users."""
    with _accounts(given) as accounts:
        if given.way == "add":
            made = accounts.add_user(given.user, given.role, _password() if given.password else None)
            if given.json:
                print_json(_user(made))
            else:
                print(f"{made.name}, {made.role}. A token for programs: automl token create --user {made.name}")
            return 0
        rows = [_user(one) for one in accounts.users()]
    return _listed(rows, "users", given)


# --- below ------------------------------------------------------------------------------------------------------------


def _settings(given: Namespace, names: list[str]) -> Settings:
    return Settings.of({name: getattr(given, name) for name in names if hasattr(given, name)}, given.config)


def _check_reach(settings: Settings) -> None:
    """A server that other machines reach has TLS in front of it, or is called by a name that was thought of."""
    if settings.is_local or settings.hosts or settings.is_behind_proxy:
        return
    raise OptionError(
        f"--host {settings.host} lets other machines in, and tokens must not travel in the open. Let a proxy end TLS "
        "in front of it, --behind-proxy; in a network of your own say by which names it is called, --hosts ml.internal."
    )


@contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(LEAST_EXTRA.format(name=error.name)) from error


@contextmanager
def _accounts(given: Namespace) -> Iterator[Accounts]:
    """Users and tokens of a home that is there."""
    settings = _settings(given, ["home", "database"])
    with _installed():
        from automl.doors.service.access.accounts import Accounts
        from automl.doors.service.ground.database import Database
        from automl.doors.service.ground.problems import Problem
    is_there = bool(settings.database) or Path(settings.database_url.removeprefix("sqlite:///")).is_file()
    is_first = given.verb == "token" and given.way == "create"  # a token before the first start, so that no log has it
    if not is_there and not is_first:
        home = str(settings.home)
        raise InputError(f"no server was ever started in {home!r}. Give its --home, or start one: automl serve.")
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database_url)
    try:
        database.prepare()
        found = Accounts(database)
        if is_first:
            _make_admin(found)
        yield found
    except Problem as problem:
        raise InputError(problem.detail) from problem
    finally:
        database.close()


def _make_admin(accounts: Accounts) -> None:
    """The first user, where there is none; the token that comes along with it ends at once."""
    secret = accounts.first_admin()
    first = None if secret is None else accounts.who(secret)
    if first is not None:
        accounts.revoke(first, first.token_id)


def _machine(accounts: Accounts) -> Any:
    """Who works on the machine itself may see and end every token."""
    from automl.doors.service.access.accounts import Principal

    first = next((one for one in accounts.users() if one.role == "admin"), None)
    if first is None:
        raise InputError("there is no admin yet: the first start of automl serve makes one.")
    return Principal(
        user_id=first.id, user=first.name, role="admin", token_id="", scope="admin", is_session=False,
    )  # fmt: skip


def _password() -> str:
    """Asked for twice on a terminal; a line of standard input elsewhere."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("password: ")
    if getpass.getpass("once more: ") != first:
        raise InputError("the two passwords differ. Try again.")
    return first


def _token(one: Any, owner: str) -> dict[str, Any]:
    return {
        "id": one.id, "user": owner, "name": one.name, "scope": one.scope,
        "kind": "session" if one.is_session else "token",
        "created": _day(one.created_at), "expires": _day(one.expires_at), "used": _day(one.used_at),
    }  # fmt: skip


def _user(one: Any) -> dict[str, Any]:
    return {
        "id": one.id, "name": one.name, "role": one.role, "password": "yes" if one.has_password else "no",
        "created": _day(one.created_at), "disabled": _day(one.disabled_at),
    }  # fmt: skip


def _day(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def _listed(rows: list[dict[str, Any]], what: str, given: Namespace) -> int:
    """Rows as a table, or as JSON."""
    if given.json:
        print_json({what: rows})
        return 0
    names = list(rows[0]) if rows else []
    told = [names, *([str(row[name] or "-") for name in names] for row in rows)]
    widths = [max(len(row[at]) for row in told) for at in range(len(names))]
    for row in told if rows else []:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if not rows:
        print(f"no {what}")
    return 0
