"""What each command does, by the same public functions that Python users call."""

from __future__ import annotations

import json
import shlex
import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.doors.cli import auditing, explaining, forecasting, hosting, judging, quoting, serving, telling, watching
from automl.doors.cli.ending import Ended, tell
from automl.doors.cli.streams import print_json as _print
from automl.doors.cli.streams import readable, write_table
from automl.errors import InputError
from automl.options import ANYWHERE, Options
from automl.plain import as_json

if TYPE_CHECKING:
    from automl.result import BundleResult, Result
    from automl.runtime.progress import Silence
    from automl.runtime.terminal import Terminal


def fit(given: Namespace) -> int:
    """Run, and print the verdict."""
    from automl.doors.python import run

    names = [spec.name for spec in fields(Options) if hasattr(given, spec.name) and spec.name != "verbose"]
    options = Options.of({name: getattr(given, name) for name in names})
    listener = listener_of(given)
    result = run(given.data, options, listener, _started())
    listener.close()
    return _tell(result, given)


def resume(given: Namespace) -> int:
    """Go on with a run, and print the verdict."""
    from automl.doors.python import go_on
    from automl.runtime.resume import ResumeRequest

    changes = {name: getattr(given, name, None) for name in ("cluster", "workers", "rates")}
    listener = listener_of(given)
    result = go_on(ResumeRequest(given.run, given.budget, given.data, changes), listener, _started())
    listener.close()
    return _tell(result, given)


def listener_of(given: Namespace) -> Silence | Terminal:
    """Who is told of a run's progress."""
    from automl.runtime.progress import Silence
    from automl.runtime.terminal import Terminal

    is_silent = given.quiet or given.json
    return Silence() if is_silent else Terminal(sys.stderr, 2 if given.verbose else 1)


def _tell(result: Result | BundleResult, given: Namespace) -> int:
    """The verdict on standard output, and the exit code."""
    folder = result.folder
    told, asked = (json.loads((folder / name).read_text(encoding="utf-8")) for name in ("report.json", "options.json"))
    cluster = asked.get("cluster", "auto")
    again = "" if cluster in ANYWHERE else f" --cluster {shlex.quote(cluster)}"  # which no folder decides
    ended = Ended(
        report=told,
        places={"folder": str(folder)},
        page=str(folder / "report.html"),
        model=str(folder / ("targets" if "targets" in told else "model")),
        best=str(folder),
        again=f"automl resume {shlex.quote(str(folder))}{again}",
        is_interrupted=result.interrupted,
        meets_min_score=result.meets_min_score,
        min_score=asked.get("min_score"),
    )
    return tell(ended, as_json=given.json)


def predict(given: Namespace) -> int:
    """Predict a file with a saved model."""
    from automl.model.bundle import load

    return predict_by(load(given.model) if given.pick is None else _picked(given), given)


def predict_by(model: Any, given: Namespace) -> int:
    """Predict a file with a model, wherever that is."""
    import pandas as pd

    with readable(given.data) as data:
        rows = model.rows(data)
    predictions = model.predict_proba(rows) if given.proba else pd.DataFrame(model.predict(rows))
    if given.interval is not None or given.set is not None:
        predictions = pd.concat([predictions, judging.certain(model, rows, given)], axis=1)
    if rows.index.name is not None:  # files of a folder have names
        predictions = predictions.reset_index()
    if given.json:
        _print({"rows": len(predictions), "predictions": predictions.to_dict(orient="list")})
    elif given.output is None:
        predictions.to_csv(sys.stdout, index=False)
    else:
        write_table(predictions, Path(given.output))
        print(f"{len(predictions):,} predictions in {given.output}", file=sys.stderr)
    return 0


def forecast(given: Namespace) -> int:
    """Foretell the next steps of series."""
    return forecasting.forecast(given)


def update(given: Namespace) -> int:
    """Tell a model of series what became known."""
    return forecasting.update(given)


