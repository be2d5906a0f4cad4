"""Forecasts of series: ours beside references on the same rows and seconds, one after another, each in its own process.

    python benchmarks/forecasting.py --data FOLDER --sets a,b --contestants ours,naive,ets,theta,mean,lightgbm,autogluon
    python benchmarks/forecasting.py --scale --contestants ours --seconds 60            # 10,000 made-up series

Every result is on disk as JSON before the next contestant starts, and what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import forecast_scoring
import forecast_summary
import pandas as pd
import panels
import tables
from forecast_scoring import FORECAST
from forecast_summary import Record
from panels import SeriesSet

HERE = Path(__file__).resolve().parent
LATE_S = 120  # beyond twice the budget, after which a contestant is ended, as for tables
PATIENCE_S = 3600  # for those that know no budget
MEAN = "mean"
MEAN_OF = ("naive", "ets", "theta")
ENVIRONMENTS = {  # requirements of each contestant; none: this project's environment
    "ours": None,
    "naive": "nixtla",
    "ets": "nixtla",
    "theta": "nixtla",
    MEAN: "nixtla",
    "lightgbm": "nixtla",
    "autogluon": "autogluon_timeseries",
}
BUDGETED = ("ours", "autogluon")


@dataclass(frozen=True)
class Place:
    """Where results and environments lie, and which seed."""

    out: Path
    venvs: Path
    seed: int

    def named(self, panel: SeriesSet, name: str, seconds: float) -> str:
        """SET/CONTESTANT, with budget and seed where they matter."""
        budget = f"-{seconds:g}s-seed{self.seed}" if name in BUDGETED else ""
        return f"{panel.name}/{name}{budget}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for and is not there yet, then print and write the summary."""
    args = _arguments(argv)
    place = Place(args.out.resolve(), args.venvs.resolve(), args.seed)
    found = panels.from_folder(args.data.resolve(), args.sets) if args.data else []
    if args.scale:
        found.append(panels.written(place.out / "sets" / panels.SCALE))
    records = []
    for panel in found:
        for name in args.contestants:
            seconds = args.seconds.get(panel.name, args.seconds[""])
            record = result(panel, name, seconds, place, is_new=name in args.again)
            records.append(record)
            print(forecast_summary.line(record), flush=True)
    text = forecast_summary.summary(records)
    place.out.mkdir(parents=True, exist_ok=True)
    (place.out / "summary.md").write_text(text, encoding="utf-8")
    print("\n" + text)
    return 0


def result(panel: SeriesSet, name: str, seconds: float, place: Place, is_new: bool = False) -> Record:
    """What a contestant did on a set: read, or run and kept."""
    kept = place.out / "results" / f"{place.named(panel, name, seconds)}.json"
    if kept.is_file() and not is_new:
        return forecast_summary.record_from(json.loads(kept.read_text(encoding="utf-8")))
    record = averaged(panel, seconds, place) if name == MEAN else compete(panel, name, seconds, place)
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = kept.with_suffix(".new")
    beside.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    beside.replace(kept)  # whole or not at all
    return record


def compete(panel: SeriesSet, name: str, seconds: float, place: Place) -> Record:
    """Run one contestant in a process of its own; a failure is a result too."""
    folder = _emptied(panel, name, seconds, place)
    told = asdict(panel) | {"train": str(panel.train), "test": str(panel.test)}
    (folder / "panel.json").write_text(json.dumps(told), encoding="utf-8")
    command = [
        _python(name, place), str(HERE / "forecaster.py"), "--name", name, "--panel", str(folder / "panel.json"),
        "--seconds", f"{seconds:g}", "--seed", str(place.seed), "--out", str(folder),
    ]  # fmt: skip
    limit_s = 2 * seconds + LATE_S if name in BUDGETED else PATIENCE_S
    ending = tables.run_limited(command, folder / "log.txt", limit_s)
    facts: dict[str, Any] = {"failure": f"ended with code {ending.code}, see log.txt"}
    if ending.is_killed:
        facts["failure"] = f"ended after {ending.wall_s:.0f} s"
    with suppress(FileNotFoundError):
        facts = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    facts |= {"peak_mb": ending.peak_mb, "wall_s": ending.wall_s}
    return judged(panel, name, seconds if name in BUDGETED else None, folder, facts)


