"""Folds out to the pool, outcomes back: what runs, what it was charged to, what is given again.

A job whose worker died is given again, under a new name that tells its parent. Where memory ran out the trial is tried
again on half of its rows, as a trial of its own. Nothing else is repeated.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import search_spaces
from automl.data.prepare import Prepared
from automl.ensemble.calibrate import tuned_error
from automl.records import Fold, Spent
from automl.runtime.context import RunContext
from automl.search.steps import Attempt, Start, room_mb
from automl.search.trial import FoldJob, FoldResult
from cluster.pool import Job, Node, Outcome, Status
from search_spaces.spec import Family

RETRIES = 2  # of one fold whose worker died
GPU_SHARE = 0.25  # of a GPU for a network that was granted nothing else: several train on one side by side
LEAST_SHARE = 0.1  # of the rows, below which a trial is not tried again
GOODBYE_S = 2.0  # for cancelled jobs to end


@dataclass(frozen=True)
class FoldGrant:
    """What a fold is granted: threads, when it is asked to stop, when it is killed."""

    threads: int = 1
    soft_s: float = float("inf")
    hard_s: float = float("inf")
    after_s: float = 0.0  # kept free between the first of them and the end of the search


@dataclass(frozen=True)
class RunningFold:
    """A fold that runs."""

    attempt: Attempt
    fold: int
    job: Job
    retries: int = 0
    after_s: float = 0.0


class Runner:
    """The jobs of a search."""

    def __init__(self, context: RunContext, ready: Prepared) -> None:
        self._pool, self._ref, self._folder, self._journal = context.pool, context.ref, context.folder, context.journal
        self._site, self._ready = context, ready
        self._rides: dict[str, RunningFold] = {}
        self.again: deque[Start] = deque()  # trials to try on less
        self._told: set[str] = set()

    def __len__(self) -> int:
        return len(self._rides)

    @property
    def threads(self) -> int:
        """Threads that running folds hold."""
        return sum(ride.job.threads for ride in self._rides.values())

    def submit(self, attempt: Attempt, fold: int, limits: FoldGrant) -> None:
        """Give a fold of a trial to the pool."""
        plan = attempt.plan
        family = search_spaces.get(plan.family)
        nodes = self._pool.nodes()
        needed_mb = family.price.fit_mb(self._ready.shared.size) * attempt.share
        job = Job(
            self._journal.name(plan.number, fold),
            "automl.search.trial:run_fold",
            FoldJob(
                family=plan.family,
                params=plan.params,
                features=plan.features,
                seed=plan.seed,
                fold=fold,
                kept=self._kept(attempt, fold),
            ),
            (self._ref,),
            limits.threads,
            gpus=_gpus(attempt, family, nodes),
            memory_mb=min(needed_mb, room_mb(nodes)),
            soft_s=limits.soft_s,
            hard_s=limits.hard_s,
            needs=family.imports,
        )
        self._give(RunningFold(attempt, fold, job, after_s=limits.after_s))

    def absorb(self, outcomes: Iterable[Outcome]) -> list[tuple[Attempt, int, Outcome]]:
        """Take outcomes in: keep what came, charge all of it, give again what its worker took along."""
        heard = []
        for outcome in outcomes:
            ride = self._rides.pop(outcome.job_id, None)
            if ride is None:
                continue
            attempt, cost = ride.attempt, outcome.cost
            attempt.running.discard(ride.fold)
            self._site.busy_core_s += cost.wall_s * ride.job.threads
            attempt.spent += Spent(cost.cpu_s, cost.wall_s, cost.peak_mb, cost.gpu_s)
            if outcome.status in (Status.DONE, Status.PARTIAL):
                self.keep(attempt, outcome.value)
                self._tell(attempt, outcome.value)
            self._close(ride, outcome)
            if outcome.status is Status.LOST and ride.retries < RETRIES and not outcome.is_memory:
                nodes = self._pool.nodes()
                again = replace(
                    ride.job,
                    id=self._journal.name(attempt.plan.number, ride.fold),
                    gpus=_gpus(attempt, search_spaces.get(attempt.plan.family), nodes),  # those there are by now
                    memory_mb=min(ride.job.memory_mb, room_mb(nodes)),
                    soft_s=max(0.1, min(ride.job.soft_s, self._site.clock.search_left - ride.after_s)),
                )
                attempt.retries += 1
                self._give(replace(ride, job=again, retries=ride.retries + 1))
            elif outcome.status not in (Status.DONE, Status.PARTIAL):
                self._give_up(attempt, outcome)
            heard.append((attempt, ride.fold, outcome))
        return heard

    def keep(self, attempt: Attempt, result: FoldResult) -> None:
        """Score a fold's predictions and put it on disk."""
        number = attempt.plan.number
        parts = {"learner": result.parts, "features": result.features}
        attempt.folds[result.fold] = fold = fold_of(result, self._ready)
        self._folder.save_fold(number, fold, parts)
        self._folder.forget_state(number, result.fold)

    def stop(self) -> None:
        """Kill what still runs; it is charged like everything else."""
        for job_id in self._rides:
            self._pool.cancel(job_id)
        until = time.monotonic() + GOODBYE_S
        while self._rides and time.monotonic() < until:
            self.absorb(self._pool.wait(0.1))

    def _tell(self, attempt: Attempt, result: FoldResult) -> None:
        """What a worker had to say, once for a run and family."""
        for line in result.notes:
            told = f"{attempt.plan.family}: {line}"
            if told not in self._told:
                self._told.add(told)
                self._site.watcher.say(f"trial {attempt.plan.number} {told}")

    def _give(self, ride: RunningFold) -> None:
        ride.attempt.running.add(ride.fold)
        self._rides[ride.job.id] = ride
        self._journal.started(ride.attempt.plan.number, ride.fold, ride.job)
        self._pool.submit(ride.job)

    def _kept(self, attempt: Attempt, fold: int) -> str:
        """Where a network on a course keeps its state."""
        return "" if attempt.course is None else str(self._folder.state(attempt.plan.number, fold))

    def _close(self, ride: RunningFold, outcome: Outcome) -> None:
        ended = ride.attempt.folds.get(ride.fold)
        facts: Mapping[str, Any] = {
            "family": ride.attempt.plan.family,
            "error": ended.error if ended else None,
            "is_cut": ended.is_cut if ended else None,
            **({"notes": outcome.value.notes} if ended and outcome.value and outcome.value.notes else {}),
        }
        self._journal.ended(ride.attempt.plan.number, ride.fold, ride.job.threads, outcome, facts)
        if outcome.trace:
            self._folder.log(ride.job.id, outcome.trace)

    def _give_up(self, attempt: Attempt, outcome: Outcome) -> None:
        """No more folds of this trial; where memory ran out, another one on half of its rows."""
        plan = attempt.plan
        attempt.trouble, attempt.status = outcome.error or outcome.status.value, outcome.status.value
        share = attempt.share / 2
        if outcome.is_memory and share >= LEAST_SHARE and not attempt.has_heir:
            attempt.has_heir = True
            because = f"trial {plan.number} again on {share:.0%} of the rows: memory ran out"
            recipe = str(plan.features.get("recipe", "plain"))
            family = search_spaces.get(plan.family)
            self.again.append(
                Start(
                    family=family,
                    given=dict(plan.params),
                    because=because,
                    recipe=recipe,
                    share=share,
                    parent=plan.number,
                    course=attempt.course,
                )
            )


def fold_of(result: FoldResult, ready: Prepared) -> Fold:
    """What a fold gave, its predictions scored."""
    shared, files = ready.shared, [*result.parts.values(), *result.features.values()]
    held = shared.folds.held(result.fold)
    weight = None if shared.weight is None else shared.weight[held]
    return Fold(
        fold=result.fold, predictions=result.predictions,
        error=tuned_error(ready.metric, shared.y[held], result.predictions, weight), is_cut=result.is_cut,
        fit_s=result.fit_s, batch_s=result.batch_s, row_s=result.row_s, size_mb=sum(map(len, files)) / 1e6,
        rounds=result.rounds,
    )  # fmt: skip


def share_of_gpu(family: Family, nodes: Iterable[Node]) -> float:
    """Of a GPU, for a fit that was granted nothing else."""
    return GPU_SHARE if family.route == "neural" and any(node.gpus for node in nodes) else 0.0


def _gpus(attempt: Attempt, family: Family, nodes: Sequence[Node]) -> float:
    """GPUs for a fold, or a share of one; those of its course, as far as they are not gone since it was planned."""
    if attempt.course is None:
        return share_of_gpu(family, nodes)
    return min(attempt.course.gpus, max((node.gpus for node in nodes), default=0.0))
