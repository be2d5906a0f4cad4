"""How far a course of training is: by its steps, or by the clock once there is no time for all of these."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from automl.training.device import CPU
from automl.training.team import ALONE, Team

PROBED = 4  # steps seen before the time of the rest is predicted; the very first one also sets up
LOOK_RESERVE = 1.2  # times the last look at the validation rows is kept for the next one


@dataclass
class Pace:
    """How far a plan of `steps` is: 0 at its start, 1 at its end. Counts steps until time turns out to be short.

    In a team only the first process looks at its clock; what it sees is read by all, once for each step.
    """

    steps: int
    until: float
    team: Team = ALONE
    device: torch.device = CPU
    done: int = 0
    foreseen: float = 0.0  # steps there will be; 0 until some are seen
    reserve_s: float = 0.0  # kept for a last look at the validation rows
    started: float = 0.0
    turn: tuple[float, int] = (0.0, 0)  # progress and steps done when the rest of the course was shortened
    taken_over: tuple[float, float] | None = None  # progress and moment at which the clock took over
    told: tuple[float, float] | None = None  # by the first of a team: progress, and one if the plan is over

    def __post_init__(self) -> None:
        if self.until == math.inf:
            self.foreseen = self.steps
        self.meet()

    def meet(self) -> None:
        """A team agrees on where the course stands."""
        if self.team.size > 1:
            self.told = None
            seen = self.team.agree((self.progress, float(self.is_over), self.foreseen), self.device)
            self.told, self.foreseen = (seen[0], seen[1]), seen[2]

    def tick(self, look: float) -> None:
        """A step was done. `look`: steps as long as a look at the validation rows, 0 once that was measured."""
        self._tick(look)
        self.meet()

    def _tick(self, look: float) -> None:
        self.done += 1
        if self.until == math.inf:
            return
        now = time.monotonic()
        if self.done == 1:
            self.started = now
        elif self.done > PROBED and self.taken_over is None:
            step_s = (now - self.started) / (self.done - 1)
            self.reserve_s = max(self.reserve_s, LOOK_RESERVE * look * step_s)
            self.foreseen = min(self.steps, self.done + (self.until - self.reserve_s - now) / step_s)
            if now + step_s * (self.steps - self.done) > self.until - self.reserve_s:
                self.taken_over = (self._counted, now)

    def go_on(self, progress: float) -> None:
        """An earlier attempt came so far: what is left of the time is for what is left of the course."""
        if self.until < math.inf:
            self.taken_over = (progress, time.monotonic())
        else:
            self.done = round(progress * self.steps)
        self.meet()

    def shorten(self, steps: int) -> None:
        """Run what is left of the course within so many steps, if that is sooner."""
        self.turn, self.steps = (self._counted, self.done), min(self.steps, self.done + steps)
        self.meet()

    @property
    def _counted(self) -> float:
        base, since = self.turn
        return base + (1 - base) * (self.done - since) / max(1, self.steps - since)

    @property
    def progress(self) -> float:
        """Where the learning rate stands on its course, 0 to 1."""
        if self.told is not None:
            return self.told[0]
        counted = self._counted
        if self.taken_over is None:
            return counted
        base, since = self.taken_over
        share = (time.monotonic() - since) / max(1e-9, self.until - self.reserve_s - since)
        return max(counted, base + (1 - base) * min(1.0, share))

    @property
    def is_late(self) -> bool:
        """Whether there is no time for another step."""
        return time.monotonic() >= self.until - self.reserve_s

    @property
    def is_over(self) -> bool:
        """Whether the plan is done, or the time; the first step is always taken."""
        if self.told is not None:
            return self.told[1] > 0
        return self.done >= self.steps or (self.done > 0 and self.is_late)
