"""What `automl monitor` and `automl refit` do: a deployed model looked at, and trained anew."""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.doors.cli.streams import print_json, readable
from automl.errors import InputError

if TYPE_CHECKING:
    from automl.result import Result

ALARM = 4  # the exit code


def add_monitor(verbs: Any, data: str) -> None:
    """The grammar of `automl monitor`; `data`: what it reads."""
    watch = verbs.add_parser(
        "monitor",
        help="see what moved since a model learned",
        description="Compare new rows with those that a model learned from: which columns and predictions moved and by "
        "how much, what the score is likely to be now, and whether to train anew. Works from a saved model alone. "
        "Where the answers are among the columns, they are scored against the promise. Exit code 4: an alarm.",
        epilog="examples:\n  automl monitor runs/churn new.csv\n"
        "  automl monitor churn-model new.csv --html moved.html\n"
        "  automl monitor runs/churn answered.csv --labels really_churned --json\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    watch.add_argument("model", help="a run folder, or a saved model")
    watch.add_argument("data", help=data)
    watch.add_argument("--labels", metavar="COLUMN", help="the column of answers, if not called as in training")
    watch.add_argument("--html", metavar="PATH", help="write the page there")
    watch.add_argument("--output", "-o", metavar="PATH", help="write the JSON there")
    watch.add_argument("--json", action="store_true", help="one JSON object on standard output, for machines")


def add_refit(verbs: Any, data: str) -> None:
    """The grammar of `automl refit`; `data`: what it reads."""
    anew = verbs.add_parser(
        "refit",
        help="train a run's model anew with new rows",
        description="Train what a run chose anew, on its own rows and on new ones, without a search: the same members "
        "with the same parameters, rounds and weights, two fits of each. A third of the new rows, the newest where "
        "there is a time column, is held out first to compare the old model with the new one.",
        epilog="examples:\n  automl refit runs/churn new.csv --out runs/churn-2\n"
        "  automl refit runs/churn new.csv --only-new\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    anew.add_argument("run", help="a run folder")
    anew.add_argument("data", help=f"new rows with their answers: {data}")
    anew.add_argument("--out", metavar="RUN_DIR", help="folder for the new run; runs/<name>-<time> when not given")
    anew.add_argument("--only-new", action="store_true", help="learn from the new rows alone")
    anew.add_argument("--data", dest="old_data", metavar="PATH", help="the run's own rows, if they were moved")
    anew.add_argument("--json", action="store_true", help="one JSON object on standard output, for machines")
    anew.add_argument("--quiet", "-q", action="store_true", help="no progress, only the result")
    anew.add_argument("--verbose", "-v", action="store_true", help="a line for every trial")


def refit(given: Namespace, listener: Any) -> Result:
    """Train anew; the result of the new run."""
    from automl.doors.deployed import anew
    from automl.refit.renew import RenewRequest

    result = anew(RenewRequest(given.run, given.data, given.out, given.only_new, given.old_data), listener)
    listener.close()
    if result.lineage and not given.json:
        print(f"{result.lineage['told']}.")
    return result


def monitor(given: Namespace) -> int:
    """Compare new rows with those that were learned from; exit code 4 where something moved that matters."""
    from automl.doors.deployed import monitor

    with readable(given.data) as data:
        return tell_monitored(monitor(given.model, data, given.labels), given)


def tell_monitored(told: dict[str, Any], given: Namespace) -> int:
    """What moved, as it was asked for."""
    from automl.plain import as_json
    from automl.report import monitored

    if given.html:
        monitored.write(told, given.html)
    if given.output:
        _write_json(as_json(told), given.output)
    if given.json:
        print_json(told)
    else:
        several: dict[str, Any] = told.get("targets") or {"": told}
        print("\n\n".join("\n".join(_titled(target, one)) for target, one in several.items()))
        for one in several.values():
            for note in one["notes"]:
                print(f"note: {note}", file=sys.stderr)
    return ALARM if told["alarm"] else 0


def _titled(target: str, told: dict[str, Any]) -> list[str]:
    from automl.report import monitored

    first, *rest = monitored.lines(told)
    return [f"{target}: {first}" if target else first, *rest]


def _write_json(told: Any, place: str) -> None:
    import json

    try:
        Path(place).write_text(
            json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8", errors="backslashreplace"
        )
    except OSError as error:
        raise InputError(f"{place!r} cannot be written: {error.strerror or error}. Name another file.") from error
