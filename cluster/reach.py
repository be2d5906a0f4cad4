"""Reaching a cluster's head: whether anybody listens there, found out in seconds, and joining one that is not ready."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

PATIENCE_S = 10.0
PAUSE_S = 4.0  # before another try at a head that listens but does not serve yet


def knock(address: str) -> None:
    """Raise OSError if nobody listens at "host:port" or "ray://host:port"; other addresses are Ray's to judge."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_S).close()


def join(connect: Callable[[], object], times: int) -> None:
    """Connect to a head that listens; one that has just begun, or whose server fell at its start, is asked again."""
    for left in reversed(range(times)):
        try:
            connect()
        except ConnectionError:
            if not left:
                raise
            time.sleep(PAUSE_S)
        else:
            return
