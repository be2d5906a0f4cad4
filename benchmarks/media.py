"""Folders of images and sounds: ours beside plain references at the same seconds, one after another.

python benchmarks/media.py --data FOLDER [--sets cifar10,fsdd] [--seconds 60] [--contestants ours,net,svm] [--out DIR]
FOLDER holds SET/train/CLASS/FILE and SET/test/CLASS/FILE. Ours is the command `automl fit SET/train`, then
`automl predict` on SET/test; the accuracy is that of the labels it writes. Every result is kept before the next begins.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
REFERENCES = {"net": "media.py", "svm": "described.py"}
LATE_S = 300  # beyond its seconds, after which a contestant is given up


@dataclass(frozen=True)
class Outcome:
    """What one contestant reached on one set."""

    name: str
    contestant: str
    seconds: float
    seed: int
    accuracy: float
    took_s: float
    told: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run all, print each as it ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default="", help="with commas between; without it all that hold train/ and test/")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--contestants", default="ours,net,svm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "out" / "media")
    given = parser.parse_args(argv)
    found = sorted(path.parent.name for path in given.data.glob("*/train") if path.is_dir())
    names = given.sets.split(",") if given.sets else found
    given.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        for contestant in given.contestants.split(","):
            outcome = run(given.data / name, contestant, given)
            with (given.out / "results.jsonl").open("a") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
            shown = f"{outcome.accuracy:.4f}, {outcome.took_s:.0f} s"
            print(f"{name:<14} {contestant:<5} {given.seconds:g} s: {shown} {outcome.told}", flush=True)
    return 0


def run(folder: Path, contestant: str, given: argparse.Namespace) -> Outcome:
    """One contestant on one set."""
    started = time.monotonic()
    if contestant == "ours":
        accuracy, told = ours(folder, given)
    else:
        script = HERE / "references" / REFERENCES[contestant]
        seconds = ["--seconds", str(given.seconds)] if contestant == "net" else []
        printed = call([sys.executable, str(script), str(folder), *seconds, "--seed", str(given.seed)], given.seconds)
        measured = re.search(r"accuracy ([\d.]+), (.*)", printed)
        accuracy, told = (float(measured[1]), measured[2]) if measured else (float("nan"), printed.strip()[-200:])
    took_s = time.monotonic() - started
    return Outcome(folder.name, contestant, given.seconds, given.seed, accuracy, round(took_s, 1), told)


def ours(folder: Path, given: argparse.Namespace) -> tuple[float, str]:
    """Accuracy of the labels that the command predicts, and how long the fit took."""
    place = given.out / f"{folder.name}-{given.seconds:g}-{given.seed}"
    shutil.rmtree(place, ignore_errors=True)
    command = [sys.executable, "-m", "automl"]
    budget = ["--budget", str(given.seconds), "--seed", str(given.seed), "--out", str(place), "--quiet"]
    started = time.monotonic()
    call([*command, "fit", str(folder / "train"), *budget], given.seconds)
    fit_s = time.monotonic() - started
    answers = given.out / f"{place.name}.csv"
    call([*command, "predict", str(place), str(folder / "test"), "-o", str(answers)], given.seconds)
    with answers.open() as file:
        rows = list(csv.reader(file))[1:]
    right = sum(Path(name).parent.name == label for name, label in rows)
    report = json.loads((place / "report.json").read_text())
    score = report["verdict"]["score"]
    told = f"fit {fit_s:.1f} s, {report['verdict']['chosen']}, {score['metric']} {score['value']:.4f} promised"
    return right / len(rows), told


def call(command: Sequence[str], seconds: float) -> str:
    """What a command printed; its complaint where it failed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=seconds + LATE_S, env=environment
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
