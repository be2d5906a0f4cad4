"""A store that is slow or fails, with errors of its own like those of real ones, and a driver that works behind it.

python odd_store.py URL SKEW_S    holds the run at URL by a clock that is wrong by so much, until its input ends
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from automl.runtime import lease, mirror

TROUBLE = "ODD_STORE_TROUBLE"  # names a file; as long as it is there, nothing works
HUNG = "ODD_STORE_HUNG"  # as long as this one is there, uploads do not come to their end


class StoreError(Exception):
    """What no caller knows to catch: neither OSError nor ValueError, as botocore's are."""


class OddStore(LocalFileSystem):
    """Files of this machine behind odd://, with trouble."""

    protocol = "odd"

    def exists(self, path: str, **more: Any) -> bool:
        self._fail()
        return super().exists(path, **more)

    def find(self, path: str, *args: Any, **more: Any) -> Any:
        self._fail()
        return super().find(path, *args, **more)

    def cat_file(self, path: str, *args: Any, **more: Any) -> bytes:
        self._fail()
        return super().cat_file(path, *args, **more)

    def pipe_file(self, path: str, value: bytes, **more: Any) -> None:
        while is_there(HUNG) and lease.NAME not in path:
            time.sleep(0.05)
        self._fail()
        super().pipe_file(path, value, **more)

    def _fail(self) -> None:
        if is_there(TROUBLE):
            raise StoreError("An error occurred (SlowDown) when calling the PutObject operation")


def is_there(name: str) -> bool:
    return name in os.environ and Path(os.environ[name]).exists()


def hurry(settle_s: float = 0.2) -> None:
    """Moments instead of minutes, but for what would end a driver that a busy machine keeps waiting."""
    lease.RENEW_S, lease.SETTLE_S, lease.EXPIRES_S, lease.HOLD_S = 0.1, settle_s, 200.0, 150.0
    lease.PATIENCE_S, mirror.CLOSE_S = 1.0, 1.0
    mirror.SYNC_S = mirror.LONGEST_PAUSE_S = 0.1


fsspec.register_implementation("odd", OddStore, clobber=True)


def main(url: str, skew_s: float) -> None:
    """Say "ready" once it is held, then what is told; end in order when the input ends."""
    from automl.errors import AutomlError
    from automl.runtime.folder import RunFolder

    hurry(settle_s=1.0)  # of two that come at once, on however busy a machine
    right = time.time
    time.time = lambda: right() + skew_s  # type: ignore[method-assign]
    try:
        with RunFolder.create(url, "table", lambda line: print(f"told: {line}", flush=True)) as folder:
            folder.write_json("options.json", {"by": os.getpid()})
            print("ready", flush=True)
            for line in sys.stdin:
                folder.event("asked", {"said": line.strip()})
    except AutomlError as refusal:
        print(f"refused: {refusal}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
