"""Who works on a run behind a URL, and what is told of a store that fails: real drivers, slow, stopped and killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import odd_store
import pytest
from drivers import until

import automl
from automl.errors import InputError, RunError
from automl.runtime import lease, mirror, remote
from automl.runtime.folder import RunFolder

HOUR_S = 3600.0


@pytest.fixture(autouse=True)
def hurried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments instead of minutes, and working folders that go with the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(odd_store.TROUBLE, str(tmp_path / "trouble"))
    monkeypatch.setenv(odd_store.HUNG, str(tmp_path / "hung"))
    for module, names in (
        (lease, "RENEW_S SETTLE_S HOLD_S EXPIRES_S PATIENCE_S"),
        (mirror, "SYNC_S LONGEST_PAUSE_S CLOSE_S"),
    ):
        for name in names.split():
            monkeypatch.setattr(module, name, getattr(module, name))  # to be as it was afterwards
    odd_store.hurry()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"odd://{tmp_path}/store/run"


class Driver:
    """A process that works on the run at a URL."""

    def __init__(self, url: str, skew_s: float = 0.0) -> None:
        words = [sys.executable, odd_store.__file__, url, str(skew_s)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def write_run(folder: RunFolder) -> None:
    folder.write_start({"options": {}})


def beats(tmp_path: Path) -> int:
    return int(json.loads((tmp_path / "store" / "run" / lease.NAME).read_text())["beat"])


@pytest.mark.parametrize("skew_s", [-HOUR_S, HOUR_S])
def test_a_driver_whose_uploads_hang_keeps_its_run(skew_s: float, url: str, tmp_path: Path) -> None:
    """Its lease is renewed beside them, however wrong its clock is; and it is not mistaken for one that is gone."""
    (tmp_path / "hung").touch()
    driver = Driver(url, skew_s)
    assert driver.hear() == "ready"
    until(lambda: beats(tmp_path) > 2, driver.process)
    said: list[str] = []
    with pytest.raises(RunError, match=rf"another run works in .*process {driver.process.pid} on "):
        RunFolder.reopen(url, said.append)
    assert len(said) == 1
    assert "waiting up to 200 s whether it still is" in said[0]
    driver.kill()


def test_a_killed_driver_makes_room_after_a_while(url: str, tmp_path: Path) -> None:
    """Nobody asks what time it thought it was: its lease has not changed for so long."""
    driver = Driver(url, HOUR_S)
    assert driver.hear() == "ready"
    until(lambda: (tmp_path / "store" / "run" / "options.json").exists(), driver.process)
    driver.kill()
    lease.EXPIRES_S = 1.0
    with RunFolder.reopen(url) as folder:
        assert folder.read_json("options.json") == {"by": driver.process.pid}
        assert folder.waited_s >= 1.0  # which the budget is spared
    lease.EXPIRES_S = 200.0
    with RunFolder.reopen(url) as folder:  # one that has ended makes room at once
        assert folder.waited_s < 200.0


def test_a_driver_that_slept_finds_its_run_taken_and_leaves_it_alone(url: str, tmp_path: Path) -> None:
    """A laptop whose lid was closed: the copy is the other one's by now, and the user is told."""
    driver = Driver(url)
    assert driver.hear() == "ready"
    until(lambda: (tmp_path / "store" / "run" / "options.json").exists(), driver.process)
    driver.process.send_signal(signal.SIGSTOP)
    lease.EXPIRES_S = 1.0
    with RunFolder.reopen(url) as folder:
        folder.event("asked", {"said": "by the second"})
        driver.process.send_signal(signal.SIGCONT)
        told = driver.hear()
        assert told.startswith(f"told: {url!r} is worked on by process ")
        assert told.endswith("nothing more is copied there")
        assert driver.process.stdin is not None
        driver.process.stdin.write("by the first\n")
        driver.process.stdin.flush()
        until(lambda: any("by the first" in log.read_text() for log in tmp_path.glob("cache/**/events.jsonl")))
        said, _ = driver.process.communicate()
        assert "does not hold the whole run: process" in said
    kept = (tmp_path / "store" / "run" / "events.jsonl").read_text()
    assert "by the second" in kept
    assert "by the first" not in kept


