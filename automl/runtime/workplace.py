"""Where a run's jobs are done, and what it costs to hold the machines there."""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import search_spaces
from automl.errors import OptionError, RunError
from automl.options import Options
from automl.runtime.clock import Tariff
from cluster.cores import cores
from cluster.devices import working_gpus
from cluster.energy import EnergyMeter
from cluster.local import LocalPool
from cluster.memory import free_mb
from cluster.pool import Node
from cluster.prices import Machine, PriceError, Rates
from search_spaces.spec import TORCH

if TYPE_CHECKING:
    from cluster.on_ray import RayPool

Opened = tuple["LocalPool | RayPool", list[str]]  # workers, and what a user should know of them

# What workers import while the data is still being read, in the order in which it is needed, as far as it is.
PRELOAD = ("lightgbm", "xgboost", "sklearn.ensemble", *TORCH)
MB_PER_GB = 1024.0
RAY_PRELOAD = 2  # modules that every worker imports for itself at once; the others when a job needs them
GROW_S = 900.0  # at most for a cluster that grows to bring the CPUs asked for: machines take minutes
GROW_SHARE = 0.3  # of the time there is, at most


def open_pool(options: Options, modules: Sequence[str] | None = None) -> Opened:
    """The workers of this run, born with what it may need or with these modules, and what a user should know."""
    modules = preload(options) if modules is None else modules
    address = os.environ.get("RAY_ADDRESS")
    if _is_here(options):
        pool_here = LocalPool(options.workers or cores(), preload=modules)
        trouble = working_gpus().trouble
        return pool_here, [f"note: {trouble}"] if trouble else []
    notes = []
    if options.cluster == "auto":
        notes.append(f"cluster: Ray at {address} (RAY_ADDRESS is set; cluster='local' stays on this machine)")
    if importlib.util.find_spec("ray") is None:
        raise OptionError(
            f"cluster={options.cluster!r} needs Ray, which is not installed: pip install 'automl-frontier[ray]'."
        )
    from cluster.on_ray import RayPool

    where = None if options.cluster in ("auto", "ray") else options.cluster
    try:
        pool = RayPool(where, cpus=options.workers or cores(), workers=options.workers,
                       preload=modules[:RAY_PRELOAD],
                       want=options.workers or 0, patience_s=_patience_s(options))  # fmt: skip
    except RuntimeError as problem:
        raise RunError(str(problem)) from problem
    return pool, [*notes, *pool.notes, f"cluster: {describe(pool.nodes())}"]


def preload(options: Options) -> tuple[str, ...]:
    """The modules that the workers of this run need, without those of families that cannot take part."""
    known = search_spaces.names()
    families = [search_spaces.get(name) for name in options.families or known if name in known]
    routes = (options.route,) if options.route in ("classical", "neural") else ("classical", "neural")
    able = [family for family in families if family.name not in options.exclude and family.route in routes]
    needed = list(dict.fromkeys(module for family in able for module in family.imports))
    asked = [module for module in needed if options.families and module not in PRELOAD]
    return ("automl.search.trial", *(module for module in PRELOAD if module in needed), *asked)


def _is_here(options: Options) -> bool:
    """Whether this machine alone does the work."""
    return options.cluster == "local" or (options.cluster == "auto" and not os.environ.get("RAY_ADDRESS"))


def machines(options: Options) -> list[Node]:
    """What a run would hold; on this machine nothing is started for it."""
    if _is_here(options):
        gpus = working_gpus().gpus
        name, model = socket.gethostname(), gpus[0].model if gpus else ""
        return [Node(name, options.workers or cores(), free_mb(), len(gpus), model)]
    pool, _ = open_pool(options, ())
    with pool:
        return list(pool.nodes())


def describe(nodes: Sequence[Node]) -> str:
    """The machines in a few words."""
    gpus = sum(node.gpus for node in nodes)
    kinds = sorted({node.gpu_type for node in nodes if node.gpu_type})
    told = f", {gpus:g} GPUs ({', '.join(kinds) or 'of unknown type'})" if gpus else ""
    machines = f"{len(nodes)} machine{'s' if len(nodes) != 1 else ''}"
    return f"{machines}, {sum(node.cpus for node in nodes)} CPUs{told}"


def load_rates(path: str | Path | None) -> Rates:
    """The user's rate card, or the shipped one."""
    try:
        return Rates() if path is None else Rates.load(path)
    except PriceError as problem:
        raise OptionError(str(problem)) from None


def tariff(nodes: Iterable[Node], rates: Rates) -> Tariff:
    """What a second of holding these machines costs, with everything on them busy: a budget must hold."""
    machines = [machine(node) for node in nodes]
    return Tariff(rates.money_for_seconds(1.0, machines), rates.energy_for_seconds(1.0, machines))


def machine(node: Node) -> Machine:
    """A machine of the pool as the rate card sees it."""
    gpus = ((node.gpu_type or "GPU", node.gpus),) if node.gpus else ()
    return Machine(node.name, node.cpus, node.memory_mb / MB_PER_GB, gpus, node.is_spot)


def energy_meter(nodes: Sequence[Node], rates: Rates) -> EnergyMeter | None:
    """A meter of this machine, where the run stays on it."""
    is_here = len(nodes) == 1 and nodes[0].name.split("/")[0] == socket.gethostname()
    return EnergyMeter(rates, machine(nodes[0])) if is_here else None


def _patience_s(options: Options) -> float:
    """How long to wait for machines; the budget's clock runs meanwhile."""
    limit_s = options.budget.time_s
    return GROW_S if limit_s is None else min(GROW_S, GROW_SHARE * limit_s)
