"""A run for several targets: one run each, on one reading of the data, within one budget.

No target is a feature of another, since none is known when you predict. Everything that can be refused is refused
before the first run starts; seconds that a run leaves go to those after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from automl.bundle import BundleResult, mean_of, write_index
from automl.errors import InputError, OptionError
from automl.folder import RunFolder, slug
from automl.options import Budget, Options, near
from automl.profiler import decide
from automl.progress import Watcher
from automl.reading import load
from automl.report import targets, words
from automl.result import Result
from automl.search.budget import Clock
from automl.source import Source, open_source
from automl.summary import command

LEAST_S = 5.0  # for each target: below it no model but the baseline can be counted on
WRITE_S = 0.3  # the overall report

RunOne = Callable[[Any, Options, Watcher, float], Result]


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


def run(found: Several, options: Options, listener: Watcher, started: float, run_one: RunOne) -> BundleResult:
    """A run for each target, then the report of all."""
    clock, moment = Clock(options.budget, started), datetime.now(UTC).isoformat(timespec="seconds")
    folder = RunFolder.create(options.run_dir, found.source.name)
    results: dict[str, Result] = {}
    is_interrupted = False
    for place, target in enumerate(found.targets):
        budget = _share(clock, results, len(found.targets) - place, is_interrupted)
        listener.say(f"target {place + 1} of {len(found.targets)}: {target}, budget {budget}")
        data, own = found.of(target, options)
        here = folder.path / "targets" / _name(target, [result.folder.name for result in results.values()])
        results[target] = run_one(data, replace(own, budget=budget, run_dir=here), listener, time.monotonic())
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


# --- what is refused -------------------------------------------------------------------------------------------------


def _check_names(source: Source, names: Sequence[str], options: Options) -> None:
    known = source.names
    for name in names:
        if source.labels is not None or name not in known:
            shown = ", ".join(map(repr, known[:8]))
            raise InputError(f"target {name!r} is not a column of the data.{near(name, known)} Columns: {shown}.")
    roles = {role: getattr(options, role) for role in ("weight", "time_column", "group_column")}
    for role, name in roles.items():
        if name in names:
            raise InputError(f"{role} and target are both {name!r}. Give each a column of its own.")
    if not set(known) - set(names) - {options.weight}:
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
        decide(load(source, own), own)
        if own.test is not None:
            load(own.test, own, min_rows=1)


# --- one share after the other ---------------------------------------------------------------------------------------


def _share(clock: Clock, done: dict[str, Result], left: int, is_interrupted: bool) -> Budget:
    """An equal share of what is left; after Ctrl-C the least that makes a model."""
    if clock.budget.trials is not None:
        used = sum(Budget.parse(result.budget).trials or 0 for result in done.values())
        return Budget(trials=1 if is_interrupted else -(-(clock.budget.trials - used) // left))
    share = max(1.0, (clock.until - time.monotonic() - WRITE_S) / left)
    return Budget(time_s=min(share, LEAST_S) if is_interrupted else share)


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
    return None if value is None else {"metric": scores[0].metric, "value": value}
