"""Where courses run: how many side by side, what each of them gets, and when several GPUs train one network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Guesses until a machine with two GPUs was at hand (benchmarks/LOG.md, 2026-11-29): how many times quicker than one a
# team must be, for each GPU in it; the seconds that its processes take to start; how many more epochs it must get done.
WORTH_ITS_GPUS, TEAM_START_S, TEAM_GAIN = 0.6, 15.0, 1.3


@dataclass(frozen=True)
class Lanes:
    """How many courses run side by side, and what each of them gets."""

    count: int
    threads: int
    gpus: float


def together(seconds: Mapping[int, float], left_s: float, enough: float) -> int:
    """How many GPUs should train one network, of those whose seconds for an epoch are predicted; one where it is open.

    Several only where one is too slow for enough epochs in the time left, else another network is worth more than the
    same one sooner; where they are quicker by a good part of their number, for each could train one of its own; and
    where starting them leaves a clear gain. Of those that pay, the fewest that hold enough epochs, else the most.
    """
    alone_s = seconds.get(1, 0.0)
    if alone_s <= 0 or left_s >= enough * alone_s:
        return 1
    paying = [
        count
        for count, epoch_s in sorted(seconds.items())
        if count > 1
        and alone_s / epoch_s >= WORTH_ITS_GPUS * count
        and (left_s - TEAM_START_S) / epoch_s >= TEAM_GAIN * left_s / alone_s
    ]
    holding = [count for count in paying if left_s - TEAM_START_S >= enough * seconds[count]]
    return min(holding, default=max(paying, default=1))
