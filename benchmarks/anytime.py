"""Is there a valid model after eight seconds? Starts the command on each set, sends Ctrl-C, looks at what is left.

python benchmarks/anytime.py --data FOLDER [--seconds 60] [--after 8] [--sets a,b]
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from scoring import score
from sets import TableSet, from_folder

import automl


def interrupted(table: TableSet, seconds: float, after_s: float, work: Path) -> str:
    """One line: what the run left when it was interrupted."""
    run = work / table.name
    command = [
        *(sys.executable, "-m", "automl", "fit", str(table.train), "--target", table.target, "--metric", table.metric),
        *("--budget", str(seconds), "--out", str(run), "--quiet"),
    ]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=120)
    ended_s = time.monotonic() - started - after_s
    if process.returncode != 130:
        return f"{table.name:<18} FAILED with {process.returncode}: {complaint.strip()[-200:]}"
    report = json.loads((run / "report.json").read_text())
    test, model = pd.read_csv(table.test).drop(columns=table.target), automl.load(run)
    predicted = model.predict(test).to_frame() if table.task == "regression" else model.predict_proba(test)
    reached = score(table.metric, table.answers("test"), predicted.rename(columns=str))
    chosen = report["verdict"]["chosen"]
    return f"{table.name:<18} {chosen:<16} {table.metric} {reached:.5g}  model saved {ended_s:.1f} s after Ctrl-C"


def main() -> int:
    """Run the sets one after another and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with a sub-folder per set")
    parser.add_argument("--sets", default="", help="only these, separated by commas")
    parser.add_argument("--seconds", type=float, default=60.0, help="budget of each run")
    parser.add_argument("--after", type=float, default=8.0, help="seconds from the command's start to Ctrl-C")
    given = parser.parse_args()
    names = tuple(name for name in given.sets.split(",") if name)
    with tempfile.TemporaryDirectory() as work:
        for table in from_folder(given.data, names):
            print(interrupted(table, given.seconds, given.after, Path(work)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
