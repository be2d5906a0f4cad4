"""Which model of a finished run is meant: one by its name, a named pick, or what limits and a preference say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automl.ensemble.frontier import GIVE_UP, PICKS, PREFERENCES, Bargain, Limits, Pick, choose
from automl.errors import OptionError
from automl.messages import near
from automl.options import Budget
from automl.records import Candidate, Score
from automl.result import board

NAMES = {"most accurate": "best", "accurate": "best", "cheap": "cheapest tied", **{name: name for name in PICKS}}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What `select` was wanted for."""

    pick: str | None = None  # a named pick, or the name of a model
    max_latency_ms: float | None = None
    max_model_mb: float | None = None
    prefer: str = "accurate"
    give_up_percent: float = 100 * GIVE_UP
    data: Any = None  # of the run, where it came from memory and something is to be fitted on all rows

    def __post_init__(self) -> None:
        if self.prefer not in PREFERENCES:
            raise OptionError(
                f"prefer must be one of {', '.join(PREFERENCES)}, got {self.prefer!r}.{near(self.prefer, PREFERENCES)}"
            )
        for name in ("max_latency_ms", "max_model_mb"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise OptionError(f"{name} must be above 0, got {value!r}. Leave it out for no limit.")
        if not 0 <= self.give_up_percent <= 100:
            raise OptionError(
                f"give_up_percent must be from 0 to 100, got {self.give_up_percent!r}. The usual is give_up_percent=5."
            )

    @property
    def limits(self) -> Limits:
        """What the model may cost."""
        return Limits(self.max_latency_ms or math.inf, self.max_model_mb or math.inf)

    @property
    def is_plain(self) -> bool:
        """Whether nothing but a name was given."""
        return self.limits == Limits() and math.isclose(self.give_up_percent, 100 * GIVE_UP)


def chosen(report: Mapping[str, Any], wanted: Wanted) -> Pick:
    """The model that is meant, by the run's report; OptionError where there is none."""
    bargain = _bargain(report, wanted)
    field, prefer = _field([board.candidate(row) for row in report["leaderboard"]], wanted, bargain)
    arena = report["arena"]
    pairs = {frozenset(pair) for pair in arena.get("pairs", arena["tied"])}
    found = choose(field, lambda a, b: frozenset((a.name, b.name)) in pairs, wanted.limits, prefer, bargain)
    if found is None:
        fastest = min(field, key=lambda c: c.lean_ms)
        raise OptionError(
            f"no model of this run meets {wanted.limits}. "
            f"The fastest takes {fastest.lean_ms:.3g} ms a row and {fastest.lean_mb:.3g} MB; allow as much."
        )
    return found


def _field(field: list[Candidate], wanted: Wanted, bargain: Bargain) -> tuple[list[Candidate], str]:
    """The models to choose from, and by which preference."""
    if wanted.pick is not None:
        return _named(field, wanted)
    if bargain.is_timed and wanted.is_plain:  # then a preference is another word for the pick that stands in the report
        return _marked(field, NAMES.get(wanted.prefer, "")) or field, wanted.prefer
    return field, wanted.prefer


def _named(field: list[Candidate], wanted: Wanted) -> tuple[list[Candidate], str]:
    """The same, where a name was given."""
    pick = str(wanted.pick)
    if alone := [one for one in field if one.name == pick]:
        return alone, wanted.prefer
    if pick not in NAMES:
        known = [*NAMES, *(one.name for one in field)]
        raise OptionError(
            f"pick={pick!r} is no model of this run and no named pick.{near(pick, known)} Named picks are "
            f"{', '.join(NAMES)}; names of models stand in the leaderboard."
        )
    marked = _marked(field, NAMES[pick]) if wanted.is_plain else []
    return marked or field, PICKS[NAMES[pick]]


def _marked(field: list[Candidate], pick: str) -> list[Candidate]:
    return [one for one in field if pick in one.picks]


def _bargain(report: Mapping[str, Any], wanted: Wanted) -> Bargain:
    baseline = report["verdict"].get("baseline")
    return Bargain(
        baseline=None if not baseline else Score(**baseline),
        perfect=((report.get("decision") or {}).get("verdict") or {}).get("perfect"),
        give_up=wanted.give_up_percent / 100,
        is_timed=Budget.parse(report["run"]["budget"]).trials is None,
    )
