"""Runs on series through what happens to runs: killed and resumed, workers that share no disk, a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from drivers import check_books, count, finish, start, until
from panels_made import sales
from test_no_common_folder import Afar

import automl

pytestmark = pytest.mark.slow

OPTIONS: dict[str, Any] = {
    "time_column": "date", "series_id": "store", "horizon": 7, "budget": "4 trials", "families": "lag_linear,theta",
    "workers": 2, "verbose": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "sales.csv"
    sales(stores=3, days=90).drop(columns="promo").to_csv(path, index=False)
    return path


def words(table: Path, run: Path) -> list[str]:
    """The same on the command line."""
    told = {name.replace("_", "-"): str(value) for name, value in OPTIONS.items() if name != "verbose"}
    return [
        "fit", str(table), "--target", "sales", "--out", str(run), "--quiet",
        *(word for name, value in told.items() for word in (f"--{name}", value)),
    ]  # fmt: skip


def alike(one: Path, other: Path) -> None:
    """Both foretell the same, to the last bit, with the same intervals."""
    pd.testing.assert_frame_equal(automl.load(one).forecast(), automl.load(other).forecast(), check_exact=True)


@pytest.mark.long
def test_a_killed_driver_on_series_is_resumed_to_the_same_forecasts(table: Path, tmp_path: Path) -> None:
    """kill -9 in the middle: no fold is fitted again, and what is known of the series is still there."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    finish(*words(table, whole))
    driver = start(*words(table, run))
    until(lambda: count(run, "finished") >= 3, driver)
    driver.kill()
    driver.communicate()
    kept = {path: path.stat().st_mtime_ns for path in (run / "trials").glob("*/fold*/fold.json")}
    assert kept
    finish("resume", str(run), "--quiet")
    assert all(path.stat().st_mtime_ns == moment for path, moment in kept.items())
    check_books(run)
    alike(run, whole)


@pytest.fixture
def afar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers that see nothing in the test's folder."""
    with Afar(tmp_path) as pool:
        monkeypatch.setattr(pool, "close", lambda: None)
        monkeypatch.setattr("automl.runtime.workplace.open_pool", lambda *_: (pool, []))
        yield
        monkeypatch.undo()


@pytest.mark.soak
def test_series_travel_to_workers_that_share_no_disk(table: Path, tmp_path: Path, afar: None) -> None:
    """Networks too; the newest values are scored as test data."""
    test = sales(stores=3, days=97).drop(columns="promo").groupby("store").tail(7)
    options = {**OPTIONS, "families": "lag_linear,forecaster", "budget": "2 trials"}
    run = automl.fit(table, "sales", test=test, run_dir=tmp_path / "run", **options)
    assert run.test_score is not None
    assert len(run.forecast()) == 21
    assert {name.split()[0] for name in run.leaderboard()["name"]} >= {"lag_linear", "forecaster"}


@pytest.mark.ray
def test_the_same_plan_on_series_gives_the_same_model_on_ray(table: Path, tmp_path: Path, ray_session: None) -> None:
    """Bit by bit."""
    for where in ("local", "ray"):
        automl.fit(table, "sales", cluster=where, run_dir=tmp_path / where, **OPTIONS)
    alike(tmp_path / "local", tmp_path / "ray")
    check_books(tmp_path / "ray")
