"""Jobs as a pool on Ray keeps them, queued and running. Imports no Ray."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cluster.ledger import Held
from cluster.pool import Cost, Job, Node
from cluster.task import Begun, Task

UNHEARD_S = 5.0  # a job is taken to begin within, where it cannot say so
_MB = 1024.0**2


@dataclass(frozen=True)
class QueuedOnRay:
    """A job that waits for room."""

    asked: Job  # as it was submitted
    job: Job  # as the machines there are can run it
    task: Task

    def fitted(self, job: Job) -> QueuedOnRay:
        """The same for other machines."""
        return replace(self, job=job, task=replace(self.task, threads=job.threads))


@dataclass(eq=False)
class Running:
    """A job that Ray has."""

    job: Job
    node: str
    stream: Any
    at_s: float = math.inf  # when we heard that it has begun
    where: Begun | None = None

    @property
    def cost(self) -> Cost:
        """What a job that ends by force held while it ran: of one that is gone, nobody can ask what it used."""
        unheard_s = 0.0 if self.where else UNHEARD_S
        wall_s = time.monotonic() - self.at_s + unheard_s if self.at_s < math.inf else 0.0
        return Cost(wall_s * self.job.threads, wall_s, gpu_s=wall_s * self.job.gpus)


class Others:
    """What other users of a cluster hold of its machines.

    Ray tells what is free with a delay in which a job of ours that has just ended still counts: held by others is what
    was so in two looks, one after the other.
    """

    def __init__(self) -> None:
        self._before: dict[str, Held] = {}

    def look(
        self, nodes: Mapping[str, Node], free: Mapping[str, Mapping[str, float]], ours: Mapping[str, Held]
    ) -> dict[str, Held]:
        """Of each machine, by what Ray says is `free` there."""
        now = {key: _beyond(node, free[key], ours.get(key, Held())) for key, node in nodes.items() if key in free}
        found = {key: held.least(self._before.get(key, Held())) for key, held in now.items()}
        self._before = now
        return found


def _beyond(node: Node, free: Mapping[str, float], ours: Held) -> Held:
    """What is neither free nor ours."""
    return Held(
        max(0.0, node.cpus - free.get("CPU", 0.0) - ours.cpus),
        max(0.0, node.gpus - free.get("GPU", 0.0) - ours.gpus),
        max(0.0, node.memory_mb - free.get("memory", 0.0) / _MB - ours.memory_mb),
    )