def test_of_two_that_come_at_once_one_has_it(url: str) -> None:
    """A new run at one URL, from two machines."""
    both = [Driver(url), Driver(url)]
    said = [driver.hear().split(":")[0] for driver in both]
    for driver in both:
        driver.kill()
    assert sorted(said) == ["ready", "refused"]


def test_whatever_error_a_store_has_is_told_and_the_copy_tried_again(url: str, tmp_path: Path) -> None:
    """Said once, however often it fails; and once more when all is well. The run goes on meanwhile."""
    said: list[str] = []
    with RunFolder.create(url, "table", said.append) as folder:
        write_run(folder)
        until(lambda: (tmp_path / "store" / "run" / "events.jsonl").exists())
        assert said == []
        (tmp_path / "trouble").touch()
        folder.write_json("report.json", {"a": 1})
        until(lambda: said)
        folder.event("told", {})
        (tmp_path / "trouble").unlink()
        until(lambda: (tmp_path / "store" / "run" / "report.json").exists())
        until(lambda: len(said) == 2)
    assert "cannot be written (StoreError: An error occurred (SlowDown)" in said[0]
    assert said[1].endswith("can be written again: it holds all of the run so far")
    assert '"event": "told"' in (tmp_path / "store" / "run" / "events.jsonl").read_text()


def test_one_file_that_cannot_be_copied_keeps_back_none_but_the_events(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are there; the events, which would promise it, are not."""
    whole = odd_store.OddStore.pipe_file

    def picky(self: odd_store.OddStore, path: str, value: bytes, **more: object) -> None:
        if "a-first.json" in path:
            raise odd_store.StoreError("no such name")
        whole(self, path, value, **more)

    monkeypatch.setattr(odd_store.OddStore, "pipe_file", picky)
    store = tmp_path / "store" / "run"
    folder = RunFolder.create(url, "table")
    for name in ("a-first.json", "b-second.json"):
        folder.write_json(name, {})
    folder.event("asked", {})
    with pytest.raises(RunError, match=r"does not hold the whole run: StoreError: no such name. It is in ") as refusal:
        folder.__exit__()
    assert "\n" not in str(refusal.value)
    assert (store / "b-second.json").exists()
    assert not (store / "events.jsonl").exists()


def test_what_ended_the_run_is_not_hidden_by_its_copy(url: str, tmp_path: Path) -> None:
    """The error of the run is raised, that of the store is told."""
    said: list[str] = []
    folder = RunFolder.create(url, "table", said.append)
    write_run(folder)
    (tmp_path / "trouble").touch()
    folder.__exit__(ZeroDivisionError, ZeroDivisionError())
    assert any("does not hold the whole run" in line for line in said)


def test_a_store_that_fails_at_the_start_is_one_line(url: str, tmp_path: Path) -> None:
    """A new run, one to go on with, a file, a saved model."""
    (tmp_path / "trouble").touch()
    for act in (lambda: RunFolder.create(url, "table"), lambda: RunFolder.reopen(url), lambda: automl.load(url)):
        with pytest.raises(InputError, match=r"cannot be (used|read): StoreError: An error occurred") as refusal:
            act()
        assert "\n" not in str(refusal.value)


def test_nothing_is_claimed_where_there_is_no_run(url: str, tmp_path: Path) -> None:
    """A wrong URL to resume gets no lease; a folder that is no run gives it back."""
    with pytest.raises(InputError, match="nothing is at"):
        RunFolder.reopen(url)
    assert not (tmp_path / "store").exists()
    (tmp_path / "store" / "run").mkdir(parents=True)
    (tmp_path / "store" / "run" / "other.txt").write_text("x")
    for _ in range(2):
        with pytest.raises(InputError, match=r"no run in .*options.json is not there"):
            RunFolder.reopen(url)


def test_what_is_fetched_holds_no_lease(url: str, tmp_path: Path) -> None:
    """It is about the place there, not about the copy here."""
    with RunFolder.create(url, "table") as folder:
        write_run(folder)
    fetched = remote.checkout(url, tmp_path / "here")
    assert (fetched / "options.json").exists()
    assert not (fetched / lease.NAME).exists()
