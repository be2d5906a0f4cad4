"""What each part of a table adds, in score and in milliseconds, while there is time for it; else why that is not known.

Nothing in here may end a run: what is not known becomes a note.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, cast

import search_spaces
from automl.errors import InputError
from automl.modalities.mixture import Schema
from automl.records import Codec, Trial
from automl.refit import ablate
from automl.refit.ablate import OWN, Ablated, AblationRequest
from automl.refit.asking import ask
from automl.refit.finish import FinishInputs
from automl.refit.timing import clocked
from automl.report.sections.parts import PartsJson
from automl.runtime.clock import ANSWERED_S, LEAST_ASKED_S, WRITTEN_S
from automl.search.trial import FoldJob
from cluster.pool import Job, Status
from search_spaces.spec import BASELINE, TABLE

if TYPE_CHECKING:
    import pandas as pd

READ_ROWS = 5  # each alone, to see how long a row takes
TIME_SHARE = 0.6  # of the seconds left that this may take: columns are shuffled after it
COUNTED_S = 20.0  # predicted, that it may take where trials are counted and no clock may decide


def gather(inputs: FinishInputs) -> PartsJson | None:
    """Measured on the first fold; None of data that has one part."""
    shared = inputs.ready.shared
    names = ablate.parts(shared.raw)
    if len(names) < 2:
        return None
    metric = inputs.ready.metric.own.proxy if inputs.ready.metric.own else inputs.ready.metric
    found: PartsJson = {
        "metric": metric.name, "higher_is_better": metric.higher_is_better, "model": "", "rows": 0, "whole": None,
        "parts": [], "notes": [],
    }  # fmt: skip
    trial = _best(inputs)
    if trial is None:
        found["notes"].append("no model reads all parts as numbers, so none was learned again without one of them")
        return found
    found["model"] = f"{trial.plan.family} #{trial.plan.number}"
    told = _asked(inputs, trial, metric.name, len(names))
    if isinstance(told, str):
        found["notes"].append(f"no model was learned without one of the parts: {told}")
        return found
    row_ms = read_ms(inputs.ready.schema, inputs.dataset.frame)
    found["rows"], found["whole"] = told.rows, metric.to_score(told.whole)
    found["parts"] = [
        {
            "part": one.part, "columns": _columns(inputs.ready.schema, one.part),
            "without": metric.to_score(one.without), "added": one.added, "low": one.low, "high": one.high,
            "row_ms": row_ms.get(one.part),
        }
        for one in told.parts
    ]  # fmt: skip
    if len(told.parts) < len(names):
        found["notes"].append(f"time was left to do without {len(told.parts)} of {len(names)} parts")
    return found


def read_ms(schema: Schema, frame: pd.DataFrame) -> Mapping[str, float | None]:
    """Milliseconds to decode and describe a row's cell of each decoded column, and to encode the others together."""
    rows = frame.iloc[: READ_ROWS + 1]
    took: dict[str, float | None] = {}
    for one in schema.decoders:
        cells = rows[one.column.name].tolist()
        try:
            took[one.column.name] = _usual([_read(one.codec, [cell]) for cell in cells])
        except InputError:  # the files are gone by now
            took[one.column.name] = None
    alone = Schema(schema.codings, names=schema.names, decimal=schema.decimal)
    each = [clocked(partial(alone.encode, rows.iloc[[at]])) for at in range(len(rows))]
    return {**took, OWN: _usual(each)}


def _read(codec: Codec, cells: Sequence[Any]) -> float:
    return clocked(lambda: codec.describe(codec.encode(cells)))


def _usual(took: Sequence[float]) -> float:
    """Without the first, which also loads what it needs."""
    return median(took[1:] or took)


def _columns(schema: Schema, part: str) -> list[str]:
    return [coding.column.name for coding in schema.codings] if part == OWN else [part]


def _best(inputs: FinishInputs) -> Trial | None:
    """The classical model with the least error on the rows that all are compared on, of those that read numbers."""
    able = []
    for trial in inputs.comparison.trials:
        family = search_spaces.get(trial.plan.family)
        if family.name != BASELINE and family.reads == TABLE and family.route == "classical" and 0 in trial.folds:
            able.append(trial)
    return min(able, key=inputs.comparison.error, default=None)


def _asked(inputs: FinishInputs, trial: Trial, metric: str, parts: int) -> Ablated | str:
    """What a worker measured, or why that is not known."""
    context, plan = inputs.context, trial.plan
    left_s = TIME_SHARE * context.clock.left(WRITTEN_S + ANSWERED_S)
    if context.interrupt.asked or left_s < LEAST_ASKED_S:
        return "the run was interrupted" if context.interrupt.asked else "no time was left"
    fold_s = max(trial.folds[0].fit_s, trial.spent.wall_s / len(trial.folds))  # the latter with its features, if new
    whole_s = (parts + 1) * (fold_s if context.clock.is_timed else _price_s(inputs, trial))
    allowed_s = left_s if context.clock.is_timed else COUNTED_S
    if whole_s > allowed_s:
        return f"{parts + 1} fits of {plan.family} take about {whole_s:.1f} s, and {allowed_s:.1f} s are there for it"
    payload = FoldJob(family=plan.family, params=plan.params, features=plan.features, seed=plan.seed, fold=0)
    job = Job(
        "parts", f"{ablate.__name__}:without_each", AblationRequest(payload, metric, inputs.profile.positive),
        (context.ref,), soft_s=left_s, hard_s=left_s + ANSWERED_S if math.isfinite(left_s) else left_s,
    )  # fmt: skip
    outcome = ask(job, context)
    if outcome.status is Status.DONE:
        return cast(Ablated, outcome.value)
    return "it took too long" if outcome.status is Status.LATE else outcome.error or "the worker died"


def _price_s(inputs: FinishInputs, trial: Trial) -> float:
    """Predicted, for no clock may decide."""
    return search_spaces.get(trial.plan.family).price.fit_s(inputs.ready.shared.size)
