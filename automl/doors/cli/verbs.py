"""What each command does, by the same public functions that Python users call."""

from __future__ import annotations

import json
import shlex
import sys
from argparse import Namespace
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.doors.cli import judging, quoting
from automl.doors.cli.streams import print_json as _print
from automl.doors.cli.streams import readable
from automl.errors import InputError
from automl.options import ANYWHERE, Options
from automl.plain import as_json

if TYPE_CHECKING:
    from automl.result import BundleResult, Result
    from automl.runtime.progress import Silence
    from automl.runtime.terminal import Terminal

INTERRUPTED, NOT_GOOD_ENOUGH = 130, 3


def fit(given: Namespace) -> int:
    """Run, and print the verdict."""
    from automl.doors.python import run

    names = [spec.name for spec in fields(Options) if hasattr(given, spec.name) and spec.name != "verbose"]
    options = Options.of({name: getattr(given, name) for name in names})
    listener = _listener(given)
    result = run(given.data, options, listener, _started())
    listener.close()
    return _tell(result, given)


def resume(given: Namespace) -> int:
    """Go on with a run, and print the verdict."""
    from automl.doors.python import go_on
    from automl.runtime.resume import ResumeRequest

    changes = {name: getattr(given, name, None) for name in ("cluster", "workers", "rates")}
    listener = _listener(given)
    result = go_on(ResumeRequest(given.run, given.budget, given.data, changes), listener, _started())
    listener.close()
    return _tell(result, given)


def _listener(given: Namespace) -> Silence | Terminal:
    from automl.runtime.progress import Silence
    from automl.runtime.terminal import Terminal

    is_silent = given.quiet or given.json
    return Silence() if is_silent else Terminal(sys.stderr, 2 if given.verbose else 1)


def _tell(result: Result | BundleResult, given: Namespace) -> int:
    """The verdict on standard output, and the exit code."""
    report = result.folder / "report.json"
    if given.json:
        told = json.loads(report.read_text(encoding="utf-8"))
        found = {"targets": told["targets"]} if "targets" in told else told["verdict"]
        _print({**found, "folder": str(result.folder), "interrupted": result.interrupted})
    else:
        print(_verdict(result.folder))
    if result.interrupted:
        print(f"interrupted; the best so far is in {result.folder}", file=sys.stderr)
        cluster = json.loads((result.folder / "options.json").read_text(encoding="utf-8")).get("cluster", "auto")
        again = "" if cluster in ANYWHERE else f" --cluster {shlex.quote(cluster)}"  # which no folder decides
        print(f"to go on: automl resume {shlex.quote(str(result.folder))}{again}", file=sys.stderr)
        return INTERRUPTED
    if result.meets_min_score is False:
        told = json.loads((result.folder / "options.json").read_text(encoding="utf-8"))
        print(
            f"no model reached min_score={told['min_score']:g}: none is worth using by what was asked for",
            file=sys.stderr,
        )
        return NOT_GOOD_ENOUGH
    return 0


def predict(given: Namespace) -> int:
    """Predict a file with a saved model."""
    import pandas as pd

    from automl.model.bundle import load

    model = load(given.model)
    with readable(given.data) as data:
        rows = model.rows(data)
    predictions = model.predict_proba(rows) if given.proba else pd.DataFrame(model.predict(rows))
    if rows.index.name is not None:  # files of a folder have names
        predictions = predictions.reset_index()
    if given.json:
        _print({"rows": len(predictions), "predictions": predictions.to_dict(orient="list")})
    elif given.output is None:
        predictions.to_csv(sys.stdout, index=False)
    else:
        _write(predictions, Path(given.output))
        print(f"{len(predictions):,} predictions in {given.output}", file=sys.stderr)
    return 0


def save(given: Namespace) -> int:
    """Copy a run's model."""
    from automl.result import open_run

    target = open_run(given.run).save(given.target, lean=given.lean)
    size_mb = sum(file.stat().st_size for file in target.rglob("*") if file.is_file()) / 1e6
    print(f"{target}: {size_mb:,.1f} MB")
    return 0


