"""What several test files share: the bundled table and one finished run on it."""

import dataclasses
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import filelock
import hypothesis
import pandas as pd
import pytest
from databases import KINDS, Postgres, cluster
from lasting import Lasting, sharing

import automl
import search_spaces
from automl import Result
from automl.modalities.encoders import caches, packages
from cluster import contracts

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background of a shell: Ctrl-C is tested too
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No outcome hangs on the clock: an example may take as long as a busy machine needs for it.
hypothesis.settings.register_profile(
    "suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("suite")

os.environ.setdefault("OMP_NUM_THREADS", "1")  # what tests compute is small, and cores are shared with workers
COURSE = 60  # steps
KNOWN_PACKAGES = tuple(packages.PACKAGES)

CUSTOMERS = Path(__file__).parent.parent / "examples" / "customers.csv"


@pytest.fixture(scope="session", autouse=True)
def no_weights_here() -> Iterator[None]:
    """No test hangs on what this machine has installed or fetched, and runs on pictures are as quick as without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packages, "PACKAGES", [])
        patch.setattr(caches, "WELL_KNOWN", {})
        yield


@pytest.fixture
def known_packages(monkeypatch: pytest.MonkeyPatch) -> list[packages.Package]:
    """The table of packages as it is outside of tests."""
    monkeypatch.setattr(packages, "PACKAGES", list(KNOWN_PACKAGES))
    return packages.PACKAGES


@pytest.fixture(scope="session")
def customers() -> pd.DataFrame:
    return pd.read_csv(CUSTOMERS)


@pytest.fixture
def short_courses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks on images and sounds are small and learn for a moment: enough for what tests make."""
    for name in ("finetuned", "fused", "convnet", "soundnet"):
        family = search_spaces.get(name)
        small = {"fused": {"seen": "both", "map_width": 8}, "finetuned": {}}.get(
            name, family.quick
        )  # the latter with all its layers
        starts = {knob: dataclasses.replace(family.space[knob], start=value) for knob, value in small.items()}
        starts["steps"] = dataclasses.replace(family.space["steps"], low=1, start=COURSE)
        for knob, value in starts.items():
            monkeypatch.setitem(family.space, knob, value)


@pytest.fixture(scope="session")
def lasting_pools() -> Iterator[dict[int, Lasting]]:
    """Pools that stay for all tests of this process, by their workers."""
    pools: dict[int, Lasting] = {}
    yield pools
    for pool in pools.values():
        pool.close()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, lasting_pools: dict[int, Lasting]) -> Result:
    """One run on the bundled table, repeatable because it counts trials; made by the first process that asks."""
    base = tmp_path_factory.getbasetemp()
    place = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = place / "finished" / "customers"
    with filelock.FileLock(place / "finished.lock"):
        if not (folder / "report.json").is_file():
            with sharing(lasting_pools):
                automl.fit(CUSTOMERS, target="churned", budget="5 trials", run_dir=folder, verbose=0)
    return Result(folder)


@pytest.fixture(scope="module")
def lasting_workers(lasting_pools: dict[int, Lasting]) -> Iterator[None]:
    """Runs of these tests share their workers; what happens to workers is tested elsewhere."""
    with sharing(lasting_pools):
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of its own, for the tests of this process."""
    with cluster() as made:
        yield made


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The place of a new, empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'server.db'}"
    return str(request.getfixturevalue("postgres").new())


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A Ray with two CPUs that was there before: pools use it and leave it."""
    ray = pytest.importorskip("ray")
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
        object_store_memory=200_000_000,
    )  # fmt: skip
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def open_ray(ray_session: None) -> contracts.OpenPool:
    from cluster.on_ray import RayPool

    return lambda slots: RayPool(workers=slots, preload=("cluster.contracts", "numpy"))
