"""Do all columns of a mixed table together beat every subset of its parts? Fits of ours on each, in one run.

    python benchmarks/mixed.py --tables FOLDER --names a,b --items FOLDER/texts --items FOLDER/pictures --out OUT
    python benchmarks/mixed.py --sets FOLDER --names c --out OUT

Tables (NAME.csv.gz with an index.csv) get a column of texts or pictures, drawn from another data set: the class of an
item follows from the answer for some rows and is any for the others, so that it tells a part of the answer. Sets that
hold texts beside other columns (modality text+tabular in their meta.json) are taken as they are. A third is tested on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sets

import automl

TELLS = 0.6  # share of the rows whose item follows from the answer
LEVELS = 4  # of a numeric answer, or classes of items, that are told apart at most
WORDS = 4.0  # on average, from which a column is one of texts
PICTURES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Mixed:
    """A table, its rows to test on, and its parts: names of columns."""

    name: str
    train: pd.DataFrame
    test: pd.DataFrame
    target: str
    parts: dict[str, list[str]]
    metric: str


@dataclass(frozen=True)
class Items:
    """What is joined: texts or names of files, each of some class."""

    name: str
    cells: np.ndarray
    classes: np.ndarray


def main(argv: Sequence[str] | None = None) -> int:
    """Fit every subset of parts of every set; each result is on disk before the next fit starts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, help="a folder with index.csv")
    parser.add_argument("--sets", type=Path, help="a folder whose sub-folders hold texts beside other columns")
    parser.add_argument("--items", type=Path, action="append", default=[], help="a data set of texts or pictures")
    parser.add_argument("--names", default="", help="of tables or sets, with commas; all without")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rows", type=int, default=6_000, help="of a table at most, test rows included")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    names = tuple(name for name in args.names.split(",") if name)
    records = []
    for mixed in (*_joined(args, names), *_found(args, names)):
        for parts in _subsets(list(mixed.parts)):
            record = _fit(mixed, parts, args)
            records.append(record)
            with (args.out / "results.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            print(f"{mixed.name}: {' + '.join(parts)}: {mixed.metric} {record['score']:.4f}", flush=True)
    text = summary(records)
    (args.out / "summary.md").write_text(text, encoding="utf-8")
    print("\n" + text)
    return 0


def _subsets(parts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """All of them first, then each smaller one."""
    for size in range(len(parts), 0, -1):
        yield from combinations(parts, size)


def _fit(mixed: Mixed, parts: Sequence[str], args: argparse.Namespace) -> dict[str, Any]:
    """What a model of some parts has on the test rows."""
    columns = [column for part in parts for column in mixed.parts[part]]
    folder = args.out / "runs" / mixed.name / "-".join(parts).replace(" ", "_").replace("/", "_")
    result = automl.fit(
        mixed.train[[*columns, mixed.target]], target=mixed.target, test=mixed.test[[*columns, mixed.target]],
        metric=mixed.metric, budget=f"{args.seconds:g}s", seed=args.seed, run_dir=folder, verbose=0,
    )  # fmt: skip
    assert result.test_score is not None
    score, best = result.test_score, result.best
    return {
        "set": mixed.name, "parts": list(parts), "metric": mixed.metric, "score": score.value, "low": score.low,
        "high": score.high, "higher_is_better": score.higher_is_better, "best": best, "seconds": args.seconds,
    }  # fmt: skip


# --- what is joined --------------------------------------------------------------------------------------------------


def _joined(args: argparse.Namespace, names: tuple[str, ...]) -> Iterator[Mixed]:
    """Each table with a column of each kind of items."""
    if args.tables is None:
        return
    listed = {str(row["name"]): row for row in pd.read_csv(args.tables / "index.csv").to_dict("records")}
    for name in names or tuple(listed):
        if name not in listed:
            continue
        row = listed[name]
        frame = pd.read_csv(args.tables / f"{name}.csv.gz")
        frame = frame[frame[row["target"]].notna()].head(args.rows).reset_index(drop=True)
        for place in args.items:
            yield join(frame, str(row["target"]), str(row["task"]), read_items(place), f"{name} with {place.name}")


def join(frame: pd.DataFrame, target: str, task: str, items: Items, name: str) -> Mixed:
    """The table with a column of items, cut into rows to learn from and to test on, which share no item."""
    random = np.random.default_rng(0)
    answers = frame[target]
    levels = pd.qcut(answers.rank(method="first"), LEVELS, labels=False) if task == "regression" else answers
    codes = pd.factorize(levels, sort=True)[0] % min(LEVELS, len(np.unique(items.classes)))
    kinds = np.unique(items.classes)[: codes.max() + 1]
    wanted = np.where(random.random(len(frame)) < TELLS, codes, random.integers(0, len(kinds), len(frame)))
    is_test = random.random(len(frame)) < 1 / 3
    cells = np.empty(len(frame), dtype=object)
    for at, kind in enumerate(kinds):
        pool = random.permutation(items.cells[items.classes == kind])
        cut = 2 * len(pool) // 3
        for side, given in ((False, pool[:cut]), (True, pool[cut:])):
            rows = np.flatnonzero((wanted == at) & (is_test == side))
            cells[rows] = np.resize(given, len(rows))
    made = frame.assign(**{items.name: cells})
    parts = {"table": [column for column in frame.columns if column != target], items.name: [items.name]}
    return Mixed(name, made[~is_test], made[is_test], target, parts, sets.METRICS[task])


def read_items(folder: Path) -> Items:
    """The texts of a set with a CSV, or the pictures in its folders of classes; of the part that is learned from."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    if meta["modality"] == "image":
        files = sorted(path for path in (folder / "train").glob("*/*") if path.suffix.lower() in PICTURES)
        return Items("picture", np.array([str(path) for path in files]), np.array([path.parent.name for path in files]))
    frame = pd.read_csv(next(folder.glob("train.csv*")), keep_default_na=False)
    columns = [str(column) for column in frame.columns if column != meta["target"]]
    texts = max(columns, key=lambda column: _words(frame[column]))
    return Items("text", frame[texts].to_numpy(dtype=object), frame[meta["target"]].to_numpy())


def _words(column: pd.Series) -> float:
    return float(column.astype(str).str.count(" ").mean()) + 1


def _found(args: argparse.Namespace, names: tuple[str, ...]) -> Iterator[Mixed]:
    """Sets that hold texts beside other columns: each text is a part, the others together are one."""
    for place in sorted(args.sets.glob("*/meta.json")) if args.sets is not None else ():
        meta, name = json.loads(place.read_text(encoding="utf-8")), place.parent.name
        if meta["modality"] != "text+tabular" or (names and name not in names):
            continue
        train, test = (pd.read_csv(next(place.parent.glob(f"{part}.csv*"))) for part in ("train", "test"))
        columns = [str(column) for column in train.columns if column != meta["target"]]
        texts = [column for column in columns if _words(train[column]) >= WORDS]
        others = [column for column in columns if column not in texts]
        parts = {**{text: [text] for text in texts}, **{other: [other] for other in others}}
        if len(parts) > LEVELS:
            parts = {**{text: [text] for text in texts}, "table": others}
        yield Mixed(name, train, test, meta["target"], parts, meta["metric"])


# --- what came of it -------------------------------------------------------------------------------------------------


def summary(records: Sequence[dict[str, Any]]) -> str:
    """A table per set, and whether all parts together are ahead."""
    lines = ["# All columns against every subset", ""]
    for name in dict.fromkeys(record["set"] for record in records):
        mine = [record for record in records if record["set"] == name]
        sign = 1 if mine[0]["higher_is_better"] else -1
        whole, *others = mine
        best = max(others, key=lambda record: sign * record["score"], default=None)
        lines += [f"## {name}, {mine[0]['metric']}", "", "| parts | score | 95 % | model |", "|---|---|---|---|"]
        lines += [
            f"| {' + '.join(record['parts'])} | {record['score']:.4f} | {record['low']:.4f} to {record['high']:.4f} "
            f"| {record['best']} |"
            for record in mine
        ]
        if best is not None:
            ahead = sign * (whole["score"] - best["score"])
            told = "ahead of" if ahead > 0 else "not ahead of"
            lines += ["", f"All together are {told} {' + '.join(best['parts'])}, by {ahead:+.4f}.", ""]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
