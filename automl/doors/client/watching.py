"""A run on a server, watched from here: the same watchers are told as of a run on this machine.

A server that goes away is waited for: the run goes on without it, and its events are numbered, so none is missed or
told twice. Ctrl-C asks the server to stop with the best so far; a second one leaves the run to itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields

from automl.doors.client.trouble import NoAnswerError
from automl.doors.client.wire import Event, Wire
from automl.errors import AutomlError, RunError
from automl.runtime.progress import Pulse, Watcher

PATIENCE_S = 600.0  # without an answer
PAUSE_S, MOST_PAUSE_S = 0.5, 10.0  # between two tries; the pause doubles
PULSE = {spec.name for spec in fields(Pulse)}


class WatchedRun:
    """One run, until it is over."""

    def __init__(self, wire: Wire, run_id: str, listener: Watcher) -> None:
        self._wire, self._run_id, self._listener = wire, run_id, listener
        self._seen = 0  # number of the last event
        self._lost_since: float | None = None
        self._is_told = False  # that the server is lost
        self._pause_s = PAUSE_S
        self.was_stopped = False  # by Ctrl-C here

    def follow(self, after: int = 0) -> None:
        """Tell the listener what happens, from the event after that one, until the run is over."""
        self._seen = after
        while True:
            try:
                if self._listen():
                    return
                self._wait(None)
            except NoAnswerError as error:
                self._uninterrupted(lambda error=error: self._wait(error))  # type: ignore[misc]
            except KeyboardInterrupt:
                self._interrupted()

    def _listen(self) -> bool:
        """Whether the run is over; not, where the server ended the events."""
        for event in self._wire.events(f"/v1/runs/{self._run_id}/events", self._seen):
            if self._is_told:
                self._listener.say("the server answers again")
            self._lost_since, self._is_told, self._pause_s = None, False, PAUSE_S
            if event.number is not None:
                self._seen = event.number
            if event.kind == "end":
                return True
            self._tell(event)
        return False

    def _tell(self, event: Event) -> None:
        body = event.body
        if event.kind == "stage":
            self._listener.stage(str(body.get("stage", "")))
        elif event.kind == "note":
            self._listener.say(str(body.get("line", "")))
        elif event.kind == "trial":
            self._listener.trial(str(body.get("line", "")))
        elif event.kind == "progress" and {"stage", "elapsed_s"} <= set(body):
            told = {name: value for name, value in body.items() if name in PULSE}
            self._listener.pulse(Pulse(**{"left_s": None, **told}))
        elif event.kind == "state" and body.get("state") == "queued":
            if body.get("error"):
                self._listener.say(f"note: {body['error']}")
            self._listener.stage("waiting for its turn")

    def _wait(self, error: NoAnswerError | None) -> None:
        """A pause before the server is asked again, longer each time; enough is enough."""
        self._lost_since = self._lost_since or time.monotonic()
        minutes = f"{PATIENCE_S / 60:g} minutes"
        if time.monotonic() - self._lost_since > PATIENCE_S:
            raise RunError(
                f"the server at {self._wire.url} has not answered for {minutes}. {self._left_behind()}"
            ) from error
        if error is not None and not self._is_told:
            self._listener.say(f"the server does not answer; the run goes on without it, and is asked for {minutes}")
            self._is_told = True
        time.sleep(self._pause_s)
        self._pause_s = min(MOST_PAUSE_S, self._pause_s * 2)

    def _uninterrupted(self, wait: Callable[[], None]) -> None:
        try:
            wait()
        except KeyboardInterrupt:
            self._interrupted()

    def _interrupted(self) -> None:
        """The first Ctrl-C asks the run to stop, the second lets go of it."""
        if self.was_stopped:
            self._listener.say(f"the run goes on on the server. {self._left_behind()}")
            raise KeyboardInterrupt
        self.was_stopped = True
        try:
            self._wire.post(f"/v1/runs/{self._run_id}/cancel", {})
            self._listener.say("the server was asked to stop with the best so far; Ctrl-C again leaves it to the run")
        except AutomlError as error:
            self._listener.say(f"the server could not be asked to stop: {error} Ctrl-C again leaves the run to itself")

    def _left_behind(self) -> str:
        return (
            f"It is {self._run_id}; once it is over, automl report {self._run_id} --server {self._wire.url} tells of "
            "it, and so does result() of a client."
        )
