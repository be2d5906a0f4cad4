"""What is done for a request beside HTTP: rows are read, the model is asked, the answer is written.

What takes time is done by the thread that answers, so that the loop of the server is free to take the next request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from automl.doors.serving import told
from automl.doors.serving.asked import ServeOptions
from automl.doors.serving.batching import ROOM, Batcher
from automl.doors.serving.gauges import Gauges
from automl.doors.serving.rows import CellRows
from automl.doors.serving.served import ServedModel
from automl.doors.serving.told import ToldAnswers, Wishes
from automl.doors.serving.watch import DriftWatch
from automl.errors import AutomlError
from automl.plain import as_json

if TYPE_CHECKING:
    from automl.modalities.mixture import Raw
    from automl.model.explaining import Explanation

SMALL_BYTES = 50_000  # bodies that are read by the loop itself: handing them on would take longer
Result = TypeVar("Result")
Write = Callable[[Sequence[ToldAnswers], int], bytes]


@dataclass(frozen=True)
class PredictRequest:
    """Rows to be predicted, and how the answer is written."""

    rows: CellRows
    wishes: Wishes
    write: Write


class ModelWork:
    """A served model at work: its line, its watch, and a thread aside for what takes long."""

    def __init__(self, served: ServedModel, options: ServeOptions) -> None:
        self.served, self.options = served, options
        models = {name: one.model for name, one in served.targets.items()}
        self.watch = DriftWatch(models, options.watched_rows, reads_files=bool(served.bodies.of_files))
        self.gauges = Gauges(self.watch, lambda: self.batcher.waiting_rows, served)
        most_waiting = max(ROOM * options.batch, 2 * options.max_rows)
        self.batcher: Batcher[PredictRequest, bytes] = Batcher(self.answer, options.batch, most_waiting)
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="aside")
        self.is_ready = False

    def start(self) -> None:
        """Ask the model once, and take requests."""
        self.served.ask_once()
        self.is_ready = True

    def close(self) -> None:
        """Answer what has been taken, then end all threads."""
        self.is_ready = False
        self.batcher.close()
        self._aside.shutdown()
        self.watch.close()

    async def read(self, read: Callable[[bytes], CellRows], body: bytes) -> CellRows:
        """Rows of a body."""
        return read(body) if len(body) <= SMALL_BYTES else await asyncio.to_thread(read, body)

    async def predict(self, request: PredictRequest) -> bytes:
        """The answer, as it was asked to be written."""
        told.check(self.served, request.wishes)
        return await self.batcher.ask(request, request.rows.count)

    async def aside(self, call: Callable[[], Result]) -> Result:
        """What takes long, one after the other, beside the line."""
        return await asyncio.get_running_loop().run_in_executor(self._aside, call)

    def answer(self, requests: Sequence[PredictRequest]) -> list[bytes | BaseException]:
        """The answers to requests that waited together; what is wrong with one is the answer to that one."""
        found: dict[int, bytes | BaseException] = {}
        encoded: dict[int, dict[str, Raw]] = {}
        for at, request in enumerate(requests):
            try:
                encoded[at] = {name: target.encode(request.rows) for name, target in self.served.targets.items()}
            except AutomlError as problem:
                found[at] = problem
        if not encoded:
            return [found[at] for at in range(len(requests))]
        said = [
            (target, target.answer([raws[name] for raws in encoded.values()]))
            for name, target in self.served.targets.items()
        ]
        self.gauges.batches.observe(sum(requests[at].rows.count for at in encoded))
        for place, at in enumerate(encoded):
            request = requests[at]
            parts = [told.tell(target, answers[place], request.wishes) for target, answers in said]
            found[at] = request.write(parts, request.rows.count)
            self.watch.note(request.rows)
        return [found[at] for at in range(len(requests))]

    def explain(self, rows: CellRows, label: str | None, column: str | None) -> dict[str, Any]:
        """How the answers come about, by target, as `automl explain --json` tells it, without pictures."""
        frame, targets = rows.frame(), {}
        for name, target in self.served.targets.items():
            known = target.model.classes or list(target.model.levels)
            asked = next((one for one in known if str(one) == label), label)
            found = target.model.explain(frame, asked, column)
            targets[name] = {"method": found.method, "rows": [_plain(one) for one in found]}
        return {"model": self.served.name, "version": self.served.version, "targets": as_json(targets)}


def _plain(one: Explanation) -> dict[str, Any]:
    columns = [
        {"column": own.column, "value": _shown(own.value), "contribution": own.contribution, "error": own.error}
        for own in one.columns
    ]
    told_of = {"label": one.label, "unit": one.unit, "base": one.base, "said": one.said}
    return {**told_of, "columns": columns, "words": dict(one.words)}


def _shown(cell: Any) -> Any:
    """A cell as it is told again; whoever sent a file knows what is in it."""
    return f"{len(cell):,} bytes" if isinstance(cell, bytes) else cell
