"""Where sets of series to forecast come from: folders with a meta.json, and one panel that is made up.

A set is a long table, one row per series and step of time; `test` holds the steps that follow on `train`.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

METRICS = ("mase", "wape", "rmsse", "smape")
NEEDED = ("target", "metric", "id", "timestamp", "horizon", "freq", "seasonality")
SCALE = "scale"  # the name of the made-up set
SCALE_SEED = 0


@dataclass(frozen=True)
class SeriesSet:
    """One panel, its last steps kept for the test."""

    name: str
    train: Path
    test: Path
    target: str
    metric: str
    id: str
    time: str
    horizon: int
    season: int  # steps
    freq: str  # as pandas says it
    static: tuple[str, ...] = ()
    known_future: tuple[str, ...] = ()
    past_only: tuple[str, ...] = ()

    def read(self, part: str) -> pd.DataFrame:
        """The rows of "train" or "test" by series and time; ids are texts, times are stamps, the target is a number."""
        path = {"train": self.train, "test": self.test}[part]
        frame = pd.read_csv(path, dtype={self.id: str})
        frame[self.time] = pd.to_datetime(frame[self.time])
        frame[self.target] = frame[self.target].astype(float)
        return frame.sort_values([self.id, self.time], ignore_index=True)

    def asked(self) -> pd.DataFrame:
        """The rows to forecast: id, time and what is known of them beforehand."""
        return self.read("test")[[self.id, self.time, *self.known_future]]


def from_folder(folder: Path, names: tuple[str, ...] = ()) -> list[SeriesSet]:
    """All forecasting sets in the sub-folders of `folder`, in order of name, or those named in their order."""
    found = {}
    for path in sorted(folder.glob("*/meta.json")):
        meta = json.loads(path.read_text(encoding="utf-8"))
        if meta.get("modality") == "forecasting":
            found[path.parent.name] = described(path.parent, meta)
    if unknown := [name for name in names if name not in found]:
        raise SystemExit(f"unknown set {unknown[0]!r}. Forecasting sets in {str(folder)!r}: {', '.join(found) or '-'}.")
    return [found[name] for name in names or found]


def described(folder: Path, meta: dict[str, Any]) -> SeriesSet:
    """A set as its meta.json says."""
    if missing := [key for key in NEEDED if key not in meta]:
        raise SystemExit(f"{folder / 'meta.json'} says nothing of {missing[0]!r}. Needed are {', '.join(NEEDED)}.")
    if meta["metric"] not in METRICS:
        raise SystemExit(f"{folder.name}: metric {meta['metric']!r} is none of {', '.join(METRICS)}.")
    return SeriesSet(
        name=folder.name,
        train=_csv(folder, "train"),
        test=_csv(folder, "test"),
        target=meta["target"],
        metric=meta["metric"],
        id=meta["id"],
        time=meta["timestamp"],
        horizon=int(meta["horizon"]),
        season=int(meta["seasonality"]),
        freq=meta["freq"],
        static=tuple(meta.get("static", ())),
        known_future=tuple(meta.get("known_future", ())),
        past_only=tuple(meta.get("past_only", ())),
    )


def _csv(folder: Path, part: str) -> Path:
    for path in (folder / f"{part}.csv", folder / f"{part}.csv.gz"):
        if path.is_file():
            return path
    raise SystemExit(f"{str(folder)!r} holds no {part}.csv and no {part}.csv.gz.")


# --- a panel of many series ------------------------------------------------------------------------------------------


def written(folder: Path, series: int = 10_000, points: int = 100, horizon: int = 12) -> SeriesSet:
    """The made-up panel in a folder, written unless it is there."""
    if not (folder / "meta.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        frame = made_up(series, points + horizon)
        is_test = frame.groupby("id").cumcount() >= points
        for part, rows in (("train", frame[~is_test]), ("test", frame[is_test])):
            with gzip.open(folder / f"{part}.csv.gz", "wt", compresslevel=1, newline="") as file:
                rows.to_csv(file, index=False)
        meta = {
            "modality": "forecasting", "target": "value", "metric": "mase", "id": "id", "timestamp": "month",
            "horizon": horizon, "seasonality": 12, "freq": "MS",
        }  # fmt: skip
        (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    return described(folder, json.loads((folder / "meta.json").read_text(encoding="utf-8")))


def made_up(series: int, points: int) -> pd.DataFrame:
    """Monthly series of three kinds in turn: with trend and season, wandering, and of few counts among zeros."""
    draw = np.random.default_rng(SCALE_SEED)
    at = np.arange(points)[None, :]
    level = np.exp(draw.normal(4.0, 1.5, (series, 1)))
    growth = draw.normal(0.0, 0.003, (series, 1)) * at
    season = draw.uniform(0.05, 0.4, (series, 1)) * np.sin(2 * np.pi * (at / 12 + draw.uniform(size=(series, 1))))
    noise = draw.normal(0.0, draw.uniform(0.03, 0.2, (series, 1)), (series, points))
    seasonal = level * np.exp(growth + season + noise)
    wandering = level * np.exp(np.cumsum(draw.normal(0.0, 0.05, (series, points)), axis=1))
    rates = draw.uniform(0.1, 1.5, (series, 1)) * (1 + season)
    counts = draw.poisson(rates, (series, points)).astype(float)
    values = np.choose((np.arange(series) % 3)[:, None], [seasonal, wandering, counts])
    months = pd.date_range("2015-01-01", periods=points, freq="MS")
    ids = np.char.add("s", np.char.zfill(np.arange(series).astype(str), 5))
    return pd.DataFrame(
        {"id": np.repeat(ids, points), "month": np.tile(months, series), "value": values.round(3).ravel()}
    )
