"""What the chosen model says as one of its most important columns moves, with an interval, and where there are rows.

Asked of the fitted folds in a worker, on the clock; counted in trials the effort is fixed. A column that goes along
with another one is told together with it: a model may read the same from either.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from automl.data.facets import Facet, facets
from automl.explain import shapes
from automl.explain.cells import Place, places
from automl.explain.permutation import AskedTrial, ImportanceRequest, parts_of
from automl.explain.shapes import ShapeCurve, ShapeRequest, Sweep, Swept
from automl.refit.asking import ask_with
from automl.report.gather.findings import GatherInputs
from automl.report.gather.held import HeldRows, held_rows, unfit
from automl.report.sections.shapes import ShapeJson, ShapePointJson, ShapesJson
from automl.runtime.clock import ANSWERED_S, LEAST_ASKED_S
from automl.runtime.folder import RunFolder
from cluster.pool import Job, Status

LEAST_ROWS = 60
ROWS, COLUMNS, STEPS, LABELS = 1_000, 6, 10, 8  # where the clock ends it
COUNTED_ROWS, COUNTED_COLUMNS, COUNTED_STEPS, COUNTED_LABELS = 240, 4, 8, 5  # where trials are counted
ROWS_IN_STEP = 20  # at least, on average
TAIL = 0.01  # of the rows at either end of a number, which no step reaches
MOST_OF_TIME = 0.6  # of what is left for all findings
TOGETHER = 0.7  # rank correlation from which two columns are told together


@dataclass(frozen=True)
class _Effort:
    rows: int
    columns: int
    steps: int
    labels: int


@dataclass(frozen=True)
class AskedColumn:
    """A column that is swept, as people read it."""

    facet: Facet
    sweep: Sweep


def gather(given: GatherInputs) -> ShapesJson:
    """The columns that count most, each with its curve."""
    found: ShapesJson = {"why_not": None, "rows": 0, "is_share": bool(given.finish.profile.classes), "columns": [],
                         "left_out": 0}  # fmt: skip
    context, is_timed = given.finish.context, given.finish.context.clock.is_timed
    effort = _Effort(ROWS, COLUMNS, STEPS, LABELS)
    if not is_timed:
        effort = _Effort(COUNTED_ROWS, COUNTED_COLUMNS, COUNTED_STEPS, COUNTED_LABELS)
    left_s = MOST_OF_TIME * (given.until - time.monotonic()) - ANSWERED_S
    if context.interrupt.asked or left_s < LEAST_ASKED_S:
        return {**found, "why_not": "no time was left to ask the model; give a larger budget"}
    held = held_rows(given, effort.rows)
    if why := unfit(held, LEAST_ROWS):
        return {**found, "why_not": why}
    asked = _asked(given, held, effort)
    if isinstance(asked, str):
        return {**found, "why_not": asked}
    told = _ask(given, held, asked, left_s)
    if isinstance(told, str):
        return {**found, "why_not": told}
    found["rows"], found["left_out"] = len(held.y), len(asked) - len(told.moved)
    for one, moved in zip(asked, told.moved, strict=False):
        found["columns"].append(_shape(given, one, moved, told.told, held) | {"together": _together(one, asked)})
    if not found["columns"]:
        return {**found, "why_not": "no time was left to ask the model; give a larger budget"}
    return found


def _asked(given: GatherInputs, held: HeldRows, effort: _Effort) -> list[AskedColumn] | str:
    """The columns that can be swept, those that the model rests on most first; or why there is none."""
    known = {place.name: place for place in places(given.finish.ready.schema) if not place.is_block}
    weighed = [one["column"] for one in (given.importance or {}).get("columns", ())]
    if not known:
        return "its columns are files or texts, which have no order to move along"
    if not weighed:
        return "it is not known which columns it rests on"
    found: list[AskedColumn] = []
    for name in weighed:
        told = facets(given.finish.dataset, given.finish.profile, held.rows, [name]) if name in known else []
        if told and known[name].text is None and (sweep := _sweep(told[0], known[name], effort)):
            found.append(AskedColumn(told[0], sweep))
        if len(found) == effort.columns or time.monotonic() >= given.until:
            break
    return found or "none of the columns that it rests on has values to move along"


def _sweep(facet: Facet, place: Place, effort: _Effort) -> Sweep | None:
    """Rows that lend their values: of numbers with about as many rows between them, of categories the frequent ones."""
    values = facet.values
    known = np.flatnonzero(~np.isnan(values))
    if facet.labels:
        firsts = [np.flatnonzero(values == k) for k in range(min(len(facet.labels), effort.labels))]
        donors = tuple(int(rows[0]) for rows in firsts if len(rows))
        return Sweep(place, donors, None) if len(donors) > 1 else None
    count = min(effort.steps, len(known) // ROWS_IN_STEP)
    if count < 1:
        return None
    order = known[np.argsort(values[known], kind="stable")]
    ends = np.round(np.linspace(TAIL, 1 - TAIL, count + 1) * (len(order) - 1)).astype(np.int64)
    edges, first = np.unique(values[order[ends]], return_index=True)
    if len(edges) < 2:
        return None
    steps = np.searchsorted(edges, values, side="left") - 1  # NaN goes to the end
    steps[values == edges[0]] = 0
    steps[~((values >= edges[0]) & (values <= edges[-1]))] = -1
    return Sweep(place, tuple(order[ends[first]].tolist()), steps)


def _ask(given: GatherInputs, held: HeldRows, asked: Sequence[AskedColumn], left_s: float) -> Swept | str:
    """What a worker found, or why that is not known."""
    inputs, chosen = given.finish, given.end.chosen
    context, shared = inputs.context, inputs.ready.shared
    family = {trial.plan.number: trial.plan.family for trial in inputs.trials}
    request = ShapeRequest(
        asked=ImportanceRequest(
            path=str(context.folder.path),
            members=tuple(AskedTrial(number, family[number], weight) for number, weight in chosen.weights.items()),
            readout=replace(chosen.readout, label_weights=()),
            metric=inputs.ready.metric.name,
            levels=shared.levels,
            rows=held.rows,
            fold=shared.folds.of_row[held.rows],
            places=(),
            repeats=1,
        ),
        sweeps=tuple(one.sweep for one in asked),
    )
    name = f"{shapes.of_run.__module__}:{shapes.of_run.__name__}"
    job = Job("shapes", name, request, (context.ref,), soft_s=left_s, hard_s=left_s + ANSWERED_S)
    outcome = ask_with(lambda: parts_of(request.asked, RunFolder(Path(request.asked.path))), job, context)
    if outcome.status is Status.DONE:
        return cast(Swept, outcome.value)
    if outcome.status is Status.LATE:
        return "it took too long to ask the model; give a larger budget"
    return f"the model could not be asked: {outcome.error or 'its worker died'}"


def _shape(given: GatherInputs, one: AskedColumn, moved: np.ndarray, told: np.ndarray, held: HeldRows) -> ShapeJson:
    """The curve of the class that moves most; of two classes, of quantiles and of a number there is but one to tell."""
    profile, fold = given.finish.profile, given.finish.ready.shared.folds.of_row[held.rows]
    outputs = range(told.shape[1])
    if len(profile.classes) == 2:
        outputs = range(profile.positive, profile.positive + 1)
    elif not profile.classes:
        outputs = range(len(profile.levels) // 2, len(profile.levels) // 2 + 1)
    curves: dict[int, ShapeCurve] = {}
    for k in outputs:
        middle, steps = float(np.average(told[:, k], weights=held.weight)), one.sweep.steps
        curves[k] = (
            shapes.of_each(moved[:, :, k], fold, held.weight)
            if steps is None
            else shapes.of_steps(moved[:, k], steps, fold, held.weight, middle)
        )
    best = max(curves, key=lambda k: curves[k].change)
    curve = curves[best]
    return {
        "column": one.facet.name,
        "is_date": one.facet.is_date,
        "output": str(profile.classes[best]) if profile.classes else None,
        "middle": float(np.average(told[:, best], weights=held.weight)),
        "change": curve.change,
        "change_low": curve.change_low,
        "change_high": curve.change_high,
        "points": _points(one, curve, held.weight),
        "together": [],
    }


def _points(one: AskedColumn, curve: ShapeCurve, weight: np.ndarray) -> list[ShapePointJson]:
    values, steps = one.facet.values, one.sweep.steps
    found: list[ShapePointJson] = []
    for k, donor in enumerate(one.sweep.donors):
        inside = values == values[donor] if steps is None else steps == k - 1
        found.append({
            "at": None if steps is None else float(values[donor]),
            "label": one.facet.labels[int(values[donor])] if steps is None else None,
            "value": float(curve.value[k]), "low": float(curve.low[k]), "high": float(curve.high[k]),
            "share": float(weight[inside].sum() / weight.sum()) if steps is None or k else None,
        })  # fmt: skip
    return found


def _together(one: AskedColumn, others: Sequence[AskedColumn]) -> list[str]:
    """Columns that rise and fall with this one."""
    if one.facet.labels:
        return []
    return [
        other.facet.name
        for other in others
        if other is not one and not other.facet.labels
        and abs(rank_correlation(one.facet.values, other.facet.values)) >= TOGETHER
    ]  # fmt: skip


def rank_correlation(mine: np.ndarray, theirs: np.ndarray) -> float:
    """Of the rows where both are known; nought where one does not vary."""
    both = ~np.isnan(mine) & ~np.isnan(theirs)
    ranks = []
    for values in (mine[both], theirs[both]):
        _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[place] if len(values) else values)
    first, second = (one - one.mean() if len(one) else one for one in ranks)
    size = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / size if size > 0 else 0.0
