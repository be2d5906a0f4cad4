"""Runs on Ray: the same models as at home, machines and workers that go, a Ray that is left as it was found."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest
from drivers import check_books, count, events, finish, fit_words, report, small_table, start, until

import automl
from automl.errors import OptionError
from cluster import contracts
from cluster.devices import Gpu, find_gpus
from cluster.local import LocalPool
from cluster.pool import Grant, Job, Status

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ray = pytest.importorskip("ray")
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_table(tmp_path_factory.mktemp("data"))


@pytest.fixture
def no_ray() -> Iterator[None]:
    """Environment of a driver that knows of no Ray."""
    before = os.environ.pop("RAY_ADDRESS", None)
    yield
    if before is not None:
        os.environ["RAY_ADDRESS"] = before


def same(one: Path, other: Path, table: Path) -> bool:
    rows = pd.read_csv(table)
    return bool((automl.load(one).predict_proba(rows) == automl.load(other).predict_proba(rows)).all(axis=None))


def test_the_same_plan_gives_the_same_model_on_ray(table: Path, tmp_path: Path, ray_session: None) -> None:
    """Bit by bit; and the Ray that was there before goes on."""
    for where in ("local", "ray"):
        automl.fit(
            table, "churned", budget="6 trials", families="linear,lightgbm", cluster=where, workers=2,
            run_dir=tmp_path / where, verbose=0,
        )  # fmt: skip
    assert same(tmp_path / "local", tmp_path / "ray", table)
    assert ray.is_initialized()
    check_books(tmp_path / "ray")


def test_a_machine_that_goes_takes_no_trial_along(table: Path, tmp_path: Path) -> None:
    """Of three one is removed in the middle: what ran there runs again elsewhere, and the books say so."""
    run = tmp_path / "run"
    ended, _ = three_nodes(table, run, 12, "one")
    assert ended["is_still_there"]
    told = events(run)
    assert Counted(told).started == Counted(told).ended
    assert all(trial["status"] == "done" for trial in report(run)["trials"])
    lost = [event for event in told if event.get("status") == "lost"]
    assert lost
    assert {event["parent"] for event in told if event.get("parent")} >= {event["job"] for event in lost}
    assert [len(event["machines"]) for event in told if event["event"] == "machines"] == [2, 1]


def three_nodes(data: Path, run: Path, ended: int, what: str) -> tuple[dict, str]:
    """What a run on machines that go ended with, and what it said."""
    program = [sys.executable, str(HERE / "three_nodes.py"), str(data), str(run), str(ended), what]
    done = subprocess.run(program, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = next(
        line for line in done.stdout.splitlines() if line.startswith('{"best"')
    )  # Ray's own words are there, too
    return json.loads(told), done.stderr


def test_without_any_machine_a_run_ends_with_its_best_model(table: Path, tmp_path: Path) -> None:
    """Both machines go: after its patience the run says so, saves what it found, and can be gone on with."""
    run = tmp_path / "run"
    ended, said = three_nodes(table, run, 12, "all")
    assert ended["interrupted"]
    assert "no machine of the cluster came back" in said
    assert len(automl.load(run).predict(pd.read_csv(table))) == 400
    assert Counted(events(run)).started == Counted(events(run)).ended


def test_without_its_only_gpu_a_run_goes_on_on_cpus(tmp_path: Path) -> None:
    """The fold that ran on it is given again without one, and no later one asks for it."""
    pytest.importorskip("PIL")
    from test_media_run import save_pictures

    run = tmp_path / "run"
    ended, said = three_nodes(save_pictures(tmp_path / "data", 20), run, 1, "gpu")
    assert "no GPU of the cluster is left: networks go on on CPUs" in said
    assert not ended["interrupted"]
    told = events(run)
    lost = [event["job"] for event in told if event.get("status") == "lost"]
    again = [event for event in told if event["event"] == "started" and event.get("parent") in lost]
    assert again
    assert all(not event["gpus"] for event in again)
    assert any(trial["family"] == "convnet" and trial["folds_done"] for trial in report(run)["trials"])


class Counted:
    """The jobs of a journal."""

    def __init__(self, told: list[dict]) -> None:
        self.started = sorted(event["job"] for event in told if event["event"] == "started")
        self.ended = sorted(event["job"] for event in told if event["event"] == "finished" and "job" in event)


def test_a_driver_on_a_ray_of_its_own_is_killed_and_resumed(table: Path, tmp_path: Path, no_ray: None) -> None:
    """kill -9 takes its Ray along; the next driver starts one, and ends with the model of a quiet run at home."""
    run, quiet = tmp_path / "run", tmp_path / "quiet"
    driver = start(*fit_words(table, run, "6 trials", "--cluster", "ray"))
    until(lambda: count(run, "finished") >= 15, driver)
    family = psutil.Process(driver.pid).children(recursive=True)
    assert any("raylet" in process.name() for process in family)
    driver.kill()
    driver.communicate()
    until(lambda: not any(process.is_running() and process.name() == "raylet" for process in family))
    finish("resume", str(run), "--quiet")
    finish(*fit_words(table, quiet, "6 trials"))
    check_books(run)
    assert same(run, quiet, table)


def test_a_ray_worker_killed_in_a_trial_is_given_again(table: Path, tmp_path: Path, no_ray: None) -> None:
    """Its job is lost and charged, its fold runs again; what Ray knew of the death is in the run's logs."""
    run = tmp_path / "run"
    driver = start(*fit_words(table, run, "8 trials", "--cluster", "ray"))
    for ended in (8, 25):
        until(lambda ended=ended: count(run, "finished") >= ended, driver)
        until(lambda: busy_workers(driver), driver)
        busy_workers(driver)[0].kill()
    out, err = driver.communicate(timeout=120)
    assert driver.returncode == 0, (out, err)
    check_books(run)
    lost = [event for event in events(run) if event.get("status") == "lost"]
    assert lost
    assert all("died" in event["message"] for event in lost)
    assert all((run / "logs" / f"{event['job']}.txt").read_text() for event in lost)
    assert all(trial["status"] == "done" for trial in report(run)["trials"])


