"""What `automl audit` does: what is odd about data and what it would change, for people, machines or as a page."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from automl.doors.cli.streams import print_json, readable
from automl.errors import InputError, RunError
from automl.options import Options

PROFILED = ("task", "time_column", "series_id", "horizon", "known_future", "frequency", "season")
ASKED = (
    "test", "task", "metric", "quantiles", "positive", "time_column", "group_column", "repeats", "weight",
    "class_weight", "series_id", "horizon", "known_future", "frequency", "season",
)  # fmt: skip


def audit(given: Namespace) -> int:
    """Read the data, fit a quick model, and learn it again without what is doubted."""
    from automl.doors.auditing import ask

    asked = {name: getattr(given, name) for name in ASKED if hasattr(given, name)}
    with readable(given.data) as data:
        found = ask(data, Options.of({"target": given.target, **asked}))
    for path, write in ((given.html, found.report), (given.suspects, found.save_suspects)):
        if path is not None:
            try:
                write(Path(path))
            except (OSError, RunError) as error:
                raise InputError(f"{path!r} cannot be written. Name another file.") from error
    if given.json:
        print_json(found.told)
    else:
        print(found)
    return 0
