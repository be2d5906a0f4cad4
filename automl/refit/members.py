"""From chosen trials to the members of the final model.

A finished bag is kept: its fold models together have seen every row and average better than one refit. A trial that
finished only some of its folds is fitted once more on all rows, when the seconds kept back allow it; so is one whose
folds look forward in time, since none of them has seen the newest rows; where there is no time for that, the newest
fold alone is kept. Networks of two folds or more are kept: they average better than one on all rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import search_spaces
from automl.data.prepare import Shared
from automl.ensemble.forms import is_bag
from automl.ensemble.frontier import Limits, trim
from automl.records import Candidate, Member, Trial
from automl.runtime.clock import SAVED_S
from automl.runtime.context import RunContext
from automl.runtime.folder import RunFolder
from automl.search.runner import share_of_gpu
from automl.search.trial import ALL_ROWS, FoldJob
from cluster.pool import Job, Outcome, Status

GOODBYE_S = 0.5  # for jobs that were too late to end
SLACK = 1.5  # a refit is started only when this many times its predicted seconds are left


def as_bags(candidate: Candidate, trials: Sequence[Trial]) -> list[Member]:
    """The candidate's members with every fold they finished, unless it says how many: those beyond the rest's help."""
    chosen = [t for t in trials if t.plan.number in candidate.weights]
    kept = {t.plan.number: candidate.kept.get(t.plan.number, len(t.folds)) for t in chosen}
    return [Member(t.plan, candidate.weights[t.plan.number], tuple(t.folds)[: kept[t.plan.number]]) for t in chosen]


def lean(members: Sequence[Member], trials: Sequence[Trial], limits: Limits) -> list[Member]:
    """The members with as many folds of each as the limits allow."""
    folds = {t.plan.number: t.folds for t in trials}
    fold_plan = [m for m in members if m.folds != (ALL_ROWS,)]
    if not fold_plan:
        return list(members)
    kept = trim([[folds[m.plan.number][k] for k in m.folds] for m in fold_plan], [m.weight for m in fold_plan], limits)
    count = {m.plan.number: n for m, n in zip(fold_plan, kept, strict=True)}
    return [replace(m, folds=m.folds[: count.get(m.plan.number, 1)]) for m in members]


def sum_ms(members: Sequence[Member], trials: Sequence[Trial]) -> float:
    """Milliseconds for one row, summed over the models of the members; one of all rows takes what a fold's does."""
    folds = {t.plan.number: t.folds for t in trials}
    asked = [(folds[m.plan.number], k) for m in members for k in m.folds]
    return 1e3 * sum(own[k].row_s if k in own else next(iter(own.values())).row_s for own, k in asked)


def formed(one: Candidate, trials: Sequence[Trial], folder: RunFolder) -> list[Member]:
    """The candidate's members; of a cheaper form the fit on all rows where it is on disk, else the first fold."""
    members = as_bags(one, trials)
    if not one.made_from:
        return members
    return [
        replace(m, folds=(ALL_ROWS,) if folder.has_parts(m.plan.number, ALL_ROWS) else m.folds[:1]) for m in members
    ]


def on_all_rows(trial: Trial) -> FoldJob:
    """The same configuration on every row, stopping where early stopping stopped on average."""
    plan = trial.plan
    rounds = [fold.rounds for fold in trial.folds.values() if fold.rounds is not None]
    params = {**plan.params, "rounds": max(1, round(sum(rounds) / len(rounds)))} if rounds else plan.params
    return FoldJob(family=plan.family, params=params, features=plan.features, seed=plan.seed, fold=ALL_ROWS)


