"""The process of a run on the server: real ones, on the bundled table, killed and stopped where it matters."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from automl.doors.service.access.accounts import Accounts, Principal
from automl.doors.service.ground.database import Database
from automl.doors.service.ground.settings import Settings
from automl.doors.service.ground.tables import RunRecord, State
from automl.doors.service.line.queue import Assignment, Queue
from automl.doors.service.line.runs import Runs
from automl.doors.service.line.trials import trials_of
from automl.doors.service.line.worker import Order
from automl.result import open_run

CUSTOMERS = Path(__file__).parent.parent / "examples" / "customers.csv"
QUICK = {"target": "churned", "budget": "2 trials", "families": ["linear"], "workers": 1, "cluster": "local"}
LONG = {**QUICK, "budget": "100000 trials"}
PATIENCE_S = 240  # for what must happen; a busy machine may be slow


class Bench:
    """A database with one user, and processes that work on runs."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home)
        self.database = Database(self.settings.database_url)
        self.database.prepare()
        accounts = Accounts(self.database)
        secret = accounts.first_admin()
        assert secret is not None
        found = accounts.who(secret)
        assert found is not None
        self.by: Principal = found
        self.queue, self.runs = Queue(self.database), Runs(self.database, self.settings)
        self.processes: list[subprocess.Popen[bytes]] = []

    def add(self, options: dict[str, Any]) -> RunRecord:
        return self.runs.add(self.by, "dataset_x", "customers", options)

    def begin(self, run: RunRecord, data: Path = CUSTOMERS) -> tuple[Assignment, subprocess.Popen[bytes]]:
        """Claim the next run, which must be this one, and start its process."""
        claim = self.queue.claim("here", 10, 10)
        assert claim is not None
        assert claim.run_id == run.id
        more = self.runs.known(run.id).more
        return claim, self.start(self.order(run, claim, data, more))

    def order(self, run: RunRecord, claim: Assignment, data: Path = CUSTOMERS, more: str | None = None) -> Order:
        return Order(
            database=self.settings.database_url, run_id=run.id, attempt=claim.attempt, data=str(data), more=more,
            folder=str(self.runs.folder(run.id)), files_within=str(data.parent), options=run.options,
        )  # fmt: skip

    def start(self, order: Order) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "automl.doors.service.line.worker"], stdin=subprocess.PIPE, start_new_session=True
        )
        self.processes.append(process)
        assert process.stdin is not None
        with process.stdin as pipe:
            pipe.write(order.written())
        return process

    def until(self, is_so: Callable[[RunRecord], bool], run: RunRecord) -> RunRecord:
        over = time.monotonic() + PATIENCE_S
        while not is_so(found := self.runs.known(run.id)):
            assert time.monotonic() < over, found
            time.sleep(0.1)
        return found

    def events(self, run: RunRecord) -> list[tuple[str, dict[str, Any]]]:
        return [(kind, body) for _, kind, body in self.runs.events(run.id, 0)]

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.database.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "home")
    (tmp_path / "home").mkdir(exist_ok=True)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def home_is_there(tmp_path: Path) -> None:
    (tmp_path / "home" / "runs").mkdir(parents=True)


def has_trial(run: RunRecord) -> bool:
    return int(run.progress.get("done", 0)) >= 1


@pytest.mark.long
@pytest.mark.slow
def test_a_run_tells_what_it_does_and_what_came_of_it(bench: Bench) -> None:
    run = bench.add(QUICK)
    _, process = bench.begin(run)
    assert process.wait(PATIENCE_S) == 0
    found = bench.runs.known(run.id)
    assert found.state == State.DONE
    assert found.verdict["score"]["metric"] == "roc_auc"
    assert found.verdict["chosen"]
    assert found.error is None
    assert found.progress["stage"] == "report"
    events = bench.events(run)
    stages = [body["stage"] for kind, body in events if kind == "stage"]
    assert stages[0] == "load"
    assert {"search", "ensemble", "refit", "report"} <= set(stages)
    assert [body["state"] for kind, body in events if kind == "state"] == ["queued", "working", "done"]
    assert any("task: binary" in body["line"] for kind, body in events if kind == "note")
    told = trials_of(bench.runs.folder(run.id))
    assert told["metric"] == "roc_auc"
    assert told["higher_is_better"]
    assert [item["family"] for item in told["items"] if item["trial"] > 0] == ["linear", "linear"]
    assert any(item["is_best_so_far"] and 0.5 < item["score"] < 1 for item in told["items"])


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_process_costs_nothing_that_was_finished_and_a_late_one_writes_nothing(bench: Bench) -> None:
    run = bench.add({**QUICK, "budget": "6 trials"})
    first, process = bench.begin(run)
    bench.until(has_trial, run)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    bench.queue.lost(first)
    assert bench.runs.known(run.id).state == State.QUEUED
    second, process = bench.begin(run)
    assert second.attempt == first.attempt + 1
    assert not bench.queue.renew(first, [("note", {"line": "from beyond"})], None).is_mine
    assert bench.queue.end(first, State.FAILED, None, "from beyond") is None
    assert process.wait(PATIENCE_S) == 0
    assert bench.runs.known(run.id).state == State.DONE
    said = [body["line"] for kind, body in bench.events(run) if kind == "note"]
    assert any(line.startswith("resume: ") for line in said)
    assert "from beyond" not in said
    assert open_run(bench.runs.folder(run.id)).score.value > 0.5


