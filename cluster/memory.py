"""How much memory is free for this process, containers included."""

from __future__ import annotations

from pathlib import Path

MB = 1024.0**2


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
