"""What a run is expected to take before anything is fitted: pure functions on facts, prices and measured factors.

Seconds are a part that does not grow and one that grows as the price of a fit: quoted.json says how both came out in
real runs, and how far runs lay from them. What was never measured widens the range, and is said.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

import search_spaces
from automl.options import Budget
from automl.records import Dataset, Kind, Profile
from automl.records.choice import Decision
from automl.records.quote import AUTO_ROUTE, Quote, Range, RouteQuote, Takes
from automl.runtime.clock import Tariff
from search_spaces.spec import BASELINE, TABLE, Route, Size

MEASURED = Path(__file__).with_name("quoted.json")  # made by benchmarks/quotes.py
YARDSTICKS: Mapping[Route, str] = {"classical": "lightgbm", "neural": "mlp"}  # by whose price tables are quoted
TEXT_WIDTH = 10  # numbers that a short text costs as much as, as in data/prepare.py
Z = NormalDist().inv_cdf(0.9)
# Never measured, so each widens the upper end: runs on several cores, on a GPU, on pictures, sounds and texts.
CORES_POWER = 0.7  # seconds fall with the cores to this power: folds run side by side, the first fit of each does not
GPU_TIMES = 8.0  # as fast as a core, a network on a GPU
UNMEASURED = 0.8  # of the logarithm of the seconds
LEAST_SHARE = 0.5  # of a run with both routes, for the one that will be ahead: the search moves the seconds to it
BEYOND = 0.5  # of the same, for every e-fold of the price beyond the largest that was measured
NICE_S = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1_200, 1_800, 2_700, 3_600, 5_400, 7_200, 10_800,
          18_000, 28_800, 43_200, 86_400)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Work:
    """What there is to do, and what with."""

    size: Size
    task: str
    has_media: bool = False  # pictures, sounds or texts
    reading_s: float = 0.0  # to read the data, a trained network's look at each file included
    cores: int = 1
    gpus: float = 0.0


@dataclass(frozen=True)
class _Law:
    """The logarithm of the seconds, as two halves of normal distributions."""

    middle: float
    below: float
    above: float

    def chance(self, log_s: float) -> float:
        """Of being done by then."""
        spread = self.below if log_s < self.middle else self.above
        return NormalDist().cdf((log_s - self.middle) / max(spread, 1e-9))

    def later(self, log_times: float) -> _Law:
        """The same, so many times as late."""
        return replace(self, middle=self.middle + log_times)


@cache
def measured() -> Mapping[str, Any]:
    """What real runs took."""
    return dict(json.loads(MEASURED.read_text(encoding="utf-8")))


def work_of(profile: Profile, dataset: Dataset | None = None, **known: Any) -> Work:
    """The size of the task as its prices ask for it; `known`: further fields of the work."""
    numbers = {} if dataset is None else {name: len(one.codec.names) for name, one in dataset.decoded.items()}
    width = sum(
        max(TEXT_WIDTH, numbers.get(column.name, 0)) if column.is_decoded or column.kind == Kind.STRING else 1
        for column in profile.columns if column.name in set(profile.used)
    )  # fmt: skip
    size = Size(profile.rows, width, profile.outputs if profile.task != "binary" else 1)
    return Work(size=size, task=profile.task, has_media=bool(profile.decoded), **known)


def price_s(route: Route, families: Sequence[str], size: Size) -> float:
    """Seconds of one fit of the family that stands for a route: its yardstick, or the first that was asked for."""
    mine = [name for name in families if name != BASELINE and search_spaces.get(name).route == route]
    others = [name for name in mine if search_spaces.get(name).reads != TABLE]
    lead = others[0] if route == "neural" and others else YARDSTICKS[route]
    return search_spaces.get(lead if lead in mine else mine[0]).price.fit_s(size)


def quote(work: Work, decision: Decision, tariff: Tariff, currency: str, budget: Budget | None = None) -> Quote:
    """Seconds, money and energy to a good model and to one that more hardly helps, for each route that takes part."""
    shares = {route: share for route, share in decision.shares.items() if share > 0}
    laws: dict[str, dict[str, _Law]] = {
        mark: {route: _law(mark, route, decision.families, work) for route in shares} for mark in ("good", "flat")
    }
    if len(shares) > 1:
        for found in laws.values():
            found[AUTO_ROUTE] = _mixed(found, shares, 0.5 if decision.gain is None else decision.gain.win)
    order = [*([AUTO_ROUTE] if len(shares) > 1 else []), *sorted(shares, key=lambda route: -shares[route])]
    is_measured = not work.has_media and work.cores == 1 and not work.gpus
    routes = []
    for route in order:
        good = _range(laws["good"][route], work.reading_s)
        flat = _range(laws["flat"][route], work.reading_s)
        flat = Range(max(good.low, flat.low), max(good.middle, flat.middle), max(good.high, flat.high))
        routes.append(RouteQuote(
            route=route, good=_expected(good, tariff), flattened=_expected(flat, tariff), is_measured=is_measured,
        ))  # fmt: skip
    return Quote(
        routes=tuple(routes),
        rows=work.size.rows,
        task=work.task,
        currency=currency,
        cores=work.cores,
        gpus=work.gpus,
        reading_s=work.reading_s,
        advice=_advice(routes[0], budget, tariff),
        rests_on=_rests_on(work),
        budget=None if budget is None else str(budget),
    )


def _law(mark: str, route: Route, families: Sequence[str], work: Work) -> _Law:
    """What the runs that were measured say of a route and this price."""
    told = measured()["marks"][mark][route]
    price = price_s(route, families, work.size)
    is_unmeasured = work.has_media or work.cores > 1 or (work.gpus > 0 and route == "neural")
    beyond = BEYOND * max(0.0, math.log(price / told["largest_price_s"]))
    faster = GPU_TIMES if work.gpus > 0 and route == "neural" else work.cores**CORES_POWER
    shift = told["tasks"].get(work.task, 0.0)
    middle = math.log(told["fixed_s"] + told["factor"] * price / faster) + shift
    below = math.hypot(told["sd"], UNMEASURED / 2 if is_unmeasured else 0.0)
    return _Law(middle, below, math.hypot(told["sd"], UNMEASURED if is_unmeasured else 0.0, beyond))


def _mixed(laws: Mapping[str, _Law], shares: Mapping[Route, float], network_wins: float) -> _Law:
    """Of a run that splits its time: the route that will be ahead, as late as its part of the time makes it."""
    odds = {"neural": network_wins, "classical": 1 - network_wins}
    later = [(odds[route], laws[route].later(-math.log(max(share, LEAST_SHARE)))) for route, share in shares.items()]
    low, middle, high = (_when(later, chance) for chance in (0.1, 0.5, 0.9))
    return _Law(middle, (middle - low) / Z, (high - middle) / Z)


def _when(laws: Sequence[tuple[float, _Law]], chance: float) -> float:
    """The logarithm of the second by which one of several laws, with these odds, is done with a chance."""
    low = min(law.middle - 8 * law.below for _, law in laws)
    high = max(law.middle + 8 * law.above for _, law in laws)
    for _ in range(60):
        middle = (low + high) / 2
        is_early = sum(odds * law.chance(middle) for odds, law in laws) < chance
        low, high = (middle, high) if is_early else (low, middle)
    return high


def _range(law: _Law, reading_s: float) -> Range:
    ends = (law.middle - Z * law.below, law.middle, law.middle + Z * law.above)
    low, middle, high = (reading_s + math.exp(end) for end in ends)
    return Range(low, middle, high)


def _expected(seconds: Range, tariff: Tariff) -> Takes:
    return Takes(seconds, seconds.times(tariff.money), seconds.times(tariff.kwh))


def seconds_of(budget: Budget, tariff: Tariff) -> float | None:
    """How long a budget lasts on these machines; None where trials are counted, or nothing that it counts is used."""
    limits = [budget.time_s]
    limits += [budget.money / tariff.money] if budget.money is not None and tariff.money else []
    limits += [budget.energy / tariff.kwh] if budget.energy is not None and tariff.kwh else []
    return min((limit for limit in limits if limit is not None), default=None)


def _advice(first: RouteQuote, budget: Budget | None, tariff: Tariff) -> str:
    """One line: how long is enough, how long is too long, and what that makes of the budget."""
    good, flat = first.good.seconds, first.flattened.seconds
    enough, most = _nice(good.high), _nice(flat.high)
    told = f"{spelled(enough)} will do; more than {spelled(most)} would hardly help"
    limit_s = None if budget is None else seconds_of(budget, tariff)
    if budget is None or limit_s is None:
        return told
    shown = str(budget if budget.time is None else replace(budget, time=round(float(budget.time), 1) or budget.time))
    if limit_s < good.middle:
        return f"budget={shown!r} is short; {told}"
    if limit_s > 2 * most:
        return f"budget={shown!r} is more than is needed; {told}"
    return f"budget={shown!r} fits; {told}"


def _nice(seconds: float) -> float:
    """The next larger round number."""
    return next((float(nice) for nice in NICE_S if nice >= seconds), 3_600.0 * math.ceil(seconds / 3_600))


def spelled(seconds: float) -> str:
    """A round number of seconds as people say it."""
    if seconds <= 90:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 7_200 else f"{seconds / 3_600:g} h"


def _rests_on(work: Work) -> str:
    """What was measured, and what here was not."""
    told = str(measured()["rests_on"])
    guessed = [
        *(["pictures, sounds and texts"] if work.has_media else []),
        *([f"{work.cores} cores"] if work.cores > 1 else []),
        *(["a GPU"] if work.gpus else []),
    ]
    return f"{told}; {' and '.join(guessed)}: a guess, so the ranges are wider" if guessed else told
