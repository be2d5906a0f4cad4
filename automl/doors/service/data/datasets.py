"""Data sets: taken in whole or not at all, told of, looked at, given to runs, removed.

What arrives is made ready in `incoming` and comes to its place by one rename; the row that makes it known is written
after that. A marker says which folder is about to come or go, so that whatever a crash leaves is cleared up, and
nothing else is.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from automl.doors.service.access.accounts import Principal
from automl.doors.service.data import fetching, formats
from automl.doors.service.data.looking import Looking
from automl.doors.service.data.receiving import Allowance, Received, apart, beyond, receive
from automl.doors.service.ground import asked
from automl.doors.service.ground.database import Database
from automl.doors.service.ground.paging import Page, after, page_of
from automl.doors.service.ground.problems import Problem, missing
from automl.doors.service.ground.settings import Settings
from automl.doors.service.ground.tables import BUSY, DATASETS, RUNS, USERS, State, new_id
from automl.errors import InputError, OptionError
from automl.messages import shown
from automl.places import inside
from automl.runtime.durable import flush
from cluster.cores import cores

GONE = ""  # the file of a data set whose runs are still known
MOVING = ".moving"
LANDING_HANDS = 24  # threads in which uploads wait for their look: more than may wait, so that the rest are told
PROFILED = ("target", "budget", "task", "metric", "time_column", "group_column", "weight", "route", "weights")


@dataclass(frozen=True, kw_only=True)
class KnownDataset:
    """A data set as the server knows it."""

    id: str
    user_id: str
    user: str
    name: str
    file: str
    is_outside: bool
    size_bytes: float
    sha256: str
    created_at: float
    kind: str
    rows: int | None
    files: int | None
    columns: tuple[str, ...]
    target: str | None  # what a run predicts when none is named
    notes: tuple[str, ...]


@dataclass(frozen=True)
class DataPlace:
    """Where the data of a run are, and the folder that names of files in them may lead into."""

    path: Path
    within: Path


class Datasets:
    """The data sets of everybody."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._db, self._settings = database, settings
        self._incoming, self._places = settings.home / "incoming", settings.home / "datasets"
        self._allowance = Allowance(settings.most_stored_mb * 1e6)
        self.looking = Looking(settings)
        self._hands = ThreadPoolExecutor(LANDING_HANDS, "automl upload")

    # --- told of ------------------------------------------------------------------------------------------------------

    def get(self, by: Principal, dataset_id: str) -> KnownDataset:
        """One that is theirs; an admin sees all."""
        with self._db.reading() as work:
            return _dataset(_found(work, by, dataset_id))

    def page(self, by: Principal, limit: int, cursor: str | None) -> Page[KnownDataset]:
        """The newest first, so many at a time."""
        mine = _rows() if by.is_admin else _rows().where(DATASETS.c.user_id == by.user_id)
        with self._db.reading() as work:
            rows = work.execute(after(mine, DATASETS, cursor).limit(limit + 1)).all()
        return page_of(rows, limit, _dataset)

    def source(self, dataset_id: str) -> DataPlace:
        """Where a run finds it, whoever asks; InputError where it is gone."""
        with self._db.reading() as work:
            row = work.execute(_rows().where(DATASETS.c.id == dataset_id)).first()
        if row is None:
            raise InputError(f"the data set {shown(dataset_id)} was removed. Upload it again, and begin a new run.")
        if row.is_outside:
            try:
                return DataPlace(*fetching.place_in(row.file, self._settings.roots, self._settings.home))
            except Problem as problem:  # the settings are others now, or the place is
                raise InputError(problem.detail) from problem
        folder = inside(self._places, row.id)
        place = inside(folder, row.file)
        if not place.exists():
            raise InputError(f"the files of {shown(dataset_id)} are gone from the server's disk. Upload them again.")
        return DataPlace(place, folder)

    def profile(self, by: Principal, dataset_id: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """What it is and what a run on it would take; options as a run has them."""
        dataset = self.get(by, dataset_id)
        options = {name: value for name, value in wanted.items() if value is not None}
        if unknown := [name for name in options if name not in PROFILED]:
            raise OptionError(f"unknown option {shown(unknown[0])}. A profile takes {', '.join(PROFILED)}.")
        options = asked.check(options, self._settings)
        source = self.source(dataset.id)
        order = {
            "place": str(source.path), "has_budget": "budget" in options,
            "options": {**options, "cluster": "local", "workers": self._workers(), "verbose": 0},
            "stamp": _stamp(source.path) if dataset.is_outside else dataset.sha256,
        }  # fmt: skip
        found = self.looking.seen(dataset.id, order, source.within)
        if found["quote"] is not None and self._settings.cluster != "local":
            found["notes"].append("the quote is for the server's own machine; runs work on its cluster")
        return found

    def _workers(self) -> int:
        return self._settings.workers or max(1, cores() // self._settings.jobs)

    # --- taken in -----------------------------------------------------------------------------------------------------

    async def upload(self, by: Principal, name: str, body: AsyncIterator[bytes]) -> KnownDataset:
        """Take in a body as it comes."""
        dataset_id = new_id("dataset")
        stored = await apart(self._stored, by.user_id)
        with self._allowance.of(by.user_id, stored) as count:
            received = await receive(body, self._part(dataset_id), count)
            return await apart(self._land, by, name, received, hands=self._hands)

    def fetch(self, by: Principal, url: str, name: str | None) -> KnownDataset:
        """Take in what a URL leads to, if its host is one that the admin named."""
        fetcher = self.fetcher()
        with self._allowance.of(by.user_id, self._stored(by.user_id)) as count:
            received = fetcher.fetch(url, self._part(new_id("dataset")), count)
            return self._land(by, name or fetching.name_in(url), received)

    def fetcher(self) -> fetching.Fetcher:
        """What fetches from URLs."""
        return fetching.Fetcher(hosts=self._settings.urls, most_bytes=self._settings.most_upload_mb * 1e6)

    def refer(self, by: Principal, path: str, name: str | None) -> KnownDataset:
        """Take in what lies on this machine, by its place: it is not copied, and not removed with the data set."""
        place, root = fetching.place_in(path, self._settings.roots, self._settings.home)
        seen = self.looking.look("refer", {"place": str(place)}, root)
        made = _values(by, new_id("dataset"), name or place.name, seen)
        return self._known({**made, "file": str(place), "is_outside": True})

    def _part(self, dataset_id: str) -> Path:
        return self._incoming / f"{dataset_id}.part"

    def _land(self, by: Principal, name: str, received: Received) -> KnownDataset:
        """From a body that arrived to a data set that is known; whatever goes wrong, nothing is left."""
        dataset_id = received.path.name.removesuffix(".part")
        stage = self._incoming / dataset_id
        try:
            with received.path.open("rb") as file:
                suffix = formats.suffix_of(name, file.read(formats.START))
            stage.mkdir()
            stem = formats.stem_of(name)
            is_archive = suffix == formats.ZIP
            if not is_archive:
                received.path.rename(stage / f"{stem}{suffix}")
            order = {
                "folder": str(stage), "file": stem if is_archive else f"{stem}{suffix}",
                "archive": str(received.path) if is_archive else None, "most_files": self._settings.most_files,
                "most_bytes": min(self._settings.most_unpacked_mb * 1e6, self._left(by.user_id)),
            }  # fmt: skip
            seen = self.looking.look("land", order, stage)
            return self._place(stage, _values(by, dataset_id, name, {**seen, "sha256": received.sha256}))
        finally:
            shutil.rmtree(stage, ignore_errors=True)
            received.path.unlink(missing_ok=True)

    def _place(self, stage: Path, made: dict[str, Any]) -> KnownDataset:
        """Into its place by one rename, then known."""
        target = self._places / made["id"]
        with self._moving(made["id"]):
            flush(stage)
            stage.rename(target)
            try:
                flush(self._places)
                return self._known({**made, "is_outside": False})
            except BaseException:
                shutil.rmtree(target, ignore_errors=True)
                raise

    def _known(self, made: dict[str, Any]) -> KnownDataset:
        """Write the row, if the user may still store as much."""
        with self._db.alone() as work:
            most = self._settings.most_stored_mb * 1e6
            if not made["is_outside"] and _sum(work, made["user_id"]) + made["size_bytes"] > most:
                raise beyond(most)
            work.execute(insert(DATASETS).values(**made, created_at=self._db.now(work)))
            return _dataset(work.execute(_rows().where(DATASETS.c.id == made["id"])).one())

    def _stored(self, user_id: str) -> float:
        with self._db.reading() as work:
            return _sum(work, user_id)

    def _left(self, user_id: str) -> float:
        return max(1.0, self._settings.most_stored_mb * 1e6 - self._stored(user_id))

    # --- removed ------------------------------------------------------------------------------------------------------

    def remove(self, by: Principal, dataset_id: str) -> None:
        """Remove it and its files; runs on it stay, but those that wait or work keep it."""
        with self._moving(self.get(by, dataset_id).id):
            with self._db.alone() as work:
                row = _found(work, by, dataset_id)
                _check_unused(work, row.id)
                mine = DATASETS.c.id == row.id
                if work.execute(select(RUNS.c.id).where(RUNS.c.dataset_id == row.id).limit(1)).first() is None:
                    work.execute(delete(DATASETS).where(mine))
                else:
                    work.execute(update(DATASETS).where(mine).values(file=GONE, size_bytes=0.0))
            self._take_away(row.id)
        self.looking.forget(row.id)

    def _take_away(self, dataset_id: str) -> None:
        """First to a name that nothing reads, so that no half is left to be read."""
        folder = inside(self._places, dataset_id)
        if folder.exists():
            gone = self._places / f".gone-{dataset_id}-{time.time_ns()}"
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    # --- after a crash ------------------------------------------------------------------------------------------------

    @contextmanager
    def _moving(self, dataset_id: str) -> Iterator[None]:
        """Mark a folder that comes or goes for as long as it does."""
        marker = inside(self._incoming, f"{dataset_id}{MOVING}")
        with suppress(OSError):  # a full disk must not keep anybody from removing
            marker.touch()
        try:
            yield
        finally:
            marker.unlink(missing_ok=True)

    def sweep(self) -> None:
        """What a crash left: uploads that did not arrive whole, folders that were about to come or go."""
        for marker in self._incoming.glob(f"*{MOVING}"):
            dataset_id = marker.name.removesuffix(MOVING)
            with self._db.reading() as work:
                is_known = work.execute(_rows().where(DATASETS.c.id == dataset_id)).first() is not None
            if not is_known:
                self._take_away(dataset_id)
                self.looking.forget(dataset_id)
        for left in self._incoming.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        for gone in self._places.glob(".gone-*"):
            shutil.rmtree(gone, ignore_errors=True)

    def close(self) -> None:
        """Let go of the threads; looks that go on end with the server's process."""
        self._hands.shutdown(wait=False, cancel_futures=True)


def _rows() -> Any:
    """Data sets that are there, with the names of their users."""
    return select(DATASETS, USERS.c.name.label("user")).join(USERS).where(DATASETS.c.file != GONE)


def _found(work: Connection, by: Principal, dataset_id: str) -> Row[Any]:
    row = work.execute(_rows().where(DATASETS.c.id == dataset_id)).first()
    if row is None or not (by.is_admin or row.user_id == by.user_id):
        raise missing("data set", dataset_id)
    return row


def _check_unused(work: Connection, dataset_id: str) -> None:
    """Refuse to remove what a run waits for, works on or is tested on."""
    waiting = select(RUNS.c.id, RUNS.c.dataset_id, RUNS.c.options).where(RUNS.c.state.in_((State.QUEUED, *BUSY)))
    for run in work.execute(waiting):
        if dataset_id in (run.dataset_id, asked.names_of(json.loads(run.options))[0]):
            raise Problem(409, f"the run {run.id} waits for this data set or works on it. Stop that first.")


def _sum(work: Connection, user_id: str) -> float:
    asked_for = select(func.coalesce(func.sum(DATASETS.c.size_bytes), 0.0))
    mine = (DATASETS.c.user_id == user_id, DATASETS.c.is_outside.is_(False))
    return float(work.execute(asked_for.where(*mine)).scalar_one())


def _values(by: Principal, dataset_id: str, name: str, seen: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": dataset_id, "user_id": by.user_id, "name": formats.shown_name(name), "file": seen.get("file"),
        "size_bytes": float(seen["size_bytes"]), "sha256": seen["sha256"], "facts": json.dumps(seen["facts"]),
    }  # fmt: skip


def _dataset(row: Row[Any]) -> KnownDataset:
    facts = json.loads(row.facts)
    return KnownDataset(
        id=row.id, user_id=row.user_id, user=row.user, name=row.name, file=row.file, is_outside=row.is_outside,
        size_bytes=row.size_bytes, sha256=row.sha256, created_at=row.created_at, kind=facts["kind"], rows=facts["rows"],
        files=facts["files"], columns=tuple(facts["columns"]), target=facts["target"], notes=tuple(facts["notes"]),
    )  # fmt: skip


def _stamp(place: Path) -> list[Any]:
    """What changes when the files of a place on this machine do."""
    facts = place.stat()
    return [facts.st_mtime_ns, facts.st_size]
