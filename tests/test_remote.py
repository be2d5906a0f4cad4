"""Data and run folders behind URLs: what is copied where, and going on from the copy alone."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from drivers import QUICK, check_books, count, events, finish, small_table, start, until

import automl
from automl.errors import InputError
from automl.runtime import lease, remote
from automl.runtime.mirror import Mirror


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return small_table(tmp_path)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this machine keeps what it works on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_mirror_holds_what_the_folder_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New files, changed ones, and none that is gone; nothing half-written in between."""
    monkeypatch.setattr(lease, "SETTLE_S", 0.1)
    local, url = tmp_path / "run", f"file://{tmp_path}/copy"
    (local / "trials" / "1").mkdir(parents=True)
    (local / "events.jsonl").write_text("one\n")
    (local / "trials" / "1" / "model").write_bytes(b"old")
    mirror = Mirror(local, url, print)
    mirror.claim_empty()
    assert mirror._sync()
    (local / "trials" / "1" / "model").write_bytes(b"newer")
    (local / "report.json").write_text("{}")
    assert mirror._sync()
    (local / "report.json").unlink()
    mirror.close()
    copy = {path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert copy == {"events.jsonl", "lease.json", "trials/1/model"}
    assert (tmp_path / "copy" / "trials" / "1" / "model").read_bytes() == b"newer"


@pytest.mark.parametrize("url", ["nowhere://a/b.csv", "file:///no/such/file.csv", "memory://no/file.csv"])
def test_what_cannot_be_fetched_is_one_line(url: str) -> None:
    """An unknown protocol, a file that is not there."""
    with pytest.raises(InputError) as refusal:
        automl.profile(url, target="churned")
    assert url in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install for s3:// and gs://."""
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda url: (_ for _ in ()).throw(ImportError("no s3fs")))
    with pytest.raises(InputError, match=r"pip install 'automl-frontier\[s3\]'"):
        remote.fetch("s3://bucket/data.csv")


@pytest.mark.slow
def test_a_run_lives_in_an_object_store(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data from there, the run to there, predictions from there; a place that holds something is refused."""
    store = fsspec.filesystem("memory")
    store.pipe_file("/bucket/data/small.csv", table.read_bytes())
    options = {"budget": "2 trials", "families": "linear", "verbose": 0}
    automl.fit("memory://bucket/data/small.csv", "churned", run_dir="memory://bucket/runs/a", **options)
    held = {path.removeprefix("/bucket/runs/a/") for path in store.find("/bucket/runs/a")}
    assert {"report.json", "report.html", "events.jsonl", "options.json", "model/manifest.json"} <= held
    with monkeypatch.context() as here:
        here.setattr(tempfile, "tempdir", str(tmp_path))
        predicted = automl.load("memory://bucket/runs/a").predict(pd.read_csv(table))
        assert list(tmp_path.glob("automl-*")) == []  # all of it is read: nothing is kept, however often
    assert set(predicted) <= {"yes", "no"}
    with pytest.raises(InputError, match="is not empty"):
        automl.fit(str(table), "churned", run_dir="memory://bucket/runs/a", **options)


@pytest.mark.soak
@pytest.mark.slow
def test_a_run_goes_on_from_the_copy_when_its_machine_is_gone(table: Path, tmp_path: Path, home: Path) -> None:
    """The driver is killed and its folder lost: whoever resumes the URL has what was copied by then."""
    url, copy = f"file://{tmp_path}/store/run", tmp_path / "store" / "run"
    words = ["fit", str(table), "--target", "churned", "--budget", "20 trials", "--out", url, *QUICK]
    driver = start(*words)
    until(lambda: count(copy, "finished") >= 10, driver)
    driver.kill()
    driver.communicate()
    shutil.rmtree(home)
    kept = count(copy, "told")
    (copy / "lease.json").unlink()  # or wait for a minute, as test_lease.py does
    finish("resume", url, "--budget", "+1 trials", "--quiet", env=os.environ)
    assert count(copy, "told") >= kept
    assert any(event["event"] == "closed" for event in events(copy))
    check_books(copy)
