"""Does a change of the house change an answer? Fits by trials on sets of every kind; what they say is kept or compared.

    python benchmarks/unchanged.py --data FOLDER --keep before.json      # with the code as it was
    python benchmarks/unchanged.py --data FOLDER --against before.json   # with the code as it is

Kept are the bytes of all predictions and every number of the report that no clock makes; they must be equal to the bit.
Blends made for fewer milliseconds are left out: what a row takes decides who is in them, and no two runs agree on it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import automl

ROWS, FILES = 500, 60  # of each set: what is compared is the way, not the result
# what the clock or the machine makes, and what names a place
MEASURED = {
    "run", "cost", "versions", "samples", "fit_s", "cpu_s", "wall_s", "peak_mb", "finished_s", "batch_s", "row_s",
    "row_ms", "batch_ms", "lean_ms", "lean_mb", "size_mb", "within_ms", "reproduce", "model", "on_frontier", "picks",
    "because", "kept", "message", "finished", "retries", "members",
    "latency", "million", "train", "memory_mb", "p_frontier",
}  # fmt: skip

OF_TABLES = ["lightgbm", "linear", "mlp", "extra_trees"]

Case = tuple[Any, Any, dict[str, Any]]  # what is learned from, what is predicted, options


def main() -> int:
    """Fit every set, then write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="", help="names of sets, with commas")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--against", type=Path)
    args = parser.parse_args()
    before = json.loads(args.against.read_text(encoding="utf-8")) if args.against else {}
    wanted = [name for name in args.only.split(",") if name] or list(CASES)
    found, differ = {}, 0
    for name in wanted:
        with tempfile.TemporaryDirectory() as place:
            found[name] = said_of(CASES[name](args.data, Path(place)), Path(place) / "run")
        unlike = list(differences(before[name], found[name])) if name in before else []
        differ += bool(unlike)
        if args.keep:  # after each: the next ones take minutes
            args.keep.write_text(json.dumps(found, indent=1), encoding="utf-8")
        told = "; ".join(unlike[:5]) or "equal to the bit"
        print(f"{name}: {told if name in before else 'kept'}", flush=True)
    return int(differ > 0)


def said_of(case: Case, run: Path) -> dict[str, Any]:
    """What a run says of new rows, and its report without what the clock made."""
    data, new, options = case
    result = automl.fit(data, run_dir=run, workers=2, verbose=0, **options)
    asked = {"predict": result.predict(new)}
    if result.model.classes:
        asked["predict_proba"] = result.predict_proba(new)
    bits = {name: digest(told) for name, told in asked.items()}
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    report["leaderboard"] = {row["name"]: row for row in report["leaderboard"] if " under " not in row["name"]}
    report["importance"]["columns"] = {row["column"]: row for row in report["importance"]["columns"]}
    report["trials"] = {str(row["number"]): row for row in report["trials"]}
    del report["arena"]
    return {"trials": lasting(report.pop("trials")), **bits, "report": json.loads(json.dumps(lasting(report)))}


def digest(told: pd.Series | pd.DataFrame) -> str:
    """A text that changes with any bit of what was predicted."""
    values = told.to_numpy()
    content = values.tobytes() if values.dtype.kind in "fiub" else "\x1f".join(map(str, values.ravel())).encode()
    return hashlib.sha256(content).hexdigest()


def lasting(value: Any) -> Any:
    """A report without what another run of the same code may have different."""
    if isinstance(value, Mapping):
        return {name: lasting(inner) for name, inner in value.items() if name not in MEASURED}
    return [lasting(inner) for inner in value] if isinstance(value, list) else value


