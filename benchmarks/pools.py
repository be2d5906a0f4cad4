"""What the pools cost: how busy the cores are, what the driver spends, how far it scales. Results go to LOG.md.

busy     trials of a second on every core of this machine: share of the cores' time that trials have, driver's CPU
scaling  a simulated cluster of 1 to 64 workers: trials that sleep on fake CPUs, without a sampler and with one
ledger   the books of 125 and 1,000 imagined machines: what it takes to book one more job among those that they hold
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import search_spaces
from automl.search.sample import Studies
from cluster.cores import cores
from cluster.ledger import Held, Ledger
from cluster.local import LocalPool
from cluster.pool import Job, Node, Pool, Status

BACKENDS = ("local", "ray")
SIZES = (1, 4, 16, 64)
WARM_S = 120.0  # at most, to start the workers of a simulated cluster


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("busy", "scaling", "ledger"))
    parser.add_argument("--backends", default=",".join(BACKENDS))
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one trial")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="workers of the simulated clusters")
    args = parser.parse_args(argv)
    if args.what == "busy":
        busy(args.backends.split(","), args.trials, args.seconds)
    elif args.what == "ledger":
        ledger()
    else:
        scaling(args.backends.split(","), [int(size) for size in args.sizes.split(",")], args.trials, args.seconds)
    return 0


def busy(backends: Sequence[str], trials: int, seconds: float) -> None:
    """Trials that compute, as many at a time as there are cores, each asked for when another ends."""
    for name in backends:
        with opened(name, cores()) as pool:
            run(pool, 2 * pool.slots, "cluster.contracts:spin_until", 0.2)  # warm
            cpu_s = time.process_time()
            wall_s, busy_s = run(pool, trials, "cluster.contracts:spin_until", seconds)
            driver = (time.process_time() - cpu_s) / wall_s
            told = f"{busy_s / wall_s / pool.slots:.1%} of the cores' time, driver {driver:.2%} of a core"
            print(f"{name}: {trials} trials of {seconds:g} s on {pool.slots} cores: {told}", flush=True)


def ledger() -> None:
    """Jobs booked and given back on machines that are nearly full, some with GPUs, some with load of others."""
    for machines, jobs in ((125, 980), (1_000, 7_800)):
        nodes = {
            f"{n:04d}": Node(f"{n:04d}", 8, 32_000.0 + n, gpus=float(n % 10 == 0)) for n in range(machines)
        }  # fmt: skip
        books = Ledger()
        books.update(nodes, {key: Held(cpus=1) for key in list(nodes)[: machines // 50]})
        for n in range(jobs):
            books.take(Job(str(n), "m:f", memory_mb=100.0, gpus=0.25 * (n % 40 == 0)))
        took: dict[str, list[float]] = {"take": [], "refuse": [], "nodes": []}
        for n in range(2_000):
            one, wide = Job(f"more {n}", "m:f", memory_mb=100.0), Job(f"wide {n}", "m:f", threads=8)
            for name, call in (("take", partial(books.take, one)), ("refuse", partial(books.take, wide)),
                               ("nodes", books.nodes)):  # fmt: skip
                started = time.perf_counter()
                call()
                took[name].append(1e3 * (time.perf_counter() - started))
            books.give_back(one.id)
        told = ", ".join(f"{name} {median(ms):.4f} ms (most {max(ms):.3f})" for name, ms in took.items())
        print(f"{machines} machines, {jobs} jobs: {told}", flush=True)


def scaling(backends: Sequence[str], sizes: Sequence[int], trials: int, seconds: float) -> None:
    """Trials that sleep on a cluster of so many fake CPUs, the next one asked of the sampler when one ends."""
    for name in backends:
        for size in sizes:
            with opened(name, size) as pool, tempfile.TemporaryDirectory() as folder:
                warm(pool, size)
                count = max(10 * size, min(trials, 20 * size))
                for asker in (None, Asker(Path(folder))):
                    cpu_s = time.process_time()
                    wall_s, busy_s = run(pool, count, "cluster.contracts:nap", seconds, asker)
                    mine_ms = 1e3 * (time.process_time() - cpu_s) / count
                    how = f"driver {mine_ms:.1f} ms a trial"
                    how += f", of it sampler {asker.close() / count:.1f}" if asker else ""
                    told = f"efficiency {busy_s / wall_s / size:.1%}, {how}"
                    print(f"{name}: {size} workers, {count} trials{' asked' if asker else ''}: {told}", flush=True)


class Asker:
    """A real sampler with real parameters and made-up errors."""

    def __init__(self, folder: Path) -> None:
        self._studies, self._family = Studies(folder / "study.journal", 0), search_spaces.get("lightgbm")
        self.ms = 0.0

    def __call__(self, number: int) -> None:
        """Ask for a trial, and tell of the one before."""
        started = time.process_time()
        self._studies.ask(number, self._family)
        self._studies.tell(number, 1.0 / (1 + number % 17), 1, is_complete=True)
        self.ms += 1e3 * (time.process_time() - started)

    def close(self) -> float:
        """Finish the file that the sampler leaves; the milliseconds that it took of the driver."""
        self._studies.close()
        return self.ms


def run(
    pool: Pool, trials: int, function: str, seconds: float, ask: Callable[[int], None] | None = None
) -> tuple[float, float]:
    """Wall seconds from the first submit to the last finish, and the seconds of all trials together."""
    started, busy_s, submitted, done = time.monotonic(), 0.0, 0, 0
    while done < trials:
        while submitted < min(trials, done + pool.slots):
            if ask:
                ask(submitted)
            pool.submit(Job(str(submitted), function, seconds))
            submitted += 1
        for outcome in pool.wait(1.0):
            if outcome.status is not Status.DONE:
                sys.exit(f"a trial ended as {outcome.status}: {outcome.error}")
            busy_s += outcome.cost.wall_s
            done += 1
    return time.monotonic() - started, busy_s


def warm(pool: Pool, size: int) -> None:
    """Until every worker has started, which on few real cores takes a while: naps all at once take one nap's time."""
    ends = time.monotonic() + WARM_S
    while run(pool, size, "cluster.contracts:nap", 1.0)[0] > 1.5 and time.monotonic() < ends:
        continue


def opened(name: str, workers: int) -> Pool:
    """A pool with so many workers, whatever the machine has."""
    if name == "local":
        return LocalPool(workers, preload=("cluster.contracts",))
    from cluster.on_ray import RayPool

    return RayPool(cpus=workers, workers=workers, preload=("cluster.contracts",))


if __name__ == "__main__":
    sys.exit(main())
