"""The process that looks at one data set and ends. Whatever a stranger's data does to a decoder, it does it here.

It has little memory and time, no way to write large files, and ends with the server. It answers with one line of JSON:
what it found, or what is wrong in one line.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from automl.errors import AutomlError
from automl.messages import one_line
from cluster.memory import is_out_of_memory

LIBRARIES_MB = 6144  # that libraries map without holding it
SLACK_S = 10  # of CPU time beyond the seconds that the server waits, for each core
DIE_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG


def main() -> int:
    """Do what standard input says."""
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    order = json.loads(sys.stdin.buffer.read())
    bound(order)
    with answer:
        answer.write(json.dumps(_done(order), ensure_ascii=False).encode("utf-8", "replace"))
    return 0


def bound(order: Mapping[str, Any]) -> None:
    """Take from this process what it does not need."""
    with suppress(OSError, AttributeError):  # of Linux alone
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != order["parent"]:  # it went away before
        os._exit(1)
    cores = os.cpu_count() or 1
    limits = {
        resource.RLIMIT_AS: (order["most_mb"] + LIBRARIES_MB) * 2**20,
        resource.RLIMIT_CPU: int((order["most_s"] + SLACK_S) * cores),
        resource.RLIMIT_FSIZE: int(order["most_bytes"]) + 2**20,
        resource.RLIMIT_CORE: 0,
    }
    for which, limit in limits.items():
        _, hard = resource.getrlimit(which)
        most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(which, (most, most))
    with suppress(OSError):
        os.nice(5)


def _done(order: Mapping[str, Any]) -> dict[str, Any]:
    from automl.doors.service.data.unpacking import TooLargeError

    try:
        return {"found": _verb(order["verb"])(order)}
    except TooLargeError as error:
        return {"status": 413, "problem": str(error)}
    except AutomlError as error:
        full = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
        return {"status": 422, "problem": str(error), "errno": full}
    except OSError as error:
        return {"status": 422, "problem": f"it cannot be read: {one_line(error)}.", "errno": error.errno}
    except MemoryError:
        return {"status": 422, "problem": None}
    except Exception as error:  # noqa: BLE001 - of whatever decodes the data: told, and the log holds it
        traceback.print_exc()
        too_much = is_out_of_memory(error)
        problem = None if too_much else f"it cannot be read: {type(error).__name__}: {one_line(error)}."
        return {"status": 422, "problem": problem}


def _verb(name: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    from automl.doors.service.data import landing

    if name in ("land", "refer"):
        return landing.land if name == "land" else landing.refer
    if name == "plain":
        from automl.doors.service.data.plain_parquet import plain

        return plain
    from automl.doors.service.data.seen import see

    return see


if __name__ == "__main__":
    sys.exit(main())
