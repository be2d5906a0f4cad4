"""What a driver works with from the start of the search to the saved model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from automl.runtime.clock import WRITTEN_S, Clock, Tariff
from automl.runtime.folder import RunFolder
from automl.runtime.interrupt import Interrupt
from automl.runtime.journal import Journal
from automl.runtime.progress import Watcher
from cluster.energy import EnergyMeter
from cluster.pool import Node, Pool, Ref

GONE_S = 300.0  # without any machine, after which a run ends with what it has
SAMPLE_S = 30.0  # between two looks at the energy counters, which start again from zero after minutes


@dataclass
class RunContext:
    """One driver's workers, clock, papers and ears."""

    pool: Pool
    ref: Ref  # of the data that every job reads
    clock: Clock
    folder: RunFolder
    journal: Journal
    watcher: Watcher
    interrupt: Interrupt
    price: Callable[[Sequence[Node]], Tariff]
    meter: EnergyMeter | None = None  # where the run stays on this machine
    busy_core_s: float = 0.0  # of the jobs that ended
    _began_s: float = field(default_factory=time.monotonic)
    _sampled_s: float = field(default_factory=time.monotonic)
    _alone_since_s: float = math.inf
    _seen: tuple[str, ...] = ()
    _gpus: float = 0.0

    def look_around(self) -> None:
        """Machines come and go: pay for those that are there, and write down which."""
        if self.meter and time.monotonic() - self._sampled_s > SAMPLE_S:
            self._sampled_s = time.monotonic()
            self.meter.sample()
        nodes = self.pool.nodes()
        self._check_alive(nodes)
        names = tuple(sorted(node.name for node in nodes))
        if names == self._seen:
            return
        tariff = self.price(nodes)
        self.clock.hold(tariff)
        told = [{"name": n.name, "cpus": n.cpus, "memory_mb": n.memory_mb, "gpus": n.gpus, "gpu_type": n.gpu_type,
                 "is_spot": n.is_spot} for n in nodes]  # fmt: skip
        self.journal.write("machines", {"machines": told, "slots": self.pool.slots})
        if self._seen:
            self.watcher.say(f"machines: {len(self._seen)} -> {len(names)}, {self.pool.slots} CPUs to use")
        gpus = sum(node.gpus for node in nodes)
        if nodes and self._gpus and not gpus:
            self.watcher.say("no GPU of the cluster is left: networks go on on CPUs")
        self._seen, self._gpus = names, gpus

    @property
    def is_deserted(self) -> bool:
        """Whether no machine is left, and none came back in time."""
        alone_s = time.monotonic() - self._alone_since_s
        return alone_s > GONE_S or (alone_s > 0 and self.clock.left(WRITTEN_S) < 0)

    @property
    def deserted(self) -> str:
        """Why a job that no machine is left for has no answer."""
        return "no machine of the cluster is left"

    def _check_alive(self, nodes: Sequence[Node]) -> None:
        """Wait for machines to come back, but not for ever: then the run ends, with the best model so far."""
        if nodes:
            self._alone_since_s = math.inf
        elif self._alone_since_s == math.inf:
            self._alone_since_s = time.monotonic()
            self.watcher.say(f"no machine of the cluster is left: waiting up to {GONE_S:g} s for one")
        elif self.is_deserted and not self.interrupt.asked:
            self.interrupt.asked = True
            self.watcher.say(
                f"no machine of the cluster came back within {time.monotonic() - self._alone_since_s:.0f} s: keeping "
                f"the best model so far. With machines again: automl resume {self.folder.place}"
            )

    def use(self) -> str:
        """How much of the machines is at work; nothing to say of a single one without a GPU."""
        nodes = self.pool.nodes()
        gpus = sum(node.gpus for node in nodes)
        if len(nodes) == 1 and not gpus:
            return ""
        told = f"{len(nodes)} machines, {sum(node.busy_cpus for node in nodes)} of {self.pool.slots} CPUs"
        return told + (f", {sum(node.busy_gpus for node in nodes):g} of {gpus:g} GPUs" if gpus else "")

    def read_meter(self) -> None:
        """Write down the energy that this driver's machine has used."""
        if self.meter is None:
            return
        wall_s = time.monotonic() - self._began_s
        energy = self.meter.read(self.busy_core_s, wall_s)
        parts = {name: getattr(energy, name).source for name in ("cpu", "memory", "gpu")}
        self.journal.write("energy", {"kwh": energy.kwh, "wall_s": wall_s, "parts": parts})
