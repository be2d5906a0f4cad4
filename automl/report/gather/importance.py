"""Which columns the chosen model rests on: measured at the end of a run while there is time, or later on the same data.

The rows are noted in the run's folder, so that what is asked later is asked of the same held-out ones. Nothing in here
may end a run: what is not known becomes a note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from automl.data.prepare import fingerprint
from automl.data.reading import load
from automl.data.target import counted_by_class, encode_target
from automl.errors import InputError
from automl.explain.alike import groups
from automl.explain.cells import Place, places
from automl.explain.permutation import (
    LEAST_ROWS,
    AskedTrial,
    Effort,
    Ground,
    ImportanceRequest,
    Measured,
    of_run,
    parts_of,
    weigh,
)
from automl.modalities import mixture
from automl.modalities.encoders import kept
from automl.modalities.mixture import Raw, Schema, schema_from_json
from automl.model.evaluate import profile_of
from automl.model.predictor import Model
from automl.options import Options
from automl.records import Candidate, Dataset
from automl.refit.asking import ask_with
from automl.refit.finish import FinishInputs
from automl.report.gather.findings import SHARE
from automl.report.sections.cheaper import students_of
from automl.report.sections.columns import ImportanceJson
from automl.runtime.clock import ANSWERED_S, LEAST_ASKED_S, WRITTEN_S
from automl.runtime.folder import RunFolder
from automl.runtime.resume import BEGINNING
from automl.scoring import metrics
from automl.scoring.folds import Folds
from automl.scoring.metrics import Metric, sample_rows
from cluster.pool import Grant, Job, Status
from search_spaces.spec import Task

HELD = "held.json"  # in the run folder: the rows that are asked about, and the fold that held each out
LATER = "importance.json"  # what was measured after the run
FULL = Effort()
MOST_PREDICTIONS = 40_000  # in a run that counts trials: ten columns of 800 rows in full, or of 2,000 with two repeats
NO_COLUMNS = "there is no column beside the images or sounds; Model.explain tells where in a file the model looks"


def gather(inputs: FinishInputs, chosen: Candidate) -> ImportanceJson:
    """Measured on the chosen model's held-out rows by the promised return; counted in trials, the same whenever."""
    metric = inputs.ready.metric.own.proxy if inputs.ready.metric.own else inputs.ready.metric
    found = _nothing(metric, 0)
    if inputs.ready.metric.own:
        own = inputs.ready.metric.name
        found["notes"].append(f"measured by {metric.name}: {own}, a function, stays with its driver")
    shared, folder = inputs.ready.shared, inputs.context.folder
    most = inputs.ready.prior.asked_rows
    (folder.path / LATER).unlink(missing_ok=True)  # of an earlier end of this run
    rows = np.concatenate([shared.folds.held(k) for k in inputs.comparison.folds])
    rows = rows[sample_rows(shared.y[rows], most)]
    fold = shared.folds.of_row[rows]
    key = _key(shared.raw.take(rows), shared.y[rows], None if shared.weight is None else shared.weight[rows], fold)
    folder.write_json(HELD, {"rows": rows, "folds": fold, "key": key})
    columns = places(inputs.ready.schema)
    found["missing"] = len(columns)
    if not columns:
        found["notes"].append(NO_COLUMNS)
        return found
    effort = _effort(inputs, len(rows), len(columns))
    left = inputs.context.clock.left(WRITTEN_S + ANSWERED_S + _kept_s(inputs))
    if inputs.context.interrupt.asked or left < LEAST_ASKED_S:
        why = "the run was interrupted" if inputs.context.interrupt.asked else "no time was left"
        found["notes"].append(f"{why}, so no column was shuffled; ask with automl importance, or feature_importance()")
        return found
    some = sample_rows(shared.y[rows], effort.rows)
    names = {t.plan.number: t.plan.family for t in inputs.models}
    members = tuple(AskedTrial(number, names[number], weight) for number, weight in chosen.weights.items())
    wanted = ImportanceRequest(
        path=str(folder.path),
        members=members,
        readout=chosen.readout,
        metric=metric.name,
        levels=shared.levels,
        rows=rows[some],
        fold=fold[some],
        places=columns,
        repeats=effort.repeats,
        positive=inputs.profile.positive,
        groups=groups(shared.raw.take(rows), columns),
    )
    told = _asked(inputs, wanted, left)
    if isinstance(told, str):
        found["notes"].append(told)
        return found
    return _filled(found, told, columns)


def again(run: RunFolder, report: Mapping[str, Any], chosen: Candidate, model: Model, data: Any) -> ImportanceJson:
    """Measured in full on the run's own data, read again; data that is not the same is refused."""
    from threadpoolctl import threadpool_limits

    score, columns = report["verdict"]["score"], places(model.schema)
    name = score["metric"] if score["metric"] in metrics.names(cast(Task, model.task)) else _proxy(model)
    metric = metrics.get(name, model.levels)
    found = _nothing(metric, len(columns))
    if metric.name != score["metric"]:
        found["notes"].append(f"measured by {metric.name}: {score['metric']} is a function that the run does not hold")
    if not columns:
        found["notes"].append(NO_COLUMNS)
        return found
    held, dataset = _held(run), _data(run, model, data)
    rows, fold = np.array(held["rows"]), np.array(held["folds"], dtype=np.int16)
    ground = None if rows.max() >= len(dataset) else _ground(run, dataset, model, rows, fold)
    if ground is None or _key(ground.raw, ground.y, ground.weight, fold) != held["key"]:
        raise InputError(
            f"the data is not that of the run in {str(run.path)!r}: a value, a row or a column changed, or rows "
            "had weights that are no column, which a run does not keep. Give the data that the run learned from."
        )
    names = {row["number"]: row["family"] for row in [*report["trials"], *students_of(report)]}
    members = tuple(AskedTrial(number, names[number], weight) for number, weight in chosen.weights.items())
    if not all(run.has_models(member.number) for member in members):
        raise InputError(f"the fitted folds of the run are not in {str(run.path / 'trials')!r}. Copy the whole folder.")
    wanted = ImportanceRequest(
        path=str(run.path),
        members=members,
        readout=chosen.readout,
        metric=metric.name,
        levels=model.levels,
        rows=rows,
        fold=fold,
        places=columns,
        repeats=FULL.repeats,
        positive=model.manifest.get("positive", 1),
        groups=groups(ground.raw, columns),
    )
    with threadpool_limits(1):  # thousands of short calls, in which threads would wait for each other
        return _filled(found, weigh(wanted, ground, Grant(1, float("inf"))), columns)


