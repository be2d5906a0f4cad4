"""Pools: the contract over every backend, and what only processes of this machine can promise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from cluster import contracts, share
from cluster.local import LocalPool
from cluster.meter import Meter
from cluster.nursery import Errand, _in_time
from cluster.pool import Grant, Job, Outcome, Pool, Status
from cluster.task import Task

REPOSITORY = Path(__file__).parent.parent
PATIENCE_S = 120.0  # nothing waits longer, on however busy a machine


def open_local(slots: int) -> Pool:
    return LocalPool(slots, preload=("cluster.contracts", "numpy"))


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.ray)])
def open_pool(request: pytest.FixtureRequest) -> contracts.OpenPool:
    """Each backend's way to open a pool; the Ray of the whole session is one that was there before."""
    return open_local if request.param == "local" else request.getfixturevalue("open_ray")


@pytest.mark.parametrize("check", contracts.CHECKS, ids=lambda check: check.__name__)
def test_pool_keeps_its_contract(check: Callable[[contracts.OpenPool], None], open_pool: contracts.OpenPool) -> None:
    """Every backend keeps every clause of the contract."""
    check(open_pool)


@pytest.fixture
def pool() -> Iterator[LocalPool]:
    with LocalPool(1, preload=("cluster.contracts",)) as opened:
        yield opened


def run(pool: Pool, function: str, payload: object = None, **options: object) -> Outcome:
    pool.submit(Job("it", function, payload, **options))  # type: ignore[arg-type] # options of Job
    return contracts.gather(pool, 1)["it"]


def nursery_of(pool: LocalPool) -> psutil.Process:
    return next(child for child in psutil.Process().children() if child.pid == pool._crew._nursery.pid)


def is_gone(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def wait_for(condition: Callable[[], bool]) -> bool:
    ends_s = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < ends_s:
        time.sleep(0.02)
    return condition()


# --- processes -------------------------------------------------------------------------------------------------------


def drive(code: str, *, session: bool = False) -> subprocess.Popen[str]:
    """Start another driver on some code; it prints what the test waits for."""
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, start_new_session=session
    )


def line_of(driver: subprocess.Popen[str]) -> str:
    assert driver.stdout is not None
    return driver.stdout.readline()


def test_killing_the_driver_leaves_no_process_and_no_file() -> None:
    """Workers deep in native code, the nursery and the shared files all go when the driver is killed."""
    driver = drive(
        "import psutil; from cluster.local import LocalPool; from cluster.pool import Job\n"
        "pool = LocalPool(2); ref = pool.put(bytes(1000))\n"
        "pool.submit(Job('a', 'cluster.contracts:spin')); pool.submit(Job('b', 'cluster.contracts:spin'))\n"
        "ours = lambda: [p.pid for p in psutil.Process().children(recursive=True)]\n"
        "while len(ours()) < 3: pool.wait(0.1)\n"
        "print(ref.key, *ours(), flush=True); pool.wait(600)"
    )
    with driver:
        key, *pids = line_of(driver).split()
        assert len(pids) == 3
        assert not any(is_gone(int(pid)) for pid in pids)
        driver.kill()
    assert wait_for(lambda: all(is_gone(int(pid)) for pid in pids))
    assert wait_for(lambda: not Path(key).parent.exists())


def test_leaving_a_pool_open_leaves_no_process_and_no_file() -> None:
    """A program that ends without closing its pool takes everything along."""
    driver = drive(
        "import psutil; from cluster.local import LocalPool; from cluster.pool import Job\n"
        "pool = LocalPool(1); ref = pool.put(bytes(1000)); pool.submit(Job('a', 'cluster.contracts:spin'))\n"
        "ours = lambda: [p.pid for p in psutil.Process().children(recursive=True)]\n"
        "while len(ours()) < 2: pool.wait(0.1)\n"
        "print(ref.key, *ours(), flush=True)"
    )
    with driver:
        key, *pids = line_of(driver).split()
        assert driver.wait(PATIENCE_S) == 0
    assert len(pids) == 2
    assert wait_for(lambda: all(is_gone(int(pid)) for pid in pids))
    assert not Path(key).parent.exists()


