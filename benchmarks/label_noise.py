"""Planted wrong labels: how many of those listed were planted, how many planted are listed, and what removing does.

    python benchmarks/label_noise.py --data FOLDER --names letter,nursery --budget 20s --out OUT

FOLDER holds index.csv (name, target, task) and NAME.csv.gz, or sub-folders with meta.json (sets.py). A third of each
table is kept with its true answers. The rest is taken as it is, with 5 % of its labels turned into any other class, and
with as many of the most frequent class called by the name of the second. Each gets a run; its suspects are compared
with what was planted, and its model with one that learned without them.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sets import TableSet, from_folder, from_index

import automl

SHARE = 0.05
KINDS = ("none", "uniform", "one way")
MOST_ROWS = 6_000  # to learn from


@dataclass(frozen=True)
class Case:
    """What one run listed, and what it was worth."""

    set: str
    noise: str
    rows: int
    planted: int
    listed: int
    precision: float | None  # of those listed, planted
    recall: float | None  # of those planted, listed
    promised: float | None  # the precision that the run expected
    rate: float | None  # of wrong labels, estimated
    low: float | None
    high: float | None
    is_advised: bool | None  # by the run, to leave them out
    metric: str
    with_them: float  # on rows with true answers
    without_them: float | None


def main() -> None:
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    done = args.out / "results.jsonl"
    known = {(case["set"], case["noise"]) for case in _read(done)}
    for one in _sets(args):
        for noise in KINDS:
            if (one.name, noise) not in known:
                case = measure(one, noise, args)
                with done.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(case)) + "\n")
                print(_line(asdict(case)), flush=True)
    print("\n".join(summary(_read(done))))


def measure(one: TableSet, noise: str, args: argparse.Namespace) -> Case:
    """A run on the rows with planted labels, and one without those that it lists."""
    train = _sampled(pd.read_csv(one.train, dtype={one.target: str}, low_memory=False), one.target)
    test = pd.read_csv(one.test, dtype={one.target: str}, low_memory=False)
    test = test[test[one.target].isin(train[one.target].unique())]
    given, wrong = plant(train[one.target].to_numpy(), noise)
    frame = train.assign(**{one.target: given})
    place = args.out / f"{one.name}-{noise.replace(' ', '-')}"
    first, told = _run(frame, one, place, args)
    suspects = told["suspects"] or {}  # none where no model was finished in time
    listed = _listed(place, suspects)
    hits = int(np.isin(listed, wrong).sum())
    after = (
        _run(frame.drop(index=frame.index[listed]), one, place.with_name(f"{place.name}-less"), args)
        if len(listed)
        else None
    )
    scores = [_score(result, test, one.metric) for result in (first, after[0] if after else None)]
    told_of = {name: suspects.get(name) for name in ("rate", "low", "high", "is_advised")}
    return Case(
        set=one.name, noise=noise, rows=len(frame), planted=len(wrong), listed=len(listed),
        precision=hits / len(listed) if len(listed) else None, recall=hits / len(wrong) if len(wrong) else None,
        promised=suspects.get("precision"), metric=one.metric, with_them=float(scores[0] or 0.0),
        without_them=scores[1], **told_of,
    )  # fmt: skip


def plant(labels: np.ndarray, noise: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The labels with a share of them wrong, and the places of these."""
    random = np.random.default_rng(seed)
    names, codes = np.unique(labels, return_inverse=True)
    count = round(SHARE * len(labels))
    if noise == "none":
        return labels, np.empty(0, dtype=np.int64)
    if noise == "uniform":
        wrong = random.choice(len(labels), count, replace=False)
        codes[wrong] = (codes[wrong] + random.integers(1, len(names), count)) % len(names)
    else:
        most, second = np.argsort(-np.bincount(codes), kind="stable")[:2]
        able = np.flatnonzero(codes == most)
        wrong = random.choice(able, min(count, len(able) // 4), replace=False)
        codes[wrong] = second
    return names[codes], np.sort(wrong)


def summary(cases: list[dict[str, Any]]) -> list[str]:
    """A table of all cases, and how many of them hold what is asked of them."""
    head = "| set | noise | rows | planted | listed | precision | recall | rate (95 %) | advised | with | without |"
    rows = [head, "|" + "---|" * 11]
    rows += [_line(case) for case in cases]
    listed = [case for case in cases if case["noise"] != "none" and case["listed"]]
    clean = [case for case in cases if case["noise"] == "none"]
    good = sum(case["precision"] >= 0.7 for case in listed)
    advised = [case for case in listed if case["is_advised"] and case["without_them"] is not None]
    helps = sum(_is_no_worse(case) for case in advised)
    return [
        *rows,
        f"listed in {len(listed)} of {sum(case['noise'] != 'none' for case in cases)} noisy cases; "
        f"precision of 0.7 or more in {good} of them",
        f"listed on clean data: {sum(case['listed'] for case in clean)} of {sum(case['rows'] for case in clean)} rows",
        f"advised to leave them out in {len(advised)}; no worse on true answers in {helps} of these",
    ]


def _is_no_worse(case: dict[str, Any]) -> bool:
    gain = case["without_them"] - case["with_them"]
    return (gain if case["metric"] in ("roc_auc", "accuracy") else -gain) >= 0


def _line(case: dict[str, Any]) -> str:
    def number(value: Any) -> str:
        return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)

    rate = f"{number(case['rate'])} ({number(case['low'])} to {number(case['high'])})"
    cells = [
        case["set"],
        case["noise"],
        *(number(case[k]) for k in ("rows", "planted", "listed", "precision", "recall")),
    ]
    cells += [
        rate,
        number(case["is_advised"]),
        f"{case['metric']} {number(case['with_them'])}",
        number(case["without_them"]),
    ]
    return f"| {' | '.join(cells)} |"


def _run(
    frame: pd.DataFrame, one: TableSet, place: Path, args: argparse.Namespace
) -> tuple[automl.Result, dict[str, Any]]:
    shutil.rmtree(place, ignore_errors=True)
    result = automl.fit(
        frame, one.target, budget=args.budget, route="classical", metric=one.metric, run_dir=place, verbose=0,
        workers=args.workers, families=args.families,
    )  # fmt: skip
    return result, json.loads((place / "report.json").read_text(encoding="utf-8"))


def _listed(place: Path, suspects: dict[str, Any]) -> np.ndarray:
    if not suspects.get("file"):
        return np.empty(0, dtype=np.int64)
    return pd.read_csv(place / suspects["file"])["row"].to_numpy() - 1


def _score(result: automl.Result | None, test: pd.DataFrame, metric: str) -> float | None:
    if result is None:
        return None
    found = result.model.evaluate(test).set_index("metric")
    return float(found.loc[metric, "value"])


def _sampled(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    frame = frame[frame[target].notna()]
    return frame.sample(min(len(frame), MOST_ROWS), random_state=0).reset_index(drop=True)


def _sets(args: argparse.Namespace) -> list[TableSet]:
    names = tuple(name for name in args.names.split(",") if name)
    found = from_index(args.data, args.out / "tables", names) if (args.data / "index.csv").is_file() else None
    return found if found is not None else from_folder(args.data, names)


def _read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Planted wrong labels against those that a run lists.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--names", default="", help="sets, with commas between; all where none is named")
    parser.add_argument("--budget", default="20s", help="of each run")
    parser.add_argument("--families", default="", help="of models; all classical ones where none is named")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