def _effort(inputs: FinishInputs, rows: int, columns: int) -> Effort:
    """In full where the clock ends it; where trials are counted, as much as takes some seconds for most models."""
    if inputs.context.clock.is_timed:
        return Effort(rows, FULL.repeats)
    repeats = max(1, min(FULL.repeats, MOST_PREDICTIONS // (rows * columns)))
    return Effort(max(LEAST_ROWS, min(rows, MOST_PREDICTIONS // (repeats * columns))), repeats)


def _kept_s(inputs: FinishInputs) -> float:
    """Seconds for the findings that follow."""
    limit_s = inputs.context.clock.limit_s
    return 0.0 if limit_s is None else max(LEAST_ASKED_S, SHARE * limit_s)


def _asked(inputs: FinishInputs, wanted: ImportanceRequest, left_s: float) -> Measured | str:
    """What a worker measured, or why that is not known."""
    name, context = f"{of_run.__module__}:{of_run.__name__}", inputs.context
    job = Job("importance", name, wanted, (context.ref,), soft_s=left_s, hard_s=left_s + ANSWERED_S)
    outcome = ask_with(lambda: parts_of(wanted, RunFolder(Path(wanted.path))), job, context)
    if outcome.status is Status.DONE:
        return cast(Measured, outcome.value)
    if outcome.status is Status.LATE:
        return "shuffling columns took too long; ask with automl importance, or feature_importance()"
    return f"what the columns are worth is not known: {outcome.error or 'the worker died'}"


def _filled(found: ImportanceJson, told: Measured, columns: Sequence[Place]) -> ImportanceJson:
    """With what was measured, the columns that matter most first."""
    found["rows"], found["repeats"] = told.rows, told.repeats
    ranked = sorted(told.columns, key=lambda one: -one.importance)
    found["columns"] = [
        {"column": one.column, "importance": one.importance, "low": one.low, "high": one.high} for one in ranked
    ]
    found["groups"] = [
        {
            "columns": list(group.columns), "alike": group.alike, "importance": group.together.importance,
            "low": group.together.low, "high": group.together.high,
        }
        for group in told.groups
    ]  # fmt: skip
    found["missing"] = len(columns) - len(ranked)
    if found["missing"]:
        found["notes"].append(
            f"time was left for {len(ranked)} of {len(columns)} columns; the others: automl importance, or "
            "feature_importance()"
        )
    return found


def _nothing(metric: Metric, missing: int) -> ImportanceJson:
    """Before anything is measured."""
    return {
        "metric": metric.name,
        "higher_is_better": metric.higher_is_better,
        "rows": 0,
        "repeats": 0,
        "columns": [],
        "groups": [],
        "missing": missing,
        "notes": [],
    }


def _proxy(model: Model) -> str:
    return "log_loss" if model.classes else "pinball" if model.levels else "rmse"


def _key(raw: Raw, y: np.ndarray, weight: np.ndarray | None, fold: np.ndarray) -> str:
    """Changes with any value of the rows; images and sounds, which need no shuffling, are left out."""
    return fingerprint(replace(raw, blocks={}), y, weight, Folds(0, fold, "", ""))


def _held(run: RunFolder) -> dict[str, Any]:
    try:
        return dict(run.read_json(HELD))
    except OSError as error:
        raise InputError(f"{HELD} is not in {str(run.path)!r}: the run was not finished. Resume it first.") from error


def _data(run: RunFolder, model: Model, data: Any) -> Dataset:
    """The run's data, as it read it."""
    if data is None:
        data = run.read_start(BEGINNING)["source"]
    if data is None:
        raise InputError(
            f"the run in {str(run.path)!r} had its data from memory. "
            "Give it again: feature_importance(data), or --data."
        )
    options = Options(target=model.manifest["target"], weight=model.manifest.get("weight"))
    return load(data, options, decode=mixture.read, claims=model.schema.claims, steps=model.schema.steps)


def _schema(run: RunFolder, model: Model) -> Schema:
    """The model's, with the weights that describe blocks: a model of networks alone leaves them in the run's folder."""
    weights = kept.weights(run.path)
    return schema_from_json(model.manifest["schema"], weights) if weights else model.schema


def _ground(run: RunFolder, dataset: Dataset, model: Model, rows: np.ndarray, fold: np.ndarray) -> Ground:
    """The noted rows as the run's models read them."""
    assert dataset.target is not None
    y = encode_target(dataset.target, profile_of(model.manifest))[rows]
    blocks = {name: one.block.take(rows) for name, one in dataset.decoded.items()}
    raw = _schema(run, model).encode(dataset.frame.iloc[rows], blocks)
    own = None if dataset.weight is None else dataset.weight[rows]
    return Ground(raw, y, counted_by_class(y, own, model.manifest.get("class_weights", ())), fold)
