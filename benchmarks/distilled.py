"""What a student keeps of the blend's gain over the best single model, and what it takes to ask it, on rows set aside.

A third of each set is kept for the test; the run sees the rest. All models of the run that are compared are saved and
loaded as a user would have them, and timed in turn on the same rows in one process of one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
SETS = ("ames", "hpc_jobs", "telco_churn", "housing_ca", "credit_g")
BATCHES = (1, 10_000)
CALLS = {1: 41, 10_000: 5}
SEED = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run each set, or read what an earlier call left, and print a row for it."""
    args = _arguments(argv)
    rows = []
    for name in args.sets.split(","):
        out: Path = args.out / name
        train, test, meta = _halved(args.data / name, out)
        run = out / "run"
        if not (run / "report.json").is_file():
            shutil.rmtree(run, ignore_errors=True)
            _fit(train, meta, args.budget, run)
        rows.append({"set": name, **compared(run, test, meta)})
        (out / "distilled.json").write_text(json.dumps(rows[-1], indent=1), encoding="utf-8")
        print(json.dumps(rows[-1]), flush=True)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    kept = [row["kept"] for row in rows if row.get("kept") is not None]
    if kept:
        print(f"median share of the gain that is kept: {median(kept):.2f} on {len(kept)} sets of {len(rows)}")
    return 0


def compared(run: Path, test: pd.DataFrame, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Errors on the test rows and milliseconds of the best single model, the best blend and its student."""
    from automl.ensemble.frontier import error
    from automl.result.one import Result
    from search_spaces.spec import BASELINE

    result = Result(run)
    field = [one for one in result._candidates if one.name != BASELINE]
    student = next((one for one in field if " taught by " in one.name), None)
    if student is None:
        return {"why_not": result._report["cheaper"]["unmade"]}
    bags = [one for one in field if not one.made_from]
    found = {
        "single": min((one for one in bags if len(one.weights) == 1), key=lambda one: error(one.score)),
        "blend": next(one for one in bags if one.name == student.made_from),
        "each_once": next((one for one in field if one.name == f"{student.made_from}, one model each"), student),
        "student": student,
    }
    models = {role: result.select(one.name) for role, one in found.items()}
    truth, X = test[meta["target"]], test.drop(columns=meta["target"])
    errors = {role: _error(model, X, truth, meta["metric"]) for role, model in models.items()}
    told: dict[str, Any] = {f"{role}_error": round(value, 5) for role, value in errors.items()}
    told |= {f"{role}_held_out": round(error(one.score), 5) for role, one in found.items()}
    told["kept"] = _kept(errors)
    told["kept_held_out"] = _kept({role: error(one.score) for role, one in found.items()})
    for rows in BATCHES:
        took = _timed(models, X, rows)
        told |= {f"{role}_ms_{rows}": round(ms, 3) for role, ms in took.items()}
        told[f"ratio_{rows}"] = round(took["student"] / took["blend"], 3)
    told["parts"] = len(models["blend"].parts)
    return told


def _kept(errors: Mapping[str, float]) -> float | None:
    """Of what the blend gains over the single model; nothing where it gains nothing."""
    gain = errors["single"] - errors["blend"]
    return None if gain <= 0 else round((errors["single"] - errors["student"]) / gain, 3)


def _error(model: Any, X: pd.DataFrame, truth: pd.Series, metric: str) -> float:
    """By the run's own metric, on rows that it never saw."""
    from automl.data.target import encode_target
    from automl.model.evaluate import profile_of
    from automl.scoring import metrics

    said = model.predict_proba(X) if model.classes else model.predict(X)
    y = encode_target(truth.reset_index(drop=True), profile_of(model.manifest))
    return float(metrics.get(metric).error(y, np.asarray(said)))


def _timed(models: Mapping[str, Any], X: pd.DataFrame, rows: int) -> dict[str, float]:
    """The median of several calls of each, in turn, so that what else the machine does hits all alike."""
    asked = X.iloc[np.arange(rows) % len(X)].reset_index(drop=True)
    calls: dict[str, Callable[[], Any]] = {
        role: (lambda model=model: model.predict_proba(asked) if model.classes else model.predict(asked))
        for role, model in models.items()
    }
    took: dict[str, list[float]] = {role: [] for role in calls}
    for call in calls.values():
        call()  # libraries are loaded by the first
    for _ in range(CALLS[rows]):
        for role, call in calls.items():
            worked = time.process_time()
            call()
            took[role].append(1e3 * (time.process_time() - worked))
    return {role: median(times) for role, times in took.items()}


def _fit(train: Path, meta: Mapping[str, Any], budget: str, run: Path) -> None:
    import automl

    automl.fit(str(train), target=meta["target"], metric=meta["metric"], budget=budget, run_dir=run, verbose=0)


def _halved(folder: Path, out: Path) -> tuple[Path, pd.DataFrame, dict[str, Any]]:
    """Two thirds of all rows in a file to learn from, and the last third; cut once."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    files = [sorted(folder.glob(f"{part}.csv*"))[0] for part in ("train", "test")]
    frame = pd.concat([pd.read_csv(file) for file in files], ignore_index=True)
    order = np.random.default_rng(SEED).permutation(len(frame))
    cut = 2 * len(frame) // 3
    train = out / "train.csv"
    if not train.is_file():
        frame.iloc[order[:cut]].to_csv(train, index=False)
    return train, frame.iloc[order[cut:]].reset_index(drop=True), meta


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of data sets, each with meta.json")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--out", type=Path, default=HERE / "out" / "distilled")
    return parser.parse_args(argv)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
