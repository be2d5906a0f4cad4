"""What a run did, a line each in events.jsonl: written as it happens, read again to resume and to make the bill.

Every job that is started ends once, as done, partial, failed, late or lost; one given again names the job it repeats.
A driver that was killed leaves jobs open: whoever resumes closes them as lost, charged up to the last thing heard.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from automl.records import Fold, Plan, Spent
from automl.runtime.clock import Clock
from automl.runtime.folder import RunFolder
from cluster.pool import Job, Outcome, Status

STARTED, ENDED = "started", "finished"  # of a job
ASKED, TOLD = "asked", "told"  # of a trial
STAGE, CLOSED = "stage", "closed"  # of a driver


class Journal:
    """Writes the events of one driver."""

    def __init__(self, folder: RunFolder, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._jobs: dict[tuple[int, int], list[str]] = {}  # of each fold, in the order in which they were given
        for event in folder.events():
            if event["event"] == STARTED:
                self._jobs.setdefault((event["trial"], event["fold"]), []).append(event["job"])

    def name(self, number: int, fold: int) -> str:
        """A name that no job of the run had: 3.0, should that be lost 3.0+1, then 3.0+2."""
        plain = f"{number}.{'all' if fold < 0 else fold}"
        earlier = len(self._jobs.get((number, fold), ()))
        return f"{plain}+{earlier}" if earlier else plain

    def write(self, what: str, facts: Mapping[str, Any]) -> None:
        """Append an event with the seconds that the run has worked so far, earlier drivers' included."""
        elapsed_s = round(self._clock.elapsed, 3)
        self._folder.event(what, {**facts, "elapsed_s": elapsed_s}, is_flushed=what != STARTED)

    def asked(self, plan: Plan) -> None:
        """A trial was decided on."""
        self.write(ASKED, {"trial": plan.number, "family": plan.family, "because": plan.because, "plan": plan})

    def told(self, number: int, error: float, folds: int, *, is_whole: bool) -> None:
        """The sampler has learned how a trial did."""
        self.write(TOLD, {"trial": number, "error": error, "folds": folds, "is_whole": is_whole})

    def started(self, number: int, fold: int, job: Job) -> None:
        """A job was given to the pool; if its fold had one before, it names it as its parent."""
        facts = {"trial": number, "fold": fold, "job": job.id, "threads": job.threads, "gpus": job.gpus}
        jobs = self._jobs.setdefault((number, fold), [])
        self.write(STARTED, {**facts, **({"parent": jobs[-1]} if jobs else {})})
        jobs.append(job.id)

    def ended(self, number: int, fold: int, threads: int, outcome: Outcome, facts: Mapping[str, Any]) -> None:
        """A job came to its end, whatever it was."""
        told = {"trial": number, "fold": fold, "job": outcome.job_id, "status": outcome.status, "threads": threads}
        why = {"message": outcome.error} if outcome.error else {}
        self.write(ENDED, {**told, **facts, **why, "worker": outcome.worker, "cost": outcome.cost})


@dataclass
class ToldTrial:
    """What the sampler was told of a trial, and when among others."""

    number: int
    error: float | None  # None: it failed
    folds: int
    is_whole: bool


@dataclass(kw_only=True)
class Past:
    """A run as its folder tells it."""

    plans: list[Plan] = field(default_factory=list)
    folds: dict[int, dict[int, Fold]] = field(default_factory=dict)  # by trial
    told: list[ToldTrial] = field(default_factory=list)
    spent: dict[int, Spent] = field(default_factory=dict)
    ended_s: dict[int, float] = field(default_factory=dict)
    retries: dict[int, int] = field(default_factory=dict)
    troubles: dict[int, tuple[str, str]] = field(default_factory=dict)  # status and message of the last thing wrong
    gone: set[int] = field(default_factory=set)  # trials whose models were removed at the end
    elapsed_s: float = 0.0


def is_closed(events: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last driver came to its end."""
    marks = [event["event"] for event in events if event["event"] in (STAGE, CLOSED)]
    return bool(marks) and marks[-1] == CLOSED


def read(folder: RunFolder) -> Past:
    """The past of a run, with every job of a killed driver closed. What is damaged is as if it had not happened yet."""
    close(folder)
    past = Past()
    known = _asked(folder)
    folder.forget_trials_but(known)
    for event in folder.events():
        past.elapsed_s = max(past.elapsed_s, float(event.get("elapsed_s", 0.0)))
        if event.get("trial", 0) not in known and event["event"] in (ASKED, TOLD, STARTED, ENDED):
            continue
        if event["event"] == ASKED:
            past.plans.append(Plan(**event["plan"]))
        elif event["event"] == TOLD:
            past.told.append(ToldTrial(event["trial"], event["error"], event["folds"], event["is_whole"]))
        elif event["event"] == STARTED and event.get("parent"):
            past.retries[event["trial"]] = past.retries.get(event["trial"], 0) + 1
        elif event["event"] == ENDED:
            _end(past, event)
    for plan in past.plans:
        past.folds[plan.number] = folder.read_folds(plan.number)
        if past.folds[plan.number] and not folder.has_models(plan.number):
            past.gone.add(plan.number)
    return past


def _asked(folder: RunFolder) -> set[int]:
    """Numbers of the trials that the journal tells of, up to the first that is missing."""
    told = {event["trial"] for event in folder.events() if event["event"] == ASKED}
    return set(range(next(number for number in itertools.count() if number not in told)))


def close(folder: RunFolder) -> None:
    """End as lost what a killed driver left open. A fold that had arrived by then stays done.

    Jobs begin in the order in which they were given: the first ones had the CPUs, since the last thing heard at most.
    """
    events = folder.events()
    last_s = max((float(event.get("elapsed_s", 0.0)) for event in events), default=0.0)
    heard_s = max((event["elapsed_s"] for event in events if event["event"] == ENDED), default=0.0)
    free = next((event["slots"] for event in reversed(events) if event["event"] == "machines"), 0)
    is_open = {event["job"]: event for event in events if event["event"] == STARTED}
    for event in events:
        if event["event"] == ENDED:
            is_open.pop(event.get("job"), None)
    for event in is_open.values():
        kept = event["fold"] in folder.read_folds(event["trial"])
        wall_s = last_s - max(event["elapsed_s"], heard_s) if free >= event["threads"] else 0.0
        free -= event["threads"]
        facts = {name: event[name] for name in ("trial", "fold", "job", "threads")}
        facts["cost"] = Spent(wall_s * event["threads"], wall_s, gpu_s=wall_s * event["gpus"])
        told = {"status": Status.DONE} if kept else {"status": Status.LOST, "message": "the driver was killed"}
        folder.event(ENDED, {**facts, **told, "worker": "", "elapsed_s": last_s})


def _end(past: Past, event: dict[str, Any]) -> None:
    number, cost = event["trial"], event["cost"]
    if event.get("fold", 0) < 0:
        return  # a refit: part of an end that is now done anew
    known = {spec.name for spec in fields(Spent)}
    spent = Spent(**{name: value for name, value in cost.items() if name in known})
    past.spent[number] = past.spent.get(number, Spent()) + spent
    past.ended_s[number] = event["elapsed_s"]
    if event["status"] in (Status.FAILED, Status.LATE):
        past.troubles[number] = event["status"], event.get("message", "")
