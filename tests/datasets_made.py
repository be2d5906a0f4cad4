"""The part of a server that data sets need, in this process, with users to ask in the name of."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from automl.doors.service.access.accounts import Accounts, Principal
from automl.doors.service.access.deeds import Deeds
from automl.doors.service.access.guard import Guard
from automl.doors.service.data.datasets import Datasets
from automl.doors.service.ground.database import Database
from automl.doors.service.ground.problems import install
from automl.doors.service.ground.settings import Settings
from automl.doors.service.routes import datasets as routes

CUSTOMERS = Path(__file__).parent.parent / "examples" / "customers.csv"
TABLE = b"age,city,churned\n41,Oslo,no\n35,Rome,yes\n"
FOLDERS = ("datasets", "incoming")


@dataclass
class Home:
    """Data sets with a client before them."""

    path: Path
    client: TestClient
    accounts: Accounts
    database: Database
    datasets: Datasets

    def headers(self, name: str, role: str = "member") -> dict[str, str]:
        """Those of a new user."""
        self.accounts.add_user(name, role, None)
        scope = {"viewer": "predict", "member": "write", "admin": "admin"}[role]
        _, secret = self.accounts.make_token_of(name, "test", scope, None)
        return {"Authorization": f"Bearer {secret}"}

    def who(self, headers: Mapping[str, str]) -> Principal:
        """Who asks with these."""
        found = self.accounts.who(headers["Authorization"].removeprefix("Bearer "))
        assert found is not None
        return found

    def send(self, headers: Mapping[str, str], name: str, body: Any) -> Any:
        """The answer to an upload."""
        return self.client.post("/v1/datasets", params={"name": name}, content=body, headers=dict(headers))

    def left(self) -> list[str]:
        """What lies where data sets are and where they come in."""
        return sorted(str(file.relative_to(self.path)) for name in FOLDERS for file in (self.path / name).rglob("*"))


@contextmanager
def home_of(path: Path, **settings: Any) -> Iterator[Home]:
    """A home with nothing in it."""
    for name in ("", *FOLDERS):
        (path / name).mkdir(parents=True, exist_ok=True)
    told = Settings(home=path, **settings)
    database = Database(told.database_url)
    database.prepare()
    accounts, deeds, datasets = Accounts(database), Deeds(database), Datasets(database, told)
    accounts.first_admin()
    app = FastAPI()
    app.state.service = SimpleNamespace(settings=told, database=database, accounts=accounts, datasets=datasets)
    install(app, routes.router.routes)
    app.include_router(routes.router)
    with TestClient(
        Guard(app, told, accounts, deeds), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        yield Home(path, client, accounts, database, datasets)
    database.close()


def packed(files: Mapping[str, bytes | str]) -> bytes:
    """A zip of these files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def picture(red: int = 200, side: int = 12) -> bytes:
    """A small one of one colour."""
    made = io.BytesIO()
    Image.new("RGB", (side, side), (red, 20, 60)).save(made, "PNG")
    return made.getvalue()
