"""Workers that see no folder of the driver's: everything they need travels to them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_media_run import picture
from test_text import opinions

import automl
from automl.modalities import mixture
from automl.modalities.files.cells import FileBytes
from cluster import contracts
from cluster.local import LocalPool
from cluster.pool import Job, Status

Image = pytest.importorskip("PIL.Image")
HERE = Path(__file__).parent
HIDDEN = "AUTOML_TEST_HIDDEN"


def blind() -> None:
    """From now on this process and its forks may not open what lies in the driver's folder."""

    def refuse(event: str, what: tuple) -> None:
        hidden = os.environ.get(HIDDEN)
        if hidden and event in ("open", "os.listdir", "os.scandir") and str(what[0]).startswith(hidden):
            raise PermissionError(f"{what[0]} is on the driver's disk")

    sys.addaudithook(refuse)


if HIDDEN in os.environ:  # in the nursery, which workers are forked from
    blind()


class Afar(LocalPool):
    """Workers as on another machine."""

    def __init__(self, hidden: Path) -> None:
        super().__init__(2, preload=("test_no_common_folder", "automl.search.trial"), env={HIDDEN: str(hidden)})
        self.shares_disk = False


@pytest.fixture
def afar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs of this test have workers that see nothing in the test's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Afar(tmp_path) as pool:
        monkeypatch.setattr(pool, "close", lambda: None)  # for the next run of the test
        monkeypatch.setattr("automl.runtime.workplace.open_pool", lambda *_: (pool, []))
        yield
        monkeypatch.undo()


def look_at(_grant: object, place: str) -> str:
    return Path(place).read_text()


def test_the_workers_of_these_tests_see_nothing_of_the_driver(tmp_path: Path) -> None:
    """Else nothing here would be shown."""
    (tmp_path / "file").write_text("here")
    with Afar(tmp_path) as pool:
        pool.submit(Job("a", "test_no_common_folder:look_at", str(tmp_path / "file")))
        outcome = contracts.gather(pool, 1)["a"]
    assert outcome.status is Status.FAILED
    assert "driver's disk" in outcome.error


def pictures(folder: Path, rows: int, seed: int = 0) -> pd.DataFrame:
    """A table that names pictures beside a number, with what is on them."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    labels = random.choice(["upright", "lying"], rows)
    for at, label in enumerate(labels):
        Image.fromarray(picture(label, random, side=16)).save(folder / f"{at:03d}.png")
    names = [str(folder / f"{at:03d}.png") for at in range(rows)]
    return pd.DataFrame({"view": names, "size": np.round(random.normal(size=rows), 2), "label": labels})


@pytest.mark.soak
@pytest.mark.slow
def test_a_run_on_pictures_is_measured_tested_compared_and_explained_afar(tmp_path: Path, afar: None) -> None:
    """The saved model, test files, another saved model and fitted folds travel; what is unreadable keeps its name."""
    train, test = pictures(tmp_path / "train", 60), pictures(tmp_path / "test", 12, seed=1)
    first = automl.fit(train, "label", budget="1 trials", families="svm", run_dir=tmp_path / "first", verbose=0)
    assert first.test_score is None
    Path(test["view"].iloc[3]).write_bytes(b"no picture")
    run = automl.fit(
        train, "label", budget="2 trials", families="svm,linear", run_dir=tmp_path / "run", verbose=0, test=test,
        baseline=str(tmp_path / "first"),
    )  # fmt: skip
    told = json.loads((run.folder / "report.json").read_text())
    assert run.test_score is not None
    assert any("003.png" in note for note in told["data"]["notes"])
    assert told["decision"]["outcome"]
    assert told["samples"]["explained"], told["samples"]["notes"]
    assert told["importance"]["columns"], told["importance"]["notes"]
    compared = json.loads((run.folder / "decision.json").read_text())["verdict"]["existing"]
    assert compared["score"] is not None, compared


@pytest.mark.long
@pytest.mark.slow
def test_the_words_of_texts_are_weighed_afar(tmp_path: Path, afar: None) -> None:
    """The model travels to whoever weighs them."""
    run = automl.fit(opinions(), "mood", budget="1 trials", families="linear", run_dir=tmp_path / "run", verbose=0)
    told = json.loads((run.folder / "report.json").read_text())
    assert told["samples"]["explained"], told["samples"]["notes"]


def test_files_travel_in_portions_with_their_names(tmp_path: Path) -> None:
    """No more megabytes at once than asked, rows in their order; what is no file stays as it is."""
    rows = pictures(tmp_path / "train", 6)
    for name in rows["view"]:
        Path(name).write_bytes(b"x" * 2**20)
    rows.loc[2, "view"] = "gone.png"
    parts = list(mixture.portions(rows, {"view": "image"}, 2.0))
    assert [len(part) for part in parts] == [1, 3, 2]
    whole = pd.concat(parts)
    assert whole.drop(columns="view").equals(rows.drop(columns="view"))
    assert whole["view"][2] == "gone.png"
    assert isinstance(whole["view"][0], FileBytes)
    assert whole["view"][0].name == rows["view"][0]
    assert len(list(mixture.portions(rows.iloc[:0], {"view": "image"}, 2.0))) == 0


# --- for real: two hosts --------------------------------------------------------------------------------------------


def can_part() -> bool:
    """Whether this user may make hosts: namespaces of network and mounts."""
    if not all(map(shutil.which, ("ip", "unshare", "nsenter"))) or os.geteuid():
        return False
    tried = ["unshare", "--mount", "--net", "sh", "-c", "mount -t tmpfs none /mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(not can_part(), reason="needs the right to make namespaces")
@pytest.mark.parametrize("what", ["table", *(pytest.param(one, marks=pytest.mark.soak) for one in ("images", "s3"))])
def test_hosts_that_share_no_folder_bring_a_run_to_its_end(what: str) -> None:
    """A head without CPUs, a worker that sees nothing of the driver's: model, test score, importances, maps."""
    for needed in ("ray", *(("moto", "s3fs") if what == "s3" else ())):
        pytest.importorskip(needed)
    program = [sys.executable, str(HERE / "no_common_folder.py"), what]
    done = subprocess.run(program, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told, seen = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert seen["worker_sees"] == []
    assert told["test"] is not None, told
    assert told["predicted"]
    if what != "images":
        assert told["importance"]
    else:
        assert "convnet" in told["families"]
        assert told["samples"]["explained"], told
