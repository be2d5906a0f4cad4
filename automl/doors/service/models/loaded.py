"""Models in memory, those asked last: loaded once, answered by threads of their own, let go when room is short.

Whoever asks holds the model until the answer is there, so none is closed under a request. A model that was saved anew,
because its run went on, is loaded anew; while that is being written the one before it goes on answering.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automl.doors.service.ground.problems import Problem
from automl.doors.service.ground.settings import Settings
from automl.doors.service.models.described import saved_in
from automl.doors.serving.asked import ServeOptions
from automl.doors.serving.served import of_models
from automl.doors.serving.work import ModelWork
from automl.errors import ArtifactError
from automl.messages import one_line

if TYPE_CHECKING:
    from automl.model.predictor import Model

MOST = 12  # models in memory
MOST_MB = 2000.0  # of them on disk, all together; in memory they take some times as much
BATCH = 64  # rows that are answered together
HANDS = 4  # threads that load, of their own: those of everybody look up who asks
MOST_ASIDE = 2  # what takes long, of all models together


@dataclass(frozen=True, kw_only=True)
class ModelKey:
    """Which model is meant, and where it lies."""

    id: str
    run_id: str
    place: Path  # of the saved model, or of the run with those of several targets
    run: Path  # whose rows its answers are compared with


Mark = tuple[tuple[int, int], ...]


class HeldModel:
    """A model in memory."""

    def __init__(self, wanted: ModelKey, work: ModelWork, mark: Mark, size_mb: float) -> None:
        self.wanted, self.work, self.mark, self.size_mb = wanted, work, mark, size_mb
        self.users = 0
        self.is_gone = False  # closed when the last of its users goes


class LoadedModels:
    """What is in memory."""

    def __init__(self, settings: Settings, most: int = MOST) -> None:
        self._settings, self._most = settings, most
        self._held: OrderedDict[str, HeldModel] = OrderedDict()
        self._lock = threading.Lock()  # for the moment of a look
        self._loading: dict[str, threading.Lock] = {}
        self.aside = asyncio.Semaphore(MOST_ASIDE)
        self._hands = ThreadPoolExecutor(HANDS, "automl model loads")

    @asynccontextmanager
    async def use(self, wanted: ModelKey) -> AsyncIterator[ModelWork]:
        """The model at work, for as long as it is asked."""
        mark = _mark(wanted)
        held = self._taken(wanted, mark)
        if held is None:
            held = await asyncio.get_running_loop().run_in_executor(self._hands, self._load, wanted, mark)
        try:
            yield held.work
        finally:
            self._give(held)

    def _taken(self, wanted: ModelKey, mark: Mark) -> HeldModel | None:
        with self._lock:
            held = self._held.get(wanted.id)
            if held is None or held.mark != mark:
                return None
            self._held.move_to_end(wanted.id)
            held.users += 1
            return held

    def _load(self, wanted: ModelKey, mark: Mark) -> HeldModel:
        """Load it, unless somebody else did meanwhile."""
        with self._lock:
            loading = self._loading.setdefault(wanted.id, threading.Lock())
        with loading:
            if (held := self._taken(wanted, mark)) is not None:
                return held
            try:
                made = self._made(wanted, mark)
            except (ArtifactError, OSError) as error:
                if (before := self._before(wanted)) is not None:
                    return before  # it is being written
                raise cannot_be_read(error, self._settings.home) from error
            return self._enter(made)

    def _made(self, wanted: ModelKey, mark: Mark) -> HeldModel:
        models = _models(wanted)
        most_rows = min(self._settings.most_rows, 1_000_000)
        options = ServeOptions(place=str(wanted.place), name=wanted.id, batch=BATCH, max_rows=most_rows, watched_rows=0)
        work = ModelWork(of_models(models, options), options)
        try:
            work.start()
        except BaseException:
            work.close()
            raise
        return HeldModel(wanted, work, mark, sum(_size_mb(place) for place in saved_in(wanted.place).values()))

    def _before(self, wanted: ModelKey) -> HeldModel | None:
        with self._lock:
            held = self._held.get(wanted.id)
            if held is not None:
                held.users += 1
            return held

    def _enter(self, made: HeldModel) -> HeldModel:
        with self._lock:
            before = self._held.pop(made.wanted.id, None)
            self._held[made.wanted.id] = made
            made.users = 1
            gone = [] if before is None else [before]
            while len(self._held) > 1 and (len(self._held) > self._most or self._mb() > MOST_MB):
                gone.append(self._held.popitem(last=False)[1])
        self._let_go(gone)
        return made

    def _mb(self) -> float:
        return sum(held.size_mb for held in self._held.values())

    def _give(self, held: HeldModel) -> None:
        with self._lock:
            held.users -= 1
            is_over = held.is_gone and not held.users
        if is_over:
            _close(held)

    def _let_go(self, gone: list[HeldModel]) -> None:
        with self._lock:
            for held in gone:
                held.is_gone = True
            idle = [held for held in gone if not held.users]
        for held in idle:
            _close(held)

    def forget(self, model_id: str) -> None:
        """It is gone; who asks it at this moment still gets an answer."""
        with self._lock:
            held = self._held.pop(model_id, None)
            self._loading.pop(model_id, None)
        self._let_go([] if held is None else [held])

    def forget_run(self, run_id: str) -> None:
        """The same of all models of a run."""
        with self._lock:
            found = [key for key, held in self._held.items() if held.wanted.run_id == run_id]
        for key in found:
            self.forget(key)

    @property
    def ids(self) -> list[str]:
        """What is in memory, the one asked last at the end."""
        with self._lock:
            return list(self._held)

    def close(self) -> None:
        """Let go of all of it."""
        self._hands.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            gone = list(self._held.values())
            self._held.clear()
        for held in gone:
            held.work.close()


def cannot_be_read(error: Exception, home: Path) -> Problem:
    """A model that is damaged, in a line that names no place of the server."""
    line = one_line(error, 300).replace(str(home), "the home")
    return Problem(409, f"this model cannot be read: {line}.", kind="artifact")


def _models(wanted: ModelKey) -> Mapping[str, Model]:
    """The models by their targets, with the rows of their run that answers are compared with."""
    from automl.model import artifact

    found = {}
    for target, place in saved_in(wanted.place).items():
        name = place.parent.name if place.name == "model" else place.name
        run = wanted.run / "targets" / name if target else wanted.run
        model = artifact.with_usual(artifact.load(place), run)
        found[str(model.manifest["target"])] = model
    return found


def _mark(wanted: ModelKey) -> Mark:
    """Another one whenever one of its models is saved anew."""
    try:
        found = [(place / "manifest.json").stat() for place in saved_in(wanted.place).values()]
    except OSError:
        return ()
    return tuple((one.st_mtime_ns, one.st_ino) for one in found)


def _size_mb(place: Path) -> float:
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) / 1e6


def _close(held: HeldModel) -> None:
    """By a thread: what it was asked last may still be at work."""
    threading.Thread(target=held.work.close, name="automl model closes", daemon=True).start()
