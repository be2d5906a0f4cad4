"""Temporary folders that outlive nobody: real owners are killed, and what they left goes at the next start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from drivers import until

from cluster import scratch, share
from cluster.local import LocalPool

OWNER = """
import sys, time
from cluster import share
share.roots = lambda: [sys.argv[1]]
from cluster.local import LocalPool
pool = LocalPool(1)
pool.put(b"x" * 1000)
print("ready", flush=True)
time.sleep(600)
"""


def owner(root: Path) -> subprocess.Popen[str]:
    """A driver whose values lie below `root`."""
    process = subprocess.Popen([sys.executable, "-c", OWNER, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def values(root: Path) -> set[Path]:
    return {path.parent for path in root.glob("automl-*/*.value")}


def end(driver: subprocess.Popen[str]) -> None:
    """Driver and nursery at once, as by a machine that runs out of memory: neither can tidy up behind the other."""
    (nursery,) = psutil.Process(driver.pid).children()
    nursery.send_signal(signal.SIGSTOP)
    driver.kill()
    driver.communicate()
    nursery.kill()
    until(lambda: not psutil.pid_exists(nursery.pid) or nursery.status() == psutil.STATUS_ZOMBIE)


def test_what_a_killed_driver_and_its_nursery_left_is_swept_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The values of a driver that lives stay, however many start beside it."""
    alive = owner(tmp_path)
    living = values(tmp_path)
    dead = owner(tmp_path)
    left = values(tmp_path) - living
    end(dead)
    assert values(tmp_path) == living | left
    assert len(left) == 1
    monkeypatch.setattr(share, "roots", lambda: [str(tmp_path)])
    with LocalPool(1) as pool:
        pool.put(b"y" * 1000)
        assert living < values(tmp_path)
        assert not left & values(tmp_path)
    assert values(tmp_path) == living
    alive.kill()
    alive.communicate()
    until(lambda: not values(tmp_path))  # here the nursery lives on, and tidies up


def test_a_number_given_to_another_process_keeps_nothing(tmp_path: Path) -> None:
    """Whose the folder was is not asked of process numbers: a dead owner's may be that of a process that lives."""
    one = scratch.Scratch(tmp_path)
    os.close(one._lock)  # what its death would do
    (one.path / scratch.OWNER).write_text(f"{scratch._machine()[0]}\n{os.getpid()}")
    assert scratch.sweep([tmp_path]) == [one.path]
    one._lock = -1


def test_only_what_is_ours_and_of_this_machine_is_swept(tmp_path: Path) -> None:
    """Not a folder that lives, one without an owner's mark, one of another machine, nor what a link leads to."""
    alive = scratch.Scratch(tmp_path)
    (tmp_path / "automl-plain").mkdir()
    other = tmp_path / "automl-other"
    other.mkdir()
    (other / scratch.OWNER).write_text("elsewhere\n0000")
    target = tmp_path / "target"
    target.mkdir()
    (target / scratch.OWNER).write_text("\n".join(scratch._machine()))
    (tmp_path / "automl-link").symlink_to(target)
    assert scratch.sweep([tmp_path, tmp_path / "nothing"]) == []
    assert (target / scratch.OWNER).exists()
    alive.close()
    assert not alive.path.exists()


def test_a_fork_of_the_owner_removes_nothing(tmp_path: Path) -> None:
    """Its folder is the owner's."""
    one = scratch.Scratch(tmp_path)
    one._maker += 1
    one.close()
    assert one.path.is_dir()
    one._maker -= 1
    one.close()
    assert not one.path.exists()


KILLED = """
import os, sys
from cluster.scratch import Scratch
left = int(sys.argv[2])
one = Scratch(sys.argv[1])
(one.path / "inner").mkdir()
for at in range(6):
    (one.path / ("inner" if at % 2 else ".") / str(at)).touch()
def die(event, _):
    global left
    if event == "os.remove":
        left -= 1
        if left < 0:
            os._exit(9)
sys.addaudithook(die)
one.close()
"""


@pytest.mark.parametrize("removed", range(7))
def test_who_is_killed_while_it_tidies_up_leaves_nothing_that_is_never_swept(removed: int, tmp_path: Path) -> None:
    """However far it came: six files and the owner's mark, which tells the next one whose the rest is."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(removed)], check=False)
    assert done.returncode == 9
    assert len(scratch.sweep([tmp_path])) == 1
    assert list(tmp_path.iterdir()) == []
