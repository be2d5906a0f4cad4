"""Budgets in trials: many run at once, and what each is asked with follows from its number alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drivers import small_table
from lasting import Lasting

import automl
from automl.runtime import workplace
from automl.search import in_turn
from automl.search.in_turn import LEAST_LAG, known_to
from cluster.pool import Job, Outcome


def test_what_a_trial_knows_grows_with_its_number() -> None:
    """Never fewer trials than the one before knew; at first all but the last few, later all but a part."""
    known = [known_to(number) for number in range(1, 2_000)]
    assert known == sorted(known)
    assert known[:8] == [0, 0, 0, 0, 1, 2, 3, 4]
    assert all(number - known_to(number) >= LEAST_LAG for number in range(LEAST_LAG, 2_000))
    assert 1_000 - known_to(1_000) > 200  # enough for a thousand slots


class Wide:
    """Two workers that claim to be many, and whose outcomes come in an order of their own."""

    goodbye_s, shares_disk = 0.1, True

    def __init__(self, pool: Lasting, slots: int, seed: int) -> None:
        self._pool, self.slots, self._random = pool, slots, np.random.default_rng(seed)
        self._kept: list[Outcome] = []
        self._open: set[str] = set()
        self.most_trials = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def __enter__(self) -> Wide:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, job: Job) -> None:
        self._open.add(job.id)
        trials = {name.split(".")[0] for name in self._open if "." in name}
        self.most_trials = max(self.most_trials, len(trials))
        self._pool.submit(job)

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Some of what has ended, in any order; all of it only where nothing else is under way."""
        self._kept += self._pool.wait(timeout_s)
        is_all = len(self._kept) == len(self._open)
        given = [one for one in self._kept if is_all or self._random.random() < 0.3]
        self._random.shuffle(given)
        self._kept = [one for one in self._kept if all(one is not other for other in given)]
        self._open -= {one.job_id for one in given}
        return given


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_table(tmp_path_factory.mktemp("data"), 120)


@pytest.fixture
def two(lasting_pools: dict[int, Lasting]) -> Lasting:
    """Workers that stay."""

    if 2 not in lasting_pools:
        lasting_pools[2] = Lasting(2, preload=("automl.search.trial", *workplace.PRELOAD))
    return lasting_pools[2]


def asked(run: Path) -> list[tuple[str, str]]:
    told = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [(event["family"], json.dumps(event["plan"]["params"])) for event in told if event["event"] == "asked"]


@pytest.mark.soak
@pytest.mark.slow
def test_a_seed_asks_for_the_same_trials_in_whatever_order_they_end(
    table: Path, tmp_path: Path, two: Lasting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two slots or with sixty, and more than four trials under way where there are slots for them."""
    monkeypatch.setattr(in_turn, "NEEDED", 0)  # as later in a long run
    seen = {}
    for slots, seed in ((2, 0), (60, 1)):
        pool = Wide(two, slots, seed)
        monkeypatch.setattr("automl.runtime.workplace.open_pool", lambda *_, pool=pool: (pool, []))
        run = tmp_path / f"{slots}-{seed}"
        automl.fit(table, "churned", budget="13 trials", families="linear", run_dir=run, verbose=0)
        seen[slots, seed] = asked(run), pool.most_trials
    first = seen[2, 0][0]
    assert len({params for _, params in first}) > 6
    assert seen[60, 1][0] == first
    assert seen[2, 0][1] <= 2
    assert seen[60, 1][1] > LEAST_LAG
