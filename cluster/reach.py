"""Reaching a cluster: whether anybody listens at its head, joining one that is not ready, waiting for its machines."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress

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


def grow(slots: Callable[[], int], ask_for: Callable[[int], object], want: int, patience_s: float) -> tuple[bool, str]:
    """Ask a cluster that grows for the CPUs wanted and wait for them, but not for ever.

    Whether it was asked; and a note for the user, where there are fewer.
    """
    has_asked = False
    if (count := slots()) >= max(1, want):
        return has_asked, ""
    with suppress(Exception):  # a cluster that cannot grow says so in many ways; then we take what is there
        ask_for(max(1, want))
        has_asked = True
    until_s = time.monotonic() + patience_s
    while (count := slots()) < max(1, want) and time.monotonic() < until_s:
        time.sleep(min(0.5, patience_s))
    told = f"{want} CPUs were asked for; after {patience_s:g} s there are {count}: going on"
    return has_asked, told if count < want else ""
