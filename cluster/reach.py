"""Whether a cluster's head can be reached at all, found out in seconds: Ray itself would try for minutes."""

from __future__ import annotations

import socket

PATIENCE_S = 10.0


def knock(address: str) -> None:
    """Raise OSError if nobody listens at "host:port" or "ray://host:port"; other addresses are Ray's to judge."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_S).close()
