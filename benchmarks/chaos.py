"""Kills workers, machines and drivers of small runs at random moments, and looks at what is left. For LOG.md.

    python benchmarks/chaos.py --kills 100

Runs are on a table or on pictures, on both backends, with and without GPUs (pretended), in a folder or behind a URL;
one deed fills the disk. Every run must end with a model that loads and books that balance: each job ended once, each
trial accounted for. A driver that was killed is resumed, as often as it takes; one behind a URL on a machine that has
none of its files. Whatever hangs or is lost ends this program with its folder.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from drivers import events, report, small_table, workers_of  # noqa: E402 - from the tests, found above

import automl  # noqa: E402

DRIVER = Path(__file__).with_name("chaos_driver.py")
HANG_S = 300.0  # a run of some seconds that takes longer hangs
MOST_KILLS = 4  # of one run
DEEDS = ("worker", "driver", "ray worker", "ray driver", "machine", "full disk")
KINDS = ("table", "pictures")
PLACES = ("folder", "url")
ROOM_KB = (150, 3000)  # of a disk that gets full, from which a run leaves off early to one that does not notice


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run, and what is done to it."""

    deed: str
    kind: str
    place: str
    gpus: int
    data: Path
    run: Path  # where it lies, or its copy if it is behind a URL

    @property
    def url(self) -> str:
        """Where the run belongs."""
        return f"file://{self.run}" if self.place == "url" else str(self.run)

    @property
    def words(self) -> list[str]:
        """Of `automl fit`."""
        target = ["--target", "churned", "--families", "linear,lightgbm"]
        what = target if self.kind == "table" else ["--families", "linear,convnet"]
        budget = ["--budget", "8 trials" if self.kind == "table" else "4 trials"]
        return ["fit", str(self.data), *what, *budget, "--out", self.url, *self.where]

    @property
    def where(self) -> list[str]:
        """Of `automl fit` and `automl resume`."""
        return ["--cluster", "ray" if self.deed.startswith("ray") else "local", "--workers", "2", "--quiet"]

    @property
    def home(self) -> Path:
        """Where this machine keeps its files of it."""
        return self.run.with_name(f"{self.run.name}-home")

    def start(self, words: Sequence[str], limit: int = 0) -> subprocess.Popen[str]:
        """Start its driver, whose files may grow to so many bytes (0: without end)."""
        return subprocess.Popen(
            [sys.executable, str(DRIVER), str(self.gpus), str(limit), *words], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env={**os.environ, "XDG_CACHE_HOME": str(self.home)},
        )  # fmt: skip

    def again(self) -> list[str]:
        """How to go on, by what is there: a run that had decided nothing begins anew."""
        if (self.run / "beginning.json").exists() and (self.run / "events.jsonl").exists():
            return ["resume", self.url, *self.where[:2], "--quiet"]
        shutil.rmtree(self.run, ignore_errors=True)
        return self.words

    def __str__(self) -> str:
        return f"{self.deed}, {self.kind}, {self.place}" + (f", {self.gpus} GPUs" if self.gpus else "")


