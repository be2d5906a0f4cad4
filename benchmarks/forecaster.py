"""Runs one contestant on one set of series: the stopwatch that all share. `forecasting.py` starts it.

    python benchmarks/forecaster.py --name ets --panel panel.json --seconds 60 --seed 0 --out OUT

It runs in the contestant's own environment, so nothing but pandas and numpy is imported here. Libraries are loaded
before the stopwatch starts, for ours only `import automl`. OUT gets forecast.csv and result.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from panels import SeriesSet

MODULES = {  # of forecasters/
    "ours": "ours",
    "naive": "statistical",
    "ets": "statistical",
    "theta": "statistical",
    "lightgbm": "lagged",
    "autogluon": "autogluon",
}


@dataclass(frozen=True)
class Given:
    """What a contestant is given."""

    name: str
    panel: SeriesSet
    train: pd.DataFrame  # by series and time
    asked: pd.DataFrame  # the rows to forecast: id, time, columns known beforehand
    seconds: float
    seed: int
    folder: Path  # kept afterwards
    cores: int


@dataclass(frozen=True)
class Forecaster:
    """What a contestant gives back."""

    forecast: Callable[[], pd.DataFrame]  # id, time, "forecast", and "lower_80", ... where it has intervals
    describe: Callable[[], str]  # the model in one line


def main(argv: Sequence[str] | None = None) -> int:
    """Fit and forecast; a failure, whatever its kind, is a result."""
    args = _arguments(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"failure": None}
    try:
        _compete(args, result)
    except Exception as problem:  # noqa: BLE001 - see above
        traceback.print_exc()
        result["failure"] = one_line(problem)
    (args.out / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def _compete(args: argparse.Namespace, result: dict[str, Any]) -> None:
    contestant = importlib.import_module(f"forecasters.{MODULES[args.name]}")
    result["version"] = version(contestant.PACKAGE)
    panel = read_panel(args.panel)
    given = Given(
        args.name, panel, panel.read("train"), panel.asked(), args.seconds, args.seed, args.out, cores=cores()
    )
    started = time.perf_counter()
    fitted: Forecaster = contestant.fit(given)
    result["fit_s"] = time.perf_counter() - started
    started = time.perf_counter()
    forecast = fitted.forecast()
    result["forecast_s"] = time.perf_counter() - started
    forecast.to_csv(args.out / "forecast.csv", index=False)
    result["model"] = one_line(fitted.describe())


def read_panel(path: Path) -> SeriesSet:
    """A set as `forecasting.py` wrote it down."""
    told = {key: tuple(v) if isinstance(v, list) else v for key, v in json.loads(path.read_text("utf-8")).items()}
    return SeriesSet(**{**told, "train": Path(told["train"]), "test": Path(told["test"])})


def cores() -> int:
    """Cores this process may use; the harness pins each contestant to the same number."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_line(what: object) -> str:
    """Text or an exception on one line of at most 300 characters."""
    text = f"{type(what).__name__}: {what}" if isinstance(what, Exception) else str(what)
    return " ".join(text.split())[:300]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="run one contestant on one set of series")
    parser.add_argument("--name", choices=tuple(MODULES), required=True)
    parser.add_argument("--panel", type=Path, required=True, help="JSON of the set")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=lambda text: Path(text).resolve(), required=True)
    return parser.parse_args(argv)


if __name__ == "__main__":  # workers import this script again
    raise SystemExit(main())
