"""Series as rows: `automl fit` on plain files of sets with one answer a series, scored on their test rows.

python benchmarks/series.py --data FOLDER [--seconds 60] [--sets a,b] [--seed 0]

Every sub-folder with a meta.json whose `modality` is "timeseries_classification" is a set; its `target` and, of long
tables, `series_id` and `time_column` stand in it.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

import automl

MODALITY = "timeseries_classification"


def sets_in(folder: Path, wanted: tuple[str, ...]) -> list[tuple[Path, dict[str, Any]]]:
    """Sub-folders with what their meta.json says."""
    found = [(place.parent, json.loads(place.read_text())) for place in sorted(folder.glob("*/meta.json"))]
    return [
        (place, meta)
        for place, meta in found
        if meta.get("modality") == MODALITY and (not wanted or place.name in wanted)
    ]


def file_of(place: Path, part: str) -> Path:
    """train.csv or test.csv, packed or not."""
    return next(file for file in (place / f"{part}.csv", place / f"{part}.csv.gz") if file.exists())


def answers(place: Path, meta: dict[str, Any]) -> pd.Series:
    """Of the test rows, one a series, as text."""
    test = pd.read_csv(file_of(place, "test"))
    if "series_id" in meta:
        return test.groupby(meta["series_id"], sort=False)[meta["target"]].first().astype(str)
    return test[meta["target"]].astype(str)


def tried(place: Path, meta: dict[str, Any], given: argparse.Namespace, work: Path) -> tuple[str, float]:
    """A line on a set, and its accuracy; a failure counts nothing."""
    run = work / f"{place.name}-{given.seed}"
    command = [
        *(sys.executable, "-m", "automl", "fit", str(file_of(place, "train")), "--target", meta["target"]),
        *("--metric", "accuracy", "--budget", str(given.seconds), "--out", str(run), "--seed", str(given.seed)),
        *("--workers", "1", "--quiet"),
    ]
    for option in ("series_id", "time_column"):
        if option in meta:
            command += [f"--{option.replace('_', '-')}", meta[option]]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took_s = time.monotonic() - started
    if done.returncode:
        return f"{place.name:<18} FAILED with {done.returncode}: {done.stderr.strip()[-200:]}", 0.0
    truth = answers(place, meta)
    said = automl.load(run).predict(str(file_of(place, "test"))).astype(str)
    reached = float((said.to_numpy() == truth.to_numpy()).mean())
    error = math.sqrt(max(reached * (1 - reached), 0.25 / len(truth)) / len(truth))
    chosen = json.loads((run / "report.json").read_text())["verdict"]["chosen"]
    return f"{place.name:<18} accuracy {reached:.4f} +- {error:.4f}  {took_s:5.1f} s  {chosen}", reached


def main() -> int:
    """Try the sets one after another, print a line for each and the mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with a sub-folder per set")
    parser.add_argument("--sets", default="", help="only these, separated by commas")
    parser.add_argument("--seconds", type=float, default=60.0, help="budget of each run")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    names, reached = tuple(name for name in given.sets.split(",") if name), []
    with tempfile.TemporaryDirectory() as work:
        for place, meta in sets_in(given.data, names):
            line, accuracy = tried(place, meta, given, Path(work))
            reached.append(accuracy)
            print(line, flush=True)
    if reached:
        print(f"{'mean':<18} accuracy {sum(reached) / len(reached):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
