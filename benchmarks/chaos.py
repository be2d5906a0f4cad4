"""Kills workers, machines and drivers of small runs at random moments, and looks at what is left. For LOG.md.

    python benchmarks/chaos.py --kills 100

Every run must end with a model that loads and books that balance: each job ended once, each trial accounted for. A
driver that was killed is resumed, as often as it takes. Whatever hangs or is lost ends this program with its folder.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from drivers import events, fit_words, report, small_table, start, workers_of  # noqa: E402 - from the tests, found above

import automl  # noqa: E402

HANG_S = 180.0  # a run of some seconds that takes longer hangs
DEEDS = ("worker", "driver", "ray worker", "ray driver", "machine")


def main(argv: Sequence[str] | None = None) -> int:
    """Run until so many kills were done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deeds", default=",".join(DEEDS))
    args = parser.parse_args(argv)
    random.seed(args.seed)
    done: Counter[str] = Counter()
    runs = lost = resumes = 0
    with tempfile.TemporaryDirectory() as place:
        table = small_table(Path(place))
        while done.total() < args.kills:
            deed = random.choice(args.deeds.split(","))
            run = Path(place, f"{runs:03d}")
            killed, again = _machine(table, run) if deed == "machine" else _kill(deed, table, run)
            runs, resumes = runs + 1, resumes + again
            done[deed] += killed
            _check(run)
            lost += sum(event.get("status") == "lost" for event in events(run))
            print(f"{done.total():3d} kills  {deed}: {killed}, resumed {again} times: fine", flush=True)
    print(f"{dict(done)}: {done.total()} kills in {runs} runs, {resumes} times resumed")
    print(f"{lost} jobs lost and given again, no trial lost, no hang, every run with a model")
    return 0


def _kill(deed: str, table: Path, run: Path) -> tuple[int, int]:
    """One run with up to three kills; how many there were, and how often it was resumed."""
    more = ("--cluster", "ray") if deed.startswith("ray") else ("--cluster", "local")
    words: Sequence[str] = fit_words(table, run, "8 trials", *more)
    killed = resumed = 0
    while True:
        driver = start(*words)
        if killed < 3 and _wait(driver, random.uniform(1.0, 9.0 if deed.startswith("ray") else 5.0)):
            killed += _strike(deed, driver)
            if deed.endswith("driver"):
                driver.communicate()
                words = ["resume", str(run), "--quiet", *more] if (run / "beginning.json").exists() else words
                resumed += 1
                continue
        try:
            _, err = driver.communicate(timeout=HANG_S)
        except subprocess.TimeoutExpired:
            sys.exit(f"HANG in {run}")
        if driver.returncode:
            finished = "is finished" in err  # it was killed between its last word and its end
            if not finished:
                sys.exit(f"{run} ended with {driver.returncode}: {err}")
        return killed, resumed


def _strike(deed: str, driver: subprocess.Popen[str]) -> int:
    """Kill what the deed says; nothing where there is none at this moment."""
    if deed.endswith("driver"):
        driver.kill()
        return 1
    victims: list[psutil.Process] = []
    until = time.monotonic() + 5.0
    while not victims and driver.poll() is None and time.monotonic() < until:
        victims = _ray_workers(driver) if deed.startswith("ray") else workers_of(driver)
    if not victims:
        return 0
    random.choice(victims).kill()
    return 1


def _ray_workers(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        family = psutil.Process(driver.pid).children(recursive=True)
        return [process for process in family if any("ray::automl" in word for word in process.cmdline())]
    except psutil.Error:
        return []


def _machine(table: Path, run: Path) -> tuple[int, int]:
    """A Ray of three machines, one of which is taken away after some folds."""
    words = [
        sys.executable,
        str(REPOSITORY / "tests" / "three_nodes.py"),
        str(table),
        str(run),
        str(random.randint(2, 50)),
    ]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=HANG_S, check=False)
    except subprocess.TimeoutExpired:
        sys.exit(f"HANG in {run}")
    if done.returncode:
        sys.exit(f"{run} ended with {done.returncode}: {done.stderr[-2000:]}")
    return 1, 0


def _wait(driver: subprocess.Popen[str], seconds: float) -> bool:
    """Whether the driver still works after so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and driver.poll() is None:
        time.sleep(0.02)
    return driver.poll() is None


def _check(run: Path) -> None:
    """A model, and books that balance."""
    told, final = events(run), report(run)
    started = Counter(event["job"] for event in told if event["event"] == "started")
    ended = Counter(event["job"] for event in told if event["event"] == "finished" and "job" in event)
    asked = sorted({event["trial"] for event in told if event["event"] == "asked"})
    _must(started == ended and set(started.values()) == {1}, run, "jobs that did not end once")
    _must([trial["number"] for trial in final["trials"]] == asked, run, "trials that are not in the report")
    _must(all(trial["status"] == "done" for trial in final["trials"]), run, "a trial was lost")
    _must(automl.load(run).predict(_rows(run)).notna().all(), run, "the model does not predict")


def _rows(run: Path) -> object:
    import pandas as pd

    return pd.read_csv(run.parent / "small.csv").head(20)


def _must(holds: object, run: Path, what: str) -> None:
    if not holds:
        sys.exit(f"{run}: {what}")


if __name__ == "__main__":
    sys.exit(main())
