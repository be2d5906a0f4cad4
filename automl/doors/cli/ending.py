"""How a run that came to its end is told, here or on a server: its verdict, where things are, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automl.doors.cli.streams import print_json

INTERRUPTED, NOT_GOOD_ENOUGH = 130, 3


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run that is over."""

    report: Mapping[str, Any]  # what report.json holds
    places: Mapping[str, str]  # where it is, for machines
    page: str  # where its report is to be read
    model: str  # where its model is, or its models
    best: str  # where the best so far is, of one that was interrupted
    again: str  # the command that goes on
    is_interrupted: bool
    meets_min_score: bool | None
    min_score: float | None


def tell(ended: Ended, *, as_json: bool) -> int:
    """The verdict on standard output, and the exit code."""
    if as_json:
        told = ended.report
        found = {"targets": told["targets"]} if "targets" in told else told["verdict"]
        print_json({**found, **ended.places, "interrupted": ended.is_interrupted})
    else:
        print(_verdict(ended))
    if ended.is_interrupted:
        print(f"interrupted; the best so far is in {ended.best}", file=sys.stderr)
        print(f"to go on: {ended.again}", file=sys.stderr)
        return INTERRUPTED
    if ended.meets_min_score is False:
        print(
            f"no model reached min_score={ended.min_score:g}: none is worth using by what was asked for",
            file=sys.stderr,
        )
        return NOT_GOOD_ENOUGH
    return 0


def _verdict(ended: Ended) -> str:
    from automl.report import tested
    from automl.report.words import verdict, verdict_lines

    told = ended.report
    if "targets" in told:
        lines = [f"{row['target']}: {row['sentence']}" for row in told["targets"]]
        return "\n".join([*lines, f"report  {ended.page}", f"models  {ended.model}"])
    lines = [verdict(told), *(line for line in [tested.told(told)] if line), *verdict_lines(told)]
    return "\n".join(lines) + f"\nreport  {ended.page}\nmodel   {ended.model}"