def differences(before: Any, now: Any, place: str = "") -> Iterator[str]:
    """Where two reports differ; a key that came with a change is none."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in before.keys() - MEASURED:
            yield from differences(before[name], now.get(name), f"{place}.{name}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for at, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from differences(one, other, f"{place}[{at}]")
    elif before != now:
        yield f"{place or 'all'}: {str(before)[:60]} is now {str(now)[:60]}"


# --- sets ------------------------------------------------------------------------------------------------------------


def _table(name: str, rows: int = ROWS, **options: Any) -> Callable[[Path, Path], Case]:
    """Some rows of a table; others are predicted."""

    def make(data: Path, _place: Path) -> Case:
        folder = data / name
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        train, test = (next(iter(sorted(folder.glob(f"{part}.csv*")))) for part in ("train", "test"))
        told = {"target": meta["target"], "budget": "4 trials", "families": OF_TABLES, **options}
        return pd.read_csv(train).head(rows), pd.read_csv(test).head(200).drop(columns=meta["target"]), told

    return make


def _files(folder: Path, count: int) -> list[Path]:
    """As many files of each class, in the order of their names."""
    classes = sorted(place for place in folder.iterdir() if place.is_dir())
    return [file for place in classes for file in sorted(place.iterdir())[: max(1, count // len(classes))]]


def _folder(name: str, **options: Any) -> Callable[[Path, Path], Case]:
    """A folder of files by class."""

    def make(data: Path, place: Path) -> Case:
        for file in _files(data / name / "train", FILES):
            target = place / "data" / file.parent.name / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        return place / "data", [str(file) for file in _files(data / name / "test", 20)], _of_media(options)

    return make


def _listed(name: str, **options: Any) -> Callable[[Path, Path], Case]:
    """Files with a metadata.csv: a number, a category and a text beside each, and what is learned of it."""

    def make(data: Path, place: Path) -> Case:
        files, random = _files(data / name / "train", FILES), np.random.default_rng(0)
        (place / "data").mkdir()
        rows = []
        for at, file in enumerate(files):
            shutil.copy(file, place / "data" / f"{at:03d}{file.suffix}")
            digit = sum(map(ord, file.parent.name)) % 10
            rows.append({
                "file_name": f"{at:03d}{file.suffix}", "digit": digit, "noisy": digit + random.normal(),
                "shop": "abc"[digit % 3], "note": f"seen {'at night' if digit > 4 else 'by day'} number {at % 7}",
            })  # fmt: skip
        table = pd.DataFrame(rows)
        table.to_csv(place / "data" / "metadata.csv", index=False)
        new = place / "new"
        shutil.copytree(place / "data", new)
        table.drop(columns="digit").head(20).to_csv(new / "metadata.csv", index=False)
        return place / "data", new, {"target": "digit", **_of_media(options)}

    return make


def _arrays(name: str, **options: Any) -> Callable[[Path, Path], Case]:
    """Pictures in memory with a number for each."""

    def make(data: Path, _place: Path) -> Case:
        from PIL import Image

        files = _files(data / name / "train", FILES)
        pixels = np.stack([np.asarray(Image.open(file).convert("RGB").resize((24, 24))) for file in files])
        answers = pixels.mean(axis=(1, 2, 3)) + np.arange(len(pixels)) % 3
        return (pixels, answers), pixels[:20], _of_media(options)

    return make


def _of_media(options: Mapping[str, Any]) -> dict[str, Any]:
    """Few trials, one of each sort of model."""
    return {"budget": "3 trials", "families": ["svm", "lightgbm", "linear"], **options}


CASES: dict[str, Callable[[Path, Path], Case]] = {
    "binary": _table("credit_g"),
    "missing cells": _table("telco_churn"),
    "multiclass": _table("hpc_jobs"),
    "regression": _table("ames"),
    "labels of words": _table("employee_salaries"),
    "quantiles": _table("ames", quantiles=[0.1, 0.5, 0.9], budget="3 trials"),
    "texts": _table("disaster_tweets"),
    "in time": _table("weather_aus", rows=1500, time_column="Date", budget="4 trials"),
    "pictures": _folder("sign_digits"),
    "small pictures": _folder("cifar10", budget="4 trials", families=["linear", "svm", "extra_trees"]),
    "pictures with columns": _listed("sign_digits"),
    "pictures as numbers": _listed("cifar10", task="regression"),
    "pictures in memory": _arrays("cifar10"),
    "networks on pictures": _folder("cifar10", budget="1 trials", families=["convnet"]),
    "sounds": _folder("fsdd"),
    "sounds with columns": _listed("fsdd"),
    "sounds as numbers": _listed("fsdd", task="regression"),
    "described sounds": _folder("fsdd", budget="4 trials", families=["neighbors", "svm", "extra_trees"]),
    "networks on sounds": _folder("fsdd", budget="1 trials", families=["soundnet"]),
    "few sounds": _folder("fsdd", metric="log_loss", budget="3 trials"),
}

if __name__ == "__main__":
    sys.exit(main())
