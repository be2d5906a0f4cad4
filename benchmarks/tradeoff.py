"""What the default gives up, and what it saves: the default pick of a run beside its most accurate and its other picks.

    python benchmarks/tradeoff.py --data FOLDER --sets adult,letter --seconds 60 --out benchmarks/out/tradeoff

Each set is fitted once. Then every named pick, every student and the default are loaded, scored on the set's test rows
and timed on them, one after another on this machine. `--all`: every model of the leaderboard is scored. Ratios are told
against the most accurate pick; of a student also which share it keeps of what that gains on test rows over the best
single model.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sets
from sets import TableSet

import automl
from automl.scoring import metrics

ROWS_AT_ONCE = 10_000
REPEATS, ONES = 5, 30
BEST, DEFAULT = "best", "default"
LEAST, MOST_LOSS, CHEAPER = 0.6, 0.01, 5.0  # the bars


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One model of a run, on rows that it never saw."""

    set: str
    role: str  # its picks, with commas; "default", "student", or nothing
    name: str
    promised: float
    error: float  # on the test rows, zero is perfect
    row_ms: float
    million_s: float  # core seconds
    size_mb: float
    models: int  # fitted ones that it asks
    members: int
    made_from: str


def main(argv: Sequence[str] | None = None) -> int:
    """Fit and try each set, then tell the ratios."""
    args = _arguments(argv)
    out: Path = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    folder = args.data.resolve()
    whole = (folder / "index.csv").is_file()
    tables = sets.from_index(folder, out / "sets", args.sets) if whole else sets.from_folder(folder, args.sets)
    tried: list[Tried] = []
    for table in tables:
        place = out / "runs" / table.name
        if not (place / "report.json").is_file():
            shutil.rmtree(place, ignore_errors=True)
            automl.fit(
                table.train, target=table.target, budget=args.budget or args.seconds, metric=table.metric,
                task=table.task, seed=args.seed, run_dir=place, verbose=0,
            )  # fmt: skip
        found = try_all(automl.Result(place), table, is_each=args.all)
        tried += found
        (out / "tried.json").write_text(json.dumps([asdict(one) for one in tried], indent=1), encoding="utf-8")
        print(_line(table.name, found), flush=True)
    print("\n" + summary(tried))
    return 0


def try_all(result: automl.Result, table: TableSet, *, is_each: bool) -> list[Tried]:
    """The default, then what the leaderboard names; with `is_each` all of it."""
    told = json.loads((result.folder / "report.json").read_text(encoding="utf-8"))["leaderboard"]
    rows = pd.read_csv(table.test)
    found = [_tried(result.model, DEFAULT, next(one for one in told if one["name"] == result.best), (rows, table))]
    for one in told:
        is_named = bool(one["picks"]) or bool(one.get("made_from"))
        if is_each or is_named:
            role = ",".join(one["picks"]) or ("student" if "taught by" in one["name"] else "")
            found.append(_tried(result.select(one["name"]), role, one, (rows, table)))
    return found


def _tried(model: Any, role: str, told: Mapping[str, Any], given: tuple[pd.DataFrame, TableSet]) -> Tried:
    """Score and time one model."""
    rows, table = given
    features = rows.drop(columns=table.target)
    many = features.iloc[np.arange(ROWS_AT_ONCE) % len(features)].reset_index(drop=True)
    core_s = min(_core_s(model, many) for _ in range(REPEATS))
    row_s = statistics.median(_core_s(model, features.iloc[[k]]) for k in range(ONES))
    return Tried(
        set=table.name, role=role, name=str(told["name"]), promised=float(told["score"]["value"]),
        error=_error(model, features, table), row_ms=1e3 * row_s, million_s=core_s * 1e6 / ROWS_AT_ONCE,
        models=len(model.parts), members=len(told["weights"]), size_mb=float(told["size_mb"]),
        made_from=str(told.get("made_from") or ""),
    )  # fmt: skip


def _error(model: Any, features: pd.DataFrame, table: TableSet) -> float:
    """Of the set's metric; zero is perfect."""
    metric, answers = metrics.get(table.metric), table.answers("test")
    if table.task == "regression":
        return metric.error(answers.to_numpy(float), model.predict(features).to_numpy(float))
    codes = {str(label): code for code, label in enumerate(model.classes)}
    return metric.error(answers.str.strip().map(codes).to_numpy(), model.predict_proba(features).to_numpy(float))


def _core_s(model: Any, rows: pd.DataFrame) -> float:
    """Core seconds of a call: what others do on this machine at the same time is not in them."""
    worked = time.process_time()
    model.predict(rows)
    return time.process_time() - worked


def _line(name: str, tried: Sequence[Tried]) -> str:
    best = next((one for one in tried if BEST in one.role.split(",")), tried[0])
    lines = [
        f"  {one.role or '-':<26} {one.name[:44]:<44} error {one.error:.5f} ({one.error / best.error - 1:+.1%})  "
        f"{one.row_ms:8.2f} ms a row ({best.row_ms / one.row_ms:5.1f}x)  {one.million_s:8.1f} core s a million "
        f"({best.million_s / one.million_s:5.1f}x)  {one.size_mb:7.2f} MB, {one.models} models"
        for one in tried
    ]
    return "\n".join([name, *lines])


def summary(tried: Sequence[Tried]) -> str:
    """The bars, set by set and together."""
    lines, losses, times = [], [], []
    for name in dict.fromkeys(one.set for one in tried):
        mine = [one for one in tried if one.set == name]
        best, default = (next((one for one in mine if role in one.role.split(",")), None) for role in (BEST, DEFAULT))
        if best is None or default is None:
            continue
        losses.append(default.error / best.error - 1)
        times.append(best.million_s / default.million_s)
        lines.append(
            f"{name:<20} default {default.name[:40]:<40} loses {losses[-1]:+.2%}, {times[-1]:.1f}x cheaper a million, "
            f"{best.row_ms / default.row_ms:.1f}x faster a row{_student(mine, best)}"
        )
    if not losses:
        return "nothing was tried"
    held = sum(loss <= MOST_LOSS for loss in losses)
    lines.append(
        f"default against most accurate: at most 1 % lost on {held} of {len(losses)} sets, median "
        f"{statistics.median(losses):+.2%}; {statistics.median(times):.1f}x cheaper to run in the median "
        f"(bar {CHEAPER:g}x)"
    )
    return "\n".join(lines)


def _student(mine: Sequence[Tried], best: Tried) -> str:
    """How much a student keeps of what the most accurate gains over the best single model, and how fast it is."""
    student = next((one for one in mine if "taught by" in one.name), None)
    singles = [one.error for one in mine if one.members == 1 and not one.made_from]
    if student is None or not singles:
        return ""
    gain = min(singles) - best.error
    kept = f"keeps {(min(singles) - student.error) / gain:.0%} of the gain" if gain > 0 else "there was no gain to keep"
    return f"; student {kept} (bar {LEAST:.0%}) at {student.row_ms / best.row_ms:.3f} of the time for a row"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder of sets, or one with index.csv")
    parser.add_argument("--sets", type=lambda text: tuple(text.split(",")), default=(), help="names, with commas")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--budget", help="instead of the seconds, for instance 20 trials: a busy machine then does as much"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true", help="score every model of the leaderboard")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/tradeoff"))
    return parser.parse_args(argv)


if __name__ == "__main__":  # workers import this script again
    raise SystemExit(main())
