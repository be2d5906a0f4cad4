"""Cheaper models made on purpose at the end of a run: bags as one model, and a student of the best blend.

A student takes seconds, so it is made only where the budget has some to spare; what was not made, and why, is a note in
the report. Nothing in here may end a run.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

import search_spaces
from automl.data.prepare import Prepared
from automl.ensemble.blend import blend
from automl.ensemble.forms import fitted_once, student
from automl.explain.permutation import AskedTrial
from automl.messages import one_line
from automl.records import Candidate, Fold, Plan, Spent, Trial, TrialStatus
from automl.refit.finish import FinishInputs
from automl.refit.student import ASKING_SHARE, StudentJob, learn, parts_of
from automl.runtime.folder import STUDENTS
from automl.search.runner import fold_of
from automl.search.trial import ALL_ROWS, FoldResult
from cluster.pool import Job, Outcome, Ref, Status
from search_spaces.spec import TABLE, starts

FOUND = "cheaper"  # in what was found for the report: why there is no student; empty where there is one
FAMILIES = ("lightgbm", "xgboost")  # that students are of: a row takes them microseconds
QUICK = 0.1  # of the teacher's time for a row, that a student may take
MOST_ROUNDS, LEAST_RATE = 400, 0.1  # of boosting: a teacher's answers are learned fast, and few trees are quick
MADE, MOST_MADE = 3.0, 60_000  # rows for each real one, and at most
MOST_CELLS = 6_000_000  # of the table of all rows, real and made
COUNTED_FROM = 12  # trials from which a run that counts them makes a student: it costs about as much as some of them
FIT_SHARE, ENOUGH_ROUNDS, IDLE_ROUNDS = 0.5, 250, 30  # of the time of one; rounds to learn in; rounds beyond the best
LEAST_S = 0.8  # with less a student learns too little
SCORED_S = 0.3  # to learn its calibration and thresholds
LATE_S = 0.4  # after its time is over, for what was told to stop to arrive
BATCH_ROWS = 1_000  # that `Fold.batch_s` is of
TICK_S, GOODBYE_S = 0.1, 0.5
WEIGHED_SHARE = 0.1  # of the time, for the weights that the teacher has without a fold


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A student that is to be made."""

    teacher: Candidate
    plan: Plan
    like: Trial  # whose configuration it has
    until: float  # time.monotonic() at which it must be there; infinite where trials are counted


def is_likely(ready: Prepared) -> bool:
    """Whether time should be kept for a student: numbers are there to learn from, and no quantiles asked for."""
    blocks = ready.shared.raw.blocks.values()
    is_read = not ready.prior.is_coursed or any(block.encoder is not None for block in blocks)
    return is_read and not ready.schema.is_of_rows and ready.shared.task != "quantile"


def make(inputs: FinishInputs, field: Sequence[Candidate]) -> tuple[FinishInputs, list[Candidate], str]:
    """The field with the cheaper forms of its best, what it is made of, and why there is no student if there is none.

    Students are made only while there is time for them.
    """
    clock, dealt = inputs.context.clock, inputs.ready.shared.folds
    once = fitted_once(field, inputs.comparison, inputs.trials, dealt, is_timed=clock.is_timed)
    whole = [*field, *once]
    asked = _asked(inputs, field)
    if isinstance(asked, str):
        return inputs, whole, asked
    trial = _made(inputs, asked)
    if isinstance(trial, str):
        return inputs, whole, trial
    said = dealt.pooled(inputs.comparison.folds, {k: fold.predictions for k, fold in trial.folds.items()})
    predictions = {**inputs.comparison.predictions, trial.plan.number: said}
    inputs = replace(inputs, students=(trial,), comparison=replace(inputs.comparison, predictions=predictions))
    made = student(trial, asked.teacher, inputs.comparison, max(asked.until, time.monotonic() + SCORED_S))
    return inputs, [*whole, made], ""


def _asked(inputs: FinishInputs, field: Sequence[Candidate]) -> _Asked | str:
    """The student that is to be made, or in one line why there is none."""
    context, shared = inputs.context, inputs.ready.shared
    blends = [one for one in field if len(one.weights) > 1 and math.isinf(one.within_ms)]
    if not blends:
        return "no blend of models was better than the best of them, so there is none to learn from"
    if shared.task == "quantile":
        return "students learn probabilities or means, not quantiles"
    teacher = blends[0]
    members = [t for t in inputs.trials if t.plan.number in teacher.weights]
    reading = [t.plan.family for t in members if not search_spaces.get(t.plan.family).reads >= TABLE]
    if reading:
        return f"{reading[0]} reads more than numbers and categories, which a model of these cannot learn from it"
    best = _like(inputs, teacher)
    if best is None:
        return f"it would be of {' or '.join(FAMILIES)}, and neither took part"
    until, why = _until(inputs)
    if not why and (took_s := _asking_s(inputs, members)) > ASKING_SHARE * (until - time.monotonic()) / _turns(inputs):
        why = f"its teacher, {teacher.name}, would take {took_s:.2g} s for each fold to say what it knows"
    if why:
        return why
    params = {**starts(search_spaces.get(best.plan.family).space), **best.plan.params}
    params |= {"rounds": MOST_ROUNDS, "learning_rate": max(LEAST_RATE, float(params["learning_rate"]))}
    recipe = str(best.plan.features.get("recipe", ""))
    plan = Plan(
        number=STUDENTS, family=best.plan.family, params=params, seed=best.plan.seed,
        because=f"learned from {teacher.name}", features={"recipe": recipe} if recipe else {}, teacher=teacher.name,
    )  # fmt: skip
    if context.interrupt.asked or context.is_deserted:
        return "the run was ended early"
    return _Asked(teacher=teacher, plan=plan, like=best, until=until)


