"""A driver on a Ray of three machines, some of which go while trials run on them. Run by test_on_ray.py.

python three_nodes.py DATA RUN_FOLDER ENDED one|all|gpu    take machines away once so many folds have ended

The head has no CPUs, the two others one each. One of these goes, or both, or the one that claims to have a GPU, as soon
as a network runs on it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

import automl
import search_spaces
from automl.runtime import context

OPTIONS: dict[str, dict[str, Any]] = {
    "one": {"target": "churned", "budget": "8 trials", "families": "linear,lightgbm"},
    "all": {"target": "churned", "budget": "8 trials", "families": "linear,lightgbm"},
    "gpu": {"budget": "1 trials", "families": "convnet"},
}


def main(data: str, run: str, ended: int, what: str) -> None:
    """The machines, a run, and what becomes of it."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    machines = [cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1, num_gpus=float(what == "gpu"))]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    if what == "all":
        context.GONE_S = 3.0
    if what == "gpu":
        family = search_spaces.get("convnet")
        for knob, value in family.quick.items():
            family.space[knob] = replace(family.space[knob], start=value)
        family.space["steps"] = replace(family.space["steps"], low=1, start=30)

    def take_away() -> None:
        log = Path(run, "events.jsonl")
        event, without = ("started", '"gpus": 0.0') if what == "gpu" else ("finished", "nothing")
        told = ""
        while sum(f'"event": "{event}"' in line and without not in line for line in told.splitlines()) < ended:
            time.sleep(0.05)
            told = log.read_text() if log.exists() else ""
        for machine in machines if what == "all" else machines[1:]:
            cluster.remove_node(machine, allow_graceful=False)

    threading.Thread(target=take_away, daemon=True).start()
    result = automl.fit(data, cluster="ray", run_dir=run, verbose=1, **OPTIONS[what])
    told = {"best": result.best, "is_still_there": ray.is_initialized(), "interrupted": result.interrupted}
    print(json.dumps(told))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
