"""Databases for tests of the server: SQLite in a folder, and PostgreSQL from Debian's package in a cluster of its own.

The cluster listens at a socket in a temporary folder, takes whoever reaches that, and is gone with the tests.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

KINDS = ("sqlite", "postgresql")
BINARIES = Path("/usr/lib/postgresql")
PATIENCE_S = 120.0
LACKS = "no PostgreSQL here: apt-get install postgresql, pip install 'automl-frontier[postgres]'"


class Postgres:
    """A cluster of databases."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder, self._binaries = folder, binaries
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        data = folder / "data"
        self._do("initdb", "-D", str(data), "-U", "automl", "-A", "trust", "-E", "UTF8", "--no-sync")

    def start(self) -> None:
        """Begin to listen; also after a stop."""
        words = ["-D", str(self.folder / "data"), "-k", str(self.folder), "-h", "", "-F", "-N", "200"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._binaries / "postgres"), *words], stdout=log, stderr=log, cwd=self.folder, **_as_postgres()
            )
        over = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.ask("SELECT 1")
                return
            except Exception:  # noqa: BLE001 - not up yet, whatever it says
                assert time.monotonic() < over, (self.folder / "log").read_text()
                assert self._process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.1)

    def stop(self) -> None:
        """End at once, and with it every connection."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(PATIENCE_S)

    def ask(self, statement: str) -> None:
        """Have one done that stands outside of a transaction."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as work:
            work.execute(statement)

    def url(self, name: str) -> str:
        """Where a database is."""
        return f"postgresql://automl@/{name}?host={self.folder}"

    def new(self) -> str:
        """The place of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        self.ask(f"CREATE DATABASE {name}")
        return self.url(name)

    def _do(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [str(self._binaries / program), *words], capture_output=True, cwd=self.folder, check=False, **_as_postgres()
        )
        assert done.returncode == 0, done.stderr.decode()


def _as_postgres() -> dict[str, Any]:
    """It refuses to run as root."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


def binaries() -> Path | None:
    """Where Debian keeps the programs of the newest version; None where there are none, or nobody to run them."""
    try:
        import psycopg  # noqa: F401 - to learn whether it is there

        if os.geteuid() == 0:
            pwd.getpwnam("postgres")
    except (ImportError, KeyError):
        return None
    found = [place.parent for place in BINARIES.glob("*/bin/initdb")]
    return max(found, key=lambda place: int(place.parent.name), default=None)


@contextmanager
def cluster() -> Iterator[Postgres]:
    """A PostgreSQL for as long as it is needed; where it is missing tests are skipped, but in CI they fail."""
    place = binaries()
    if place is None:
        if os.environ.get("CI") == "true":
            pytest.fail(LACKS)
        pytest.skip(LACKS)
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: the name of a socket has some hundred letters
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    made = Postgres(folder, place)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
