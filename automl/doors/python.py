"""fit(): the stages in order. This file is the table of contents of a run."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, overload

import search_spaces
from automl import counted, finish, importance, invoice, samples, several, summary
from automl.bundle import BundleResult
from automl.candidates import candidates, enter
from automl.earlier import Beginning, Earlier, Wish, on_disk, open_earlier, options_of, source_of, whereabouts
from automl.errors import OptionError
from automl.folder import RunFolder
from automl.modalities.media.encoders import transfer
from automl.modalities.media.encoders.checkpoint import Checkpoint
from automl.modalities.media.intake import take_in
from automl.options import Options, defaults
from automl.prepare import Prepared, check_held, prepare, read_held, weigh
from automl.profiler import examine
from automl.progress import Watcher
from automl.reading import load
from automl.records import Audit, Dataset, Decision, Profile
from automl.report import write
from automl.result import Result
from automl.router import route
from automl.search.budget import REFIT_SHARE, Clock
from automl.search.interrupt import Interrupt
from automl.search.journal import CLOSED, STAGE, Journal
from automl.search.loop import Search
from automl.search.site import Site
from automl.terminal import watcher
from automl.workplace import energy_meter, load_rates, open_pool, tariff
from cluster.pool import Pool

# What workers import while the data is still being read, in the order in which it is needed, as far as it is.
PRELOAD = ("lightgbm", "xgboost", "sklearn.ensemble", "torch")
LOOK_S, LOOK_SHARE = 0.8, 0.04  # kept back to see where a model looks at images or sounds; at most that share
WRITE_S = 0.8  # from the last choice to the return: saving the model and the report


@overload
def fit(data: Any, target: str | None = None, **options: Any) -> Result: ...


@overload
def fit(data: Any, target: list[str] | tuple[str, ...], **options: Any) -> BundleResult: ...


def fit(data: Any, target: str | Sequence[str] | None = None, **options: Any) -> Result | BundleResult:
    """Find the best model for `data` within a budget, and say what every step up in quality costs.

    `data`: a DataFrame (pandas, polars, pyarrow), a path to a .csv, .tsv, .parquet or .jsonl file (also .gz), or a
    pair (X, y).
    `target`: the column to predict; a list of columns makes a model for each. Every other option is listed in the
    signature and in `automl fit --help`.
    """
    started = time.monotonic()
    settings = Options.of({"target": target, **options})
    return run(data, settings, watcher(settings.verbose), started)


def run(data: Any, options: Options, listener: Watcher, started: float) -> Result | BundleResult:
    """The run itself, for one target or for several; `started` is the moment from which the budget counts."""
    many = several.find(data, options)
    if many is not None:
        return several.run(many, options, listener, started, run_one)
    return run_one(data, options, listener, started)


def run_one(data: Any, options: Options, listener: Watcher, started: float, earlier: Earlier | None = None) -> Result:
    """The stages, in order; of an `earlier` run those that are left."""
    moment, rates = datetime.now(UTC).isoformat(timespec="seconds"), load_rates(options.rates)
    clock = earlier.clock(options, started) if earlier else Clock(options.budget, started)
    pool, notes = open_pool(options, preload(options))  # workers warm up while the data is read
    with pool:
        _say(listener, notes)
        clock.goodbye_s = pool.goodbye_s
        clock.hold(tariff(pool.nodes(), rates))
        if clock.is_timed and clock.limit_s is None:
            raise OptionError(
                f"budget='{options.budget}' never ends: these machines cost nothing at these rates. "
                "Give time, or other rates."
            )
        task = _read(data, options, clock, listener, pool, earlier)
        with earlier.folder if earlier else _begin(task, options) as folder, Interrupt() as interrupt:
            journal, ref = Journal(folder, clock), pool.put(task.ready.shared)
            price = partial(tariff, rates=rates)
            meter = energy_meter(pool.nodes(), rates)
            site = Site(pool, ref, clock, folder, journal, listener, interrupt, price, meter)
            site.look_around()  # a budget so small that no trial begins has its bill too
            _enter(clock, listener, "search", journal)
            past = earlier.past if earlier else None
            aims = finish.limits(options), options.search_for
            trials = Search(task.ready, task.decision, site, options.seed, past, *aims).run()
            _enter(clock, listener, "ensemble", journal)
            arena = enter(trials, task.ready)
            field = candidates(arena, finish.limits(options), until=clock.until - WRITE_S - task.ready.metric.wait_s)
            _enter(clock, listener, "refit", journal)
            bench = finish.Bench(task.dataset, task.held, task.profile, task.ready, trials, arena, site)
            end = finish.finish(bench, field, options)
            shown = _show(bench, end, clock, listener, journal)
            _enter(clock, listener, "importance", journal)
            weighed = importance.gather(bench, end.chosen)
            _enter(clock, listener, "report", journal)
            site.read_meter()
            bill = invoice.of(folder.events(), clock.elapsed, rates)
            facts = summary.Story(
                options, task.dataset, task.profile, task.audit, task.decision, trials, arena, end, moment,
                interrupt.asked, task.source, bill, shown, weighed,
            )  # fmt: skip
            write(summary.report(facts, clock, folder), folder.path)
            journal.write(CLOSED, {})
    result = Result(folder.path)
    listener.say(f"{result.best}: {result.score}. Report: {folder.path / 'report.html'}")
    if folder.place != str(folder.path):
        listener.say(f"the run is at {folder.place}")
    return result


def resume(
    run_dir: str | Path, budget: str | None = None, *, data: Any = None, verbose: int = 1, **changes: Any
) -> Result | BundleResult:
    """Go on with a run that was interrupted or killed; with more budget, '+10m', also with one that is finished.

    `data` and options such as `test` or a `metric` function are asked for where the run had them from memory;
    `cluster`, `workers` and `rates` may change.
    """
    wish = Wish(run_dir, budget, data, {**changes, "verbose": verbose})
    return go_on(wish, watcher(verbose), time.monotonic())


def go_on(wish: Wish, listener: Watcher, started: float) -> Result | BundleResult:
    """`resume` with a listener of one's own."""
    if several.is_begun(wish.run_dir):
        return several.go_on(wish, listener, started, run_one)
    with RunFolder.reopen(wish.run_dir) as folder:
        options, earlier = open_earlier(folder, options_of(folder, wish.changes), wish.extra)
        if wish.extra is not None:
            folder.write_json("options.json", on_disk(options))
        listener.say(earlier.told())
        return run_one(source_of(folder, wish.data), options, listener, started, earlier)


