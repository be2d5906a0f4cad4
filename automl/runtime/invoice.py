"""What a run cost: every second of every core that was held, by what became of it; so it adds up to the whole.

Made from the events alone, drivers that were killed included. Money is for holding the machines, busy or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from automl.runtime.journal import ENDED
from cluster.pool import Status
from cluster.prices import HOUR_S, WH_PER_KWH, Machine, Rates

MB_PER_GB = 1024.0


@dataclass(frozen=True, kw_only=True)
class Invoice:
    """The bill."""

    core_s: dict[str, float] = field(default_factory=dict)  # done, partial, failed, late, lost, idle, overhead
    held_core_s: float = 0.0  # their sum
    gpu_s: float = 0.0
    machine_s: float = 0.0
    money: float = 0.0
    currency: str = "USD"
    kwh: float = 0.0
    energy_how: str = "estimated"
    co2_g: float = 0.0
    retries: int = 0  # jobs given again, since their worker died
    until_s: float = 0.0


@dataclass
class _Span:
    """A stretch of the run with the same machines."""

    since_s: float
    slots: int
    machines: list[Machine]


def of(events: Sequence[dict[str, Any]], elapsed_s: float, rates: Rates) -> Invoice:
    """The bill of a run that has worked `elapsed_s` seconds, as its events tell it."""
    spans = [_span(event) for event in events if event["event"] == "machines"]
    if not spans:
        return Invoice()
    spans[0].since_s = 0.0  # before the first look it was the same machines that were warming up
    ends = [*(span.since_s for span in spans[1:]), elapsed_s]
    lengths = [max(0.0, end - span.since_s) for span, end in zip(spans, ends, strict=True)]
    core_s: dict[str, float] = dict.fromkeys([*(status.value for status in Status), "idle", "overhead"], 0.0)
    jobs = [event for event in events if event["event"] == ENDED and "job" in event]
    for job in jobs:
        core_s[job["status"]] += job["threads"] * job["cost"]["wall_s"]
    held_s = sum(length * span.slots for length, span in zip(lengths, spans, strict=True))
    searched = _searched(events, elapsed_s)
    busy_s = sum(job["threads"] * job["cost"]["wall_s"] for job in jobs if job["fold"] >= 0 and "stage" not in job)
    slots = held_s / max(sum(lengths), 1e-9)
    core_s["idle"] = max(0.0, searched * slots - busy_s)
    core_s["overhead"] = max(0.0, held_s - sum(core_s.values()))
    estimate = _kwh(spans, lengths, sum(core_s[s.value] for s in Status), rates)
    kwh, how = _metered([event for event in events if event["event"] == "energy"], estimate, sum(lengths))
    return Invoice(
        core_s=core_s,
        held_core_s=sum(core_s.values()),
        gpu_s=sum(job["cost"].get("gpu_s", 0.0) for job in jobs),
        machine_s=sum(lengths),
        money=sum(n / HOUR_S * sum(map(rates.per_hour, span.machines)) for n, span in zip(lengths, spans, strict=True)),
        currency=rates.currency,
        kwh=kwh,
        energy_how=how,
        co2_g=rates.co2_g(kwh),
        until_s=elapsed_s,
        retries=sum(bool(event.get("parent")) for event in events if event["event"] == "started"),
    )


def _span(event: dict[str, Any]) -> _Span:
    machines = [
        Machine(row["name"], row["cpus"], row["memory_mb"] / MB_PER_GB,
                ((row["gpu_type"] or "GPU", row["gpus"]),) if row["gpus"] else (), row["is_spot"])
        for row in event["machines"]
    ]  # fmt: skip
    return _Span(event["elapsed_s"], event["slots"], machines)


def _searched(events: Sequence[dict[str, Any]], elapsed_s: float) -> float:
    """Seconds in which trials ran, of all drivers together."""
    stages = [event for event in events if event["event"] == "stage"]
    ends = [*(event["elapsed_s"] for event in stages[1:]), elapsed_s]  # one too many where a driver died before all
    return float(sum(end - e["elapsed_s"] for e, end in zip(stages, ends, strict=False) if e["stage"] == "search"))


def _metered(read: Sequence[dict[str, Any]], estimate: float, whole_s: float) -> tuple[float, str]:
    """Energy as meters read it, the estimate for the time that none covers; and how it is known."""
    if not read:
        return estimate, "estimated"
    covered_s = sum(event["wall_s"] for event in read)
    rest = max(0.0, 1.0 - covered_s / max(whole_s, 1e-9)) * estimate
    parts = [f"{name} {how}" for name, how in read[-1]["parts"].items() if how != "none"]
    return sum(event["kwh"] for event in read) + rest, ", ".join(parts)


def _kwh(spans: Sequence[_Span], lengths: Sequence[float], busy_s: float, rates: Rates) -> float:
    """Energy with as many cores busy as were on average."""
    whole_s = sum(length * sum(m.cores for m in span.machines) for length, span in zip(lengths, spans, strict=True))
    share = min(1.0, busy_s / max(whole_s, 1e-9))
    joule = sum(
        length * sum(rates.watts(m, share * m.cores, share * m.gpu_count) for m in span.machines)
        for length, span in zip(lengths, spans, strict=True)
    )
    return joule / HOUR_S / WH_PER_KWH