def main(argv: Sequence[str] | None = None) -> int:
    """Run until so many kills were done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deeds", default=",".join(DEEDS))
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--places", default=",".join(PLACES))
    args = parser.parse_args(argv)
    random.seed(args.seed)
    done: Counter[str] = Counter()
    runs = lost = resumes = gpu_jobs = 0
    with tempfile.TemporaryDirectory() as folder:
        data = {"table": small_table(Path(folder)), "pictures": _pictures(Path(folder, "pictures"))}
        while done.total() < args.kills:
            case = _draw(args, data, Path(folder, f"{runs:03d}"))
            killed, again = _DOERS.get(case.deed, _kill)(case)
            runs, resumes = runs + 1, resumes + again
            done[case.deed] += killed
            _check(case)
            told = events(case.run)
            lost += sum(event.get("status") == "lost" for event in told)
            gpu_jobs += sum(event["event"] == "started" and event["gpus"] > 0 for event in told)
            print(f"{done.total():3d} kills  {case}: {killed}, resumed {again} times: fine", flush=True)
    print(f"{dict(done)}: {done.total()} kills in {runs} runs, {resumes} times resumed")
    print(f"{lost} jobs lost and given again, {gpu_jobs} on pretended GPUs; no trial lost, no hang, a model each")
    return 0


def _draw(args: argparse.Namespace, data: dict[str, Path], run: Path) -> Case:
    """A case as the dice have it; those that need a folder or a table have one."""
    deed = random.choice(args.deeds.split(","))
    kind, place = random.choice(args.kinds.split(",")), random.choice(args.places.split(","))
    gpus = random.choice((0, 2))
    if deed == "machine":
        kind, place, gpus = "table", "folder", 0
    if deed == "full disk":
        place = "folder"
    return Case(deed=deed, kind=kind, place=place, gpus=gpus, data=data[kind], run=run)


def _pictures(folder: Path) -> Path:
    """Small pictures of two classes: a bright bar, upright or lying."""
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    for label in ("upright", "lying"):
        (folder / label).mkdir(parents=True)
        for number in range(40):  # enough for networks to be tried
            pixels = generator.integers(0, 90, (16, 16, 3), dtype=np.uint8)
            at = int(generator.integers(2, 12))
            pixels[(slice(None), slice(at, at + 3)) if label == "upright" else slice(at, at + 3)] = 220
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


# --- deeds -----------------------------------------------------------------------------------------------------------


def _kill(case: Case) -> tuple[int, int]:
    """One run with some kills; how many there were, and how often it was resumed."""
    words: Sequence[str] = case.words
    killed = resumed = 0
    while True:
        driver = case.start(words)
        if killed < MOST_KILLS and _wait(driver, random.uniform(1.0, 9.0 if case.deed.startswith("ray") else 6.0)):
            killed += _strike(case.deed, driver)
            if case.deed.endswith("driver"):
                driver.communicate()
                if case.place == "url":
                    shutil.rmtree(case.home, ignore_errors=True)  # the machine is gone with all of its files
                words, resumed = case.again(), resumed + 1
                continue
        code, err = _ended(driver, case)
        if code and "is finished" not in err:  # it may be killed between its last word and its end
            sys.exit(f"{case.run} ({case}) ended with {code}: {err}")
        return killed, resumed


def _strike(deed: str, driver: subprocess.Popen[str]) -> int:
    """Kill what the deed says; nothing where there is none at this moment."""
    if deed.endswith("driver"):
        driver.kill()
        return 1
    victims: list[psutil.Process] = []
    until = time.monotonic() + 60.0  # however long a busy machine takes to start them
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


def _machine(case: Case) -> tuple[int, int]:
    """A Ray of three machines, one of which is taken away after some folds."""
    ended = str(random.randint(2, 50))
    words = [sys.executable, str(REPOSITORY / "tests" / "three_nodes.py"), str(case.data), str(case.run), ended]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=HANG_S, check=False)
    except subprocess.TimeoutExpired:
        sys.exit(f"HANG in {case.run} ({case})")
    if done.returncode:
        sys.exit(f"{case.run} ({case}) ended with {done.returncode}: {done.stderr[-2000:]}")
    return 1, 0


def _full_disk(case: Case) -> tuple[int, int]:
    """A disk of its own that gets full on the way, then has room; where none can be mounted, files that cannot grow."""
    room = random.randint(*ROOM_KB)
    case.run.mkdir()
    has_disk = _mount(case.run, f"size={room}k")
    limit = 0 if has_disk else room * 100
    try:
        _, err = _ended(driver := case.start(case.words, limit), case)
        if not driver.returncode:
            return 0, 0  # it had room enough
        if "automl resume" not in err and "disk" not in err:
            sys.exit(f"{case.run} ({case}) ended with {driver.returncode}: {err}")
        if has_disk:
            _mount(case.run, "remount,size=1g")
        if not (case.run / "beginning.json").exists():  # the disk was too small for a start: begun anew
            for path in case.run.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        again = ["resume", case.url, *case.where[:2], "--quiet"]
        code, err = _ended(case.start(again if any(case.run.iterdir()) else case.words), case)
        if code:
            sys.exit(f"{case.run} ({case}) ended with {code}: {err}")
        return 1, 1
    finally:
        if has_disk:
            kept = case.run.with_name(f"{case.run.name}-kept")
            shutil.copytree(case.run, kept)
            subprocess.run([str(shutil.which("umount")), str(case.run)], check=True)
            shutil.copytree(kept, case.run, dirs_exist_ok=True)


def _mount(place: Path, options: str) -> bool:
    """A disk in memory; False where this user may not."""
    words = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
    return shutil.which("mount") is not None and not subprocess.run(words, capture_output=True, check=False).returncode


_DOERS: dict[str, Callable[[Case], tuple[int, int]]] = {"machine": _machine, "full disk": _full_disk}


# --- what is left ----------------------------------------------------------------------------------------------------


def _ended(driver: subprocess.Popen[str], case: Case) -> tuple[int, str]:
    """How a driver ended, and what it said."""
    try:
        _, err = driver.communicate(timeout=HANG_S)
    except subprocess.TimeoutExpired:
        sys.exit(f"HANG in {case.run} ({case})")
    return driver.returncode, err


def _wait(driver: subprocess.Popen[str], seconds: float) -> bool:
    """Whether the driver still works after so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and driver.poll() is None:
        time.sleep(0.02)
    return driver.poll() is None


def _check(case: Case) -> None:
    """A model, and books that balance."""
    told, final = events(case.run), report(case.run)
    started = Counter(event["job"] for event in told if event["event"] == "started")
    ended = Counter(event["job"] for event in told if event["event"] == "finished" and "job" in event)
    asked = sorted({event["trial"] for event in told if event["event"] == "asked"})
    _must(started == ended and set(started.values()) == {1}, case, "jobs that did not end once")
    _must([trial["number"] for trial in final["trials"]] == asked, case, "trials that are not in the report")
    _must(all(trial["status"] == "done" for trial in final["trials"]), case, "a trial was lost")
    model, rows = automl.load(case.url), _rows(case)
    _must(len(model.predict(rows)) == len(rows), case, "the model does not predict")
    shutil.rmtree(case.home, ignore_errors=True)


def _rows(case: Case) -> list[str] | object:
    import pandas as pd

    if case.kind == "pictures":
        return [str(path) for path in sorted(case.data.glob("*/*.png"))[:6]]
    return pd.read_csv(case.data).head(20)


def _must(holds: object, case: Case, what: str) -> None:
    if not holds:
        sys.exit(f"{case.run} ({case}): {what}")


if __name__ == "__main__":
    sys.exit(main())
