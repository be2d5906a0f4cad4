"""A run on a server, watched: nothing is told twice or missed, a server that goes away is waited for, Ctrl-C stops."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from client_made import Answer, Asked, Scripted, as_json
from ground_made import Ground, ground
from service_real import real_server, until

from automl import Client
from automl.doors.client import watching
from automl.doors.client import wire as wires
from automl.doors.client.watching import WatchedRun
from automl.doors.service.line.queue import tell
from automl.errors import OptionError, RunError
from automl.runtime.progress import Pulse

RUN = "run_0123456789abcdef"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((wires, "PAUSE_S"), (watching, "PAUSE_S"), (watching, "MOST_PAUSE_S")):
        monkeypatch.setattr(module, name, 0.001)


class Heard:
    """What a listener was told, in order; it may press Ctrl-C when it hears something."""

    def __init__(self, interrupts: Callable[[str], bool] = lambda _: False) -> None:
        self.told: list[str] = []
        self.pulses: list[Pulse] = []
        self._interrupts = interrupts

    def _hear(self, what: str) -> None:
        self.told.append(what)
        if self._interrupts(what):
            raise KeyboardInterrupt

    def stage(self, name: str) -> None:
        self._hear(f"stage {name}")

    def say(self, line: str) -> None:
        self._hear(line)

    def trial(self, line: str) -> None:
        self._hear(f"trial {line}")

    def pulse(self, pulse: Pulse) -> None:
        self.pulses.append(pulse)


def event(kind: str, body: Mapping[str, Any], number: int | None = None) -> bytes:
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def run(state: str = "done", **more: Any) -> Answer:
    told = {"id": RUN, "name": "x", "dataset": "d", "state": state, "verdict": {}, "options": {}, "progress": {}}
    return as_json({**told, "model": "model_0123456789abcdef", "error": None, "shared": False, **more})


class OneRun:
    """A run whose events come in parts; a part that is None is a server that is not there."""

    def __init__(self, *parts: bytes | None, ends: Answer | None = None) -> None:
        self.parts, self.ends, self.cancels = list(parts), ends or run(), 0

    def __call__(self, asked: Asked) -> Answer:
        if asked.path.endswith("/events"):
            part = self.parts.pop(0) if len(self.parts) > 1 else self.parts[0]
            return (0, "", b"") if part is None else (200, "text/event-stream", part)
        if asked.path.endswith("/cancel"):
            self.cancels += 1
            return run("stopping")
        return self.ends


END = event("end", {"state": "done"})


def watched(server: Scripted, heard: Heard) -> Any:
    with Client(server.url, "aml_x") as client:
        return client._followed(RUN, heard, 0)


def test_what_a_run_says_is_told_to_the_same_listeners_as_here() -> None:
    progress = {"stage": "search", "elapsed_s": 2.5, "left_s": 7.5, "done": 3, "best": "roc_auc 0.9", "later": 1}
    said = [
        b"retry: 2000\n\n: still here\n\n",
        event("state", {"state": "queued"}, 1),
        event("stage", {"stage": "load"}, 2),
        event("note", {"line": "task binary\u2028by two\x85 values"}, 3),
        event("progress", progress),
        event("trial", {"line": "0 linear"}, 4),
        END,
    ]
    heard = Heard()
    with Scripted(OneRun(b"".join(said))) as server:
        result = watched(server, heard)
    assert result.id == RUN
    assert heard.told == [
        "stage waiting for its turn",
        "stage load",
        "task binary\u2028by two\x85 values",
        "trial 0 linear",
    ]
    assert heard.pulses == [Pulse(stage="search", elapsed_s=2.5, left_s=7.5, done=3, best="roc_auc 0.9")]


def test_a_server_that_goes_away_is_waited_for_and_nothing_is_told_twice() -> None:
    """Cut off, then not there for a while, then back: the client asks for what came after the last event it saw."""
    script = OneRun(
        event("note", {"line": "one"}, 1) + event("note", {"line": "two"}, 2), None, None,
        event("note", {"line": "three"}, 3) + END,
    )  # fmt: skip
    heard = Heard()
    with Scripted(script) as server:
        watched(server, heard)
        seen = [asked.headers["last-event-id"] for asked in server.asked if asked.path.endswith("/events")]
    assert heard.told[:2] == ["one", "two"]
    assert "the server does not answer; the run goes on without it" in heard.told[2]
    assert heard.told[3:] == ["the server answers again", "three"]
    assert seen == ["0", "2", "2", "2"]


def test_a_server_that_stays_away_is_given_up_and_the_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE_S", 0.02)
    heard = Heard()
    with Scripted(OneRun(None)) as server, pytest.raises(RunError) as caught:
        watched(server, heard)
    assert f"automl report {RUN} --server {server.url}" in str(caught.value)


def test_the_first_interrupt_asks_for_the_best_so_far() -> None:
    """The watching goes on until the run has stopped, and its result is given."""
    script = OneRun(event("note", {"line": "one"}, 1), event("note", {"line": "two"}, 2) + END, ends=run("stopped"))
    heard = Heard(lambda what: what == "one")
    with Scripted(script) as server:
        result = watched(server, heard)
    assert script.cancels == 1
    assert result.id == RUN
    assert heard.told[1].startswith("the server was asked to stop with the best so far")
    assert heard.told[2:] == ["two"]


def test_the_second_interrupt_leaves_the_run_going_and_says_so() -> None:
    script = OneRun(event("note", {"line": "one"}, 1), event("note", {"line": "two"}, 2))
    heard = Heard(lambda what: what in ("one", "two"))
    with Scripted(script) as server, pytest.raises(KeyboardInterrupt):
        watched(server, heard)
    assert script.cancels == 1
    assert "the run goes on on the server" in heard.told[-1]
    assert RUN in heard.told[-1]


def test_a_run_that_was_stopped_without_a_model_is_an_interrupt_or_an_error() -> None:
    """Who pressed Ctrl-C knows; whoever else watched is told how to go on."""
    ends = run("stopped", model=None)
    with Scripted(OneRun(END, ends=ends)) as server, pytest.raises(RunError, match=r"client.resume\('run_0123"):
        watched(server, Heard())
    script = OneRun(event("note", {"line": "one"}, 1), END, ends=ends)
    with Scripted(script) as server, pytest.raises(KeyboardInterrupt):
        watched(server, Heard(lambda what: what == "one"))


def test_a_run_that_failed_is_the_error_that_it_is_here() -> None:
    line = "metric must be one of accuracy, got 'x'."
    ends = run("failed", error=line, model=None, verdict={"failed": "OptionError"})
    with Scripted(OneRun(END, ends=ends)) as server, pytest.raises(OptionError) as caught:
        watched(server, Heard())
    assert str(caught.value) == line
    with Scripted(OneRun(END, ends=run("failed", error=line, model=None))) as server, pytest.raises(RunError):
        watched(server, Heard())


def test_all_that_a_pulse_holds_is_understood() -> None:
    """What a server tells of progress is what the runs of this version tell."""
    assert {"stage", "elapsed_s", "left_s", "done", "failed", "running", "best", "where"} == watching.PULSE


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again_is_watched_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 in the middle: what was said before it, during it and after it is heard once, and the end as well."""
    monkeypatch.setattr(watching, "MOST_PAUSE_S", 0.2)
    monkeypatch.setattr(watching, "PATIENCE_S", 120.0)
    home = tmp_path / "home"
    home.mkdir()
    with ground(f"sqlite:///{home / 'server.db'}", home) as made:
        token = made.accounts.first_admin()
        by = None if token is None else made.accounts.who(token)
        assert by is not None
        run_id = made.add(by).id
        made.set(run_id, state="working", lease_until=2.0**33)  # by a process that is silent
        with real_server(home) as server, Client(server.url, token) as client, ThreadPoolExecutor(1) as beside:
            heard = Heard()
            watch = WatchedRun(client._wire, run_id, heard)
            over = beside.submit(watch.follow)
            said(made, run_id, "one")
            until(lambda: "one" in heard.told)
            server.kill()
            said(made, run_id, "two")
            until(lambda: any("does not answer" in line for line in heard.told))
            server.settings["port"] = int(server.url.rpartition(":")[2])
            server.start()
            said(made, run_id, "three")
            until(lambda: "three" in heard.told)
            made.set(run_id, state="done")
            said(made, run_id, "four")
            over.result()
    lines = [line for line in heard.told if line in ("one", "two", "three", "four")]
    assert lines == ["one", "two", "three", "four"]
    assert "the server answers again" in heard.told


def said(made: Ground, run_id: str, line: str) -> None:
    """What the process of the run would say."""
    with made.database.writing() as work:
        tell(work, run_id, made.database.now(work), [("note", {"line": line})])
