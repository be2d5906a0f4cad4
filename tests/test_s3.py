"""Data and a run folder in a store that speaks S3: written as the run goes on, read by whoever goes on with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from drivers import CUSTOMERS, QUICK, count, finish
from s3_server import bucket, s3_server

import automl
from automl.runtime.remote import checkout

pytest.importorskip("moto")
pytest.importorskip("s3fs")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with s3_server() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield bucket("runs", variables)


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_run_lives_in_s3_from_its_data_to_its_model(store: Any, tmp_path: Path) -> None:
    """Fitted on a file there, its folder kept there; gone on with from there alone, with the data read again."""
    store.pipe_file("runs/small.csv", b"\n".join(CUSTOMERS.read_bytes().splitlines()[:300]))
    words = ("--target", "churned", "--budget", "2 trials", "--out", "s3://runs/one", *QUICK)
    finish("fit", "s3://runs/small.csv", *words)
    files = {name.removeprefix("runs/one/") for name in store.find("runs/one")}
    assert {"events.jsonl", "report.json", "report.html", "model/manifest.json", "trials/0001/fold0/fold.json"} <= files
    finish("resume", "s3://runs/one", "--budget", "+1 trials", "--quiet")
    copied = checkout("s3://runs/one", tmp_path / "copy")
    assert len(automl.load(copied).predict(CUSTOMERS)) > 300
    assert count(copied, "closed") == 2
