"""Who works on a run behind a URL: a lease that its driver renews every few seconds, apart from what it copies there.

Clocks of two machines are never compared. Whoever wants the run watches the lease for a while by its own clock: one
that changes is held, one that does not change is not. A claim is written, and read again after a moment: of two that
come at once the last to write has it. Stores have no locks, so this is as sure as a write takes less than SETTLE_S.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from automl.errors import InputError, RunError
from automl.runtime.store import RemoteFolder, why

NAME = "lease.json"
RENEW_S = 5.0
HOLD_S = 40.0  # after the last renewal, for which its driver takes the lease for its own: less than others wait
EXPIRES_S = 60.0  # without a change, after which another may have it
SETTLE_S = 2.0  # between a claim and the look whether it stayed
PATIENCE_S = 30.0  # for a store that does not answer at the start


class Lease:
    """A driver's hold on the run behind a URL."""

    def __init__(self, store: RemoteFolder, driver: str, tell: Callable[[str], None]) -> None:
        self._store, self._driver, self._tell = store, driver, tell
        self._token, self._beat = uuid.uuid4().hex, 0
        self._held_until = 0.0
        self.taken_by = ""  # another driver, which has it now
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="automl lease", daemon=True)

    @property
    def is_ours(self) -> bool:
        """Whether nobody else can have it now."""
        return not self.taken_by and _clock() < self._held_until

    def acquire(self) -> None:
        """Have it, or raise RunError: another driver renews it. One that is silent is watched for a minute."""
        seen = self._patiently(self._read)
        if seen and not _is_free(seen):
            self._watch(seen)
        self._patiently(self._write)
        time.sleep(SETTLE_S)
        if (holder := self._holder(self._patiently(self._read))) is not None:
            raise self._refusal(holder)
        self._thread.start()

    def release(self) -> None:
        """Let others have it at once; what fails here only costs them a minute."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(Exception):
            if not self.taken_by and self._holder(self._read()) is None:
                self._write(is_over=True)

    # --- held ---------------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        """Renew it until the end. What goes wrong is tried again; that uploads pause meanwhile is told there."""
        while not self._stop.wait(RENEW_S) and not self.taken_by:
            with suppress(Exception):  # of whatever library the store is reached with
                self._renew()

    def _renew(self) -> None:
        if (holder := self._holder(self._read())) is not None:
            self.taken_by = holder
            self._tell(
                f"{self._store.url!r} is worked on by {holder} now, which had not heard of this run for "
                f"{EXPIRES_S:g} s: nothing more is copied there"
            )
            return
        self._write()

    def _write(self, *, is_over: bool = False) -> None:
        began = _clock()
        self._beat += 1
        told = {"driver": self._driver, "token": self._token, "beat": self._beat, "is_over": is_over}
        self._store.put(NAME, json.dumps(told).encode())
        self._held_until = began + HOLD_S

    def _read(self) -> bytes:
        """What is there; nothing where there is none."""
        try:
            return self._store.get(NAME)
        except FileNotFoundError:
            return b""

    def _holder(self, content: bytes) -> str | None:
        """Another driver that a lease names; None where it is ours, or cannot be read."""
        told = _told(content)
        return str(told.get("driver")) if told and told.get("token") != self._token else None

    # --- wanted -------------------------------------------------------------------------------------------------------

    def _watch(self, seen: bytes) -> None:
        """Wait until it has not changed for so long; raise RunError once it does."""
        holder = self._holder(seen) or "another driver"
        self._tell(f"{self._store.url!r} was worked on by {holder}: waiting up to {EXPIRES_S:g} s whether it still is")
        until = time.monotonic() + EXPIRES_S
        while True:
            is_last = time.monotonic() >= until  # asked before the look: a holder had all the time to renew
            now = self._patiently(self._read)
            if now != seen and not _is_free(now):
                raise self._refusal(self._holder(now) or holder)
            if is_last or _is_free(now):
                return
            time.sleep(min(RENEW_S, max(0.0, until - time.monotonic())))

    def _patiently(self, act: Callable[[], Any]) -> Any:
        """Try for a while."""
        until, pause_s = time.monotonic() + PATIENCE_S, min(1.0, RENEW_S)
        while True:
            try:
                return act()
            except Exception as problem:  # of whatever library the store is reached with
                if time.monotonic() + pause_s > until:
                    raise InputError(
                        f"{self._store.url!r} cannot be used: {why(problem)}. Check the URL and your access to it."
                    ) from problem
                time.sleep(pause_s)
                pause_s *= 2

    def _refusal(self, holder: str) -> RunError:
        return RunError(f"another run works in {self._store.url!r} ({holder}). Wait for it, or stop it first.")


def _is_free(content: bytes) -> bool:
    """Whether there is none, or its driver has ended."""
    return not content or bool(_told(content).get("is_over"))


def _told(content: bytes) -> dict[str, Any]:
    """A lease as it was written; nothing where it is half there."""
    with suppress(ValueError):
        told = json.loads(content)
        if isinstance(told, dict):
            return told
    return {}


def _clock() -> float:
    """Seconds that go on while the machine sleeps, where it has such a clock: others do not wait for it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
