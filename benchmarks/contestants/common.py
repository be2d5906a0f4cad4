"""What all contestants share: reading the data, the stopwatch, and writing what the harness reads.

A contestant is a script that hands `compete` one function: Task -> Fitted. Only that function's wall time is the fit.
It runs in the contestant's own environment, so nothing but pandas and numpy may be imported here.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

ROW_REPEATS = 20
BATCH_ROWS = 1000


@dataclass(frozen=True)
class Task:
    """What a contestant is given."""

    train: pd.DataFrame  # with the target column
    target: str
    kind: str  # binary | multiclass | regression
    metric: str
    seconds: float
    seed: int
    folder: Path  # an empty folder to work in; the harness deletes it afterwards
    cores: int

    @property
    def features(self) -> pd.DataFrame:
        """The training rows without the target."""
        return self.train.drop(columns=self.target)

    @property
    def answers(self) -> pd.Series:
        """The target column; labels are text."""
        return self.train[self.target]


@dataclass(frozen=True)
class Fitted:
    """What a contestant gives back."""

    predict: Callable[[pd.DataFrame], pd.DataFrame]  # a column per class with its probability, or one column of numbers
    save: Callable[[Path], object]  # writes the model as a file or a folder at this path
    describe: Callable[[], str]  # the model in one line
    promise: tuple[float, float, float] | None = None  # the score to expect and the bounds of its interval, if told


def compete(fit: Callable[[Task], Fitted], package: str) -> None:
    """Run one contestant from the command line to `result.json` and `predictions.csv`."""
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"error": None}
    try:
        result["version"] = version(package)
        _compete(fit, args, result)
    except Exception as problem:  # noqa: BLE001 - a contestant's failure, whatever its kind, is a result
        traceback.print_exc()
        result["error"] = one_line(problem)
    (args.out / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _compete(fit: Callable[[Task], Fitted], args: argparse.Namespace, result: dict[str, Any]) -> None:
    train, test = read(args.train, args.target, args.task), read(args.test, args.target, args.task)
    test = test.drop(columns=args.target, errors="ignore")
    folder = args.out / "work"
    folder.mkdir(exist_ok=True)
    task = Task(train, args.target, args.task, args.metric, args.seconds, args.seed, folder, cores())
    started = time.perf_counter()
    fitted = fit(task)
    result["fit_s"] = time.perf_counter() - started
    result["overrun_s"] = max(0.0, result["fit_s"] - args.seconds)
    predictions = fitted.predict(test)
    predictions.columns = predictions.columns.map(str)
    predictions.to_csv(args.out / "predictions.csv", index=False)
    result["model"] = one_line(fitted.describe())
    if fitted.promise is not None:
        result["promised"], result["low"], result["high"] = fitted.promise
    result["row_ms"], result["batch_ms"] = latency(fitted.predict, test)
    fitted.save(folder / "saved")
    result["size_mb"] = size_mb(folder / "saved")


def read(path: Path, target: str, kind: str) -> pd.DataFrame:
    """The table as pandas reads it; labels always as text, so that every contestant spells them alike."""
    frame = pd.read_csv(path)
    if kind != "regression" and target in frame:  # a label that reads "NA" is a label, not a missing cell
        frame[target] = pd.read_csv(path, usecols=[target], dtype=str, keep_default_na=False)[target]
    return frame


def latency(predict: Callable[[pd.DataFrame], pd.DataFrame], test: pd.DataFrame) -> tuple[float, float]:
    """Milliseconds for one row (median after a warm-up) and for a batch of 1,000 rows."""
    predict(test.iloc[:1])
    rows = []
    for number in range(ROW_REPEATS):
        row = test.iloc[[number % len(test)]]
        started = time.perf_counter()
        predict(row)
        rows.append(time.perf_counter() - started)
    batch = test.iloc[np.arange(BATCH_ROWS) % len(test)].reset_index(drop=True)
    started = time.perf_counter()
    predict(batch)
    return 1000 * median(rows), 1000 * (time.perf_counter() - started)


def size_mb(path: Path) -> float:
    """Megabytes of a file or of all files in a folder."""
    files = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def cores() -> int:
    """Cores this process may use; the harness pins each contestant to the same number."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def preload(*modules: str) -> None:
    """Import libraries that a contestant would otherwise load inside its timed fit."""
    for module in modules:
        with suppress(ImportError):  # an extra that this environment lacks
            importlib.import_module(module)


def one_line(what: object) -> str:
    """Text or an exception on one line of at most 300 characters."""
    text = f"{type(what).__name__}: {what}" if isinstance(what, Exception) else str(what)
    return " ".join(text.split())[:300]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="fit one contestant on one table")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--task", choices=("binary", "multiclass", "regression"), required=True)
    parser.add_argument("--metric", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=lambda text: Path(text).resolve(), required=True)
    return parser.parse_args()
