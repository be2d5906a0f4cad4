"""A store that speaks as S3 does, on this machine, for as long as a test needs it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

PATIENCE_S = 60.0


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Its address and keys, as variables of the environment that any client understands."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _until_it_answers(port, server)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip
    finally:
        server.terminate()
        server.wait(20)


def bucket(name: str, variables: dict[str, str]) -> Any:
    """A new bucket, and the file system that looks into it."""
    import s3fs

    os.environ.update(variables)
    store = s3fs.S3FileSystem(skip_instance_cache=True)
    store.mkdir(name)
    return store


def _until_it_answers(port: int, server: subprocess.Popen) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_s and server.poll() is None:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.1)
    raise AssertionError("the store did not start")
