"""A run for several targets: one run each, on one reading of the data, within one budget.

No target is a feature of another, since none is known when you predict. Everything that can be refused is refused
before the first run starts; seconds that a run leaves go to those after it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from automl.data.prepare import check_held, read_held
from automl.data.profiler import decide, outline
from automl.data.reading import load
from automl.data.source import Source, open_source
from automl.errors import InputError, OptionError
from automl.messages import near
from automl.modalities.mixture import learn_schema
from automl.model.bundle import write_index
from automl.options import Budget, Options
from automl.report import targets, words
from automl.report.sections.environment import command
from automl.result import BundleResult, Result, mean_of
from automl.runtime import remote
from automl.runtime.clock import TOGETHER_S, Clock
from automl.runtime.folder import RunFolder, slug
from automl.runtime.progress import Watcher
from automl.runtime.resume import (
    BEGINNING_FILE,
    ResumeRequest,
    on_disk,
    open_earlier,
    options_of,
    source_of,
    whereabouts,
)
from automl.stages import Before, run_one

LEAST_S = 5.0  # for each target: below it no model but the baseline can be counted on

BEGUN, BEGUN_FILE = "several", "several.json"  # what marks the folder of several


@dataclass(frozen=True)
class Several:
    """The opened data and the targets in it."""

    source: Source
    test: Source | None
    targets: tuple[str, ...]
    origin: str | None  # the file the data came from; None: from memory

    def of(self, target: str, options: Options) -> tuple[Source, Options]:
        """Data and options of one target's run: the other targets are not in them."""
        others = [name for name in self.targets if name != target]
        test = None if self.test is None else self.test.without(others)
        return self.source.without(others), replace(options, target=target, test=test)


def find(data: Any, options: Options) -> Several | None:
    """The data opened for several targets; None where there is one, also one whose own name holds a comma."""
    given = options.target
    if isinstance(given, str) and "," in given:
        names = tuple(name.strip() for name in given.split(",") if name.strip())
        source = open_source(data, names)
        if given.strip() in source.names or len(names) < 2:
            return None
        options = replace(options, target=names)
    elif isinstance(given, tuple):
        names, source = given, open_source(data, given)
    else:
        return None
    _check_names(source, names, options)
    test = None if options.test is None else open_source(options.test, names)
    found = Several(source, test, names, str(data) if isinstance(data, str | Path) else None)
    _check_budget(options.budget, len(names))
    _check_each(found, options)
    return found


def run(found: Several, options: Options, listener: Watcher, started: float) -> BundleResult:
    """A run for each target, then the report of all."""
    if remote.is_url(options.run_dir):
        raise OptionError(
            f"a run for several targets needs a folder, got {options.run_dir!r}. Give a path, or one target at a time."
        )
    folder = RunFolder.create(options.run_dir, found.source.name)
    origin = None if found.origin is None else whereabouts(found.origin)
    folder.write_start({"options": on_disk(options), BEGUN: {"source": origin, "targets": found.targets}})
    with folder:
        return _run_all(found, options, listener, Clock(options.budget, started), folder)


def is_begun(run_dir: str | Path) -> bool:
    """Whether a folder is that of a run for several targets."""
    return not remote.is_url(run_dir) and (Path(run_dir) / BEGUN_FILE).is_file()


def go_on(request: ResumeRequest, listener: Watcher, started: float) -> BundleResult:
    """Go on with a run for several targets: those that are done stay, one that was cut short is gone on with."""
    if request.extra is not None:
        raise OptionError(
            f"more budget is for one target at a time, got {request.extra!r}. "
            f"Resume a folder in {request.run_dir!s}/targets."
        )
    with RunFolder.reopen(request.run_dir) as folder:
        options = options_of(folder, request.changes)
        found = find(source_of(folder, request.data, BEGUN), options)
        if found is None:
            raise InputError(
                f"the run in {str(request.run_dir)!r} had several targets, the data now has one. Give the same data."
            )
        return _run_all(found, options, listener, Clock(options.budget, started), folder)


def _run_all(found: Several, options: Options, listener: Watcher, clock: Clock, folder: RunFolder) -> BundleResult:
    """The runs that are not done yet, then the report of all."""
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    results: dict[str, Result] = {}
    is_interrupted = False
    for place, target in enumerate(found.targets):
        data, own = found.of(target, options)
        here = folder.path / "targets" / _name(target, [result.folder.name for result in results.values()])
        if (worked_s := _worked_s(here)) is not None:
            results[target] = Result(here)
            clock.started -= worked_s
            listener.say(f"target {place + 1} of {len(found.targets)}: {target} is done")
            continue
        budget = _share(clock, results, len(found.targets) - place, is_interrupted)
        listener.say(f"target {place + 1} of {len(found.targets)}: {target}, budget {budget}")
        own = replace(own, budget=budget, run_dir=here)
        results[target] = _run_one(data, own, listener)
        is_interrupted = is_interrupted or results[target].interrupted
    write_index(folder.path, {target: result.folder for target, result in results.items()})
    told = {
        "run": _run(found, options, clock, folder, is_interrupted) | {"started": moment},
        "targets": [_entry(target, result, folder) for target, result in results.items()],
        "score": _mean(results),
        "reproduce": command(replace(options, target=found.targets), found.origin),
    }
    targets.write(told, folder.path)
    result = BundleResult(folder.path)
    listener.say(f"{len(results)} targets. Report: {folder.path / 'report.html'}")
    return result


def _worked_s(run: Path) -> float | None:
    """Seconds that a target's run took; None as long as it has no report that can be read."""
    try:
        return float(RunFolder(run).read_json("report.json")["run"]["seconds"])
    except (InputError, FileNotFoundError):
        return None