def averaged(panel: SeriesSet, seconds: float, place: Place) -> Record:
    """The mean of other contestants' forecasts and bounds, which are run first where they have not been."""
    parts = [result(panel, name, seconds, place) for name in MEAN_OF]
    folder = _emptied(panel, MEAN, seconds, place)
    if failed := [part for part in parts if part.failure]:
        return judged(panel, MEAN, None, folder, {"failure": f"{failed[0].contestant}: {failed[0].failure}"})
    keys = [panel.id, panel.time]
    runs = [place.out / "runs" / place.named(panel, name, seconds) for name in MEAN_OF]
    every = pd.concat([pd.read_csv(run / "forecast.csv", dtype={panel.id: str}) for run in runs], join="inner")
    every.groupby(keys, as_index=False).mean().to_csv(folder / "forecast.csv", index=False)
    facts = {"failure": None, "model": f"mean of {', '.join(MEAN_OF)}", "version": parts[0].version}
    for cost in ("fit_s", "forecast_s", "wall_s"):
        facts[cost] = sum(getattr(part, cost) for part in parts)
    return judged(panel, MEAN, None, folder, facts | {"peak_mb": max(part.peak_mb or 0.0 for part in parts)})


def judged(panel: SeriesSet, name: str, seconds: float | None, folder: Path, facts: dict[str, Any]) -> Record:
    """Score what a contestant left behind, beside our own seasonal naive."""
    train, test = panel.read("train"), panel.read("test")
    naive = forecast_scoring.scored(panel, train, test, forecast_scoring.seasonal_naive(panel)).value(panel.metric)
    scores = None
    try:
        forecast = pd.read_csv(folder / "forecast.csv", dtype={panel.id: str})
        scores = forecast_scoring.scored(panel, train, test, forecast)
    except FileNotFoundError:
        facts["failure"] = facts["failure"] or f"wrote no {FORECAST}.csv"
    except ValueError as problem:
        facts["failure"] = facts["failure"] or f"cannot be scored: {problem}"
    return Record(
        set=panel.name, contestant=name, seconds=seconds, metric=panel.metric, naive=naive, scores=scores, **facts
    )


def _emptied(panel: SeriesSet, name: str, seconds: float, place: Place) -> Path:
    folder = place.out / "runs" / place.named(panel, name, seconds)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _python(name: str, place: Place) -> str:
    """The interpreter of a contestant, its environment made when missing."""
    environment = ENVIRONMENTS[name]
    if environment is None:
        return sys.executable
    return tables.install(place.venvs / environment, HERE / "requirements" / f"{environment}.txt")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    def names(text: str) -> tuple[str, ...]:
        return tuple(name.strip() for name in text.split(",") if name.strip())

    def contestants(text: str) -> tuple[str, ...]:
        if unknown := [name for name in names(text) if name not in ENVIRONMENTS]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(ENVIRONMENTS)}")
        return names(text)

    def seconds(text: str) -> dict[str, float]:
        pairs = [part.rpartition("=") for part in names(text)]
        found = {name: float(number) for name, _, number in pairs}
        if "" not in found:
            raise argparse.ArgumentTypeError(f"{text!r} says nothing of sets not named, as 60 in 60,some_set=120 does")
        return found

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder whose sub-folders hold meta.json, train.csv and test.csv")
    parser.add_argument("--sets", type=names, default=(), help="names, comma between; default: all")
    parser.add_argument("--scale", action="store_true", help="also 10,000 made-up series of 100 points")
    parser.add_argument("--contestants", type=contestants, default=("ours", "naive"), help="names, comma between")
    parser.add_argument("--seconds", type=seconds, default={"": 60.0}, help="budget: 60, or 60,some_set=120")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", type=contestants, default=(), help="contestants to run although results are there")
    parser.add_argument("--out", type=Path, default=HERE / "out" / "forecasting")
    parser.add_argument("--venvs", type=Path, default=tables.VENVS, help="where environments lie")
    args = parser.parse_args(argv)
    if args.data is None and not args.scale:
        parser.error("give --data FOLDER, --scale or both")
    return args


if __name__ == "__main__":
    raise SystemExit(main())