def busy_workers(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    """Ray's workers that run one of our jobs now: Ray writes the task into their title."""
    family = psutil.Process(driver.pid).children(recursive=True)
    return [process for process in family if any("ray::automl" in word for word in process.cmdline())]


def test_no_cluster_at_an_address_is_one_line(table: Path, tmp_path: Path, no_ray: None) -> None:
    """And no driver waits for ever."""
    driver = start(*fit_words(table, tmp_path / "run", "5s", "--cluster", "127.0.0.1:1"))
    _, err = driver.communicate(timeout=120)
    assert driver.returncode == 1
    assert "no Ray cluster answers at '127.0.0.1:1'" in err.splitlines()[-1]


def test_machines_that_never_come_are_not_waited_for(ray_session: None) -> None:
    """A cluster that cannot grow: after its patience the pool goes on with what there is, and says so."""
    from cluster.on_ray import RayPool

    with closing(RayPool(want=50, patience_s=0.5)) as pool:
        assert pool.slots == 2
        assert any("50 CPUs were asked for" in note and "there are 2" in note for note in pool.notes)


CLIENT_SCRIPT = """
from contextlib import closing, suppress
from cluster import contracts
from cluster.on_ray import RayPool
open_pool = lambda slots: RayPool({address!r}, workers=slots, preload=("cluster.contracts",))
for check in (contracts.check_results_carry_their_ids, contracts.check_data_arrives_in_place,
              contracts.check_an_exception_is_an_outcome, contracts.check_a_dead_worker_is_a_loss,
              contracts.check_a_hanging_job_is_late):
    check(open_pool)
"""


def test_a_pool_works_through_rays_client(tmp_path: Path, no_ray: None) -> None:
    """An address that begins with ray:// leads to a cluster this machine is no part of."""
    pytest.importorskip("grpc")
    port = 9000 + os.getpid() % 900
    # gRPC's usual engine loses a race in some sandboxes and ends its process: "epoll1 ... state == KICKED"
    environment = {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "GRPC_POLL_STRATEGY": "poll",
    }
    head = subprocess.Popen(
        [Path(sys.executable).parent / "ray", "start", "--head", "--block", "--port=0", "--num-cpus=2",
         f"--ray-client-server-port={port}", "--include-dashboard=false", "--object-store-memory=200000000"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: answers(port))
        code = CLIENT_SCRIPT.format(address=f"ray://127.0.0.1:{port}")
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
    finally:
        head.terminate()
        head.wait(60)


def answers(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


# --- GPUs, on machines that only say that they have some --------------------------------------------------------------


def see_gpus(grant: Grant, seconds: float) -> tuple[str, int, float, float]:
    """What a job sees, who it is and when it ran."""
    import time

    began = time.monotonic()
    time.sleep(seconds)
    return os.environ.get("CUDA_VISIBLE_DEVICES", "unset"), os.getpid(), began, time.monotonic()


GPU_SCRIPT = """
import ray, sys
sys.path.insert(0, {here!r})
ray.init(address="local", num_cpus=4, num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
         runtime_env={{"env_vars": {{"PYTHONPATH": {here!r}}}}})
from cluster.on_ray import RayPool
from cluster.pool import Job
import test_on_ray, json
with RayPool() as pool:
    print(json.dumps(test_on_ray.share_a_gpu(pool)))
ray.shutdown()
"""


def share_a_gpu(pool: contracts.Pool) -> dict[str, list]:
    """Two halves, a whole, and a job that has none, on a pool with one GPU; what each saw."""
    for name, gpus in (("half 1", 0.5), ("half 2", 0.5), ("whole", 1.0), ("none", 0.0)):
        pool.submit(Job(name, "test_on_ray:see_gpus", 1.0, gpus=gpus))
    outcomes = contracts.gather(pool, 4)
    assert {outcome.status for outcome in outcomes.values()} == {Status.DONE}, outcomes
    for name, share in (("half 1", 0.5), ("whole", 1.0), ("none", 0.0)):
        assert outcomes[name].cost.gpu_s == share * outcomes[name].cost.wall_s
    return {name: list(outcome.value) for name, outcome in outcomes.items()}


def check_shares(seen: dict[str, list], key: str) -> None:
    """Halves side by side, the whole alone after them, the CPU job beside all without a GPU in sight."""
    assert [seen[name][0] for name in ("half 1", "half 2", "whole", "none")] == [key, key, key, ""]
    assert seen["half 1"][2] < seen["half 2"][3]
    assert seen["half 2"][2] < seen["half 1"][3]
    assert seen["whole"][2] >= max(seen["half 1"][3], seen["half 2"][3])
    assert seen["none"][2] < seen["whole"][2]  # not held up by one that waits for a GPU
    assert len({seen[name][1] for name in ("half 1", "half 2", "whole")}) == 3  # a fresh worker each


def test_jobs_share_a_gpu_at_home() -> None:
    """A job sees the GPUs it was granted, and no other."""
    with LocalPool(4, preload=("test_on_ray",), gpus=(Gpu("7", "Imaginary"),)) as pool:
        check_shares(share_a_gpu(pool), "7")


def test_jobs_share_a_gpu_on_ray() -> None:
    """The same promises."""
    done = subprocess.run(
        [sys.executable, "-c", GPU_SCRIPT.format(here=str(HERE))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    check_shares(json.loads(done.stdout.splitlines()[-1]), "0")


def test_gpus_are_found_by_what_the_driver_lists(tmp_path: Path) -> None:
    """All of them, or those that CUDA_VISIBLE_DEVICES leaves in sight."""
    for place, uuid in enumerate(("GPU-aa11", "GPU-bb22")):
        folder = tmp_path / f"0000:0{place}:00.0"
        folder.mkdir()
        (folder / "information").write_text(f"Model: \t\t NVIDIA H100\nIRQ: 1\nGPU UUID: \t {uuid}\n")
    assert [gpu.key for gpu in find_gpus(tmp_path)] == ["0", "1"] or "CUDA_VISIBLE_DEVICES" in os.environ
    assert find_gpus(tmp_path, "1,0") == [Gpu("1", "NVIDIA H100"), Gpu("0", "NVIDIA H100")]
    assert find_gpus(tmp_path, "GPU-bb") == [Gpu("GPU-bb", "NVIDIA H100")]
    assert find_gpus(tmp_path, "") == find_gpus(tmp_path, "-1") == find_gpus(tmp_path, "7,0") == []
    assert find_gpus(tmp_path / "none", "0") == []


def test_ray_is_an_extra_and_the_error_names_it(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    """Asked for where it is not installed."""
    from automl.runtime import workplace

    monkeypatch.setattr(workplace.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"pip install 'automl-frontier\[ray\]'"):
        automl.fit(table, "churned", budget="1 trials", cluster="ray", verbose=0)