def _run_one(data: Any, options: Options, listener: Watcher) -> Result:
    """A target's run, gone on with where it was begun."""
    started, here = time.monotonic(), Path(str(options.run_dir))
    if not (here / BEGINNING_FILE).is_file():
        shutil.rmtree(here, ignore_errors=True)  # it was killed before it had decided anything
        return Result(run_one(data, options, listener, started))
    with RunFolder.reopen(here) as folder:
        given = {name: getattr(options, name) for name in ("test", "metric", "weight", "cluster", "workers", "rates")}
        options, earlier = open_earlier(folder, options_of(folder, given), None)
        for note in folder.notes:
            listener.say(f"note: {note}")
        return Result(run_one(data, options, listener, started, Before(earlier=earlier)))


# --- what is refused -------------------------------------------------------------------------------------------------


def _check_names(source: Source, names: Sequence[str], options: Options) -> None:
    known = source.names
    for name in names:
        if source.labels is not None or name not in known:
            shown = ", ".join(map(repr, known[:8]))
            raise InputError(f"target {name!r} is not a column of the data.{near(name, known)} Columns: {shown}.")
    roles = {"weight": options.weight_column, "time_column": options.time_column, "group_column": options.group_column}
    for role, column in roles.items():
        if column in names:
            raise InputError(f"{role} and target are both {column!r}. Give each a column of its own.")
    if not set(known) - set(names) - {options.weight_column}:
        raise InputError(
            f"all {len(names)} columns are targets, so nothing is left to predict from. Leave some out of target."
        )


def _check_budget(budget: Budget, count: int) -> None:
    if budget.trials is not None and budget.trials < count:
        raise OptionError(
            f"budget='{budget}' is too small for {count} targets, each needs at least 1. Give '{count} trials' or more."
        )
    if budget.time_s is not None and budget.time_s < count * LEAST_S:
        raise OptionError(
            f"budget='{budget}' leaves {budget.time_s / count:.3g} s for each of {count} targets, at least {LEAST_S:g} "
            f"are needed. Give '{count * LEAST_S:g}s' or more."
        )


def _check_each(found: Several, options: Options) -> None:
    """Each target makes a task that the options fit, in the test data too."""
    for target in found.targets:
        source, own = found.of(target, options)
        dataset = load(source, own)
        decide(dataset, own)
        held = read_held(own, dataset)
        if held is not None and not dataset.claims:
            profile = outline(dataset, own)
            check_held(held, profile, learn_schema(dataset.frame, profile))


# --- one share after the other ---------------------------------------------------------------------------------------


def _share(clock: Clock, done: dict[str, Result], left: int, is_interrupted: bool) -> Budget:
    """An equal share of what is left; after Ctrl-C the least that makes a model."""
    if clock.budget.trials is not None:
        used = sum(Budget.parse(result.budget).trials or 0 for result in done.values())
        return Budget(trials=1 if is_interrupted else -(-(clock.budget.trials - used) // left))
    budget = _share_of_cost(clock.budget, done, left)
    if clock.budget.time_s is None:
        return budget
    share = max(1.0, clock.left(TOGETHER_S) / left)
    return replace(budget, time=min(share, LEAST_S) if is_interrupted else share)


def _share_of_cost(budget: Budget, done: dict[str, Result], left: int) -> Budget:
    """An equal share of the money and energy that are left."""
    bills = [result.cost["invoice"] for result in done.values()]
    rest: dict[str, float] = {}
    for name, spent in (("money", "money"), ("energy", "kwh")):
        whole = getattr(budget, name)
        if whole is not None:
            rest[name] = max(1e-6, (whole - sum(bill[spent] for bill in bills)) / left)
    return replace(budget, **rest)  # type: ignore[arg-type]  # the fields named above


def _name(target: str, taken: Sequence[str]) -> str:
    """A folder of its own for each target, however alike their names."""
    name, count = slug(target), 1
    while name.lower() in [other.lower() for other in taken]:
        count += 1
        name = f"{slug(target)}-{count}"
    return name


# --- what is told ----------------------------------------------------------------------------------------------------


def _run(found: Several, options: Options, clock: Clock, folder: RunFolder, interrupted: bool) -> dict[str, Any]:
    return {
        "name": found.source.name,
        "seconds": round(clock.elapsed, 2),
        "budget": str(options.budget),
        "overrun_s": clock.overrun_s(),
        "interrupted": interrupted,
        "command": f"automl predict {folder.path} new.csv -o predictions.csv",
        "folder": str(folder.path),
    }


def _entry(target: str, result: Result, folder: RunFolder) -> dict[str, Any]:
    """What the target's own report says, in short."""
    told = RunFolder(result.folder).read_json("report.json")
    verdict, data = told["verdict"], told["data"]
    place = result.folder.relative_to(folder.path).as_posix()
    return {
        "target": target,
        "folder": place,
        "report": f"{place}/report.html",
        "task": data["task"],
        "rows": data["rows"],
        "sentence": words.verdict(told),
        **{name: verdict[name] for name in ("chosen", "score", "baseline", "test", "meets_min_score")},
        "seconds": told["run"]["seconds"],
        "warnings": sum(finding["severity"] != "info" for finding in told["audit"]),
    }


def _mean(results: dict[str, Result]) -> dict[str, Any] | None:
    scores = [result.score for result in results.values()]
    value = mean_of(scores)
    if value is None:
        return None
    low, high = (sum(getattr(score, end) for score in scores) / len(scores) for end in ("low", "high"))
    return {"metric": scores[0].metric, "value": value, "low": low, "high": high}  # they share rows: as wide as may be
