"""What happens when things die: workers, the driver, the disk. Real processes are killed; nothing may be lost."""

from __future__ import annotations

import json
import resource
import signal
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from drivers import (
    PATIENCE_S,
    QUICK,
    check_books,
    count,
    events,
    finish,
    fit_words,
    report,
    small_table,
    start,
    until,
    workers_of,
)

import automl
from automl.errors import InputError, OptionError, RunError
from automl.runtime.folder import RunFolder
from automl.search.in_turn import LEAST_LAG

pytestmark = pytest.mark.slow

TRIALS, FOLDS = "6 trials", 30
SLACK_S = 20.0  # past a budget in seconds: far less than a run that forgot it, far more than a busy machine takes


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_table(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    finish(*fit_words(table, run, TRIALS))
    return run


@pytest.fixture(scope="module")
def budget(whole: Path) -> str:
    """Seconds in which this machine, as busy as it is, does more than start."""
    return f"{max(8.0, 1.5 * report(whole)['run']['seconds']):.0f}s"


def same_model(one: Path, other: Path, table: Path) -> bool:
    """Whether two runs' models say the same of every row, to the last bit."""
    rows = pd.read_csv(table)
    return bool((automl.load(one).predict_proba(rows) == automl.load(other).predict_proba(rows)).all(axis=None))


@pytest.mark.parametrize("ended", [1, pytest.param(FOLDS, marks=pytest.mark.soak)])
def test_a_killed_driver_is_resumed_to_the_same_model(ended: int, table: Path, whole: Path, tmp_path: Path) -> None:
    """kill -9 after so many folds: what was finished stays, and the end is that of a run without a crash."""
    run = tmp_path / "run"
    driver = start(*fit_words(table, run, TRIALS))
    until(lambda: count(run, "finished") >= ended, driver)
    driver.kill()
    driver.communicate()
    kept = {path: path.stat().st_mtime_ns for path in (run / "trials").glob("*/fold*/fold.json")}
    assert kept
    finish("resume", str(run), "--quiet")
    assert all(path.stat().st_mtime_ns == moment for path, moment in kept.items())  # none of them was fitted again
    check_books(run)
    assert [t["params"] for t in report(run)["trials"]] == [t["params"] for t in report(whole)["trials"]]
    assert same_model(run, whole, table)


@pytest.mark.soak
def test_a_driver_killed_twice_is_resumed_twice(table: Path, whole: Path, tmp_path: Path) -> None:
    """The second driver may be killed as well, and a half-written last event changes nothing."""
    run = tmp_path / "run"
    for words, ended in ((fit_words(table, run, TRIALS), 8), (["resume", str(run), "--quiet"], 24)):
        driver = start(*words)
        until(lambda ended=ended: count(run, "finished") >= ended, driver)
        driver.kill()
        driver.communicate()
        with (run / "events.jsonl").open("a") as log:
            log.write('{"at": 1.0, "event": "finished", "trial": 3, "jo')
    finish("resume", str(run), "--quiet")
    check_books(run)
    assert same_model(run, whole, table)


@pytest.mark.long
def test_a_worker_killed_in_a_trial_costs_one_job_and_no_trial(table: Path, whole: Path, tmp_path: Path) -> None:
    """Its fold is given again under a name that tells its parent, and the model is the same."""
    run = tmp_path / "run"
    driver = start(*fit_words(table, run, TRIALS))
    for ended in (4, 14, 24):
        until(lambda ended=ended: count(run, "finished") >= ended and workers_of(driver), driver)
        workers_of(driver)[0].kill()
    driver.communicate()
    assert driver.returncode == 0
    check_books(run)
    lost = [event for event in events(run) if event.get("status") == "lost"]
    again = [event for event in events(run) if event["event"] == "started" and "parent" in event]
    assert lost
    assert {event["job"] for event in lost} == {event["parent"] for event in again}
    assert report(run)["cost"]["invoice"]["retries"] == len(again)
    assert all(trial["status"] == "done" for trial in report(run)["trials"])
    assert same_model(run, whole, table)


@pytest.mark.long
def test_a_trial_that_hangs_is_ended_and_the_run_keeps_its_budget(table: Path, budget: str, tmp_path: Path) -> None:
    """A worker that is stopped, not dead, answers nothing for ever: its job is late, and so charged."""
    run = tmp_path / "run"
    ample = f"{3 * float(budget.removesuffix('s')):.0f}s"  # however busy the machine is by now, there are jobs to come
    driver = start(*fit_words(table, run, ample))
    until(lambda: count(run, "finished") >= 6 and workers_of(driver), driver)  # the first workers go after a job
    hung = workers_of(driver)[0]
    hung.send_signal(signal.SIGSTOP)
    driver.communicate(timeout=PATIENCE_S)
    assert driver.returncode == 0
    assert not psutil.pid_exists(hung.pid) or hung.status() == psutil.STATUS_ZOMBIE
    check_books(run)
    assert any(event.get("status") == "late" for event in events(run))
    assert report(run)["run"]["overrun_s"] < SLACK_S


@pytest.mark.soak
def test_a_trial_that_runs_out_of_memory_is_tried_on_fewer_rows(tmp_path: Path) -> None:
    """A worker may hold no more than it has: the trial fails, and its heir on half of the rows names it."""
    rows = 20_000
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.standard_normal((rows, 30)), columns=[f"x{i}" for i in range(30)])
    frame["churned"] = np.where(frame["x0"] + random.standard_normal(rows) > 0, "yes", "no")
    frame.to_parquet(tmp_path / "wide.parquet")
    run = tmp_path / "run"
    words = ("--cluster", "local", "--families", "linear")
    driver = start(*fit_words(tmp_path / "wide.parquet", run, f"{2 * LEAST_LAG} trials", *words))
    starved: set[int] = set()

    def starve() -> None:
        for worker in workers_of(driver):
            if worker.pid not in starved:
                with suppress(psutil.NoSuchProcess):
                    limit = worker.memory_info().vms + 5_000_000  # bytes: less than a fold needs
                    worker.rlimit(psutil.RLIMIT_AS, (limit, limit))
                starved.add(worker.pid)

    until(lambda: starve() or any(event.get("status") == "failed" for event in events(run)), driver)
    out, err = driver.communicate(timeout=PATIENCE_S)
    assert driver.returncode == 0, (out, err)
    check_books(run)
    heirs = [trial for trial in report(run)["trials"] if trial["parent"] is not None]
    assert heirs
    for heir in heirs:
        parent = report(run)["trials"][heir["parent"]]
        assert parent["status"] in ("failed", "partial")  # the next workers had room for its other folds
        assert "Memory" in parent["message"]
        assert "memory ran out" in heir["because"]