def _picked(given: Namespace) -> Any:
    """Another model of a finished run."""
    from automl.result import open_run

    return open_run(given.model).select(given.pick)


def save(given: Namespace) -> int:
    """Copy a run's model."""
    from automl.result import BundleResult, open_run

    result = open_run(given.run)
    if given.pick is None:
        target = result.save(given.target, lean=given.lean, rows=not given.without_rows)
    elif isinstance(result, BundleResult):
        raise InputError(f"--pick={given.pick} is of runs with one target. Give one of {result.folder / 'targets'}.")
    else:
        target = result.save(given.target, lean=given.lean, pick=given.pick, rows=not given.without_rows)
    size_mb = sum(file.stat().st_size for file in target.rglob("*") if file.is_file()) / 1e6
    print(f"{target}: {size_mb:,.1f} MB")
    return 0


def evaluate(given: Namespace) -> int:
    """Score a model on rows with answers."""
    return judging.evaluate(given)


def monitor(given: Namespace) -> int:
    """See what moved since a model learned."""
    return watching.monitor(given)


def refit(given: Namespace) -> int:
    """Train the model of a run anew, and print how it compares."""
    return _tell(watching.refit(given, listener_of(given)), given)


def serve_model(given: Namespace) -> int:
    """Serve one model over HTTP."""
    return serving.serve_model(given)


def importance(given: Namespace) -> int:
    """Show which columns a run's model rests on."""
    return judging.importance(given)


def explain(given: Namespace) -> int:
    """Show how the answers to single rows come about."""
    return explaining.explain(given)


def profile(given: Namespace) -> int:
    """Show how data is understood."""
    from automl.data.profiler import examine
    from automl.data.reading import load
    from automl.modalities import mixture

    asked = {name: getattr(given, name) for name in auditing.PROFILED if hasattr(given, name)}
    options = Options.of({"target": given.target, **asked})
    dataset = load(given.data, options, decode=mixture.read)
    facts, audit = examine(dataset, options)
    seen = {"profile": as_json(facts), "audit": as_json(audit.findings), "notes": list(dataset.notes)}
    return tell_profile(dataset.name, seen, as_json=given.json)


def tell_profile(name: str, seen: Mapping[str, Any], *, as_json: bool) -> int:
    """How data is understood, from plain values."""
    if as_json:
        _print(seen)
        return 0
    facts = seen["profile"]
    print(f"{name}: {facts['rows']:,} rows, {len(facts['columns'])} columns")
    print(f"task    {facts['task']}: {facts['task_rule']}")
    print(f"metric  {facts['metric']}: {facts['metric_rule']}")
    for note in seen["notes"]:
        print(f"note    {note}")
    width = max(len(column["name"]) for column in facts["columns"])
    for one in facts["columns"]:
        told = f"{one['kind']!s:<10}  {one['missing']:>6.1%} missing  {one['why']}"
        print(f"  {one['name']:<{min(width, 40)}}  {told}")
    for finding in seen["audit"]:
        print(f"{finding['severity']:<8}{finding['message']}")
    return 0


def audit(given: Namespace) -> int:
    """Show what is odd about data, and what it would change."""
    return auditing.audit(given)


def quote(given: Namespace) -> int:
    """Show what a run is expected to take."""
    return quoting.quote(given, _started())


def report(given: Namespace) -> int:
    """Tell a run's report."""
    return telling.report(given)


def serve(given: Namespace) -> int:
    """Run a server until it is told to stop."""
    return hosting.serve(given)


def token(given: Namespace) -> int:
    """Make, list or revoke tokens of a server."""
    return hosting.token(given)


def user(given: Namespace) -> int:
    """Add or list users of a server."""
    return hosting.user(given)


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


def _started() -> float:
    """When this process began, on the clock of time.monotonic: the budget counts from the command, not from here."""
    import time

    import psutil

    return time.monotonic() - max(0.0, time.time() - float(psutil.Process().create_time()))