def test_ctrl_c_reaches_the_driver_only(tmp_path: Path) -> None:
    """An interrupt of the whole foreground group ends the driver's wait, not the job."""
    began, end = tmp_path / "began", tmp_path / "end"
    driver = drive(
        "from pathlib import Path; from cluster.local import LocalPool; from cluster.pool import Job\n"
        "with LocalPool(1) as pool:\n"
        f"    began, end = Path({str(began)!r}), Path({str(end)!r})\n"
        "    pool.submit(Job('a', 'cluster.contracts:hold', (str(began), str(end))))\n"
        "    while not began.exists(): pool.wait(0.1)\n"
        "    try: print('waits', flush=True); pool.wait(600)\n"
        "    except KeyboardInterrupt: end.touch(); print('interrupted', pool.wait(600)[0].status, flush=True)",
        session=True,
    )
    with driver:
        assert line_of(driver) == "waits\n"
        os.killpg(driver.pid, signal.SIGINT)
        assert line_of(driver) == "interrupted done\n"


def test_the_main_module_is_never_run_again(tmp_path: Path) -> None:
    """A script without a main guard opens a pool, and its own lines run once."""
    script = tmp_path / "script.py"
    script.write_text(
        "from cluster.local import LocalPool\nfrom cluster.pool import Job\nprint('ran')\n"
        "with LocalPool(1) as pool:\n"
        "    pool.submit(Job('a', 'cluster.contracts:square', 7))\n"
        "    print(pool.wait(600)[0].value)\n"
    )
    for command in ([str(script)], ["-c", script.read_text()]):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        assert (done.stdout, done.stderr) == ("ran\n49\n", "")


def test_a_fork_of_the_driver_cannot_end_its_pool() -> None:
    """A pool belongs to the process that opened it; a forked copy that closes it, or ends, changes nothing."""
    driver = drive(
        "import os; from cluster.local import LocalPool; from cluster.pool import Job\n"
        "pool = LocalPool(1); ref = pool.put(b'shared'); child = os.fork()\n"
        "if not child: pool.close(); raise SystemExit\n"
        "os.waitpid(child, 0); pool.submit(Job('a', 'cluster.contracts:size', data=(ref,)))\n"
        "print(pool.wait(600)[0].value)"
    )
    with driver:
        assert line_of(driver) == "6\n"


def test_a_dead_nursery_is_replaced_once(pool: LocalPool, tmp_path: Path) -> None:
    """Its running job is LOST, the next one runs; after a second death jobs are LOST at once instead of waiting."""
    note = tmp_path / "pid"
    pool.submit(Job("victim", "cluster.contracts:spin", str(note)))
    assert wait_for(lambda: not pool.wait(0.1) and note.exists())
    nursery_of(pool).kill()
    assert contracts.gather(pool, 1)["victim"].status is Status.LOST
    assert run(pool, "cluster.contracts:square", 3).value == 9
    nursery_of(pool).kill()
    assert wait_for(lambda: run(pool, "cluster.contracts:square", 3).status is Status.LOST)
    assert "twice" in run(pool, "cluster.contracts:square", 3).error


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="names of threads are read from /proc")
def test_the_nursery_starts_no_thread() -> None:
    """Forking is safe only without threads; Arrow's allocator has one, and looks after it around a fork."""
    with LocalPool(1, preload=("pandas", "sklearn.linear_model")) as pool:
        run(pool, "cluster.contracts:square", 1)
        assert wait_for(lambda: pool._crew.read_news() and pool._crew.is_warm)
        threads = Path("/proc", str(nursery_of(pool).pid), "task").glob("*/comm")
        names = [path.read_text().strip() for path in threads]
        assert len([name for name in names if name != "jemalloc_bg_thd"]) == 1, names


def test_workers_born_early_are_replaced_by_warm_ones() -> None:
    """Once everything is preloaded, jobs find it loaded, and a module that cannot be preloaded hurts nobody."""
    with LocalPool(1, preload=("json", "no_such_module_at_all", "wave")) as pool:
        run(pool, "cluster.contracts:square", 1)
        assert wait_for(lambda: pool._crew.read_news() and pool._crew.is_warm)
        assert run(pool, f"{__name__}:loaded", "wave").value is True
        assert run(pool, f"{__name__}:loaded", "chunk_of_nothing").value is False