@pytest.mark.long
def test_a_full_disk_ends_the_run_in_one_line_and_resume_goes_on(table: Path, whole: Path, tmp_path: Path) -> None:
    """No file may grow any more: the driver says so, and once there is room the run goes on where it was."""
    run = tmp_path / "run"
    limit = 60_000  # bytes: only the journals grow larger

    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    driver = start(*fit_words(table, run, "60 trials", "--families", "linear"), preexec_fn=no_room)
    _, err = driver.communicate(timeout=PATIENCE_S)
    assert driver.returncode == 1
    assert len(err.strip().splitlines()) == 1, err
    assert "cannot" in err
    assert f"automl resume {run}" in err
    asked = count(run, "asked")
    assert 1 < asked < 61
    driver = start("resume", str(run), "--quiet")
    until(lambda: count(run, "asked") > asked + 4, driver)
    driver.send_signal(signal.SIGINT)
    driver.communicate()
    assert driver.returncode == 130
    check_books(run)


def test_a_second_driver_is_refused(table: Path, tmp_path: Path) -> None:
    """One run folder, one driver; the refusal says who works there. The death of the first frees it."""
    run = tmp_path / "run"
    driver = start(*fit_words(table, run, "200 trials"))
    until(lambda: count(run, "finished") >= 1, driver)
    with pytest.raises(RunError, match=rf"another run works in .*process {driver.pid} on "):
        automl.resume(run, verbose=0)
    driver.kill()
    driver.communicate()
    RunFolder.reopen(run).__exit__()


