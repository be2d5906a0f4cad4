"""Models: what a run chose, and others of the same run that were selected; found by id, by those who may see their run.

A row points to a folder, and what a model is stands in that folder alone. So a run that goes on and chooses anew
changes no row, and a model whose run is gone is gone with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.exc import IntegrityError

from automl.doors.service.access.accounts import Principal
from automl.doors.service.ground.database import Database
from automl.doors.service.ground.paging import Page, after, page_of
from automl.doors.service.ground.problems import Problem, missing
from automl.doors.service.ground.settings import Settings
from automl.doors.service.ground.tables import MODELS, OVER, RUNS, new_id
from automl.doors.service.line.runs import Runs
from automl.doors.service.models.described import ModelFacts, facts_of
from automl.doors.service.models.loaded import LoadedModels, ModelKey, cannot_be_read
from automl.doors.service.models.selecting import Selecting, Wish
from automl.errors import ArtifactError
from automl.model.bundle import INDEX
from automl.places import only_within

CHOSEN = ""  # the pick of the model that a run itself chose
MOST_LOOKED_AT = 500  # of the newest runs that have no model yet, when models are listed
MOST_FACTS = 500  # models whose facts are remembered


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """A model as the server knows it."""

    id: str
    run_id: str
    user_id: str  # whose run it is of
    pick: str
    place: str  # under the home
    created_at: float
    notes: tuple[str, ...] = ()  # of how it was selected, told once

    @property
    def is_chosen(self) -> bool:
        """Whether the run itself chose it."""
        return self.pick == CHOSEN


class Models:
    """The models of everybody."""

    def __init__(self, database: Database, settings: Settings, runs: Runs) -> None:
        self._db, self._settings, self._runs = database, settings, runs
        self._chosen: dict[str, str] = {}  # by run
        self._facts: dict[str, tuple[tuple[int, ...], ModelFacts]] = {}
        self._selecting = Selecting(settings.home)
        self.loaded = LoadedModels(settings)

    # --- found --------------------------------------------------------------------------------------------------------

    def get(self, by: Principal, model_id: str, *, to_change: bool = False) -> ModelRecord:
        """One whose run is theirs, or shared with them."""
        asked = _with_run().where(MODELS.c.id == model_id)
        with self._db.reading() as work:
            row = work.execute(asked).first()
        if row is None or not (by.is_admin or row.user_id == by.user_id or (row.is_shared and not to_change)):
            raise missing("model", model_id)
        return _record(row)

    def page(self, by: Principal, limit: int, cursor: str | None, run_id: str | None = None) -> Page[ModelRecord]:
        """The newest first, so many at a time."""
        self._register(by)
        asked = _with_run()
        if not by.is_admin:
            asked = asked.where((RUNS.c.user_id == by.user_id) | RUNS.c.is_shared.is_(True))
        if run_id is not None:
            asked = asked.where(MODELS.c.run_id == run_id)
        with self._db.reading() as work:
            rows = work.execute(after(asked, MODELS, cursor).limit(limit + 1)).all()
        return page_of(rows, limit, _record)

    def of_run(self, run_id: str) -> str | None:
        """The model that a run chose, by its id; None as long as there is none."""
        if (known := self._chosen.get(run_id)) is not None:
            return known
        place = _saved(self._runs.folder(run_id))
        if place is None:
            return None
        found = self._entered(run_id, CHOSEN, place)
        if found is not None:
            self._chosen[run_id] = found
        return found

    def place(self, model_id: str) -> Path:
        """The folder of a saved model, whoever asks."""
        with self._db.reading() as work:
            found = work.execute(select(MODELS.c.place).where(MODELS.c.id == model_id)).scalar()
        if found is None:
            raise missing("model", model_id)
        return self._settings.home / str(found)

    def wanted(self, one: ModelRecord) -> ModelKey:
        """The same as it is loaded."""
        run = self._runs.folder(one.run_id)
        return ModelKey(id=one.id, run_id=one.run_id, place=self._settings.home / one.place, run=run)

    def facts(self, one: ModelRecord) -> ModelFacts:
        """What a model is, by its folder; looked up once, until the folder changes."""
        folder = self._settings.home / one.place
        mark = _mark(folder)
        known = self._facts.get(one.id)
        if known is None or known[0] != mark:
            if len(self._facts) >= MOST_FACTS:
                self._facts.clear()
            try:
                known = self._facts[one.id] = (mark, facts_of(folder))
            except ArtifactError as error:
                raise cannot_be_read(error, self._settings.home) from error
        return known[1]

    # --- changed ------------------------------------------------------------------------------------------------------

    def select(self, by: Principal, run_id: str, wish: Wish, within: str | None = None) -> ModelRecord:
        """Another real model of a run that is over; written by a process of its own where it is not there yet.

        `within`: the folders that names in the run's data may lead into, as `only_within` tells them.
        """
        run = self._runs.get(by, run_id, to_change=True)
        folder = self._runs.folder(run.id)
        if run.state not in OVER:
            raise Problem(409, f"this run is {run.state}. Select from it once it is over.")
        if _saved(folder) is None:
            raise Problem(409, f"this run is {run.state} and has no model to select from.")
        try:
            found = self._selecting.select(folder, wish, within or only_within())
            made = self._entered(run.id, found.pick, found.place)
        except Exception:
            if self._runs.known_or_none(run.id) is not None:
                raise
            made = None
        if made is None:  # the run was removed meanwhile: what was written since goes, too
            self._runs.sweep_one(run.id)
            raise missing("run", run_id)
        return replace(self.get(by, made), notes=found.notes)

    def remove(self, by: Principal, model_id: str) -> None:
        """One that was selected; what a run itself chose goes with its run."""
        one = self.get(by, model_id, to_change=True)
        if one.is_chosen:
            raise Problem(409, f"this is what its run chose, and goes with it: DELETE /v1/runs/{one.run_id}.")
        with self._db.writing() as work:
            work.execute(delete(MODELS).where(MODELS.c.id == one.id))
        self.loaded.forget(one.id)
        self._facts.pop(one.id, None)
        self._selecting.remove(self._settings.home / one.place)

    def forget(self, run_id: str) -> None:
        """A run was removed, and its models with it."""
        self._chosen.pop(run_id, None)
        self.loaded.forget_run(run_id)

    def close(self) -> None:
        """Let go of all models in memory."""
        self.loaded.close()
        self._selecting.close()

    # --- entered ------------------------------------------------------------------------------------------------------

    def _register(self, by: Principal) -> None:
        """Runs that came to their end since nobody looked."""
        is_in = select(MODELS.c.run_id).where(MODELS.c.pick == CHOSEN)
        asked = select(RUNS.c.id).where(RUNS.c.state.in_(OVER), RUNS.c.id.not_in(is_in))
        if not by.is_admin:
            asked = asked.where((RUNS.c.user_id == by.user_id) | RUNS.c.is_shared.is_(True))
        with self._db.reading() as work:
            rows = work.execute(asked.order_by(RUNS.c.created_at.desc()).limit(MOST_LOOKED_AT)).all()
        for row in rows:
            self.of_run(row.id)

    def _entered(self, run_id: str, pick: str, place: Path) -> str | None:
        """The id of the row of this model, made where there is none; None where its run is gone."""
        asked = select(MODELS.c.id).where(MODELS.c.run_id == run_id, MODELS.c.pick == pick)
        with self._db.reading() as work:
            found = work.execute(asked).scalar()
        if found is not None:
            return str(found)
        made = {
            "id": new_id("model"), "run_id": run_id, "pick": pick, "created_at": time.time(),
            "place": place.relative_to(self._settings.home).as_posix(),
        }  # fmt: skip
        try:
            with self._db.writing() as work:
                work.execute(insert(MODELS).values(**made))
            return str(made["id"])
        except IntegrityError:  # another server entered it, or the run was removed meanwhile
            with self._db.reading() as work:
                found = work.execute(asked).scalar()
            return None if found is None else str(found)


def _with_run() -> Any:
    return select(MODELS, RUNS.c.user_id, RUNS.c.is_shared).join(RUNS, MODELS.c.run_id == RUNS.c.id)


def _saved(folder: Path) -> Path | None:
    """Where the model that a run chose lies; of several targets in the run itself. None without a report."""
    if not (folder / "report.json").is_file():
        return None
    if (folder / INDEX).is_file():
        return folder
    return folder / "model" if (folder / "model" / "manifest.json").is_file() else None


def _mark(folder: Path) -> tuple[int, ...]:
    """Another one whenever a model is saved anew."""
    found = [place.stat() for name in ("manifest.json", INDEX, "report.json") if (place := folder / name).is_file()]
    return tuple(number for one in found for number in (one.st_mtime_ns, one.st_ino))


def _record(row: Row[Any]) -> ModelRecord:
    return ModelRecord(**{name: getattr(row, name) for name in ModelRecord.__dataclass_fields__ if name != "notes"})
