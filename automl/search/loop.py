"""The search loop: the driver asks, workers answer. Only the driver touches the studies and the run folder.

A budget in seconds: folds run as soon as a worker is free and everything still running at the end is killed.
A budget in trials: they are asked in turn (in_turn.py), so that the same seed gives the same models.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import search_spaces
from automl.data.prepare import Prepared
from automl.ensemble import frontier
from automl.ensemble.blend import blend, mix
from automl.ensemble.calibrate import tuned_error
from automl.modalities import mixture
from automl.records import Plan, Spent, Trial, TrialStatus
from automl.records.choice import Decision
from automl.runtime.context import RunContext
from automl.runtime.journal import Past
from automl.runtime.progress import Pulse
from automl.search.against import load_of
from automl.search.allocate import Allocator
from automl.search.columns import column_for
from automl.search.courses import NetworkScheduler
from automl.search.gaps import levelled
from automl.search.in_turn import Turns, known_to
from automl.search.mixed import MixedScheduler
from automl.search.runner import FoldGrant, Runner
from automl.search.sample import Studies
from automl.search.screen import LEAST_S, Counter, Room, Screen
from automl.search.steps import Attempt, Course, Start, room_mb
from automl.search.trial import FoldJob, run_fold
from cluster.pool import Grant, Outcome, Partial
from search_spaces.spec import BASELINE, Family, Params

FIRST_MODEL_S = 8.0  # a first model exists after this many seconds or 5 % of the budget, whichever is longer
TICK_S = 0.25
FIT_SHARE = 0.5  # of all search seconds at most for one bag; a fold that would take longer is cut by its deadline
HOLDOUT_SHARE = 0.33  # of them at most for one fit where a holdout must do
MARGIN_S = 0.4  # from the soft end of the last jobs to the end of the search: predicting and sending
AFTER_S, AFTER_SHARE = 0.5, 0.02  # the same after a network's course, which may not be lost, beside its predictions
STALL_LEAST, STALL_TRIALS = 60, 30  # configurations seen in all, and lately without a gain
STALL_GAIN = 0.001  # of the blend's error; less is none
STALL_SHARE = 0.3  # of the search's time, before which it is never over
TOLD_S = 1.0
HANG_S = 3600.0  # a fold that takes longer is killed where no clock counts: it would wait for ever


@dataclass
class Search:
    """One search: its material, and what it found so far."""

    ready: Prepared
    decision: Decision
    context: RunContext
    seed: int = 0
    past: Past | None = None  # of the run that this one goes on with
    limits: frontier.Limits = frontier.Limits()  # what networks may take for a row and on disk, to be trained at all
    search_for: str = "score"  # or "score and latency"
    attempts: dict[int, Attempt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        context = self.context
        self.pool, self.clock, self.watcher = context.pool, context.clock, context.watcher
        self.shared, self.goal = self.ready.shared, self.ready.fold_plan.goal
        self._judges = range(self.goal) if self.ready.is_careful else range(1)  # folds on which trials are weighed
        families = [search_spaces.get(name) for name in self.decision.families]
        self._turns = Turns(self.attempts, self.shared.folds.count)
        self._known = self.attempts if self.clock.is_timed else self._turns.known  # as whoever decides may know them
        self._against = load_of(self.ready, self.decision, self.pool)
        given = families, self._against, self._known, self._weigh
        has_courses = any(family.is_coursed for family in families)
        scheduler = NetworkScheduler if self.ready.prior.is_coursed else MixedScheduler
        self._allocator = scheduler.of(*given, self._epoch_s) if has_courses else Allocator(*given)
        for left in context.folder.path.glob("study.journal*"):  # an earlier driver's: replayed, and its locks are dead
            left.unlink()
        counter, self._journal = Counter(self.shared), context.journal
        second = counter.latency if "latency" in self.search_for else None
        self._studies = Studies(context.folder.path / "study.journal", self.seed, second)
        self._screen = Screen(
            counter=counter,
            studies=self._studies,
            journal=self._journal,
            attempts=self._known,
            rows=len(self.shared.folds.train(0)),
            allowed=Room.of(self.limits, room_mb(self.pool.nodes()), is_timed=self.clock.is_timed),
            is_timed=self.clock.is_timed,
            is_on=self.clock.search_left >= LEAST_S,
        )
        if self._screen.is_on:
            counter.warm(families)
        self._runner = Runner(context, self.ready)
        self._told: set[int] = set()
        self._metric = self.ready.metric
        self._errors: list[float] = []  # of the blend, each time another trial could be in it
        self._weights: tuple[tuple[int, ...], dict[int, float]] = ((), {})
        if self.past is not None:
            self._remember(self.past)

    def _epoch_s(self, family: Family, params: Params, threads: int, gpus: int = 1) -> float:
        """Predicted seconds of an epoch, on so many GPUs where there are any; 0: unknown."""
        most = max((node.gpus for node in self.pool.nodes()), default=0.0)
        return self._screen.epoch_s(family, params, threads, min(gpus, math.ceil(most)))

    def _remember(self, past: Past) -> None:
        """Take over what an earlier driver asked, told and kept."""
        for plan in past.plans:
            number = plan.number
            status, trouble = past.troubles.get(number, ("", ""))
            self.attempts[number] = Attempt(
                plan, past.folds[number], spent=past.spent.get(number, Spent()), trouble=trouble, status=status,
                ended_s=past.ended_s.get(number, 0.0), retries=past.retries.get(number, 0), is_gone=number in past.gone,
                course=Course(plan.granted_s, threads=1) if plan.granted_s else None,
            )  # fmt: skip
        last = math.inf if self.clock.is_timed else known_to(len(self.attempts))  # the others are told in their turn
        told = {one.number: one for one in past.told if one.number <= last}.values()
        sampled = [plan for plan in past.plans if plan.number and plan.is_fair]
        self._studies.replay(sampled, told, self._screen.recall(self.context.folder.events()))
        heirs = {plan.parent for plan in past.plans}
        for attempt in self.attempts.values():
            attempt.has_heir = attempt.plan.number in heirs
            if not self.clock.is_timed:
                self._turns.begin(attempt)
        self._known |= {0: self.attempts[0]} if 0 in self.attempts else {}
        self._told = {0, *(plan.number for plan in past.plans if not plan.is_fair), *(one.number for one in told)}

    def _weigh(self) -> dict[int, float]:
        """What a blend makes of every trial, on the rows that the judging folds hold out."""
        known = [a for n, a in sorted(self._known.items()) if n and not a.is_probe]
        looked = [a for a in known if all(k in a.folds for k in self._judges)]
        key = tuple(a.plan.number for a in looked)
        if key != self._weights[0]:
            rows = np.concatenate([self.shared.folds.held(k) for k in self._judges])
            weight = None if self.shared.weight is None else self.shared.weight[rows]
            ranked = sorted(looked, key=lambda a: a.error)
            given = [np.concatenate([a.folds[k].predictions for k in self._judges]) for a in ranked]
            found = blend(self._metric, self.shared.y[rows], given, weight=weight)
            self._weights = key, {a.plan.number: float(w) for a, w in zip(ranked, found, strict=True)}
            self._errors.append(tuned_error(self._metric, self.shared.y[rows], mix(found, given), weight))
        return self._weights[1]

    # --- the two ways to search ---------------------------------------------------------------------------------------

    def run(self) -> list[Trial]:
        """Search until the budget is used; Ctrl-C ends the search, not the run."""
        if 0 not in self.attempts or self.attempts[0].missing(self.shared.folds.count):
            self._baseline()
        if self.clock.is_timed:
            self._tell_due()  # what an earlier driver had no time to
            self._by_time()
        else:
            self._by_trials(self.clock.budget.trials or 1)
        if self.context.interrupt.is_signalled:
            self.watcher.say("Interrupted: keeping the best model so far. Once more to give it up.")
        self._runner.stop()
        self._studies.close()
        return [self._trial(attempt) for attempt in self.attempts.values()]

    def _by_time(self) -> None:
        while self.clock.search_left > 0 and not self.context.interrupt.asked:
            step = None
            self.context.look_around()
            self._allocator.see(self._against.on(self.pool.nodes(), self.pool.slots))
            self._allocator.is_done_looking = self._is_stalled()
            while self._runner.threads < self.pool.slots:
                left_s = self.clock.search_left - MARGIN_S
                step = self._runner.again.popleft() if self._runner.again else self._allocator.next(left_s)
                if step is None:
                    break
                if isinstance(step, Start):
                    self._submit(self._begin(step), 0)
                else:
                    self.attempts[step.number].course = step.course
                    self._submit(self.attempts[step.number], step.fold)
            if step is None and not len(self._runner):
                if self.pool.slots:
                    self._give_back()
                    break
                time.sleep(TICK_S)  # no machine is left: one may come back
            self._absorb(self.pool.wait(min(TICK_S, max(0.0, self.clock.search_left))))

    def _is_stalled(self) -> bool:
        """Whether many more configurations have made the blend no better: more of them would only find luckier ones."""
        late = self.clock.elapsed > STALL_SHARE * (self.clock.search_until - self.clock.started)
        if not late or len(self._errors) < STALL_LEAST:
            return False
        return min(self._errors[-STALL_TRIALS:]) > (1 - STALL_GAIN) * min(self._errors[:-STALL_TRIALS])

    def _give_back(self) -> None:
        """Say why the search ends before its time."""
        why = "nothing more can finish in the time left"
        if self._allocator.is_done_looking:
            why = f"the last {STALL_TRIALS} configurations made the blend no better by {STALL_GAIN:.1%}"
        self._journal.write("stopped", {"because": why, "saved_s": round(self.clock.search_left, 2)})
        if self.clock.search_left > TOLD_S:
            self.watcher.say(f"search ends early: {why}; {self.clock.search_left:.0f} s are given back")

    def _by_trials(self, count: int) -> None:
        """Trials asked in turn, as many at a time as there are slots; what a crash cut short or damaged comes first."""
        for attempt in self.attempts.values():
            self._submit_missing(attempt)
        while not self.context.interrupt.asked:
            while self._turns.is_next_due(count) and self._runner.threads <= self.pool.slots:
                for attempt in self._turns.show(self._runner.again):
                    self._tell(attempt)
                heirs = self._turns.heirs
                self._submit_missing(self._begin(heirs.popleft() if heirs else self._allocator.whole_trial()))
            if not len(self._runner):
                break
            self.context.look_around()
            self._absorb(self.pool.wait(TICK_S))
        for attempt in self._turns.rest():
            self._tell(attempt)

    def _submit_missing(self, attempt: Attempt) -> None:
        for fold in attempt.missing(self.shared.folds.count) if not attempt.trouble else ():
            self._submit(attempt, fold)

    # --- steps --------------------------------------------------------------------------------------------------------

    def _baseline(self) -> None:
        """The constant predictor, at once and in this process: from here on there is a valid model."""
        if 0 not in self.attempts:
            because, features = "baseline: what any model must beat", {"recipe": "bare"}
            plan = Plan(number=0, family=BASELINE, params={}, seed=self.seed, because=because, features=features)
            self.attempts[0] = Attempt(plan)
            self._journal.asked(plan)
        attempt = self.attempts[0]
        plan, started, cpu = attempt.plan, time.monotonic(), time.process_time()
        raw = mixture.bare(self.shared.raw)  # it reads next to nothing: as little is copied
        bare = replace(self.shared, raw=raw, key=f"{self.shared.key} bare")
        for fold in attempt.missing(self.shared.folds.count):
            job = FoldJob(family=plan.family, params=plan.params, features=plan.features, seed=plan.seed, fold=fold)
            result = run_fold(Grant(1, float("inf")), job, bare)
            self._runner.keep(attempt, result.value if isinstance(result, Partial) else result)
        attempt.spent = Spent(time.process_time() - cpu, time.monotonic() - started, 0.0)
        self._told.add(0)
        self._known[0] = attempt
        told = {"trial": 0, "family": plan.family, "status": "done", "error": attempt.error, "cost": attempt.spent}
        self._journal.write("finished", told)

    def _begin(self, start: Start) -> Attempt:
        number = len(self.attempts)
        is_long = start.course is not None and start.course.is_long
        params, because = self._screen.choose(number, start)
        features: dict[str, Any] = {"recipe": start.recipe, **({"share": start.share} if start.share < 1 else {})}
        able = () if start.family.reads_all else start.family.columns(self.shared.raw.blocks)
        features |= column_for(start, able, self._known)
        plan = Plan(
            number=number,
            family=start.family.name,
            params=params,
            seed=self.seed + 1000 * number,
            because=because,
            features=features,
            is_quick=start.is_quick,
            is_long=is_long,
            parent=start.parent,
            granted_s=start.granted_s,
        )
        attempt = self.attempts[number] = Attempt(plan, course=start.course)
        if not self.clock.is_timed:
            self._turns.begin(attempt)
        if not plan.is_fair:
            self._told.add(number)
        self._journal.asked(plan)
        return attempt

    def _submit(self, attempt: Attempt, fold: int) -> None:
        soft_s, hard_s = self._limits(attempt)
        after_s = MARGIN_S if attempt.course is None else self._after_s(attempt, soft_s)
        self._runner.submit(attempt, fold, FoldGrant(self._threads_for(attempt), soft_s, hard_s, after_s))

    def _threads_for(self, attempt: Attempt) -> int:
        """One, or all for a long fold that starts alone; when only trials count nothing may depend on the clock."""
        if attempt.course is not None:
            attempt.threads = attempt.course.threads
            return attempt.threads
        if not self.clock.is_timed or len(self._runner):
            return 1
        attempt.threads = max(attempt.threads, self._allocator.threads(attempt.plan.number, self.clock.search_left))
        return attempt.threads

    def _limits(self, attempt: Attempt) -> tuple[float, float]:
        """Seconds after which a fold is asked to stop, and after which its worker is killed."""
        if not self.clock.is_timed:
            return float("inf"), HANG_S
        left = self.clock.search_left
        granted_s = math.inf if attempt.course is None else attempt.course.soft_s
        if attempt.course is not None and search_spaces.get(attempt.plan.family).is_coursed:
            soft = max(0.1, min(granted_s, left - self._after_s(attempt, left)))
            return soft, max(0.2, min(left, 2 * soft + 5.0))
        whole = self.clock.search_until - self.clock.started
        share = HOLDOUT_SHARE if self.goal == 1 else FIT_SHARE * min(1.0, self.pool.slots / self.goal)
        soft = min(left - MARGIN_S, max(2.0, share * whole), granted_s)
        hard = max(0.2, min(left, 2 * soft + 5.0))  # a first model is asked to be early, not killed early
        if attempt.plan.number == 1 and not attempt.folds:
            first = max(FIRST_MODEL_S, 0.05 * (self.clock.limit_s or 0.0)) - self.clock.elapsed
            soft = min(soft, max(1.0, first - 1.5))
        return max(0.1, soft), hard

    def _after_s(self, attempt: Attempt, left_s: float) -> float:
        """From the end of a network's course to its outcome: it predicts the held-out rows where it was trained."""
        return AFTER_S + AFTER_SHARE * left_s + self._screen.held_s(attempt, len(self.shared.folds.held(0)))

    def _absorb(self, outcomes: Iterable[Outcome]) -> None:
        for attempt, fold, outcome in self._runner.absorb(outcomes):
            attempt.ended_s = self.clock.elapsed
            self._report(attempt, fold, outcome)
        if self.clock.is_timed:
            self._tell_due()
        self._pulse()

    def _tell(self, attempt: Attempt) -> None:
        """Teach the sampler. By time, the first fold's error: every trial has that one, so nothing is mixed.

        Where one fold says little, all folds that the trial is due, told as if on as many as the best one did.
        """
        if attempt.plan.number not in self._told and (attempt.folds or attempt.trouble):
            self._told.add(attempt.plan.number)
            folds, is_timed = len(attempt.folds), self.clock.is_timed
            is_whole = is_timed or folds == self.shared.folds.count
            error = levelled(attempt, self.attempts.values() if is_timed and self.ready.is_careful else ())
            self._studies.tell(attempt.plan.number, error, folds, is_whole)
            self._journal.told(attempt.plan.number, error, folds, is_whole=is_whole)

    def _tell_due(self) -> None:
        for attempt in self.attempts.values():
            if attempt.plan.number not in self._told and not self._allocator.is_owed(attempt):
                self._tell(attempt)

    # --- what is said -------------------------------------------------------------------------------------------------

    def _report(self, attempt: Attempt, fold: int, outcome: Outcome) -> None:
        plan, whole = attempt.plan, len(attempt.folds) == self.shared.folds.count
        ended = attempt.folds.get(fold)
        if whole or not ended or len(attempt.folds) == 1:
            told = (
                f"{self._metric.to_score(attempt.error):.5g} after {len(attempt.folds)} folds"
                if ended
                else outcome.error
            )
            self.watcher.trial(f"trial {plan.number} {plan.family} ({plan.because}): {told}")

    def _pulse(self) -> None:
        best = min(self.attempts.values(), key=lambda a: a.error)
        left = self.clock.until - time.monotonic() if self.clock.is_timed else None
        self.watcher.pulse(
            Pulse(
                stage="search", elapsed_s=self.clock.elapsed, left_s=left,
                done=sum(bool(a.folds) for a in self.attempts.values()) - 1,
                failed=sum(bool(a.trouble) for a in self.attempts.values()),
                running=len(self._runner),
                best=f"{self._metric.name} {self._metric.to_score(best.error):.5g} ({best.plan.family})",
                where=self.context.use(),
            )
        )  # fmt: skip

    def _trial(self, attempt: Attempt) -> Trial:
        cut = any(fold.is_cut for fold in attempt.folds.values())
        if len(attempt.folds) == self.shared.folds.count and not cut:
            status = TrialStatus.DONE
        elif attempt.folds:
            status = TrialStatus.PARTIAL
        else:
            status = TrialStatus(attempt.status) if attempt.status else TrialStatus.LATE
        return Trial(
            plan=attempt.plan,
            status=status,
            folds=dict(sorted(attempt.folds.items())),
            spent=attempt.spent,
            message=attempt.trouble,
            ended_s=attempt.ended_s,
            retries=attempt.retries,
            is_gone=attempt.is_gone,
        )
