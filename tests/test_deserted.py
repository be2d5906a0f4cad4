"""A cluster that loses its last machine, or its last GPU: the run ends with what it has, and says so."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from drivers import small_table

import automl
from automl.runtime import context
from automl.search.courses import NetworkScheduler
from automl.search.steps import Load
from cluster.local import LocalPool
from cluster.pool import Job, Node, Outcome, Status
from search_spaces.spec import Size


class Fading(LocalPool):
    """A cluster of one machine, which is gone once so many jobs were given out: later ones wait for ever."""

    def __init__(self, jobs: int) -> None:
        super().__init__(2, preload=("automl.search.trial", "lightgbm"))
        self._left = jobs
        self._waiting: set[str] = set()

    @property
    def slots(self) -> int:
        return 2 if self._left > 0 else 0

    @slots.setter
    def slots(self, _: int) -> None:
        pass

    def nodes(self) -> list[Node]:
        return super().nodes() if self._left > 0 else []

    def submit(self, job: Job) -> None:
        self._left -= 1
        if self._left > 0:
            super().submit(job)
        else:
            self._waiting.add(job.id)

    def wait(self, timeout_s: float) -> list[Outcome]:
        if self._left <= 0:
            time.sleep(min(timeout_s, 0.05))
        return super().wait(min(timeout_s, 0.05))

    def cancel(self, job_id: str) -> None:
        if job_id in self._waiting:
            self._waiting.remove(job_id)
            self._outcomes.append(Outcome(job_id, Status.LATE, error="cancelled"))
        else:
            super().cancel(job_id)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_table(tmp_path_factory.mktemp("data"))


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("jobs", [10, 25])  # in the search; at the end, when the saved model is to be tried
def test_without_a_machine_a_run_ends_with_the_best_model_so_far(
    jobs: int, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody waits for ever; the model is there, and the run can go on where there are machines again."""
    monkeypatch.setattr(context, "GONE_S", 0.5)
    pool = Fading(jobs)
    monkeypatch.setattr("automl.runtime.workplace.open_pool", lambda *_: (pool, []))
    run = tmp_path / "run"
    result = automl.fit(table, "churned", budget="3 trials", families="linear,lightgbm", run_dir=run, test=table)
    said = capsys.readouterr().err
    assert "no machine of the cluster came back" in said
    assert "keeping the best model so far" in said
    assert f"automl resume {run}" in said
    assert "Interrupted" not in said
    assert result.interrupted
    assert len(automl.load(run).predict(table)) == 400
    report = json.loads((run / "report.json").read_text())
    assert "no machine of the cluster is left" in report["verdict"]["untested"]
    if jobs > 10:  # all trials were done
        return
    monkeypatch.undo()
    resumed = automl.resume(run, verbose=0)
    assert not resumed.interrupted
    assert resumed.test_score is not None


def test_networks_go_on_on_cpus_when_the_last_gpu_is_gone() -> None:
    """Courses that are planned from then on ask for none; once it is back they ask for it again."""
    import search_spaces

    def never(*_: Any) -> dict[int, float]:
        return {}

    load = Load(folds=10, goal=1, size=Size(6_000, 1_000), slots=16, neural_share=0.9, widest=8, gpus=1.0)
    families = [search_spaces.get("convnet")]
    scheduler = NetworkScheduler.of(families, load, {}, never, lambda *_: 0.1)
    gpu, cpu = Node("a", 8, 32_000, gpus=1.0), Node("b", 8, 32_000)
    for nodes, gpus in (([gpu, cpu], 0.25), ([cpu], 0.0), ([], 0.0), ([gpu, cpu], 0.25)):
        scheduler.see(scheduler.load.on(nodes, sum(node.cpus for node in nodes)))
        step = scheduler.next(600.0)
        assert step is not None
        assert step.course is not None
        assert step.course.gpus == gpus
