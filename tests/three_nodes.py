"""A driver on a Ray of three machines, one of which goes while trials run on it. Run by test_on_ray.py.

python three_nodes.py DATA RUN_FOLDER ENDED    take a machine away once so many folds have ended
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

import automl


def main(data: str, run: str, ended: int) -> None:
    """A head without CPUs, two machines with one each; one is taken away."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    machines = [cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")

    def take_away() -> None:
        log = Path(run, "events.jsonl")
        while not log.exists() or log.read_text().count('"event": "finished"') < ended:
            time.sleep(0.05)
        cluster.remove_node(machines[1], allow_graceful=False)

    threading.Thread(target=take_away, daemon=True).start()
    result = automl.fit(
        data, "churned", budget="8 trials", families="linear,lightgbm", cluster="ray", run_dir=run, verbose=0
    )
    print(json.dumps({"best": result.best, "is_still_there": ray.is_initialized()}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