def evaluate(given: Namespace) -> int:
    """Score a model on rows with answers."""
    return judging.evaluate(given)


def importance(given: Namespace) -> int:
    """Show which columns a run's model rests on."""
    return judging.importance(given)


def profile(given: Namespace) -> int:
    """Show how data is understood."""
    from automl.data.profiler import examine
    from automl.data.reading import load
    from automl.modalities import mixture

    options = Options.of({"target": given.target})
    dataset = load(given.data, options, decode=mixture.read)
    facts, audit = examine(dataset, options)
    if given.json:
        _print({"profile": as_json(facts), "audit": as_json(audit.findings), "notes": list(dataset.notes)})
        return 0
    print(f"{dataset.name}: {facts.rows:,} rows, {len(facts.columns)} columns")
    print(f"task    {facts.task}: {facts.task_rule}")
    print(f"metric  {facts.metric}: {facts.metric_rule}")
    for note in dataset.notes:
        print(f"note    {note}")
    width = max(len(column.name) for column in facts.columns)
    for column in facts.columns:
        print(f"  {column.name:<{min(width, 40)}}  {column.kind!s:<10}  {column.missing:>6.1%} missing  {column.why}")
    for finding in audit.findings:
        print(f"{finding.severity:<8}{finding.message}")
    return 0


def quote(given: Namespace) -> int:
    """Show what a run is expected to take."""
    return quoting.quote(given, _started())


def report(given: Namespace) -> int:
    """Show a run's result."""
    from automl.result import BundleResult, open_run

    result = open_run(given.run)
    if given.output:
        try:
            result.report(given.output)
        except OSError as error:
            raise InputError(f"{given.output!r} cannot be written: {error.strerror}. Name another file.") from error
    if given.json:
        _print(json.loads((result.folder / "report.json").read_text(encoding="utf-8")))
    else:
        print(_verdict(result.folder))
    if not given.json and not isinstance(result, BundleResult):
        print(result.leaderboard().head(15).to_string(index=False, float_format=lambda value: f"{value:.5g}"))
    return 0


def doctor(given: Namespace) -> int:
    """Check the installation."""
    from automl.doors.doctor import examine, examine_cluster

    checks = examine()
    if given.cluster or given.path:
        checks += examine_cluster(Options(cluster=given.cluster or "ray", verbose=0), given.path)
    if given.json:
        _print({"checks": as_json(checks)})
    else:
        for check in checks:
            print(f"{'ok ' if check.is_fine else '-- '} {check.name:<12} {check.found}")
            if check.remedy:
                print(f"    {'':<12} {check.remedy}")
    return 0 if all(check.is_fine or not check.is_needed for check in checks) else 1


def _verdict(folder: Path) -> str:
    from automl.report.words import verdict, verdict_lines

    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    if "targets" in told:
        lines = [f"{row['target']}: {row['sentence']}" for row in told["targets"]]
        return "\n".join([*lines, f"report  {folder / 'report.html'}", f"models  {folder / 'targets'}"])
    lines = [verdict(told), *verdict_lines(told)]
    return "\n".join(lines) + f"\nreport  {folder / 'report.html'}\nmodel   {folder / 'model'}"


def _started() -> float:
    """When this process began, on the clock of time.monotonic: the budget counts from the command, not from here."""
    import time

    import psutil

    return time.monotonic() - max(0.0, time.time() - float(psutil.Process().create_time()))


def _write(predictions: Any, target: Path) -> None:
    writers = {".csv": predictions.to_csv, ".parquet": predictions.to_parquet, ".jsonl": predictions.to_json}
    writer = writers.get(target.suffix.lower())
    if writer is None:
        raise InputError(f"output must end in {', '.join(writers)}, got {target.name!r}.")
    try:
        if target.suffix.lower() == ".jsonl":
            writer(target, orient="records", lines=True)
        else:
            writer(target, index=False)
    except OSError as error:
        raise InputError(f"{str(target)!r} cannot be written: {error.strerror or error}. Name another file.") from error
