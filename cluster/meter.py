"""What a job used: CPU seconds of all its threads and finished children, wall seconds, peak resident memory.

Linux lets a process forget its high-water mark, so each job gets a peak of its own; elsewhere it is the worker's.
"""

from __future__ import annotations

import os
import re
import resource
import sys
import time
from pathlib import Path

from cluster.pool import Cost

_KB_PER_MB = 1024.0
_RUSAGE_PER_MB = 1024.0**2 if sys.platform == "darwin" else _KB_PER_MB  # ru_maxrss: bytes there, kilobytes elsewhere


class Meter:
    """Runs from its making; `read` may be called any number of times."""

    def __init__(self) -> None:
        self.started_s = time.monotonic()
        self.cpu_at_start_s = _own_cpu_s()
        _forget_peak()

    def read(self) -> Cost:
        """What this process has used since."""
        peak_mb = _peak_mb("self")
        if peak_mb is None:
            peak_mb = rusage_mb(resource.getrusage(resource.RUSAGE_SELF))
        return Cost(_own_cpu_s() - self.cpu_at_start_s, time.monotonic() - self.started_s, peak_mb)


def used_by(pid: int) -> tuple[float, float]:
    """CPU seconds and peak megabytes of another process so far; zeros once it is gone."""
    import psutil  # only asked when a job is killed

    try:
        process = psutil.Process(pid)
        cpu_s = float(sum(process.cpu_times()[:4]))  # user, system, and both of its finished children
        return cpu_s, _peak_mb(str(pid)) or process.memory_info().rss / _KB_PER_MB**2
    except psutil.Error:
        return 0.0, 0.0


def rusage_mb(usage: resource.struct_rusage) -> float:
    """The peak memory in what the system says about a process."""
    return usage.ru_maxrss / _RUSAGE_PER_MB


def _own_cpu_s() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")  # 5: set the high-water mark to what is resident now
    except OSError:
        return  # not Linux, or not allowed: the peak is then that of the worker's life


def _peak_mb(pid: str) -> float | None:
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path("/proc", pid, "status").read_text())
    except OSError:
        return None
    return int(found[1]) / _KB_PER_MB if found else None
