"""How a server is set up: where it keeps things, who may reach it, and how much anybody may ask for.

Declared once: the command line and the TOML file that `--config` names read the same fields.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from automl.errors import OptionError
from automl.messages import near, one_line, shown
from automl.options import Budget

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SQLITE_NAME = "server.db"
LISTS = ("hosts", "roots", "urls")


def _knob(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every knob of a server."""

    home: Path = _knob(Path("automl-home"), "folder for data sets, runs and the database")
    host: str = _knob("127.0.0.1", "address to listen at; only this machine reaches the default")
    port: int = _knob(8642, "port to listen at; 0 takes a free one and prints it")
    database: str = _knob("", "postgresql://... for several servers with one home; a file in it when not given")
    cluster: str = _knob("local", "where runs train: local, ray, or a Ray cluster's address")
    jobs: int = _knob(1, "runs that work at a time on this server; the rest wait")
    workers: int | None = _knob(None, "CPUs for each run; an equal part of this machine when not given")
    hosts: tuple[str, ...] = _knob(
        (), "names by which it may be called beside its address, for instance ml.example.org"
    )
    is_behind_proxy: bool = _knob(
        False, "a proxy in front ends TLS: cookies for https alone, addresses as it tells them"
    )
    roots: tuple[str, ...] = _knob((), "folders of this machine that data sets may be taken from by path; none")
    urls: tuple[str, ...] = _knob((), "hosts that data sets may be fetched from by https; none")
    downloads_weights: bool = _knob(False, "runs may ask for weights=hub:NAME, which this machine then downloads")
    most_budget: str = _knob("4h", "the longest budget that a run, or more of it, may have; of time")
    most_queued: int = _knob(50, "runs of a user that may wait")
    most_working: int = _knob(2, "runs of a user that may work at a time")
    most_upload_mb: float = _knob(4096.0, "the largest file that is taken")
    most_unpacked_mb: float = _knob(20_480.0, "the most that an archive may hold, unpacked")
    most_files: int = _knob(200_000, "the most files that an archive may hold")
    most_stored_mb: float = _knob(102_400.0, "data sets of a user, all together")
    most_asked_mb: float = _knob(64.0, "the largest body of any other request, rows to predict among them")
    most_rows: int = _knob(100_000, "rows that one request may have predicted")
    requests_per_minute: int = _knob(6000, "of a token or an address; then it is asked to wait")
    idempotent_h: float = _knob(24.0, "hours for which an Idempotency-Key gives the same answer again")

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", Path(self.home).expanduser().absolute())
        for name in LISTS:
            value = getattr(self, name)
            parts = value.split(",") if isinstance(value, str) else value
            object.__setattr__(self, name, tuple(str(part).strip() for part in parts if str(part).strip()))
        for spec in fields(self):
            value = getattr(self, spec.name)
            if isinstance(spec.default, int | float) and not isinstance(spec.default, bool):
                least = 0 if spec.name == "port" else 1
                if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
                    raise OptionError(f"{spec.name} must be a number, {least} or above, got {value!r}.")
        if self.workers is not None and self.workers < 1:
            raise OptionError(f"workers must be 1 or above, got {self.workers!r}. Leave it out for an equal part.")
        if Budget.parse(self.most_budget).time is None:
            raise OptionError(f"most_budget must be a time, for instance '4h', got {self.most_budget!r}.")
        if self.database and not self.database.startswith(("postgresql://", "sqlite:///")):
            start = self.database.partition(":")[0]  # the rest may hold a password
            raise OptionError(f"database must be a URL that starts with postgresql://, got {shown(start)}://...")

    @property
    def database_url(self) -> str:
        """Where the records are."""
        return self.database or f"sqlite:///{self.home / SQLITE_NAME}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in LOOPBACK

    @property
    def most_budget_s(self) -> float:
        """Seconds of the longest budget."""
        return float(Budget.parse(self.most_budget).time or 0.0)

    @classmethod
    def of(cls, given: Mapping[str, Any], config: str | Path | None = None) -> Settings:
        """Settings from a TOML file and from what was given beside it, which counts more; unknown names refused."""
        told = {**({} if config is None else _read(Path(config))), **given}
        known = [spec.name for spec in fields(cls)]
        for name in told:
            if name not in known:
                raise OptionError(f"unknown setting {name!r}.{near(name, known)} Known settings: {', '.join(known)}.")
        return cls(**told)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(
            f"{str(path)!r} cannot be read as TOML: {one_line(error)}. Mend it, or name another."
        ) from error
