"""Real drivers in processes of their own: how the fault tests start, watch and read what they leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

CUSTOMERS = Path(__file__).parent.parent / "examples" / "customers.csv"
PATIENCE_S = 240.0  # nothing waits longer, on however busy a machine
QUICK = ("--families", "linear,lightgbm", "--workers", "2", "--quiet")


def small_table(folder: Path, rows: int = 400) -> Path:
    """The head of the bundled table, as a file."""
    path = folder / "small.csv"
    pd.read_csv(CUSTOMERS).head(rows).to_csv(path, index=False)
    return path


def start(*words: str, **options: Any) -> subprocess.Popen[str]:
    """Start `automl` with these words."""
    return subprocess.Popen(
        [sys.executable, "-m", "automl", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def finish(*words: str, **options: Any) -> str:
    """Run `automl` to its end, which must be a good one; what it said on stderr."""
    process = start(*words, **options)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, (out, err)
    return err


def start_s() -> float:
    """Seconds that a program with our libraries takes to start, here and now: long runs get multiples of it."""
    for _ in range(2):  # the first time from the disk
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "import automl.doors.python, lightgbm, torch"], check=True)
    return time.monotonic() - began


def fit_words(data: Path, run: Path, budget: str, *more: str) -> Sequence[str]:
    return ["fit", str(data), "--target", "churned", "--budget", budget, "--out", str(run), *QUICK, *more]


def until(condition: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> None:
    """Wait for something, while the process that should bring it about lives."""
    ends_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends_s, "waited in vain"
        if process is not None and process.poll() is not None:
            raise AssertionError(f"ended early with {process.returncode}: {process.communicate()}")
        time.sleep(0.02)


@contextmanager
def interrupted_when(condition: Callable[[], Any]) -> Iterator[None]:
    """Ctrl-C for what runs here in the main thread, as soon as something is so."""
    is_left = threading.Event()

    def watch() -> None:
        while not is_left.wait(0.05):
            if condition():
                os.kill(os.getpid(), signal.SIGINT)
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_left.set()
        thread.join()


def events(run: Path) -> list[dict[str, Any]]:
    """The events so far; the last line may be half-written."""
    log = run / "events.jsonl"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def count(run: Path, event: str) -> int:
    return sum(told["event"] == event for told in events(run))


def workers_of(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    """The forked workers of a local driver: children of its nursery."""
    try:
        nurseries = psutil.Process(driver.pid).children()
        return [worker for nursery in nurseries for worker in nursery.children()]
    except psutil.NoSuchProcess:
        return []


def report(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "report.json").read_text()))


def check_books(run: Path) -> None:
    """Every job that was started ended once, every trial asked is in the report, and the invoice adds up."""
    told, final = events(run), report(run)
    started = [event["job"] for event in told if event["event"] == "started"]
    ended = [event["job"] for event in told if event["event"] == "finished" and "job" in event]
    assert Counter(started) == Counter(ended) == Counter(set(started))
    for event in told:
        if event["event"] == "started" and "parent" in event:
            assert event["parent"] in started
    assert [trial["number"] for trial in final["trials"]] == sorted({e["trial"] for e in told if e["event"] == "asked"})
    bill = final["cost"]["invoice"]
    assert sum(bill["core_s"].values()) == bill["held_core_s"]
    assert 0.9 <= bill["held_core_s"] / (2 * bill["until_s"]) <= 1.1  # two CPUs from start to end
    assert (run / "model" / "manifest.json").exists()