@pytest.mark.slow
@pytest.mark.long
def test_a_run_that_is_stopped_keeps_its_best_model_and_can_go_on(bench: Bench) -> None:
    run = bench.add(LONG)
    _, process = bench.begin(run)
    bench.until(has_trial, run)
    bench.runs.stop(bench.by, run.id, now=False)
    assert process.wait(PATIENCE_S) == 0
    found = bench.runs.known(run.id)
    assert found.state == State.STOPPED
    assert found.verdict["interrupted"]
    assert open_run(bench.runs.folder(run.id)).score.value > 0.5


@pytest.mark.slow
def test_a_run_that_is_stopped_at_once_ends_without_a_model_and_with_all_its_processes(bench: Bench) -> None:
    run = bench.add(LONG)
    _, process = bench.begin(run)
    bench.until(has_trial, run)
    bench.runs.stop(bench.by, run.id, now=True)
    process.wait(PATIENCE_S)
    assert bench.runs.known(run.id).state == State.STOPPED
    over = time.monotonic() + PATIENCE_S
    while _is_alive(process.pid):
        assert time.monotonic() < over
        time.sleep(0.1)
    assert not (bench.runs.folder(run.id) / "report.json").exists()


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.long
def test_more_budget_is_used_by_a_run_at_work_and_by_one_that_is_done(bench: Bench) -> None:
    run = bench.add(QUICK)
    claim = bench.queue.claim("here", 10, 10)
    assert claim is not None
    bench.runs.resume(bench.by, run.id, "+1 trial")
    process = bench.start(bench.order(run, claim))
    assert process.wait(PATIENCE_S) == 0
    assert bench.runs.known(run.id).more is None
    count = len([item for item in trials_of(bench.runs.folder(run.id))["items"] if item["trial"] > 0])
    assert count == 3
    bench.runs.resume(bench.by, run.id, "+1 trials")
    _, process = bench.begin(run)
    assert process.wait(PATIENCE_S) == 0
    found = bench.runs.known(run.id)
    assert found.state == State.DONE
    assert found.more is None
    assert len([item for item in trials_of(bench.runs.folder(run.id))["items"] if item["trial"] > 0]) == 4


@pytest.mark.slow
@pytest.mark.long
def test_a_process_that_ended_between_its_report_and_its_word_is_done_without_working_again(bench: Bench) -> None:
    run = bench.add(QUICK)
    _, process = bench.begin(run)
    assert process.wait(PATIENCE_S) == 0
    report = bench.runs.folder(run.id) / "report.json"
    before = report.stat().st_mtime_ns
    with bench.database.writing() as work:
        from sqlalchemy import update

        from automl.doors.service.ground.tables import RUNS

        work.execute(update(RUNS).where(RUNS.c.id == run.id).values(state=State.QUEUED, verdict="{}"))
    _, process = bench.begin(run)
    assert process.wait(PATIENCE_S) == 0
    found = bench.runs.known(run.id)
    assert found.state == State.DONE
    assert found.verdict["chosen"]
    assert report.stat().st_mtime_ns == before


@pytest.mark.slow
def test_data_that_cannot_be_used_fail_the_run_in_the_line_that_the_command_line_says(
    bench: Bench, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("a,b\n")
    run = bench.add({**QUICK, "target": "b"})
    _, process = bench.begin(run, empty)
    assert process.wait(PATIENCE_S) == 0
    found = bench.runs.known(run.id)
    assert found.state == State.FAILED
    assert found.error
    assert "\n" not in found.error
    assert "Traceback" not in json.dumps(bench.events(run))
