"""What commands do with --server: the same, asked of a server, told by the same functions and with the same exit codes.

A verb that is not in VERBS works here alone. AUTOML_SERVER stands for --server where data are given; a run or a model
that is none of a server's ids stays what it is, a folder here.
"""

from __future__ import annotations

import os
import re
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.doors.cli.auditing import PROFILED
from automl.doors.cli.ending import Ended, tell
from automl.errors import InputError, OptionError

if TYPE_CHECKING:
    from automl.doors.client import Client

SERVER = "AUTOML_SERVER"
OF_DATA = ("fit", "profile", "quote")
OF_RUNS = {
    "predict": "model", "evaluate": "model", "explain": "model", "monitor": "model", "report": "run", "resume": "run",
    "save": "run", "importance": "run",
}  # fmt: skip
VERBS = (*OF_DATA, *OF_RUNS)
ID = re.compile(r"(run|model)_[0-9a-f]{16}")
HELP = f"do it on a server, for instance http://127.0.0.1:8642 (default: {SERVER}); AUTOML_TOKEN is the token"


def add_server(verb: str, parser: ArgumentParser) -> None:
    """The grammar of --server."""
    place = OF_RUNS.get(verb, "")
    more = f". {place.upper()} is then the id of a run{' or a model' * (place == 'model')} there" if place else ""
    parser.add_argument("--server", metavar="URL", help=HELP + more)


def is_asked(given: Namespace) -> bool:
    """Whether a command is for a server."""
    if given.verb not in VERBS:
        return False
    if given.server:
        return True
    if not os.environ.get(SERVER):
        return False
    place = OF_RUNS.get(given.verb)
    return place is None or (
        ID.fullmatch(getattr(given, place)) is not None and not Path(getattr(given, place)).exists()
    )


@contextmanager
def _client(given: Namespace) -> Iterator[Client]:
    from automl.doors.client import Client

    with Client(given.server or os.environ[SERVER]) as found:
        yield found


def _refuse(given: Namespace, *names: str) -> None:
    """Options that mean something on this machine alone."""
    for name in names:
        if getattr(given, name, None):
            raise OptionError(f"--{name.replace('_', '-')} is of runs on this machine. Leave it out with --server.")


# --- runs -------------------------------------------------------------------------------------------------------------


def fit(given: Namespace) -> int:
    """Run, and print the verdict."""
    from automl.doors.cli.verbs import listener_of
    from automl.options import Options

    names = [
        spec.name for spec in fields(Options) if hasattr(given, spec.name) and spec.name not in ("verbose", "target")
    ]
    with _client(given) as client:
        options = {name: getattr(given, name) for name in names}
        return _tell(client.begin(given.data, given.target, listener_of(given), options), given, client)


def resume(given: Namespace) -> int:
    """Go on with a run, and print the verdict."""
    from automl.doors.cli.verbs import listener_of

    _refuse(given, "data", "cluster", "workers", "rates")
    with _client(given) as client:
        return _tell(client.go_on(given.run, given.budget, listener_of(given)), given, client)


def _tell(result: Any, given: Namespace, client: Client) -> int:
    """The verdict, and the exit code."""
    server = f" --server {shlex.quote(client.url)}" if given.server else ""
    ended = Ended(
        report=result.told,
        places={"run": result.id, "server": client.url, "model": result.model.id},
        page=result.page,
        model=result.model.id,
        best=result.id,
        again=f"automl resume {result.id}{server}",
        is_interrupted=result.interrupted,
        meets_min_score=result.meets_min_score,
        min_score=result.options.get("min_score"),
    )
    return tell(ended, as_json=given.json)


def report(given: Namespace) -> int:
    """Tell a run's report."""
    from automl.doors.cli.telling import AskedReport, tell_report

    with _client(given) as client:
        result = client.result(given.run)
        return tell_report(AskedReport(result.told, None, result.page, result.report), given)


def importance(given: Namespace) -> int:
    """Show which columns a run's model rests on."""
    from automl.doors.cli.judging import columns_told
    from automl.doors.cli.streams import print_json

    _refuse(given, "data")
    with _client(given) as client:
        result = client.result(given.run)
        if result.is_several:
            raise InputError(
                f"the run {given.run} has several targets; their columns stand in its report: {result.page}"
            )
        found = result.importance()
    if given.json:
        print_json(found)
    else:
        print(columns_told("", found))
    return 0


def save(given: Namespace) -> int:
    """Bring a run's model here."""
    with _client(given) as client:
        result = client.result(given.run)
        target = result.save(given.target, lean=given.lean, pick=given.pick, rows=not given.without_rows)
    size_mb = sum(file.stat().st_size for file in target.rglob("*") if file.is_file()) / 1e6
    print(f"{target}: {size_mb:,.1f} MB")
    return 0


# --- models -----------------------------------------------------------------------------------------------------------


def predict(given: Namespace) -> int:
    """Predict rows with a model."""
    from automl.doors.cli.verbs import predict_by

    with _client(given) as client:
        return predict_by(client.load(given.model, given.pick), given)


def explain(given: Namespace) -> int:
    """Show how the answers to rows come about."""
    from automl.doors.cli.explaining import explain_by

    _refuse(given, "background")
    with _client(given) as client:
        return explain_by(client.load(given.model), given)


def evaluate(given: Namespace) -> int:
    """Score a model on rows with answers."""
    from automl.doors.cli.judging import tell_evaluations
    from automl.doors.cli.streams import readable

    with _client(given) as client, readable(given.data) as data:
        model = client.load(given.model)
        found = model.evaluations(data)
        promised = client.result(model.run).scores if model.pick is None else {}
        several = len(model.targets) > 1
        return tell_evaluations(found, promised, is_bundle=several, as_json=given.json)


def monitor(given: Namespace) -> int:
    """See what moved since a model learned."""
    from automl.doors.cli.streams import readable
    from automl.doors.cli.watching import tell_monitored

    with _client(given) as client, readable(given.data) as data:
        return tell_monitored(client.load(given.model).monitor(data, given.labels), given)


# --- data -------------------------------------------------------------------------------------------------------------


def profile(given: Namespace) -> int:
    """Show how data is understood."""
    from automl.doors.cli.verbs import tell_profile
    from automl.doors.client.asking import profile_of
    from automl.plain import as_json

    asked = {name: getattr(given, name) for name in PROFILED if hasattr(given, name)}
    with _client(given) as client:
        seen = client.look(given.data, given.target, asked)
    told = {"profile": as_json(profile_of(seen)), "audit": seen["audit"], "notes": list(seen.get("notes") or ())}
    return tell_profile(Path(given.data).name.partition(".")[0], told, as_json=given.json)


def quote(given: Namespace) -> int:
    """Show what a run is expected to take."""
    from automl.doors.cli.quoting import ASKED, tell_quotes

    with _client(given) as client:
        found = client.quote(
            given.data, given.target, **{name: getattr(given, name) for name in ASKED if hasattr(given, name)}
        )
    return tell_quotes(found, is_json=given.json)