def _like(inputs: FinishInputs, teacher: Candidate) -> Trial | None:
    """The trial whose configuration a student takes over: the best of its families that is quick beside the teacher."""
    rivals = [t for t in inputs.comparison.rivals if t.plan.family in FAMILIES]
    if not inputs.context.clock.is_timed:  # what a clock measured decides nothing
        return next(iter(rivals), None)
    quick = [t for t in rivals if 1e3 * _first(t).row_s <= QUICK * teacher.row_ms]
    return next(iter(quick), min(rivals, key=lambda t: _first(t).row_s, default=None))


def _asking_s(inputs: FinishInputs, members: Sequence[Trial]) -> float:
    """Seconds that the members' models of one fold take to answer its other rows, by what they took in the search."""
    rows = len(inputs.ready.shared.folds.train(inputs.comparison.folds[0]))
    return rows / BATCH_ROWS * sum(_first(t).batch_s for t in members)


def _turns(inputs: FinishInputs) -> int:
    """How many fits of a student come one after another on each worker."""
    return math.ceil((len(inputs.comparison.folds) + 1) / max(1, inputs.context.pool.slots))


def _first(trial: Trial) -> Fold:
    return next(iter(trial.folds.values()))


def _until(inputs: FinishInputs) -> tuple[float, str]:
    """When a student must be there, and why there is no time for one."""
    clock = inputs.context.clock
    if not clock.is_timed:
        trials = clock.budget.trials or 0
        told = (
            f"it costs as much as several trials: a run of {COUNTED_FROM} has these to spare, one of {trials} has not"
        )
        return math.inf, "" if trials >= COUNTED_FROM else told
    until = min(clock.students_until, time.monotonic() + clock.student_s) if clock.limit_s is not None else math.inf
    is_late = until - time.monotonic() < LEAST_S
    return until, f"the budget has no time for one, which takes {LEAST_S:g} s and more" if is_late else ""


def _made(inputs: FinishInputs, asked: _Asked) -> Trial | str:
    """The student, learned on each fold and on all rows; or what went wrong, in one line."""
    context, number = inputs.context, asked.plan.number
    shutil.rmtree(context.folder.trial(number, 0).parent, ignore_errors=True)  # of an earlier end of this run
    wanted = [*inputs.comparison.folds, ALL_ROWS]
    jobs = _StudentJobs(inputs, asked, _weights(inputs, asked))
    try:
        outcomes = jobs.run(wanted)
    finally:
        jobs.forget()
    wrong = next((f for f in inputs.comparison.folds if f not in outcomes), None)
    if wrong is not None:
        shutil.rmtree(context.folder.trial(number, 0).parent, ignore_errors=True)
        return jobs.trouble or "it could not be fitted in time"
    folds = {k: outcomes[k] for k in inputs.comparison.folds}
    return Trial(plan=asked.plan, status=TrialStatus.DONE, folds=folds, spent=jobs.spent, ended_s=context.clock.elapsed)


def _weights(inputs: FinishInputs, asked: _Asked) -> dict[int, Mapping[int, float]]:
    """The teacher's weights for each fold, chosen without its rows; where there is one fold, those that it has."""
    comparison, teacher = inputs.comparison, asked.teacher
    shared, numbers = inputs.ready.shared, list(teacher.weights)
    found: dict[int, Mapping[int, float]] = {ALL_ROWS: teacher.weights}
    now = time.monotonic()
    for at, fold in enumerate(comparison.folds):
        others = ~np.isin(comparison.rows, shared.folds.held(fold))
        if not others.any():
            found[fold] = teacher.weights
            continue
        share = WEIGHED_SHARE * (at + 1) / len(comparison.folds)
        until = math.inf if math.isinf(asked.until) else now + share * (asked.until - now)
        weight = None if comparison.weight is None else comparison.weight[others]
        predictions = [comparison.predictions[n][others] for n in numbers]
        chosen = blend(comparison.metric, comparison.y[others], predictions, weight=weight, until=until)
        found[fold] = {n: float(w) for n, w in zip(numbers, chosen, strict=True) if w > 0}
    return found


