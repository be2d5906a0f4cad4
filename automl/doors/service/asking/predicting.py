"""What is asked of a model with rows: predictions, how they come about, what moved, how good it is.

A few rows of JSON take the fast way and are answered together with others that wait; whatever comes as a table is read
by the library itself, so that a file has the answers here that `automl predict` gives for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from automl.doors.service.asking.answers import Telling
from automl.doors.service.asking.rows_in import JSON, ZIP, Data, SentBody, TableReader
from automl.doors.service.ground.problems import Problem
from automl.doors.serving import told
from automl.doors.serving.rows import CellRows, json_rows
from automl.doors.serving.told import ToldAnswers
from automl.doors.serving.work import ModelWork, PredictRequest
from automl.errors import InputError
from automl.messages import shown
from automl.plain import as_json

if TYPE_CHECKING:
    from automl.model.bundle import Bundle
    from automl.model.evaluate import Evaluation
    from automl.model.predictor import Model
    from automl.model.reference import Promise

TOGETHER = 1000  # rows of JSON up to which they wait in line with others
MOST_EXPLAINED = 200  # rows
Label = str | int | float | bool | None


async def predicted(work: ModelWork, tables: TableReader, body: SentBody, telling: Telling) -> bytes:
    """The answers to rows, as they are to be told."""
    told.check(work.served, telling.wishes)
    if body.kind == JSON:
        rows = await work.read(work.served.bodies.json, body.content)
        if rows.count <= TOGETHER:
            return await work.predict(PredictRequest(rows, telling.wishes, telling))
        return await work.aside(lambda: _answered(work, rows.frame(), telling))
    return await work.aside(lambda: _of_table(work, tables, body, telling))


def _of_table(work: ModelWork, tables: TableReader, body: SentBody, telling: Telling) -> bytes:
    with tables.data(body) as data:
        frame = _rows(work, tables, data)
        if body.kind == ZIP:
            telling = replace(telling, files=tuple(map(str, frame.index)))
        return _answered(work, frame, telling)


def _answered(work: ModelWork, frame: Any, telling: Telling) -> bytes:
    parts: list[ToldAnswers] = [
        told.tell(target, target.model.said(frame), telling.wishes) for target in work.served.targets.values()
    ]
    return telling(parts, len(frame))


def _rows(work: ModelWork, tables: TableReader, data: Data) -> Any:
    """Rows as the model knows their columns; none names a file but those that came with it."""
    frame = work.served.first.model.rows(data)
    tables.check_count(len(frame))
    tables.check_files(frame, data)
    return frame


def explained(work: ModelWork, tables: TableReader, body: SentBody, asked: tuple[Label, str | None]) -> dict[str, Any]:
    """What each column adds to the answers, what the words of texts weigh, by target."""
    label, column = asked
    if body.kind == JSON:
        rows, beside = json_rows(body.content, ("label", "column"))
        label, column = _beside(beside, label, column)
        frame = _rows(work, tables, tables.frame(rows))
        return _explained(work, frame, label, column)
    with tables.data(body) as data:
        return _explained(work, _rows(work, tables, data), label, column)


def _beside(beside: Mapping[str, Any], label: Label, column: str | None) -> tuple[Label, str | None]:
    """What was said beside the rows counts more than what the address says."""
    label, column = beside.get("label", label), beside.get("column", column)
    if not isinstance(label, str | int | float | bool | None):
        raise InputError(f"label must be one of the classes or levels, got {shown(label)}.")
    if not isinstance(column, str | None):
        raise InputError(f"column must be the name of a column, got {shown(column)}.")
    return label, column


def _explained(work: ModelWork, frame: Any, label: Label, column: str | None) -> dict[str, Any]:
    if len(frame) > MOST_EXPLAINED:
        raise Problem(
            413, f"{len(frame):,} rows are to be explained, at most {MOST_EXPLAINED} are at once. Send parts."
        )
    bodies = work.served.bodies
    names = [name for name in (*bodies.names, *bodies.also) if name in frame.columns]
    cells: Mapping[str, Sequence[Any]] = {name: frame[name].tolist() for name in names}
    found = work.explain(CellRows(cells, len(frame)), None if label is None else str(label), column)
    return {"targets": found["targets"]}


def monitored(work: ModelWork, tables: TableReader, body: SentBody, labels: str | None) -> dict[str, Any]:
    """What `automl.monitor` tells of these rows."""
    from automl.doors.deployed import monitor

    return _asked_of_library(work, tables, body, lambda model, data: monitor(model, data, labels))


def evaluated(
    work: ModelWork, tables: TableReader, body: SentBody, promised: Mapping[str, Promise | None]
) -> dict[str, Any]:
    """Every metric on rows with answers, and what was promised."""
    from automl.model.bundle import Bundle
    from automl.model.evaluate import evaluate

    def ask(model: Model | Bundle, data: Data) -> dict[str, Any]:
        if isinstance(model, Bundle):
            found = model.evaluations(data)
            return {"targets": {target: _evaluation(one, promised) for target, one in found.items()}}
        return _evaluation(evaluate(model, data), promised)

    return _asked_of_library(work, tables, body, ask)


def _evaluation(one: Evaluation, promised: Mapping[str, Any]) -> dict[str, Any]:
    metrics = one.table().to_dict(orient="records")
    return {
        "target": one.target, "rows": one.rows, "metrics": metrics, "notes": list(one.notes),
        "promised": promised.get(one.target),
    }  # fmt: skip


def _asked_of_library(
    work: ModelWork, tables: TableReader, body: SentBody, ask: Callable[[Any, Data], dict[str, Any]]
) -> dict[str, Any]:
    """One of the library's own verbs on the data that came; what it tells as plain values."""
    from automl.model.bundle import Bundle

    models = {name: one.model for name, one in work.served.targets.items()}
    model = Bundle(models) if len(models) > 1 else next(iter(models.values()))
    with tables.data(body) as data:
        if work.served.bodies.of_files:
            _rows(work, tables, data)
        found: dict[str, Any] = as_json(ask(model, data))
        return found
