"""A driver of chaos.py: `automl WORDS`, with GPUs that are only pretended, short courses, and leases of seconds.

    python benchmarks/chaos_driver.py GPUS LIMIT WORDS...

Pretended GPUs are handed out and counted as real ones are; what is computed there is computed on CPUs. LIMIT is how
many bytes a file may have (0: any number), where no disk that is full can be had.
"""

from __future__ import annotations

import dataclasses
import resource
import signal
import sys
from collections.abc import Sequence
from functools import partial

import search_spaces
from automl.doors.cli import main as automl_main
from automl.runtime import lease, mirror, workplace
from cluster.devices import Gpu
from cluster.local import LocalPool

STEPS = 60  # of a course: enough for what small pictures hold


def main(argv: Sequence[str]) -> int:
    """Run it to its end, or to its sudden one."""
    gpus, limit, words = int(argv[0]), int(argv[1]), list(argv[2:])
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if gpus:
        _pretend(gpus, is_ray="ray" in words)
    convnet = search_spaces.get("convnet")
    for knob, start in convnet.quick.items():
        convnet.space[knob] = dataclasses.replace(convnet.space[knob], start=start)
    convnet.space["steps"] = dataclasses.replace(convnet.space["steps"], low=1, start=STEPS)
    lease.RENEW_S, lease.SETTLE_S, lease.HOLD_S, lease.EXPIRES_S = 0.3, 0.5, 3.0, 4.0
    mirror.SYNC_S = 0.5
    return automl_main(words)


def _pretend(gpus: int, *, is_ray: bool) -> None:
    if is_ray:
        import ray

        ray.init(address="local", num_cpus=2, num_gpus=gpus, include_dashboard=False, log_to_driver=False,
                 logging_level="ERROR")  # fmt: skip
    else:
        found = [Gpu(str(number), "pretended") for number in range(gpus)]
        workplace.LocalPool = partial(LocalPool, gpus=found)  # type: ignore[misc]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
