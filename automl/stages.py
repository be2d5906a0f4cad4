"""A run, stage by stage. This file is the table of contents: what each stage is, the rooms beside it say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from automl.data import counted
from automl.data.prepare import Prepared, check_held, prepare, read_held, weigh
from automl.data.profiler import examine
from automl.data.reading import load
from automl.decision import foreseen, transfer
from automl.decision.landmarks import with_landmarks
from automl.decision.prior import route
from automl.decision.quote import quote, work_of
from automl.ensemble.candidates import candidates, enter, given
from automl.errors import OptionError, RunError
from automl.modalities import contents, mixture
from automl.modalities.encoders import kept
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.options import Options
from automl.plain import as_json
from automl.records import Audit, Candidate, Dataset, Profile, Score
from automl.records.choice import Decision
from automl.records.quote import Quote
from automl.refit import ablate, cheaper, existing, finish, renew, watch
from automl.refit.judge import JudgeInputs, judge
from automl.refit.renew import Renewal
from automl.report import card, quoted, write
from automl.report.gather import examples, findings, importance, mistakes, parts, story
from automl.report.gather.explained import unexplained
from automl.report.inputs import ReportInputs
from automl.report.sections.decision import verdict_json
from automl.report.sections.looked import SamplesJson
from automl.runtime import invoice, workplace
from automl.runtime.batches import hearing
from automl.runtime.clock import CHOSEN_S, TEST_ROW_S, Clock
from automl.runtime.context import RunContext
from automl.runtime.folder import RunFolder
from automl.runtime.interrupt import Interrupt
from automl.runtime.journal import CLOSED, STAGE, Journal, Past
from automl.runtime.progress import Watcher
from automl.runtime.resume import (
    BEGINNING,
    Beginning,
    Earlier,
    on_disk,
    whereabouts,
)
from automl.runtime.workplace import Opened, energy_meter, load_rates, tariff
from automl.search.loop import Search
from cluster.pool import Pool
from search_spaces.spec import MediaKind


@dataclass(frozen=True, kw_only=True)
class Before:
    """What a run goes on from: an earlier part of itself, or another run whose model it trains anew."""

    earlier: Earlier | None = None
    renewal: Renewal | None = None

    @property
    def past(self) -> Past | None:
        """The trials that were asked for before."""
        return self.earlier.past if self.earlier else self.renewal.past if self.renewal else None

    @property
    def folder(self) -> Path | None:
        """Of the run whose trained networks are gone on with."""
        return self.earlier.folder.path if self.earlier else self.renewal.old if self.renewal else None


NOTHING = Before()


def run_one(
    data: Any, options: Options, listener: Watcher, started: float, before: Before = NOTHING,
    opened: Opened | None = None,
) -> Path:  # fmt: skip
    """The stages, in order, and the run's folder; of an earlier run those that are left.

    Of a renewal the search is left out: what an earlier run chose is trained anew. `opened`: workers that are on
    their way already.
    """
    earlier, moment = before.earlier, datetime.now(UTC).isoformat(timespec="seconds")
    pool, notes = opened or workplace.open_pool(options)  # workers warm up while the data is read
    with pool:
        rates = load_rates(options.rates)
        clock = earlier.clock(options, started) if earlier else Clock(options.budget, started)
        _say(listener, notes)
        clock.goodbye_s = pool.goodbye_s
        clock.hold(tariff(pool.nodes(), rates))
        if clock.is_timed and clock.limit_s is None:
            raise OptionError(
                f"budget='{options.budget}' never ends: these machines cost nothing at these rates. "
                "Give time, or other rates."
            )
        task = _read(data, options, clock, listener, pool, before)
        begun = earlier.folder if earlier else _begin(task, options, pool, clock, listener)
        with begun as folder, Interrupt() as interrupt:
            journal, ref = Journal(folder, clock), pool.put(task.ready.shared)
            price = partial(tariff, rates=rates)
            meter = energy_meter(pool.nodes(), rates)
            context = RunContext(pool, ref, clock, folder, journal, listener, interrupt, price, meter)
            context.look_around()  # a budget so small that no trial begins has its bill too
            inputs = _search(task, options, context, before)
            facts = _conclude(task, options, inputs, moment)
            told = story.report(facts)
            write(told, folder.path)
            _write_card(task, options, told, folder)
            if task.renewal is not None:
                renew.keep(folder, told["lineage"])
            journal.write(CLOSED, {})
    _say(listener, _last_words(told, folder))
    return folder.path


def renewed(asked: renew.RenewRequest, listener: Watcher, started: float) -> Path:
    """What an earlier run chose, trained anew: the folder of the new run."""
    rows, options, renewal = renew.begin(asked)
    return run_one(rows, options, listener, started, Before(renewal=renewal))


def _last_words(told: Mapping[str, Any], folder: RunFolder) -> list[str]:
    """What came of the run, in a few lines."""
    verdict, score = told["verdict"], Score(**as_json(told["verdict"]["score"]))
    lines = [f"verdict: {told['decision']['outcome']}"]
    if told.get("lineage"):
        lines = [f"trained anew: {told['lineage']['told']}"]
    lines += [line for line in [quoted.beside(told)] if line]
    lines.append(f"{verdict['chosen']}: {score}. Report: {folder.path / 'report.html'}")
    return [*lines, f"the run is at {folder.place}"] if folder.place != str(folder.path) else lines


def _write_card(task: _Task, options: Options, told: Mapping[str, Any], folder: RunFolder) -> None:
    """The model card, beside the model."""
    again = task.renewal
    sources = ([] if task.source is None else [whereabouts(task.source)]) if again is None else again.sources
    facts = {"source": ", ".join(sources), "fingerprint": task.ready.shared.key, "licence": options.data_licence}
    card.attach(folder.path, told, {**facts, "lineage": told.get("lineage")})


def _search(task: _Task, options: Options, context: RunContext, before: Before) -> finish.FinishInputs:
    """Trials until the budget is used, compared on the same held-out rows."""
    _enter(context.clock, context.watcher, "search", context.journal)
    for plan in before.renewal.plans if before.renewal else ():
        context.journal.asked(plan)
    aims = finish.limits(options), options.search_for
    trials = Search(task.ready, task.decision, context, options.seed, before.past, *aims).run()
    _enter(context.clock, context.watcher, "ensemble", context.journal)
    return finish.FinishInputs(
        dataset=task.dataset, held=task.held, profile=task.profile, ready=task.ready, trials=trials,
        comparison=enter(trials, task.ready), context=context, is_renewed=before.renewal is not None,
    )  # fmt: skip


def _field(
    task: _Task, options: Options, inputs: finish.FinishInputs, until: float
) -> tuple[finish.FinishInputs, list[Candidate], str]:
    """What the run could return, what that is made of, and why no student is among it; of a renewal what was chosen."""
    again, context = task.renewal, inputs.context
    if again is None:
        field = candidates(inputs.comparison, finish.limits(options), until=until)
        _enter(context.clock, context.watcher, "cheaper", context.journal)
        return cheaper.make(inputs, field)
    lost = next((t for t in inputs.trials if t.plan.number in again.weights and not t.folds), None)
    if lost is not None:
        raise RunError(f"{lost.plan.family} could not be trained anew: {lost.message or lost.status}.")
    field = given(inputs.comparison, again.name, again.weights, again.readout, until)
    return inputs, field, "it was trained anew, without a search"


def _conclude(task: _Task, options: Options, inputs: finish.FinishInputs, moment: str) -> ReportInputs:
    """The model that is returned, and all that the report says of it."""
    context, clock, journal = inputs.context, inputs.context.clock, inputs.context.journal
    until = clock.until - CHOSEN_S - task.ready.metric.wait_s - clock.explain_s - clock.student_s
    inputs, field, unmade = _field(task, options, inputs, until)
    _enter(clock, context.watcher, "refit", journal)
    end = watch.equip(inputs, finish.finish(inputs, field, options), options)
    known = foreseen.known_at(context.folder.events())
    seen = foreseen.curves(inputs.trials, task.ready.shared.size.rows, known)
    verdict = judge(
        JudgeInputs(finish=inputs, end=end, decision=task.decision, options=options, audit=task.audit, curves=seen)
    )
    shown = _show(inputs, end)
    _enter(clock, context.watcher, "importance", journal)
    added = parts.gather(inputs)
    weighed = importance.gather(inputs, end.chosen)
    _enter(clock, context.watcher, "report", journal)
    found = {cheaper.FOUND: unmade, **findings.gather_all(inputs, end, options, task.audit, weighed)}
    if task.renewal is not None:
        found["lineage"] = renew.lineage(task.renewal, inputs.ready, task.dataset, verdict.existing)
    verdict = replace(verdict, unexplained=unexplained(options, weighed, shown, found.get("explanations")))
    context.folder.write_json("decision.json", {**as_json(task.decision), "verdict": verdict_json(verdict)})
    context.read_meter()
    bill = invoice.of(context.folder.events(), clock.elapsed, load_rates(options.rates))
    return ReportInputs(
        options=options, dataset=task.dataset, profile=task.profile, audit=task.audit, decision=task.decision,
        trials=inputs.trials, students=inputs.students, comparison=inputs.comparison, end=end, started=moment,
        interrupted=context.interrupt.asked, source=task.source, bill=bill, clock=clock, folder=context.folder,
        confusion=mistakes.gather(inputs, end.chosen), samples=shown, importance=weighed, parts=added, verdict=verdict,
        found=found,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Task:
    """The data as the search will see it."""

    source: str | None
    dataset: Dataset
    held: Dataset | None
    profile: Profile
    audit: Audit
    decision: Decision
    ready: Prepared
    encoders: Mapping[MediaKind, Checkpoint]
    renewal: Renewal | None = None


def _read(data: Any, options: Options, clock: Clock, listener: Watcher, pool: Pool, before: Before) -> _Task:
    """Load, profile, decide, prepare."""
    _enter(clock, listener, "load")
    earlier, goes_on = before.earlier, before.folder is not None
    found, already = transfer.find(options, before.folder), existing.place_of(options)  # a wrong one is told at once
    dataset = load(data, options, decode=partial(mixture.read, report=partial(_counting, listener, "decode")))
    held = read_held(options, dataset)
    taken_over = transfer.NO_WEIGHTS
    if transfer.is_wanted(dataset, found, options, goes_on=goes_on):
        _enter(clock, listener, "embed")
        reading = partial(_counting, listener, "embed")
        left_s = math.inf if goes_on else clock.search_left  # what was decided then stays
        with hearing() as notes:
            dataset, taken_over = transfer.take_over(dataset, found, options, left_s, reading, goes_on=goes_on)
        _say(listener, notes)
    _enter(clock, listener, "profile")
    profile, audit = examine(dataset, options)
    dataset, held = weigh(dataset, profile, options), None if held is None else weigh(held, profile, options)
    profile = profile if goes_on else with_landmarks(dataset, profile)  # what was decided then stays
    core_s = None if clock.limit_s is None else clock.limit_s * pool.slots
    decision = route(profile, options, round(sum(node.gpus for node in pool.nodes())), taken_over, core_s)
    fold_plan = earlier.fold_plan if earlier else None
    ready = prepare(dataset, profile, options, core_s=clock.search_left * pool.slots, fold_plan=fold_plan)
    if before.renewal is not None:
        ready, dataset = renew.held_out(ready, dataset, profile, options, before.renewal)
    if held is not None:
        checked = check_held(held, profile, ready.schema)
        dataset = replace(dataset, notes=(*dataset.notes, *checked.notes[len(held.notes) :]))
        held = checked
    if earlier:
        decision = earlier.check(ready.shared.key, decision)
    if ready.shared.folds.kind == "forward" or ready.metric.own:  # what follows the search takes longer:
        clock.keep_for_refits()  # no fold has seen the newest rows, or a user's function is asked often
    elif mixture.drawn(dataset.decoded) or mixture.worded(dataset.decoded):
        clock.keep_for_looks()
    if already is not None:
        clock.keep_for_test(existing.KEPT_S)
    if options.explain == "required":
        clock.keep_for_explanations()
    clock.keep_for_picks()
    clock.keep_for_findings()
    if cheaper.is_likely(ready):
        clock.keep_for_students()
    if len(ablate.parts(ready.shared.raw)) > 1:
        clock.keep_for_parts()
    if held is not None:
        clock.keep_for_test(len(held) * max(taken_over.row_s, TEST_ROW_S))
    _introduce(dataset, profile, audit, ready, listener)
    if taken_over is not transfer.NO_WEIGHTS:
        listener.say("; ".join(part for part in (f"transfer: {taken_over.told}", taken_over.advice) if part))
    source = str(data) if isinstance(data, str | Path) else None
    return _Task(
        source=source, dataset=dataset, held=held, profile=profile, audit=audit, decision=decision, ready=ready,
        encoders=taken_over.encoders, renewal=before.renewal,
    )  # fmt: skip


def _quote(task: _Task, options: Options, pool: Pool, clock: Clock) -> Quote:
    """What this run is expected to take."""
    nodes, rates = pool.nodes(), load_rates(options.rates)
    gpus = sum(node.gpus for node in nodes)
    work = work_of(task.profile, task.dataset, reading_s=round(clock.elapsed, 3), cores=pool.slots, gpus=gpus)
    return quote(work, task.decision, tariff(nodes, rates), rates.currency, options.budget)


def _begin(task: _Task, options: Options, pool: Pool, clock: Clock, listener: Watcher) -> RunFolder:
    """A new folder with all that is decided before the search; a run that goes on has it already."""
    asked = None if task.renewal else _quote(task, options, pool, clock)  # where nothing is searched, none is needed
    if asked is not None:
        listener.say(quoted.line(asked))
    folder = RunFolder.create(options.run_dir, task.dataset.name, listener.say)
    begun = Beginning(
        None if task.source is None else whereabouts(task.source), task.ready.shared.key, task.ready.fold_plan
    )
    told = {"profile": task.profile, "audit": task.audit, "schema": task.ready.schema.as_json()}
    told |= {} if asked is None else {"quote": asked}
    for name, content in told.items():
        folder.write_json(f"{name}.json", content)
    kept.keep(folder.path, task.encoders)  # a run that goes on, and its model, need no other place
    contents.keep(folder.path, task.ready.schema.decoders)
    folder.write_start({"options": on_disk(options), "decision": task.decision, BEGINNING: begun})
    return folder


def _show(inputs: finish.FinishInputs, end: finish.Selection) -> SamplesJson | None:
    """What the model makes of some rows that can be looked at."""
    if not (mixture.drawn(inputs.dataset.decoded) or mixture.worded(inputs.dataset.decoded)):
        return None
    _enter(inputs.context.clock, inputs.context.watcher, "explain", inputs.context.journal)
    return examples.gather(inputs, end.chosen)


def _counting(listener: Watcher, work: str, done: int, total: int) -> None:
    """Show how far some work on all files is."""
    listener.stage(f"{work} {done:,} of {total:,}")


def _enter(clock: Clock, listener: Watcher, stage: str, journal: Journal | None = None) -> None:
    clock.enter(stage)
    listener.stage(stage)
    if journal is not None:
        journal.write(STAGE, {"stage": stage})


def _say(listener: Watcher, notes: Sequence[str]) -> None:
    for note in notes:
        listener.say(note)


def _introduce(dataset: Dataset, profile: Profile, audit: Audit, ready: Prepared, listener: Watcher) -> None:
    """What was guessed or mended, and what is dangerous, in one line each."""
    for note in dataset.notes:
        listener.say(f"note: {note}")
    listener.say(f"task: {profile.task} ({profile.task_rule})")
    listener.say(f"metric: {profile.metric} ({profile.metric_rule})")
    listener.say(f"folds: {ready.told}")
    if ready.shared.same_rows is not None:
        listener.say(f"note: {counted.told(ready.shared.same_rows)}")
    for finding in audit.findings:
        if finding.severity == "danger":
            listener.say(f"danger: {finding.message}")