@pytest.mark.long
def test_the_studies_can_be_read_while_the_run_goes_on(table: Path, tmp_path: Path) -> None:
    """As a dashboard does: the journal's studies and their trials, from another process."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    run = tmp_path / "run"
    driver = start(*fit_words(table, run, "200 trials"))
    until(lambda: count(run, "told") >= 4, driver)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(run / "study.journal")))

    def seen() -> dict[str, int]:
        return {study.study_name: study.n_trials for study in optuna.get_all_study_summaries(storage)}

    until(lambda: set(seen()) == {"linear", "lightgbm"} and sum(seen().values()) >= 4, driver)
    driver.kill()
    driver.communicate()


@pytest.mark.soak
def test_a_finished_run_goes_on_with_more_budget(table: Path, whole: Path, tmp_path: Path) -> None:
    """What it had found stays and takes part, its quote too; without more budget there is nothing to do."""
    run = tmp_path / "run"
    finish(*fit_words(table, run, "5 trials"))
    quote = (run / "quote.json").read_bytes()
    with pytest.raises(OptionError, match=r"is finished.*--budget \+10m"):
        automl.resume(run, verbose=0)
    with pytest.raises(OptionError, match="must be alike"):
        automl.resume(run, "+10s", verbose=0)
    result = automl.resume(run, "+3 trials", verbose=0)
    assert len(report(run)["trials"]) == 9
    assert result.budget == "8 trials"
    assert (run / "quote.json").read_bytes() == quote
    check_books(run)


@pytest.mark.long
def test_a_run_in_seconds_goes_on_with_what_is_left_of_them(table: Path, budget: str, tmp_path: Path) -> None:
    """The seconds before the crash count: both drivers together keep the budget."""
    run = tmp_path / "run"
    driver = start(*fit_words(table, run, budget))
    until(lambda: count(run, "asked"), driver)  # how much more it does until it dies, no machine promises
    driver.kill()
    driver.communicate()
    before = len(events(run))
    finish("resume", str(run), "--quiet")
    check_books(run)
    assert len(events(run)) > before
    assert report(run)["run"]["overrun_s"] < SLACK_S
    assert report(run)["run"]["seconds"] < float(budget[:-1]) + SLACK_S


def test_a_budget_too_small_for_a_trial_has_its_bill(table: Path, tmp_path: Path) -> None:
    """What starting up and reading held is overhead, and it is told."""
    automl.fit(table, "churned", budget=0.3, run_dir=tmp_path / "run", workers=2, verbose=0)
    bill = report(tmp_path / "run")["cost"]["invoice"]
    assert bill["held_core_s"] > 0
    assert bill["money"] > 0
    assert sum(bill["core_s"].values()) == bill["held_core_s"]


@pytest.mark.long
def test_resume_refuses_other_data_and_folders_that_are_no_runs(table: Path, tmp_path: Path) -> None:
    """A changed value is another problem; a run from memory asks for its data, and then goes on."""
    frame = pd.read_csv(table)
    run = tmp_path / "run"
    automl.fit(frame, "churned", budget="2 trials", families="linear", run_dir=run, verbose=0)
    with pytest.raises(InputError, match=r"automl.resume\(run, data=...\)"):
        automl.resume(run, "+1 trials", verbose=0)
    changed = frame.copy()
    changed.loc[3, "churned"] = "yes" if changed.loc[3, "churned"] == "no" else "no"
    with pytest.raises(InputError, match="not that of the run"):
        automl.resume(run, "+1 trials", data=changed, verbose=0)
    assert len(report(run)["trials"]) == 3
    (run / "quote.json").unlink()  # as in a run that an earlier version began
    automl.resume(run, "+1 trials", data=frame, verbose=0)
    assert len(report(run)["trials"]) == 4
    assert report(run)["cost"]["quote"] is None
    with pytest.raises(InputError, match=r"options.json is not there"):
        automl.resume(tmp_path, verbose=0)


@pytest.mark.soak
def test_a_run_for_several_targets_is_resumed(table: Path, tmp_path: Path) -> None:
    """Killed in its second target: the first stays as it is, the second goes on."""
    run = tmp_path / "run"
    words = ["fit", str(table), "--target", "churned,autopay", "--budget", "16 trials", "--out", str(run)]
    driver = start(*words, *QUICK, "--test", str(table))
    second = run / "targets" / "autopay"
    until(lambda: count(second, "finished") >= 12, driver)
    driver.kill()
    driver.communicate()
    first = (run / "targets" / "churned" / "report.json").read_text()
    finish("resume", str(run), "--quiet")
    assert (run / "targets" / "churned" / "report.json").read_text() == first
    check_books(second)
    assert {row["target"] for row in json.loads((run / "report.json").read_text())["targets"]} == {
        "churned",
        "autopay",
    }