@dataclass(frozen=True)
class Refitter:
    """Fits members with unfinished bags once more, on all rows."""

    trials: Sequence[Trial]
    shared: Shared
    context: RunContext
    until: float = math.inf  # time.monotonic() by which a fit should be there, beside what the run's end needs

    def refit(self, members: Sequence[Member], *, is_each: bool = False) -> list[Member]:
        """The members, those with unfinished bags refitted where it fits into the time left; `is_each`: all of them."""
        trials = {t.plan.number: t for t in self.trials}
        able = [m for m in members if self._may(m, trials[m.plan.number], is_each=is_each)]
        wanted = self._in_time(able, trials)
        refitted = self._run({number: self._job(trials[number], len(wanted)) for number in wanted}) if wanted else set()
        return [replace(m, folds=(ALL_ROWS,)) if m.plan.number in refitted else m for m in members]

    def _left(self) -> float:
        return min(self.context.clock.left(SAVED_S), self.until - time.monotonic())

    def _may(self, member: Member, trial: Trial, *, is_each: bool) -> bool:
        """Whether it is to be fitted on all rows, time apart."""
        if member.folds == (ALL_ROWS,) or trial.plan.teacher:
            return False
        return is_each or not is_bag(trial, self.shared.folds)

    def _in_time(self, members: Sequence[Member], trials: Mapping[int, Trial]) -> list[int]:
        """Numbers of those whose fits end in the time there is, side by side; the heaviest first."""
        if not self.context.clock.is_timed:
            return [m.plan.number for m in members]
        taken: dict[int, float] = {}
        slots, left_s = self.context.pool.slots, self._left()
        for member in sorted(members, key=lambda m: -m.weight):
            number = member.plan.number
            asked = {**taken, number: self._core_s(member, trials[number])}
            alone_s = max(s / self._threads(trials[n], len(asked)) for n, s in asked.items())
            if max(alone_s, sum(asked.values()) / slots) * SLACK < left_s:
                taken = asked
        return list(taken)

    def _core_s(self, member: Member, trial: Trial) -> float:
        """Predicted seconds of one core for all rows: a fold's, on as many cores as it kept busy."""
        grown = len(self.shared.y) / max(1, len(self.shared.folds.train(member.folds[0])))
        busy = max(1.0, trial.spent.cpu_s / trial.spent.wall_s) if trial.spent.wall_s > 0 else 1.0
        return max(trial.folds[k].fit_s for k in member.folds) * grown * busy

    def _threads(self, trial: Trial, jobs: int) -> int:
        """Its share of the slots that so many fits at once leave free; one where runs repeat."""
        if not self.context.clock.is_timed or not search_spaces.get(trial.plan.family).is_threaded:
            return 1
        return max(1, self.context.pool.slots // jobs)

    def _job(self, trial: Trial, jobs: int) -> Job:
        """A fit of it on every row beside the others, in the time there is."""
        plan, payload = trial.plan, on_all_rows(trial)
        ref, hard_s = self.context.ref, max(0.1, self._left())
        return Job(
            self.context.journal.name(plan.number, ALL_ROWS),
            "automl.search.trial:run_fold",
            payload,
            (ref,),
            gpus=share_of_gpu(search_spaces.get(plan.family), self.context.pool.nodes()),  # as its folds were
            threads=self._threads(trial, jobs),
            hard_s=hard_s,
        )

    def _run(self, jobs: dict[int, Job]) -> set[int]:
        """Numbers of the trials whose refit was done in time and is on disk."""
        for number, job in jobs.items():
            self._give(number, job)
        waiting, done = {job.id: number for number, job in jobs.items()}, set()
        while waiting and self._left() > 0 and not self.context.is_deserted:
            self.context.look_around()
            for outcome in self.context.pool.wait(0.1):
                if outcome.job_id not in waiting:
                    continue
                number = waiting.pop(outcome.job_id)
                if outcome.status is Status.DONE:
                    parts = {"learner": outcome.value.parts, "features": outcome.value.features}
                    self.context.folder.save_parts(number, ALL_ROWS, parts)
                    done.add(number)
                self._take(number, jobs[number].threads, outcome)
                if outcome.status is Status.LOST and outcome.job_id == jobs[number].id:
                    again = replace(jobs[number], id=self.context.journal.name(number, ALL_ROWS))
                    self._give(number, again)
                    waiting[again.id] = number
        for job_id in waiting:
            self.context.pool.cancel(job_id)
        for outcome in self.context.pool.wait(GOODBYE_S) if waiting else ():
            if outcome.job_id in waiting:
                number = waiting[outcome.job_id]
                self._take(number, jobs[number].threads, outcome)
        return done

    def _give(self, number: int, job: Job) -> None:
        self.context.journal.started(number, ALL_ROWS, job)
        self.context.pool.submit(job)

    def _take(self, number: int, threads: int, outcome: Outcome) -> None:
        self.context.journal.ended(number, ALL_ROWS, threads, outcome, {"stage": "refit"})
