"""fit(): the stages in order. This file is the table of contents of a run."""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, overload

from automl import finish, several, summary
from automl.bundle import BundleResult
from automl.candidates import candidates, enter
from automl.cores import cores
from automl.errors import OptionError
from automl.folder import RunFolder
from automl.options import Options, defaults
from automl.prepare import Prepared, prepare
from automl.profiler import examine
from automl.progress import Watcher
from automl.reading import load
from automl.records import Audit, Dataset, Profile
from automl.report import write
from automl.result import Result
from automl.router import route
from automl.search.budget import REFIT_SHARE, Clock
from automl.search.interrupt import Interrupt
from automl.search.loop import Search
from automl.terminal import watcher
from cluster.local import LocalPool

# What workers import while the data is still being read, in the order in which it is needed.
PRELOAD = ("automl.search.trial", "lightgbm", "xgboost", "sklearn.ensemble", "torch")
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


def run_one(data: Any, options: Options, listener: Watcher, started: float) -> Result:
    """The stages, in order."""
    clock, moment = Clock(options.budget, started), datetime.now(UTC).isoformat(timespec="seconds")
    with LocalPool(options.workers or cores(), preload=PRELOAD) as pool:  # workers warm up while the data is read
        _enter(clock, listener, "load")
        dataset = load(data, options)
        held = _held(options)
        _enter(clock, listener, "profile")
        profile, audit = examine(dataset, options)
        decision = route(profile, options)
        ready = prepare(dataset, profile, options, core_s=clock.search_left * pool.slots)
        if ready.shared.folds.kind == "forward" or ready.metric.own:  # what follows the search takes longer:
            clock.finish_share = REFIT_SHARE  # no fold has seen the newest rows, or a user's function is asked often
        _introduce(dataset, profile, audit, ready, listener)
        folder = RunFolder.create(options.run_dir, dataset.name)
        first = {"options": options.as_json(), "profile": profile, "audit": audit, "decision": decision}
        for name, content in {**first, "schema": ready.schema.as_json()}.items():
            folder.write_json(f"{name}.json", content)
        with Interrupt() as interrupt:
            _enter(clock, listener, "search")
            search = Search(ready, decision, folder, pool, clock, listener, interrupt, options.seed)
            trials = search.run()
            _enter(clock, listener, "ensemble")
            arena = enter(trials, ready)
            field = candidates(arena, finish.limits(options), until=clock.until - WRITE_S - ready.metric.wait_s)
            _enter(clock, listener, "refit")
            bench = finish.Bench(dataset, held, profile, ready, trials, arena, pool, clock, folder, interrupt)
            end = finish.finish(bench, field, options)
            _enter(clock, listener, "report")
            source = str(data) if isinstance(data, str | Path) else None
            facts = summary.Story(
                options, dataset, profile, audit, decision, trials, arena, end, moment, interrupt.asked, source
            )
            write(summary.report(facts, clock, folder), folder.path)
    result = Result(folder.path)
    listener.say(f"{result.best}: {result.score}. Report: {folder.path / 'report.html'}")
    return result


def profile(data: Any, target: str | None = None, **options: Any) -> Profile:
    """What the data looks like to the system: kinds of columns, task, metric. Nothing is fitted."""
    settings = Options.of({"target": target, **options})
    return examine(load(data, settings), settings)[0]


def _held(options: Options) -> Dataset | None:
    """The rows to score the final model on, read at the start: what is wrong with them must not be told at the end."""
    if options.test is None:
        return None
    held = load(options.test, options, min_rows=1)
    if held.target is None:
        raise OptionError(f"test data has no column {options.target!r}. Give rows with their answers.")
    return held


def _enter(clock: Clock, listener: Watcher, stage: str) -> None:
    clock.enter(stage)
    listener.stage(stage)


def _introduce(dataset: Dataset, profile: Profile, audit: Audit, ready: Prepared, listener: Watcher) -> None:
    """What was guessed or mended, and what is dangerous, in one line each."""
    for note in dataset.notes:
        listener.say(f"note: {note}")
    listener.say(f"task: {profile.task} ({profile.task_rule})")
    listener.say(f"metric: {profile.metric} ({profile.metric_rule})")
    listener.say(f"folds: {ready.bags.why}")
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