def preload(options: Options) -> tuple[str, ...]:
    """The modules that the workers of this run need, without those of families that cannot take part."""
    known = search_spaces.names()
    families = [search_spaces.get(name) for name in options.families or known if name in known]
    routes = (options.route,) if options.route in ("classical", "neural") else ("classical", "neural")
    able = [family for family in families if family.name not in options.exclude and family.route in routes]
    needed = list(dict.fromkeys(module for family in able for module in family.imports))
    asked = [module for module in needed if options.families and module not in PRELOAD]
    return ("automl.search.trial", *(module for module in PRELOAD if module in needed), *asked)


@dataclass(frozen=True)
class _Task:
    """The data as the search will see it."""

    source: str | None
    dataset: Dataset
    held: Dataset | None
    profile: Profile
    audit: Audit
    decision: Decision
    ready: Prepared
    encoder: Checkpoint | None


def _read(data: Any, options: Options, clock: Clock, listener: Watcher, pool: Pool, earlier: Earlier | None) -> _Task:
    """Load, profile, decide, prepare."""
    _enter(clock, listener, "load")
    encoder = transfer.find(options, earlier.folder.path if earlier else None)  # a wrong one is told at once
    dataset = load(data, options, decode=partial(take_in, report=partial(_counting, listener, "decode")))
    held = read_held(options, dataset)
    taken_over = transfer.NO_WEIGHTS
    if encoder is not None:
        _enter(clock, listener, "embed")
        reading = partial(_counting, listener, "embed")
        left_s = math.inf if earlier else clock.search_left  # what was decided then stays
        dataset, taken_over = transfer.take_over(dataset, encoder, options, left_s, reading)
    _enter(clock, listener, "profile")
    profile, audit = examine(dataset, options)
    dataset, held = weigh(dataset, profile, options), None if held is None else weigh(held, profile, options)
    decision = route(profile, options, round(sum(node.gpus for node in pool.nodes())), taken_over)
    bags = earlier.bags if earlier else None
    ready = prepare(dataset, profile, options, core_s=clock.search_left * pool.slots, bags=bags)
    if held is not None:
        check_held(held, profile, ready.schema)
    if earlier:
        decision = earlier.check(ready, decision)
    if ready.shared.folds.kind == "forward" or ready.metric.own:  # what follows the search takes longer:
        clock.finish_share = REFIT_SHARE  # no fold has seen the newest rows, or a user's function is asked often
    elif dataset.sensed is not None and clock.limit_s is not None:
        clock.finish_share += min(LOOK_SHARE, LOOK_S / clock.limit_s)
    _introduce(dataset, profile, audit, ready, listener)
    if taken_over is not transfer.NO_WEIGHTS:
        listener.say(f"transfer: {taken_over.told}")
    source = str(data) if isinstance(data, str | Path) else None
    return _Task(source, dataset, held, profile, audit, decision, ready, taken_over.encoder)


def _begin(task: _Task, options: Options) -> RunFolder:
    """A new folder with all that is decided before the search."""
    folder = RunFolder.create(options.run_dir, task.dataset.name)
    begun = Beginning(None if task.source is None else whereabouts(task.source), task.ready.shared.key, task.ready.bags)
    first = {"options": on_disk(options), "profile": task.profile, "audit": task.audit, "decision": task.decision}
    for name, content in {**first, "schema": task.ready.schema.as_json(), "beginning": begun}.items():
        folder.write_json(f"{name}.json", content)
    if task.encoder is not None:  # a run that goes on, and its model, need no other place
        transfer.keep_in(folder.path, task.encoder)
    return folder


def profile(data: Any, target: str | None = None, **options: Any) -> Profile:
    """What the data looks like to the system: kinds of columns, task, metric. Nothing is fitted."""
    settings = Options.of({"target": target, **options})
    return examine(load(data, settings, decode=take_in), settings)[0]


def _show(
    bench: finish.Bench, end: finish.End, clock: Clock, listener: Watcher, journal: Journal
) -> samples.Samples | None:
    """What the model makes of some images or sounds."""
    if bench.dataset.sensed is None:
        return None
    _enter(clock, listener, "explain", journal)
    return samples.gather(bench, end.chosen)


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


fit.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # the options, declared once, show in help()
    [
        inspect.Parameter("data", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        inspect.Parameter("target", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None),
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
            for name, default in defaults().items()
            if name != "target"
        ),
    ],
    return_annotation=Result | BundleResult,
)
