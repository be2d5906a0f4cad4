"""A server in this process, for tests: its parts, and a client that talks to it as a browser or a program does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from automl.doors.service.app import make_app
from automl.doors.service.ground.settings import Settings
from automl.doors.service.service import Service

BASE = "http://127.0.0.1:8642"


@dataclass
class Made:
    """A server that is up."""

    service: Service
    client: TestClient
    token: str  # of the admin

    def of(self, name: str, role: str = "member") -> dict[str, str]:
        """The headers of a new user."""
        self.service.accounts.add_user(name, role, None)
        scope = {"viewer": "predict", "member": "write", "admin": "admin"}[role]
        _, secret = self.service.accounts.make_token_of(name, "test", scope, None)
        return bearer(secret)

    @property
    def admin(self) -> dict[str, str]:
        """The headers of the admin."""
        return bearer(self.token)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@contextmanager
def server(home: Path, *, works: bool = False, **settings: Any) -> Iterator[Made]:
    """A server with a home; unless it `works`, no run is ever started."""
    service = Service(Settings(home=home, **settings))
    if not works:
        service.runner._look = lambda: None  # type: ignore[method-assign]
    token = service.accounts.first_admin()
    assert token is not None
    with TestClient(make_app(service), base_url=BASE, follow_redirects=False) as client:
        yield Made(service, client, token)
