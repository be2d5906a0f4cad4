"""quote(): what a run is expected to take, in seconds, money and energy; nothing that could be returned is fitted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np

from automl import several
from automl.data.profiler import examine
from automl.data.reading import load
from automl.data.taken import take
from automl.decision import transfer
from automl.decision.landmarks import with_landmarks
from automl.decision.prior import route
from automl.decision.quote import quote as price
from automl.decision.quote import seconds_of, work_of
from automl.modalities import mixture
from automl.options import Budget, Options
from automl.records import Dataset
from automl.records.quote import Quote
from automl.runtime.clock import Clock
from automl.runtime.workplace import load_rates, machines, tariff
from cluster.pool import Node

LOOKED_AT = 64  # rows that a trained network reads here, to see how long it takes; a run reads all of them


@overload
def quote(data: Any, target: str | None = None, **options: Any) -> Quote: ...


@overload
def quote(data: Any, target: list[str] | tuple[str, ...], **options: Any) -> dict[str, Quote]: ...


def quote(data: Any, target: str | Sequence[str] | None = None, **options: Any) -> Quote | dict[str, Quote]:
    """Seconds, money and energy until a model is good, and until more hardly helps, with ranges, for each route.

    `data`, `target` and the options are those of `fit`. Of several targets there is a quote for each.
    """
    started = time.monotonic()
    settings = Options.of({"target": target, **options})
    return ask(data, settings, started, has_budget="budget" in options)


def ask(data: Any, options: Options, started: float, *, has_budget: bool) -> Quote | dict[str, Quote]:
    """The quote for one target, or for each of several; a budget that was given is weighed."""
    nodes = machines(options)
    many = several.find(data, options)
    if many is None:
        return _one(data, options, nodes, started, has_budget=has_budget)
    quotes = {}
    for target in many.targets:
        source, own = many.of(target, options)
        own = replace(own, budget=_part(options.budget, len(many.targets)))
        quotes[target] = _one(source, own, nodes, time.monotonic(), has_budget=has_budget)
    return quotes


def _part(budget: Budget, parts: int) -> Budget:
    """An equal part of every limit."""
    limits = {name: value for name in ("time", "money", "energy") if (value := getattr(budget, name)) is not None}
    trials = None if budget.trials is None else max(1, budget.trials // parts)
    return Budget(trials=trials, **{name: value / parts for name, value in limits.items()})


def _one(data: Any, options: Options, nodes: list[Node], started: float, *, has_budget: bool) -> Quote:
    """As a run begins: read, describe, decide; then what runs like it took."""
    rates = load_rates(options.rates)
    held = tariff(nodes, rates)
    dataset = load(data, options, decode=mixture.read)
    taken_over, embed_s = _looked(dataset, options)
    profile = with_landmarks(dataset, examine(dataset, options)[0])
    cores, gpus = max(1, round(sum(node.cpus for node in nodes))), sum(node.gpus for node in nodes)
    limit_s = seconds_of(options.budget, held)
    core_s = None if limit_s is None else limit_s * cores
    decision = route(profile, options, round(gpus), taken_over, core_s)
    reading_s = time.monotonic() - started + embed_s
    work = work_of(profile, dataset, reading_s=reading_s, cores=cores, gpus=gpus)
    return price(work, decision, held, rates.currency, options.budget if has_budget else None)


def _looked(dataset: Dataset, options: Options) -> tuple[transfer.Transfer, float]:
    """What a network trained before would do for these data, and the seconds that it takes to read all of them."""
    found = transfer.find(options, None)
    if not transfer.is_wanted(dataset, found, options, goes_on=False):
        return transfer.NO_WEIGHTS, 0.0
    rows = np.linspace(0, len(dataset) - 1, min(len(dataset), LOOKED_AT)).round().astype(np.int64)
    left_s = Clock(options.budget).search_left * len(rows) / len(dataset)
    _, taken_over = transfer.take_over(take(dataset, rows), found, options, left_s)
    return taken_over, taken_over.row_s / transfer.EXACT_COST * len(dataset)
