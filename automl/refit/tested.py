"""The returned model's score on the rows that the user kept apart: as many of them as there is time for.

What was promised for the whole run holds here too: of a million rows a fair part says nearly as much as all of them.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np

from automl.data.prepare import alike, take_held
from automl.data.target import encode_target
from automl.options import Options
from automl.records import Candidate, Dataset, Score
from automl.refit.asking import ask_lastingly, portions, reached
from automl.refit.measure import Answered, Probe, Used, together
from automl.runtime.clock import WRITTEN_S
from automl.scoring import metrics
from automl.scoring.readout import decided
from cluster.pool import Job, Status

if TYPE_CHECKING:
    from automl.refit.finish import FinishInputs

LEAST_ROWS = 2_000  # that are asked about however late it is: they were asked for, so worth waiting for
SLACK = 1.5  # times longer that a row may take than it did when the model was measured


def score(chosen: Candidate, used: Used, inputs: FinishInputs, options: Options) -> tuple[Score | None, str]:
    """The saved model's score on them, or why there is none: no row ends a run so late."""
    held = inputs.held
    if held is None or held.target is None:
        return None, ""
    some = _in_time(held, used, inputs)
    found = _answered(held if some is None else replace(held, frame=held.frame[some]), inputs)
    if isinstance(found, str):
        return None, found
    if some is not None:
        held = _left_out(held, some, f"the budget has time for {some.sum():,}", inputs)
    metric = inputs.ready.metric
    if not found.kept.any():
        return None, f"no row can be read: {found.told}"
    if found.told:
        held = _left_out(held, found.kept, found.told, inputs)
    assert held.target is not None
    y = encode_target(held.target, inputs.profile)
    told = decided(found.said, chosen.readout)
    value = metric.score(y, told, held.weight)
    if not math.isfinite(value):
        return None, f"{metric.name} is not defined on these {len(y):,} rows. Give more of them, of every class."
    blocks, until = alike(held, inputs.profile, options), inputs.context.clock.until - WRITTEN_S
    low, high = metrics.interval(metric, y, told, weight=held.weight, blocks=blocks, until=until)
    return Score(metric=metric.name, value=value, low=low, high=high, higher_is_better=metric.higher_is_better), ""


def _in_time(held: Dataset, used: Used, inputs: FinishInputs) -> np.ndarray | None:
    """Which rows of a table are asked about, drawn at random; None: all, as of files and of what is one whole."""
    clock, schema, rows = inputs.context.clock, inputs.ready.schema, len(held)
    if clock.limit_s is None or schema.is_of_rows or schema.claims or rows <= LEAST_ROWS:
        return None
    row_s = used.batch_ms / 1e6  # it is of a thousand rows
    able = clock.left(WRITTEN_S) / max(SLACK * row_s, 1e-9) if math.isfinite(row_s) else 0.0
    if able >= rows:
        return None
    some = np.zeros(rows, dtype=bool)
    count = max(LEAST_ROWS, int(able))
    some[np.random.default_rng(0).choice(rows, count, replace=False)] = True
    return some


def _left_out(held: Dataset, kept: np.ndarray, told: str, inputs: FinishInputs) -> Dataset:
    held = take_held(held, kept, told)
    inputs.context.watcher.say(f"note: {held.notes[-1]}")
    return held


def _answered(held: Dataset, inputs: FinishInputs) -> Answered | str:
    """What the saved model says of other rows, or why that is not known."""
    context, found = inputs.context, []
    with reached(inputs.model, context.pool) as model:
        for rows in portions(held.frame, inputs.ready.schema.claims, context.pool):
            probe = Probe(str(inputs.model), rows)
            outcome = ask_lastingly(Job("test", "automl.refit.measure:answer", probe, model), context)
            if outcome.status is not Status.DONE:
                return outcome.error
            found.append(cast(Answered, outcome.value))
    return together(found)
