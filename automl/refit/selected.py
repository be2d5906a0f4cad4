"""What is promised as one model, fitted once on all rows when it is asked for, if it was not at the end of the run.

Where the data is out of reach the first fold's model takes its place: it is what was scored.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from automl.data.prepare import Shared, prepare, weigh
from automl.data.profiler import examine
from automl.data.reading import load
from automl.errors import AutomlError, InputError
from automl.messages import one_line
from automl.modalities import mixture
from automl.records import Candidate, FoldPlan, Plan, Trial
from automl.refit.members import formed, on_all_rows
from automl.runtime.folder import STUDENTS, RunFolder
from automl.runtime.journal import ASKED
from automl.runtime.resume import BEGINNING, options_of, source_of
from automl.search.trial import ALL_ROWS, run_fold
from cluster.cores import cores
from cluster.pool import Grant, Partial

ADVICE = "Give it: result.select(name, data=...)."


def fitted(run: RunFolder, one: Candidate, trials: Sequence[Trial], data: Any = None) -> None:
    """See to it that each member of a cheaper form is fitted on all rows, or say in a line why it is not."""
    found = formed(one, trials, run)
    lacking = [m.plan.number for m in found if m.folds != (ALL_ROWS,) and m.plan.number < STUDENTS]
    if not (one.made_from and lacking):
        return
    try:
        shared = _shared(run, data)
        for number in lacking:
            _fit(run, next(t for t in trials if t.plan.number == number), shared)
    except (AutomlError, OSError) as problem:
        told = f"{one_line(problem)}. So the model of the first fold is returned, which is what was scored"
        warnings.warn(f"{one.name}: not fitted on all rows: {told}.", stacklevel=4)


def _fit(run: RunFolder, trial: Trial, shared: Shared) -> None:
    """A trial's configuration on every row, kept in the run's folder."""
    plans = [event["plan"] for event in run.events() if event["event"] == ASKED]
    plan = next((Plan(**told) for told in plans if told["number"] == trial.plan.number), None)
    if plan is None:
        raise InputError(
            f"trial {trial.plan.number} is not in the journal of {str(run.path)!r}. Copy the whole folder."
        )
    found = run_fold(Grant(cores(), float("inf")), on_all_rows(replace(trial, plan=plan)), shared)
    result = found.value if isinstance(found, Partial) else found
    run.save_parts(plan.number, ALL_ROWS, {"learner": result.parts, "features": result.features})


def _shared(run: RunFolder, data: Any) -> Shared:
    """The run's rows as its trials read them, from the same data; other data is refused."""
    begun, options = run.read_start(BEGINNING), options_of(run, {"cluster": "local"})
    dataset = load(source_of(run, data, advice=ADVICE), options, decode=mixture.read)
    profile, _ = examine(dataset, options)
    fold_plan = FoldPlan(**(begun.get("fold_plan") or begun["bags"]))
    ready = prepare(weigh(dataset, profile, options), profile, options, float("inf"), fold_plan)
    if ready.shared.key != begun["key"]:
        raise InputError(
            f"the data is not that of the run in {str(run.path)!r}: a value, a row or a column changed. Give the data "
            "that the run learned from."
        )
    return ready.shared
