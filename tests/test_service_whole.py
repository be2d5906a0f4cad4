"""Disks that are full, servers that are killed: no data set is half there, none is lost, and memory stays small."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets_made import TABLE, Home, home_of

from automl.doors.service.data import receiving

PATIENCE_S = 120


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with home_of(tmp_path / "home") as made:
        yield made


class Full:
    """A file on a disk without room."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, content: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_a_clear_answer_and_nothing_is_kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = home.headers("ada")
    begin = receiving.Writing.__init__

    def full(self: Any, *given: Any) -> None:
        begin(self, *given)
        self._file = Full(self._file)

    monkeypatch.setattr(receiving.Writing, "__init__", full)
    answer = home.send(ada, "x.csv", TABLE)
    assert answer.status_code == 507
    assert "the disk of the server is full" in answer.json()["detail"]
    assert home.left() == []
    monkeypatch.undo()
    monkeypatch.setattr(home.datasets, "_known", lambda made: Full(None).write(made))
    assert home.send(ada, "x.csv", TABLE).status_code == 507
    assert home.left() == []


SERVER = """
    import asyncio, json, os, resource, sys, time
    from pathlib import Path
    from datasets_made import home_of
    with home_of(Path(sys.argv[1])) as home:
        by = home.who(home.headers("ada"))
        async def body(parts, wait_s=0.0):
            yield b"a,b\\n"
            for at in range(parts):
                if wait_s:
                    print("half", flush=True)
                    await asyncio.sleep(wait_s)
                yield b"1,2\\n" * 2**18
"""


def child(home: Path, what: str) -> subprocess.Popen[str]:
    code = textwrap.dedent(SERVER) + textwrap.indent(textwrap.dedent(what), "    ")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True, env=env)


def test_a_file_that_the_system_lets_grow_no_further_is_a_clear_answer(tmp_path: Path) -> None:
    """A real error of the disk, by the limit that a process has for its files."""
    process = child(tmp_path / "home", """
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
        answer = home.send(home.headers("bob"), "x.csv", b"1,2\\n" * 2**19)
        print(json.dumps([answer.status_code, answer.json()["detail"], home.left()]))
    """)  # fmt: skip
    told, _ = process.communicate(timeout=PATIENCE_S)
    assert told.startswith('[507, "the disk of the server is full')
    assert told.endswith(", []]\n")


def left_after(home: Path) -> list[str]:
    """What the next server finds there once it has cleared up."""
    with home_of(home) as again:
        again.datasets.sweep()
        return again.left()


def test_an_upload_that_is_killed_half_way_leaves_nothing(tmp_path: Path) -> None:
    process = child(tmp_path / "home", "asyncio.run(home.datasets.upload(by, 'x.csv', body(50, 600)))")
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.kill()
    process.communicate()
    assert any(file.endswith(".part") for file in _found(tmp_path / "home"))
    assert left_after(tmp_path / "home") == []


@pytest.mark.long
@pytest.mark.parametrize("moment", ["look", "_place", "_known"])
def test_a_server_that_is_killed_while_it_takes_in_leaves_nothing(tmp_path: Path, moment: str) -> None:
    """Before it was looked at, before it came to its place, and before it was known there."""
    owner = "home.datasets.looking" if moment == "look" else "home.datasets"
    process = child(tmp_path / "home", f"""
        {owner}.{moment} = lambda *given: os.kill(os.getpid(), 9)
        asyncio.run(home.datasets.upload(by, "x.csv", body(2)))
    """)  # fmt: skip
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGKILL
    assert _found(tmp_path / "home") != []
    assert left_after(tmp_path / "home") == []


def test_what_is_there_is_still_there_after_a_sweep(tmp_path: Path) -> None:
    """Whatever else lies about: nobody's data are cleared up, also where the database is another one."""
    with home_of(tmp_path / "home") as home:
        mine = home.send(home.headers("ada"), "x.csv", TABLE).json()["id"]
        (tmp_path / "home" / "datasets" / "dataset_of_another_database").mkdir()
        before = home.left()
        home.datasets.sweep()
        assert home.left() == before
        assert home.datasets.source(mine).path.read_bytes() == TABLE


def test_a_look_ends_with_the_server(tmp_path: Path) -> None:
    """Its process writes nothing into a home that another server may have cleared up."""
    process = child(tmp_path / "home", """
        from automl.doors.service.data import looking
        begin = looking.subprocess.Popen
        def begun(*given, **named):
            made = begin(*given, **named)
            print(made.pid, flush=True)
            os.kill(made.pid, 19)
            return made
        looking.subprocess.Popen = begun
        asyncio.run(home.datasets.upload(by, "x.csv", body(1)))
    """)  # fmt: skip
    assert process.stdout is not None
    looker_pid = int(process.stdout.readline())
    process.kill()
    process.communicate()
    os.kill(looker_pid, signal.SIGCONT)
    until = time.monotonic() + PATIENCE_S
    while _is_alive(looker_pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _is_alive(looker_pid)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _found(home: Path) -> list[str]:
    return [file.name for name in ("incoming", "datasets") for file in (home / name).rglob("*")]


@pytest.mark.long
@pytest.mark.slow
def test_memory_does_not_grow_with_an_upload(tmp_path: Path) -> None:
    """300 MB, of which the process that takes them in holds a few."""
    process = child(tmp_path / "home", """
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        asyncio.run(home.datasets.upload(by, "x.csv", body(1)))
        before = peak()
        asyncio.run(home.datasets.upload(by, "x.csv", body(300)))
        print(peak() - before)
    """)  # fmt: skip
    told, _ = process.communicate(timeout=PATIENCE_S)
    assert float(told) < 60
