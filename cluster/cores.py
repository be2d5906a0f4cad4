"""How many CPU cores there really are for this process, containers included."""

from __future__ import annotations

import os


def cores() -> int:
    """CPU cores this process may use: affinity and, on Linux, the container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as limit:  # noqa: PTH123 - a kernel file, not a path of ours
            quota, period = limit.read().split()
        return count if quota == "max" else max(1, min(count, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such limit on this system
        return count
