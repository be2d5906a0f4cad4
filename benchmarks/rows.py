"""Fits many tables and predicts held-out rows one by one: what a batch is told, a single row must be told too.

A row is given as it stands in the frame, as plain Python values, re-read from CSV text by pandas, and as a file.
Nothing may be refused that occurred in the table, and every way must give the answer that the batch gives.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HELD = 0.25  # share of the rows that are not learned from
TOLERANCE = 1e-4  # of the largest answer; networks add in another order where there are many rows


def main(argv: Sequence[str] | None = None) -> int:
    """Try every table in a process of its own; 1 where anything failed."""
    args = _arguments(argv)
    if args.table is not None:
        return _one(args)
    index = pd.read_csv(args.data / "index.csv", keep_default_na=False)
    wanted = set(args.sets or index["name"])
    if unknown := wanted - set(index["name"]):
        raise SystemExit(f"{', '.join(sorted(unknown))} not in {args.data / 'index.csv'}. Choose from its column name.")
    failures = 0
    for row in index[index["name"].isin(wanted)].itertuples():
        started = time.monotonic()
        found = _in_a_process(args, str(row.name), str(row.target))
        failures += bool(found)
        print(f"{'FAIL' if found else 'ok':<5}{row.name:<28}{time.monotonic() - started:6.1f} s", flush=True)
        for problem in found:
            print(f"     {problem}", flush=True)
    print(f"{failures} of {len(wanted)} tables failed")
    return 1 if failures else 0


def _in_a_process(args: argparse.Namespace, name: str, target: str) -> list[str]:
    """What went wrong with one table, also where its process died."""
    file = next((file for file in (args.data / f"{name}.csv.gz", args.data / f"{name}.csv") if file.is_file()), None)
    if file is None:
        return ["its file is missing"]
    command = [sys.executable, str(Path(__file__).resolve()), "--data", str(args.data), "--table", str(file)]
    command += ["--target", target, "--seconds", f"{args.seconds:g}", "--rows", str(args.rows)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=10 * args.seconds + 300, check=False)
    except subprocess.TimeoutExpired as error:
        return [f"killed after {error.timeout:.0f} s"]
    try:
        return list(json.loads(ended.stdout.strip().splitlines()[-1]))
    except (ValueError, IndexError):
        return [f"its process ended with code {ended.returncode}: {' '.join(ended.stderr.split())[-300:]}"]


def _one(args: argparse.Namespace) -> int:
    """One table, in this process: print what went wrong as JSON."""
    import automl

    frame = pd.read_csv(args.table, low_memory=False)
    frame = frame[frame[args.target].notna()].sample(frac=1.0, random_state=0).reset_index(drop=True)
    cut = int(len(frame) * (1 - HELD))
    held = frame.iloc[cut : cut + args.rows].drop(columns=args.target)
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = automl.fit(
                frame.iloc[:cut], args.target, budget=f"{args.seconds:g}s", run_dir=Path(folder) / "run", verbose=0
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this table's failure
            problems = [f"fit: {type(error).__name__}: {error}"]
        else:
            problems = compare(result.model, held)
    print(json.dumps(problems))
    return 1 if problems else 0


def compare(model: Any, held: pd.DataFrame) -> list[str]:
    """What is wrong with a model's predictions of these rows, one line for each way of giving them."""

    def ask(rows: Any) -> np.ndarray:
        return np.asarray(model.predict_proba(rows) if model.classes else model.predict(rows), dtype=np.float64)

    try:
        batch = ask(held)
    except Exception as error:  # noqa: BLE001 - the rows are from the table that was learned from
        return [f"batch: {type(error).__name__}: {error}"]
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        for way, rows in _ways(held, Path(folder)):
            wrong: list[str] = []
            for at, row in enumerate(rows):
                try:
                    told = ask(row)
                except Exception as error:  # noqa: BLE001 - a refusal of one row is what is looked for
                    wrong.append(f"row {held.index[at]}: {type(error).__name__}: {error}")
                    continue
                expected = batch if len(told) == len(batch) else batch[at : at + 1]
                worst = float(np.abs(told - expected).max())
                if not worst <= TOLERANCE * np.abs(batch).max():
                    wrong.append(f"row {held.index[at]}: differs from the batch by up to {worst:.3g}")
            if wrong:
                problems.append(f"{way}: {len(wrong)} times, first {wrong[0]}")
    return problems


def _ways(held: pd.DataFrame, folder: Path) -> Iterator[tuple[str, Iterator[Any]]]:
    """The same rows, given in every way that people give them."""
    singles = [held.iloc[[at]] for at in range(len(held))]
    yield "one row of the frame", iter(singles)
    yield "one row of plain values", (pd.DataFrame([_plain(row)]) for row in singles)
    yield "one row as a list of dicts", ([_plain(row)] for row in singles[:3])
    yield "one row re-read by pandas", (pd.read_csv(io.StringIO(row.to_csv(index=False))) for row in singles)
    yield "one row as a file", (_written(row, folder / "row.csv") for row in singles)
    yield "all rows as a file", iter([_written(held, folder / "all.csv")])
    yield "all rows as an array", iter([held.to_numpy(dtype=object)])


def _plain(row: pd.DataFrame) -> dict[str, Any]:
    """One row as a program without pandas would hold it."""
    cells = {str(name): row[name].iloc[0] for name in row.columns}
    return {
        name: None if pd.isna(cell) else cell.item() if isinstance(cell, np.generic) else cell
        for name, cell in cells.items()
    }


def _written(rows: pd.DataFrame, path: Path) -> Path:
    rows.to_csv(path, index=False)
    return path


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv (name, target) and NAME.csv.gz")
    parser.add_argument("--seconds", type=float, default=8.0, help="budget of each fit")
    parser.add_argument("--rows", type=int, default=40, help="held-out rows predicted of each table")
    parser.add_argument("--sets", type=lambda text: text.split(","), help="only these, by name, with commas between")
    parser.add_argument("--table", type=Path, help=argparse.SUPPRESS)  # of the process of one table
    parser.add_argument("--target", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
