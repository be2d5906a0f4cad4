"""Monitoring on real tables: how often fresh samples of the same rows alarm, and how often planted shifts do.

    python benchmarks/drift.py --data FOLDER --sets adult,weather_aus,... [--samples 20] [--rows 4000] [--out OUT]

Each table is shuffled; a model is trained on its first rows, and fresh samples of many sizes are drawn from the others,
with replacement where more are asked for than there are. Every sample is monitored with its answers and without.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sets
from sets import TableSet

import automl

SIZES = (200, 500, 2_000, 10_000, 50_000, 200_000)
SHARE = 0.5  # of the rows at most, that are learned from


def main(argv: Sequence[str] | None = None) -> int:
    """All tables, one after the other; a line for each and one for all."""
    args = _arguments(argv)
    rows = []
    for table in sets.from_folder(args.data, tuple(args.sets.split(","))):
        began = time.monotonic()
        rows += [{"table": table.name, **one} for one in _one(table, args)]
        mine = pd.DataFrame([row for row in rows if row["table"] == table.name])
        print(f"{table.name}: {_told(mine)}; {time.monotonic() - began:.0f} s", flush=True)
        if args.out:
            args.out.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    found = pd.DataFrame(rows)
    print(f"all: {_told(found)}")
    for (what, size), part in found.groupby(["what", "size"]):
        print(f"  {what:<14} {size:>8,} rows: {part['alarm'].sum():>3} of {len(part)} alarm")
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default="adult,weather_aus,housing_ca,telco_churn,letter,mammography")
    parser.add_argument("--rows", type=int, default=4_000, help="that are learned from")
    parser.add_argument("--samples", type=int, default=20, help="fresh samples of each table, over all sizes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    return parser.parse_args(argv)


def _one(table: TableSet, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Every sample of one table."""
    whole = pd.concat([pd.read_csv(one, low_memory=False) for one in (table.train, table.test)], ignore_index=True)
    random = np.random.default_rng(args.seed)
    whole = whole.iloc[random.permutation(len(whole))].reset_index(drop=True)
    learned = min(args.rows, int(SHARE * len(whole)))
    pool = whole.iloc[learned:]
    with tempfile.TemporaryDirectory() as place:
        model = automl.fit(
            whole.iloc[:learned], target=table.target, budget="3 trials", families=("lightgbm",),
            run_dir=f"{place}/run", verbose=0, seed=args.seed,
        ).model  # fmt: skip
    found = []
    for number in range(args.samples):
        size = SIZES[number % len(SIZES)]
        rows = pool.iloc[random.choice(len(pool), size, replace=size > len(pool))].reset_index(drop=True)
        told = model.monitor(rows if size < 50_000 else rows.drop(columns=table.target))
        found.append({"what": "fresh", "size": size, "alarm": told["alarm"], "sentence": told["sentence"]})
        if size in (200, 2_000):
            bare = rows.drop(columns=table.target)
            for what, shift in SHIFTS.items():
                moved = shift(bare, random)
                if moved is not None:
                    told = model.monitor(moved)
                    found.append({"what": what, "size": size, "alarm": told["alarm"], "sentence": told["sentence"]})
    return found


# --- planted shifts ---------------------------------------------------------------------------------------------------


def _numbers(rows: pd.DataFrame) -> list[str]:
    return [name for name in rows.select_dtypes("number") if rows[name].nunique() > 20]


def _shifted(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame | None:
    """A column of numbers, by three quarters of its deviation."""
    if not (names := _numbers(rows)):
        return None
    name = names[int(random.integers(len(names)))]
    return rows.assign(**{name: rows[name] + 0.75 * rows[name].std()})


def _scaled(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame | None:
    """A column of numbers in another unit."""
    names = [name for name in _numbers(rows) if (rows[name].abs() > 0).mean() > 0.5]
    if not names:
        return None
    name = names[int(random.integers(len(names)))]
    return rows.assign(**{name: rows[name] * 1000})


def _emptied(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """A quarter of a column's cells are missing."""
    name = rows.columns[int(random.integers(rows.shape[1]))]
    return rows.assign(**{name: rows[name].where(random.random(len(rows)) > 0.25)})


def _renamed(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame | None:
    """A tenth of a column's labels are new ones."""
    names = [name for name in rows.select_dtypes(exclude="number") if 2 < rows[name].nunique() < 60]
    if not names:
        return None
    name = names[int(random.integers(len(names)))]
    return rows.assign(**{name: rows[name].where(random.random(len(rows)) > 0.1, "never heard of")})


SHIFTS: dict[str, Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame | None]] = {
    "shifted": _shifted, "other unit": _scaled, "a quarter gone": _emptied, "new labels": _renamed,
}  # fmt: skip


def _told(found: pd.DataFrame) -> str:
    parts = []
    for what, part in found.groupby("what", sort=False):
        parts.append(f"{what} {part['alarm'].sum()} of {len(part)}")
    return "alarms: " + ", ".join(parts)


if __name__ == "__main__":
    raise SystemExit(main())
