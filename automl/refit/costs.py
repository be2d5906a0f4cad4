"""What every candidate costs: to train and to use, measured where it was saved and else estimated from its folds.

Folds are timed on encoded rows. What reading rows adds, and what asking many at once saves, is carried over from the
models of the same run that were saved and measured. Money and energy are those of the cores that are kept busy.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from automl.records import Candidate, Fold, Trial
from automl.records.costs import Calls, Latency, Million, Training
from automl.refit.measure import MANY_ROWS, Used
from automl.runtime.clock import Tariff
from automl.runtime.context import RunContext

ROWS = 1e6
BATCH_ROWS = 1_000  # that `Candidate.batch_ms` is of


@dataclass(frozen=True, kw_only=True)
class CoreTariff:
    """What a second of one core costs, and of one GPU, on the machines of a run."""

    core: Tariff
    gpu: Tariff
    currency: str
    machine: str

    def trained(self, cpu_s: float, gpu_s: float) -> Training:
        """What so much training costs."""
        money = cpu_s * self.core.money + gpu_s * self.gpu.money
        return Training(s=cpu_s, money=money, kwh=cpu_s * self.core.kwh + gpu_s * self.gpu.kwh, gpu_s=gpu_s)

    def million(self, row_s: float) -> Million | None:
        """What a million rows cost whose rows take a core so long; unknown where that is."""
        if not math.isfinite(row_s):
            return None
        s = ROWS * row_s
        return Million(
            s=s, money=s * self.core.money, kwh=s * self.core.kwh, currency=self.currency, machine=self.machine
        )


def core_tariff(context: RunContext, currency: str) -> CoreTariff:
    """The price of the machines there are, shared out among their cores and their GPUs."""
    nodes = context.pool.nodes()
    whole, plain = context.price(nodes), context.price([replace(node, gpus=0.0) for node in nodes])
    cores, gpus = sum(node.cpus for node in nodes) or 1, sum(node.gpus for node in nodes) or 1.0
    names = ", ".join(dict.fromkeys(node.name for node in nodes[:1]))
    return CoreTariff(
        core=Tariff(plain.money / cores, plain.kwh / cores),
        gpu=Tariff((whole.money - plain.money) / gpus, (whole.kwh - plain.kwh) / gpus),
        currency=currency,
        machine=f"{names}, {cores:g} cores" if len(nodes) == 1 else f"{len(nodes)} machines, {cores:g} cores",
    )


def priced(
    candidates: Sequence[Candidate],
    trials: Sequence[Trial],
    used: Mapping[str, Used],
    tariff: CoreTariff,
    reading_ms: float,
) -> list[Candidate]:
    """The candidates with all their costs. `used`: of those that were saved and measured, by name."""
    by_name = {one.name: one for one in candidates}
    seen = [(by_name[name], found) for name, found in used.items() if name in by_name and found.one is not None]
    known = {trial.plan.number: trial for trial in trials}
    return [_priced(one, known, used.get(one.name), _Beside(seen, reading_ms), tariff) for one in candidates]


@dataclass(frozen=True)
class _Beside:
    """What was measured of other models of the run, to estimate by; and what reading a row takes."""

    seen: Sequence[tuple[Candidate, Used]]
    reading_ms: float

    def one_ms(self, parts_ms: float) -> float:
        """Milliseconds of a call with one row whose parts take so many."""
        pairs = [(one.row_ms, used.one.p50) for one, used in self.seen if used.one]
        return _carried(parts_ms, pairs or [(0.0, self.reading_ms)])

    def many_ms(self, parts_ms: float) -> float:
        """The same of a call with `MANY_ROWS`."""
        scale = MANY_ROWS / BATCH_ROWS
        pairs = [(one.batch_ms * scale, used.many.p50 * MANY_ROWS / used.many.rows) for one, used in self.seen
                 if used.many]  # fmt: skip
        return _carried(parts_ms, pairs or [(0.0, 0.0)])

    def row_s(self, parts_s: float) -> float:
        """Core seconds of a row among many."""
        pairs = [(1e-3 * one.batch_ms / BATCH_ROWS, used.core_s) for one, used in self.seen]
        return _carried(parts_s, [pair for pair in pairs if math.isfinite(pair[1])] or [(0.0, 0.0)])

    def tails(self) -> tuple[float | None, float | None]:
        """How many times the median the 95th percentile is: of calls with one row, and with many."""
        return _tail([used.one for _, used in self.seen]), _tail([used.many for _, used in self.seen])

    def memory_mb(self, size_mb: float) -> float | None:
        """What a model of this size should need, with the batch of those measured."""
        found = [max(0.0, used.memory_mb - one.size_mb) for one, used in self.seen if math.isfinite(used.memory_mb)]
        return size_mb + statistics.median(found) if found else None


def _tail(calls: Sequence[Calls | None]) -> float | None:
    found = [one.p95 / one.p50 for one in calls if one is not None and one.p95 is not None and one.p50 > 0]
    return statistics.median(found) if found else None


def _carried(parts: float, seen: Sequence[tuple[float, float]]) -> float:
    """What a model takes whose parts take so much, as others of (parts, whole) did: a line, nowhere below zero.

    Of one other model alone: more on top of the parts, or less of them.
    """
    whole = statistics.fmean(y for _, y in seen)
    own = statistics.fmean(x for x, _ in seen)
    spread = sum((x - own) ** 2 for x, _ in seen)
    slope = min(1.0, whole / own) if own > 0 else 1.0
    if spread > 0:
        slope = max(0.0, sum((x - own) * (y - whole) for x, y in seen) / spread)
    if whole < slope * own:  # then through zero
        return parts * sum(x * y for x, y in seen) / sum(x * x for x, _ in seen)
    return whole - slope * own + slope * parts


def _priced(
    one: Candidate, trials: Mapping[int, Trial], used: Used | None, beside: _Beside, tariff: CoreTariff
) -> Candidate:
    members = [trials[number] for number in one.weights if number in trials]
    whole_s = sum(trial.spent.cpu_s for trial in members)
    share = min(1.0, one.fit_s / whole_s) if whole_s > 0 else 1.0  # of its trials' folds
    train = tariff.trained(one.fit_s, share * sum(trial.spent.gpu_s for trial in members))
    if used is not None and used.one is not None:
        latency = Latency(one=used.one, many=used.many, measured=True)
        memory = used.memory_mb if math.isfinite(used.memory_mb) else None
        return replace(one, train=train, latency=latency, million=tariff.million(used.core_s), memory_mb=memory)
    return replace(
        one, train=train, latency=_estimated(one, members, beside), memory_mb=beside.memory_mb(one.size_mb),
        million=tariff.million(beside.row_s(1e-3 * one.batch_ms / BATCH_ROWS)),
    )  # fmt: skip


def _estimated(one: Candidate, members: Sequence[Trial], beside: _Beside) -> Latency:
    """From what its folds took; they span how far that may be off."""
    row_low, row_high = _span([[fold.row_s for fold in _kept(one, trial)] for trial in members])
    many_low, many_high = _span([[fold.batch_s for fold in _kept(one, trial)] for trial in members])
    parts_ms = one.batch_ms * MANY_ROWS / BATCH_ROWS
    p50, many = beside.one_ms(one.row_ms), beside.many_ms(parts_ms)
    tail, many_tail = beside.tails()
    return Latency(
        one=Calls(rows=1, p50=p50, p95=None if tail is None else tail * p50,
                  low=beside.one_ms(row_low * one.row_ms), high=beside.one_ms(row_high * one.row_ms)),
        many=Calls(rows=MANY_ROWS, p50=many, p95=None if many_tail is None else many_tail * many,
                   low=beside.many_ms(many_low * parts_ms), high=beside.many_ms(many_high * parts_ms)),
    )  # fmt: skip


def _kept(one: Candidate, trial: Trial) -> list[Fold]:
    folds = list(trial.folds.values())
    return folds[: one.kept.get(trial.plan.number, len(folds))]


def _span(took: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The share of their sum that all would take as fast as the fastest fold of each, and as slow as the slowest."""
    whole = sum(map(sum, took))
    if not whole > 0:
        return 1.0, 1.0
    low, high = (sum(len(own) * end(own) for own in took if own) / whole for end in (min, max))
    return low, high
