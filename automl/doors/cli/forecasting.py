"""What `automl forecast` and `automl update` do: the next steps of series, and what a model is told of them since."""

from __future__ import annotations

import argparse
import sys
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

from automl.doors.cli.streams import print_json, readable, write_table
from automl.errors import InputError, OptionError

USUAL = "80,95"


def add_forecast(verbs: Any) -> None:
    """The grammar of `automl forecast`."""
    ahead = verbs.add_parser(
        "forecast",
        help="foretell the next steps of series over time",
        description="Foretell the next steps of all series that a model knows, with intervals that hold the given "
        "percentages of values. The model is one of automl fit --horizon.",
        epilog="examples:\n  automl forecast runs/sales -o next.csv\n  automl forecast runs/sales --horizon 14\n"
        "  automl forecast runs/sales --future promotions.csv\n  automl forecast runs/sales --history latest.csv\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ahead.add_argument("model", help="a run folder, or a saved model")
    ahead.add_argument("--horizon", type=int, metavar="N", help="steps of each series; as fitted when not given")
    ahead.add_argument("--future", metavar="PATH", help="a table of these steps with the columns that are known ahead")
    ahead.add_argument(
        "--history", metavar="PATH",
        help="a table with values that became known since, or of new series; these alone are foretold",
    )  # fmt: skip
    ahead.add_argument(
        "--levels", default=USUAL, metavar="PERCENT,...", help=f"of the intervals, in percent (default: {USUAL})"
    )
    ahead.add_argument("--output", "-o", metavar="PATH", help="write the table there; else CSV on standard output")
    ahead.add_argument("--json", action="store_true", help="one JSON object on standard output, for machines")


def add_update(verbs: Any) -> None:
    """The grammar of `automl update`."""
    told = verbs.add_parser(
        "update",
        help="tell a model of series what became known since",
        description="Tell a saved model of series over time the values that became known since it was fitted. Nothing "
        "is fitted anew; the next forecast goes on from them. automl refit fits anew.",
    )
    told.add_argument("model", help="a run folder, or a saved model")
    told.add_argument("data", help="a table with these rows and their values; - reads CSV from standard input")


def forecast(given: Namespace) -> int:
    """Foretell the next steps."""
    from automl.model.bundle import Bundle, load

    model = load(given.model)
    if isinstance(model, Bundle):
        raise InputError(f"{given.model!r} holds models of several targets. Give the folder of one of them.")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        made = model.forecast(given.horizon, future=given.future, history=given.history, levels=levels_of(given.levels))
    for note in told:
        print(f"note: {note.message}", file=sys.stderr)
    if given.json:
        print_json(
            {
                "rows": len(made),
                "forecast": {
                    name: made[name].astype(str if made[name].dtype.kind == "M" else object).tolist() for name in made
                },
            }
        )
    elif given.output is None:
        made.to_csv(sys.stdout, index=False)
    else:
        write_table(made, Path(given.output))
        print(f"{len(made):,} steps foretold in {given.output}", file=sys.stderr)
    return 0


def update(given: Namespace) -> int:
    """Keep what became known beside a model."""
    from automl.model.updating import keep_update

    with readable(given.data) as data:
        told = keep_update(Path(given.model), data)
    print(told, file=sys.stderr)
    return 0


def levels_of(text: str) -> tuple[float, ...]:
    """Percentages with commas between."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise OptionError(f"--levels must be percentages such as {USUAL}, got {text!r}.") from error
