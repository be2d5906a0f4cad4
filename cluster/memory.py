"""How much memory is free for this process, containers included; and what an error looks like where there was none."""

from __future__ import annotations

from pathlib import Path

MB = 1024.0**2
# What errors say that have no class of their own: of CUDA and HIP, of their libraries, of torch on a CPU.
_SIGNS = ("out of memory", "OutOfMemory", "ALLOC_FAILED", "can't allocate memory", "not enough memory")


def free_mb() -> float:
    """Megabytes that may still be used: what the system has available, or what the container's limit leaves."""
    import psutil

    free = float(psutil.virtual_memory().available) / MB
    try:
        group = Path("/sys/fs/cgroup")
        limit, used = (group / "memory.max").read_text().strip(), int((group / "memory.current").read_text())
        cached = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        if limit != "max":
            free = min(free, (int(limit) - used + int(cached.get("inactive_file", 0))) / MB)
    except (OSError, ValueError):  # no such limit on this system
        return free
    return max(0.0, free)


def kills() -> int:
    """Processes that the system has killed so far because memory ran out; 0 where it does not tell."""
    for place in (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat")):
        try:
            told = dict(line.split() for line in place.read_text().splitlines())
            return int(told["oom_kill"])
        except (OSError, ValueError, KeyError):  # another system, or an older one
            continue
    return 0


def is_out_of_memory(problem: BaseException) -> bool:
    """Whether memory ran out, of the machine or of its GPU; whatever the library, none has to be loaded to ask."""
    if isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError":
        return True
    return isinstance(problem, RuntimeError) and any(sign in str(problem) for sign in _SIGNS)