class _StudentJobs:
    """The fits of one student, out to the pool and back."""

    def __init__(self, inputs: FinishInputs, asked: _Asked, weights: Mapping[int, Mapping[int, float]]) -> None:
        self._inputs, self._asked, self._weights = inputs, asked, weights
        self._carried: list[Ref] = []
        self.trouble, self.spent = "", Spent()

    def run(self, wanted: Sequence[int]) -> dict[int, Fold]:
        """The folds that were done in time; what learned from all rows is on disk."""
        context, done = self._inputs.context, dict[int, Fold]()
        waiting = {job.id: (fold, job) for fold in wanted for job in [self._job(fold)]}
        for fold, job in waiting.values():
            context.journal.started(self._asked.plan.number, fold, job)
            context.pool.submit(job)
        while waiting and time.monotonic() < self._asked.until + LATE_S and not context.is_deserted:
            context.look_around()
            if context.interrupt.asked or self.trouble:
                break
            for outcome in context.pool.wait(TICK_S):
                if outcome.job_id in waiting:
                    self._take(*waiting.pop(outcome.job_id), outcome, done)
        for job_id in waiting:
            context.pool.cancel(job_id)
        for outcome in context.pool.wait(GOODBYE_S) if waiting else ():
            if outcome.job_id in waiting:
                self._take(*waiting.pop(outcome.job_id), outcome, done)
        return done

    def forget(self) -> None:
        """Free what travelled with the jobs."""
        for ref in self._carried:
            self._inputs.context.pool.forget(ref)

    def _job(self, fold: int) -> Job:
        context, plan = self._inputs.context, self._asked.plan
        ask = self._question(fold)
        carried = () if context.pool.shares_disk else (context.pool.put(parts_of(ask)),)
        self._carried += carried
        left_s = max(0.1, self._asked.until - time.monotonic())
        return Job(
            context.journal.name(plan.number, fold), f"{learn.__module__}:{learn.__name__}", ask,
            (context.ref, *carried), soft_s=left_s / _turns(self._inputs), hard_s=left_s + LATE_S,
        )  # fmt: skip

    def _question(self, fold: int) -> StudentJob:
        shared, plan = self._inputs.ready.shared, self._asked.plan
        trials = {t.plan.number: t for t in self._inputs.trials}
        members = tuple(AskedTrial(n, trials[n].plan.family, w) for n, w in self._weights[fold].items())
        folds = sorted({k for n in self._weights[fold] for k in trials[n].folds}) if fold == ALL_ROWS else [fold]
        rows = len(shared.y)
        room = min(MOST_CELLS // max(1, shared.size.columns), self._rows_in_time()) - rows
        return StudentJob(
            path=str(self._inputs.context.folder.path), members=members, folds=tuple(folds), family=plan.family,
            params=plan.params, recipe=str(plan.features.get("recipe", "")), seed=plan.seed, fold=fold,
            made=max(0, min(round(MADE * rows), MOST_MADE, room)),
        )  # fmt: skip

    def _rows_in_time(self) -> int:
        """Rows that can be learned in the time for one fit, by what its like took in the search."""
        like = self._asked.like
        if math.isinf(self._asked.until):
            return MOST_CELLS
        fold = _first(like)
        rows = max(1, len(self._inputs.ready.shared.folds.train(fold.fold)))
        row_round_s = fold.fit_s / rows / ((fold.rounds or 0) + IDLE_ROUNDS)
        each_s = FIT_SHARE * max(0.0, self._asked.until - time.monotonic()) / _turns(self._inputs)
        return int(each_s / max(1e-12, row_round_s * ENOUGH_ROUNDS))

    def _take(self, fold: int, job: Job, outcome: Outcome, done: dict[int, Fold]) -> None:
        """Keep what came, and charge it."""
        context, number, cost = self._inputs.context, self._asked.plan.number, outcome.cost
        context.busy_core_s += cost.wall_s * job.threads
        context.journal.ended(number, fold, job.threads, outcome, {"stage": "cheaper"})
        self.spent += Spent(cost.cpu_s, cost.wall_s, cost.peak_mb, cost.gpu_s)
        if outcome.trace:
            context.folder.log(job.id, outcome.trace)
        if outcome.status not in (Status.DONE, Status.PARTIAL):
            self.trouble = self.trouble or one_line(outcome.error or outcome.status.value)
            return
        result = cast(FoldResult, outcome.value)
        parts = {"learner": result.parts, "features": result.features}
        if fold == ALL_ROWS:
            context.folder.save_parts(number, fold, parts)
            return
        made = fold_of(result, self._inputs.ready)
        context.folder.save_fold(number, made, parts)
        done[fold] = made
