"""Decoded files in the workers of a machine: all read the same memory.

python test_stores_shared.py FOLDER 2048    the same with a store of so many megabytes
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from automl.modalities.files.intake import STORE, read_store, write_facts
from automl.modalities.files.store import new_store
from cluster import contracts
from cluster.local import LocalPool
from cluster.pool import Grant, Job
from search_spaces.spec import Media

STORE_MB, WORKERS = 48, 4


def touch(_grant: Grant, meeting: str, block: Media) -> int:
    """Read every page once all workers are there; who did."""
    mine = Path(meeting) / str(os.getpid())
    mine.touch()
    while len(list(Path(meeting).iterdir())) < WORKERS:
        time.sleep(0.01)
    assert sum(int(row[::64].sum(dtype=np.int64)) for row in block.store) == block.store.size // 64
    return os.getpid()


def pss_mb(pid: int) -> float:
    """Of a process: its memory, what is shared counted by its share."""
    told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return float(next(line.split()[1] for line in told.splitlines() if line.startswith("Pss:"))) / 1024


def workers_with(folder: Path, mb: int) -> tuple[float, float]:
    """Megabytes of all workers together, before they read a store of so many and after it."""
    rows = mb
    folder.mkdir()
    with new_store(folder / STORE, (rows, 2**20), "|u1") as store:
        for row in range(rows):
            store.write(row, np.ones((1, 2**20), dtype=np.uint8))
    write_facts(folder, {"failures": {}})
    block = Media("image", read_store(folder)[0], np.arange(rows))
    with LocalPool(WORKERS, preload=("test_stores_shared",)) as pool:
        empty, whole = folder / "empty", folder / "whole"
        sizes = []
        for place, data in ((empty, pool.put(Media("image", np.ones((1, 64), np.uint8), np.arange(1)))),
                            (whole, pool.put(block))):  # fmt: skip
            place.mkdir()
            for number in range(WORKERS):
                pool.submit(Job(f"{place.name} {number}", "test_stores_shared:touch", str(place), (data,)))
            pids = [outcome.value for outcome in contracts.gather(pool, WORKERS).values()]
            assert len(set(pids)) == WORKERS, pids
            sizes.append(sum(map(pss_mb, pids)))
    return sizes[0], sizes[1]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux to tell shared memory")
def test_four_workers_hold_a_store_of_pictures_once(tmp_path: Path) -> None:
    """Not once each: what they hold together grows by its size, and by little else."""
    before_mb, after_mb = workers_with(tmp_path / "store", STORE_MB)
    assert STORE_MB * 0.9 < after_mb - before_mb < STORE_MB * 1.5


if __name__ == "__main__":
    before_mb, after_mb = workers_with(Path(sys.argv[1]) / "store", int(sys.argv[2]))
    print(f"{WORKERS} workers hold {before_mb:,.0f} MB together, with the store {after_mb:,.0f} MB")
