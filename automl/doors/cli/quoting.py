"""What `automl quote` does: seconds, money and energy of a run before it begins, for people or for machines."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING

from automl.doors.cli.streams import print_json
from automl.options import Options
from automl.plain import as_json

if TYPE_CHECKING:
    from automl.records.quote import Quote

ASKED = (
    "budget", "rates", "task", "metric", "quantiles", "time_column", "group_column", "weight", "route", "families",
    "exclude", "weights", "explain", "deploy", "max_latency_ms", "max_model_mb", "cluster", "workers",
    "series_id", "horizon", "known_future", "frequency", "season",
)  # fmt: skip


def quote(given: Namespace, started: float) -> int:
    """Read the data, decide, and look up what such runs took."""
    from automl.doors.quoting import ask

    asked = {name: getattr(given, name) for name in ASKED if hasattr(given, name)}
    found = ask(given.data, Options.of({"target": given.target, **asked}), started, has_budget="budget" in asked)
    return tell_quotes(found, is_json=given.json)


def tell_quotes(found: Quote | Mapping[str, Quote], *, is_json: bool) -> int:
    """A quote, or that of each of several targets."""
    from automl.records.quote import Quote
    from automl.report.quoted import table

    if is_json:
        print_json(as_json(found) if isinstance(found, Quote) else {"targets": as_json(found)})
        return 0
    quotes = {"": found} if isinstance(found, Quote) else found
    print("\n\n".join(f"{target}: {table(one)}" if target else table(one) for target, one in quotes.items()))
    return 0