GATE = """
import os, time
from pathlib import Path
while not Path(os.environ["GATE"]).exists():
    time.sleep(0.01)
"""


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


@pytest.fixture
def gated(tmp_path: Path, gate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalPool]:
    """A pool of two whose nursery waits in an import until the gate is there."""
    (tmp_path / "slow_to_import.py").write_text(GATE)
    monkeypatch.syspath_prepend(tmp_path)
    with LocalPool(2, preload=("json", "slow_to_import", "wave"), env={"GATE": str(gate)}) as opened:
        yield opened


def test_a_job_waits_for_the_import_that_it_needs_while_another_runs(gated: LocalPool, gate: Path) -> None:
    """Else its worker would import the same beside the nursery, and both for twice as long."""
    gated.submit(Job("needs it", f"{__name__}:loaded", "wave", needs=("wave", "a_module_that_nobody_preloads")))
    gated.submit(Job("does not", f"{__name__}:loaded", "wave"))
    assert {name: one.value for name, one in contracts.gather(gated, 1).items()} == {"does not": False}
    gate.touch()
    assert contracts.gather(gated, 1)["needs it"].value is True


def test_a_job_whose_worker_is_not_born_can_be_cancelled_and_is_not_waited_for_without_end(
    gated: LocalPool, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends late, what comes after it runs, and the worker that is born for nobody is gone."""
    gated.submit(Job("cancelled", f"{__name__}:loaded", "wave", needs=("wave",)))
    gated.cancel("cancelled")
    assert contracts.gather(gated, 1)["cancelled"].status is Status.LATE
    monkeypatch.setattr("cluster.crew.BIRTH_S", 0.0)
    gated.submit(Job("hangs", f"{__name__}:loaded", "wave", needs=("wave",), hard_s=0.2))
    late = contracts.gather(gated, 1)["hangs"]
    assert late.status is Status.LATE
    assert "its worker was not there" in late.error
    monkeypatch.undo()
    gate.touch()
    assert run(gated, f"{__name__}:loaded", "wave", needs=("wave",)).value is True


def test_a_nursery_that_dies_while_it_imports_loses_the_jobs_that_wait_and_another_one_begins(
    gated: LocalPool, gate: Path
) -> None:
    """The runner gives what was lost once more."""
    gated.submit(Job("waits", f"{__name__}:loaded", "wave", needs=("wave",)))
    nursery_of(gated).kill()
    assert contracts.gather(gated, 1)["waits"].status is Status.LOST
    gate.touch()
    assert run(gated, f"{__name__}:loaded", "wave", needs=("wave",)).value is True


@pytest.mark.parametrize(("asked", "waited", "left"), [(8.0, 3.0, 5.0), (2.0, 10.0, 1.0), (0.5, 10.0, 0.5)])
def test_seconds_that_a_job_waits_for_its_worker_are_taken_from_its_own(
    asked: float, waited: float, left: float
) -> None:
    """But for the last one: it would return with nothing."""
    meter = Meter()
    task = Task("it", "module:name", b"", 1, 0.0, asked)
    assert _in_time(Errand(task, (), "", meter.started_s - waited), meter).soft_s == pytest.approx(left)


def loaded(_: object, module: str) -> bool:
    return module in sys.modules


def test_a_killed_job_takes_its_own_processes_along(pool: LocalPool) -> None:
    """What a job started ends with the job."""
    pool.submit(Job("it", f"{__name__}:start_a_sleeper"))
    nursery = nursery_of(pool)
    assert wait_for(lambda: any(child.name() == "sleep" for child in nursery.children(recursive=True)))
    sleeper = next(child for child in nursery.children(recursive=True) if child.name() == "sleep")
    pool.cancel("it")
    assert wait_for(lambda: is_gone(sleeper.pid))


def start_a_sleeper(_: object, __: None) -> None:
    subprocess.run(["sleep", "600"], check=True)


def test_a_worker_whose_memory_ran_out_is_replaced(pool: LocalPool) -> None:
    """What a process holds after a MemoryError nobody knows: the next job begins in another one."""
    starved = run(pool, f"{__name__}:starve")
    assert (starved.status, starved.is_memory) == (Status.FAILED, True)
    after = run(pool, "cluster.contracts:nap", 0.0)
    assert after.status is Status.DONE
    assert after.worker != starved.worker


def starve(_: object, __: None) -> None:
    """Run out of memory."""
    raise MemoryError


def test_large_payloads_and_values_travel(pool: LocalPool) -> None:
    """Megabytes pass both ways, even to a worker that is not there yet."""
    payload = np.arange(3_000_000)
    value = run(pool, f"{__name__}:double", payload).value
    assert (value == payload * 2).all()
    value[0] = 1  # an own copy: only what `put` shares is read-only


def double(_: object, array: np.ndarray) -> np.ndarray:
    return array * 2


def test_threads_of_native_libraries_follow_the_grant() -> None:
    """Workers start with one thread each, and a job that was granted two has two."""
    with LocalPool(2, preload=("numpy",)) as pool:
        assert run(pool, f"{__name__}:blas_threads").value in ([], [1])
        assert run(pool, f"{__name__}:blas_threads", threads=2).value in ([], [2])


def blas_threads(_: object, __: None) -> list[int]:
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped] # has no stubs

    return sorted({library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"})


def test_a_closed_pool_says_so(pool: LocalPool) -> None:
    """After closing, submitting is an error and waiting returns at once."""
    pool.close()
    assert (pool.wait(PATIENCE_S), pool.running, pool.queued) == ([], 0, 0)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(Job("a", "cluster.contracts:square", 1))


def test_a_pool_needs_a_worker() -> None:
    """No workers is refused with the value seen."""
    with pytest.raises(ValueError, match="got 0"):
        LocalPool(0)


# --- share, meter ----------------------------------------------------------------------------------------------------


def test_shared_values_come_back_as_they_were() -> None:
    """Frames with text and gaps, empty and Fortran-ordered arrays survive; their arrays are aligned."""
    frame = pd.DataFrame({"x": [1.5, np.nan], "text": ["a", None], "kind": pd.Categorical(["u", "v"])})
    arrays = {
        "empty": np.empty((0, 3)),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "odd": np.ones(3, "i1"),
    }
    shelf = share.Shelf()
    try:
        key = shelf.put((frame, arrays)).key
        back_frame, back = share.take(key)
        pd.testing.assert_frame_equal(back_frame, frame)
        for name, array in arrays.items():
            np.testing.assert_array_equal(back[name], array)
            assert back[name].ctypes.data % 64 == 0 or not array.size
    finally:
        shelf.close()
    assert not Path(key).exists()
    assert back["fortran"].sum() == 15  # what is mapped outlives its file


def test_values_too_large_for_memory_go_to_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shared memory is used only while it would stay half empty."""
    shelf = share.Shelf()
    try:
        monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
        assert Path(shelf.put(bytes(10_000)).key).parent == Path(shelf.folders[-1])
        assert Path(shelf.put(b"small").key).parent == Path(shelf.folders[0])
    finally:
        shelf.close()


def test_the_meter_counts_every_thread_and_this_job_only(pool: LocalPool) -> None:
    """CPU is counted while it burns; the peak of one job is not charged to the next."""
    meter = Meter()
    contracts.spin_until(Grant(1, float("inf")), 0.1)
    assert 0.0 < meter.read().cpu_s <= meter.read().wall_s * 1.5
    large = run(pool, "cluster.contracts:allocate", 300).cost.peak_mb
    small = run(pool, "cluster.contracts:square", 1).cost.peak_mb
    assert large > 300
    assert small < large - 200 or not Path("/proc/self/clear_refs").exists()


def test_a_kill_for_want_of_memory_is_told_apart_from_any_other(
    pool: LocalPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system counts them: what died by the same signal and was not counted is given again as it was."""
    told = iter([0, 1, 1])
    monkeypatch.setattr("cluster.local.kills", lambda: next(told))
    pool._kills = 0
    ends = [run(pool, f"{__name__}:die_of_nine") for _ in range(3)]
    assert [end.status for end in ends] == [Status.LOST] * 3
    assert [end.is_memory for end in ends] == [False, True, False]


def die_of_nine(_: object, __: None) -> None:
    """As the system ends what takes too much."""
    os.kill(os.getpid(), signal.SIGKILL)
