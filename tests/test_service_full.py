"""A server whose disk gets full: it says so in a line, breaks nothing, and works again once there is room."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from service_real import CUSTOMERS, LONG, QUICK, real_server, until

pytestmark = pytest.mark.slow
SIZE_MB = 24


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with little room; making one takes root."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("no small file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path, leave_kb: int) -> Path:
    """A file that takes all the room but so much."""
    ballast = place / "ballast"
    room = os.statvfs(place)
    with ballast.open("wb") as file:
        file.write(b"\0" * max(0, room.f_bavail * room.f_frsize - leave_kb * 1000))
    return ballast


@pytest.mark.long
def test_a_full_disk_is_told_in_a_line_and_all_works_again_with_room(small_disk: Path) -> None:
    with real_server(small_disk / "home", small_disk.with_name("log")) as server:
        dataset = server.upload()
        kept = server.begin(dataset, LONG)
        done = until(lambda: server.run(kept)["progress"].get("done"))
        ballast = fill(small_disk, leave_kb=300)
        large = b"a,b\n" + b"1,2\n" * 500_000
        refused = server.ask("POST", "/v1/datasets?name=large.csv", content=large)
        assert refused.status_code == 507
        assert refused.headers["content-type"] == "application/problem+json"
        assert "the disk of the server is full" in refused.json()["detail"]
        assert not list((server.home / "incoming").iterdir())
        fill_up(small_disk)
        for path in ("/healthz", "/v1/me", "/v1/runs", f"/v1/runs/{kept}", "/v1/datasets"):
            assert server.ask("GET", path).status_code == 200, path
        asked = server.ask("POST", "/v1/tokens", json={"name": "x" * 70})
        assert asked.status_code in (201, 507), asked.text
        until(lambda: all(map(is_idle, server.workers())))  # what came of a trial could not be written
        ballast.unlink()
        (small_disk / "rest").unlink()
        found = until(lambda: now if (now := server.run(kept))["state"] == "failed" or goes_on(now, done) else None)
        if found["state"] == "failed":  # where that could be written; else the server itself goes on with it
            assert "the disk is full" in found["error"]
            assert "\n" not in found["error"]
            server.json("POST", f"/v1/runs/{kept}/resume", json={})
        until(lambda: goes_on(server.run(kept), done))
        server.json("POST", f"/v1/runs/{kept}/cancel")
        assert server.wait(kept, "stopped", "failed")["has_model"]
        assert server.ask("POST", "/v1/datasets?name=large.csv", content=large).status_code == 201
        server.kill()
        with closing(sqlite3.connect(server.home / "server.db")) as work:
            assert work.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        server.start()
        assert len(server.json("GET", "/v1/datasets")["items"]) == 2


def goes_on(run: Mapping[str, Any], done: int) -> bool:
    """Whether it works, with more trials than it had."""
    return run["state"] == "working" and int(run["progress"].get("done", 0)) > done


def is_idle(worker: psutil.Process) -> bool:
    """Whether a run's process computes no more: it has ended, or waits to say what came of it."""
    try:
        return not worker.children(recursive=True)
    except psutil.NoSuchProcess:
        return True


def fill_up(place: Path) -> None:
    """To the last byte."""
    with (place / "rest").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 4096):
            pass


@pytest.mark.long
def test_a_file_that_the_system_lets_grow_no_further_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    """The same with a limit on the size of files, which needs no root: what a quota does."""
    with real_server(tmp_path / "home", file_bytes=4_000_000) as server:
        refused = server.ask("POST", "/v1/datasets?name=large.csv", content=b"a,b\n" + b"1,2\n" * 2_000_000)
        assert refused.status_code == 507
        assert not list((server.home / "incoming").iterdir())
        assert server.json("GET", "/v1/datasets")["items"] == []
        run_id = server.begin(server.upload(CUSTOMERS), QUICK)
        assert server.wait(run_id, "done", "failed")["state"] == "done"
