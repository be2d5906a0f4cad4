"""Are promises kept? The promised interval against the score on rows nobody saw, and intervals and sets of single rows.

python benchmarks/promise.py --data FOLDER [--sets a,b] [--runs 200] [--seconds 8,20] [--trials 12] [--out DIR]
FOLDER holds an index.csv with whole tables, or sub-folders with meta.json (tables, texts, mixtures; images and sounds
as train/CLASS/FILE and test/CLASS/FILE); `--data` may be given twice. Of each set at most so many rows are drawn anew
for each run, two thirds to learn from and a third to test on; metrics and budgets take turns. Each run is a process of
its own and one line of results.jsonl before the next begins, so the script may be stopped at any time and goes on
where it was; `--summary` only prints what is there, with Wilson's intervals.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LEVELS = (0.8, 0.9, 0.95)
METRICS = {
    "binary": ("roc_auc", "log_loss", "f1", "accuracy"),
    "multiclass": ("log_loss", "accuracy", "f1_macro"),
    "regression": ("rmse", "mae", "r2"),
}
LATE_S, COUNTED_S = 180.0, 1_200.0  # beyond its seconds, or in all where trials count, after which a run is given up
GROUP_ROWS, GROUPS, GROUP_VALUES = 40, 12, 4  # rows of a group that is counted, columns and values of each looked at
FILES = 900  # of images and sounds, whatever --rows says
Z = 1.959964


@dataclass(frozen=True)
class Case:
    """One run to make."""

    set: str
    place: str  # a table, or the folder with meta.json
    target: str
    task: str
    modality: str
    metric: str
    seed: int
    budget: str  # "10s", "12 trials"
    rows: int  # at most, to learn from and to test on

    @property
    def key(self) -> tuple[str, int, str]:
        """By which a line is known again."""
        return self.set, self.seed, self.budget


@dataclass
class Line:
    """What became of it: a line of results.jsonl."""

    case: dict[str, Any]
    failure: str = ""
    chosen: str = ""
    learned: int = 0
    tested: int = 0
    higher_is_better: bool = True
    promised: tuple[float, float, float] | None = None  # value, low, high
    kept: float | None = None
    held: dict[str, list[float]] = field(default_factory=dict)  # level: rows held, rows, their mean width or size
    strict: dict[str, list[float]] = field(default_factory=dict)  # of sets that may be empty
    groups: dict[str, list[float]] = field(default_factory=dict)  # at 0.9, group: rows held, rows
    usual: float | None = None  # width that holds nine of ten answers without a model
    told: float | None = None  # coverage at 0.9 that the report measured on held-out rows
    took_s: float = 0.0

    @property
    def verdict(self) -> str:
        """Where the score on the test rows lies."""
        if self.promised is None or self.kept is None:
            return "failed"
        _, low, high = self.promised
        if low <= self.kept <= high:
            return "inside"
        return "worse" if (self.kept < low) == self.higher_is_better else "better"


# --- what to run -----------------------------------------------------------------------------------------------------


def cases(given: argparse.Namespace) -> Iterator[Case]:
    """All runs, set after set under a seed, then the next seed."""
    found = [one for folder in given.data for one in _sets(folder)]
    found = [one for one in found if not given.sets or one["set"] in given.sets]
    found = [one for one in found if one["modality"] in (given.modalities or [one["modality"]])]
    if not found:
        raise SystemExit("no set to run. Give --data with an index.csv or sub-folders with meta.json.")
    budgets = [f"{seconds:g}s" for seconds in given.seconds] + [f"{trials} trials" for trials in given.trials]
    budgets = budgets or ["10s"]
    for number in range(given.runs):
        seed, index = divmod(number, len(found))
        one = found[index]
        metrics = METRICS[one["task"]]
        budget = budgets[(seed + seed // len(metrics) + index) % len(budgets)]
        yield Case(**one, metric=metrics[(seed + index) % len(metrics)], seed=seed, budget=budget, rows=given.rows)


def _sets(folder: Path) -> Iterator[dict[str, str]]:
    """The sets of a folder that this can split."""
    import pandas as pd

    if (folder / "index.csv").is_file():
        for row in pd.read_csv(folder / "index.csv").to_dict("records"):
            yield {
                "set": str(row["name"]), "place": str(folder / f"{row['name']}.csv.gz"), "target": str(row["target"]),
                "task": str(row["task"]), "modality": "table",
            }  # fmt: skip
        return
    names = {"tabular": "table", "text": "text", "text+tabular": "text and table", "image": "image", "audio": "audio"}
    for path in sorted(folder.glob("*/meta.json")):
        meta = json.loads(path.read_text(encoding="utf-8"))
        if meta["modality"] in names and meta["task"] in METRICS:
            yield {
                "set": path.parent.name, "place": str(path.parent), "target": str(meta["target"]),
                "task": str(meta["task"]), "modality": names[meta["modality"]],
            }  # fmt: skip


# --- one run ---------------------------------------------------------------------------------------------------------


def run(case: Case, out: Path) -> Line:
    """In a process of its own; a failure is a result too."""
    started, answer = time.monotonic(), out / f"answer-{os.getpid()}.json"
    answer.unlink(missing_ok=True)
    log, work = out / f"log-{os.getpid()}.txt", answer.with_suffix("")
    ended = _ended(["--one", json.dumps(asdict(case)), "--out", str(answer)], log, _limit_s(case.budget))
    shutil.rmtree(work, ignore_errors=True)
    if answer.is_file():
        line = Line(**json.loads(answer.read_text(encoding="utf-8")))
        answer.unlink()
    else:
        tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        line = Line(case=asdict(case), failure=f"{ended}: {' '.join(tail)[:200]}")
    log.unlink(missing_ok=True)
    line.took_s = round(time.monotonic() - started, 1)
    return line


def _ended(arguments: Sequence[str], log: Path, limit_s: float) -> str:
    """How the process ended; of it and its workers nothing is left, whatever happens to this one."""
    command = [sys.executable, str(HERE / "promise.py"), *arguments]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True)
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(limit_s)
            code = process.poll()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return f"killed after {limit_s:.0f} s" if code is None else f"ended with code {code}"


def _limit_s(budget: str) -> float:
    return COUNTED_S if "trials" in budget else LATE_S + float(budget.rstrip("s"))


def one(case: Case, place: Path) -> Line:
    """Learn, and hold what was promised against the rows kept apart; `place`: a folder that is removed afterwards."""
    is_folder = case.modality in ("image", "audio")
    place.mkdir(parents=True)
    learn, test, y = (_folders if is_folder else _tables)(case, place)
    return _measured(case, learn, test, y, place / "run")


def _tables(case: Case, _place: Path) -> tuple[Any, Any, Any]:
    """Rows to learn from, rows to test on, and the answers of these as text or numbers."""
    import pandas as pd

    source = Path(case.place)
    files = [source] if source.is_file() else sorted(source.glob("train.csv*")) + sorted(source.glob("test.csv*"))
    if not files:
        raise SystemExit(f"no table at {case.place!r}.")
    frame = pd.concat([pd.read_csv(file, low_memory=False) for file in files], ignore_index=True)
    frame = frame[frame[case.target].notna() & (frame[case.target].astype(str) != "?")]
    frame = frame.sample(frac=1.0, random_state=case.seed).head(case.rows).reset_index(drop=True)
    cut = 2 * len(frame) // 3
    learn, test = frame.iloc[:cut], frame.iloc[cut:].reset_index(drop=True)
    if case.task != "regression":  # a label that nobody saw has no probability, and no score
        test = test[test[case.target].isin(learn[case.target].unique())].reset_index(drop=True)
    return learn, test, test[case.target]


def _folders(case: Case, place: Path) -> tuple[Any, Any, Any]:
    """The same of files in a sub-folder for each class; they are copied, for links may lead nowhere."""
    files = sorted(path for part in ("train", "test") for path in Path(case.place, part).glob("*/*") if path.is_file())
    random.Random(case.seed).shuffle(files)
    files = files[: min(FILES, case.rows)]
    for number, file in enumerate(files):
        part = "learn" if number < 2 * len(files) // 3 else "test"
        target = place / part / file.parent.name / f"{file.parent.parent.name}-{file.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return place / "learn", place / "test", None


def _measured(case: Case, learn: Any, test: Any, y: Any, folder: Path) -> Line:
    import automl

    warnings.simplefilter("ignore")
    target = {} if y is None else {"target": case.target}
    result = automl.fit(
        learn, **target, budget=case.budget, metric=case.metric, task=case.task, seed=case.seed, workers=2,
        run_dir=folder, verbose=0,
    )  # fmt: skip
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    found, measured = result.evaluate(test), told.get("coverage") or {}
    score = result.score
    kept = float(found.loc[found["metric"] == case.metric, "value"].iloc[0])
    line = Line(
        case=asdict(case), chosen=result.best, learned=int(told["data"]["rows"]),
        higher_is_better=score.higher_is_better, promised=(score.value, score.low, score.high), kept=kept,
        told=next((row["share"] for row in measured.get("levels", []) if row["level"] == 0.9), None),
    )  # fmt: skip
    (_numbers if case.task == "regression" else _labels)(line, result, test, y)
    return line


def _numbers(line: Line, result: Any, test: Any, y: Any) -> None:
    import numpy as np

    y, said = y.to_numpy(dtype=float), result.predict(test).to_numpy()
    line.tested, line.usual = len(y), float(np.subtract(*np.quantile(y, [0.95, 0.05])))
    for level in LEVELS:
        ends = result.predict_interval(test, level).to_numpy()
        inside = (ends[:, 0] <= y) & (y <= ends[:, 1])
        line.held[f"{level}"] = [int(inside.sum()), len(y), float(np.mean(ends[:, 1] - ends[:, 0]))]
        if level == 0.9:
            quarter = np.searchsorted(np.quantile(said, [0.25, 0.5, 0.75]), said)
            _grouped(line, inside, {f"predicted: quarter {k + 1}": quarter == k for k in range(4)}, test)


def _labels(line: Line, result: Any, test: Any, y: Any) -> None:
    import numpy as np
    import pandas as pd

    for level in LEVELS:
        sets, bare = (result.predict_set(test, level, allow_empty=allowed) for allowed in (False, True))
        if y is None:  # files have their class in their name
            y = pd.Series([Path(str(name)).parent.name for name in sets.index])
        place = pd.Index([str(label) for label in sets.columns]).get_indexer(y.astype(str))
        rows = np.arange(len(sets))
        for told, kept in ((sets.to_numpy(), line.held), (bare.to_numpy(), line.strict)):
            inside = (place >= 0) & told[rows, place]
            kept[f"{level}"] = [int(inside.sum()), len(rows), float(told.sum(axis=1).mean())]
        line.tested = len(rows)
        if level == 0.9:
            groups = {f"answer: {label}": place == k for k, label in enumerate(sets.columns)}
            _grouped(line, sets.to_numpy()[rows, place], groups, test)


def _grouped(line: Line, inside: Any, groups: dict[str, Any], test: Any) -> None:
    """How many are held of each part of what is said, and of the commonest values of the first columns."""
    import pandas as pd

    if isinstance(test, pd.DataFrame):
        for name in [name for name in test.columns if name != line.case["target"]][:GROUPS]:
            cells = test[name].astype(str)
            groups |= {
                f"{name}: {value}": (cells == value).to_numpy() for value in cells.value_counts().index[:GROUP_VALUES]
            }
    for name, rows in groups.items():
        if GROUP_ROWS <= rows.sum() < len(inside):
            line.groups[str(name)[:80]] = [int(inside[rows].sum()), int(rows.sum())]


# --- what came of it -------------------------------------------------------------------------------------------------


def wilson(hits: float, count: float) -> tuple[float, float]:
    """The 95 % interval of a share."""
    if not count:
        return 0.0, 1.0
    share, spread = hits / count, Z * Z / count
    middle = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return middle - half, middle + half


def summary(lines: Sequence[Line]) -> str:
    """Promises by metric, modality and seconds; intervals and sets over all test rows, set by set and by group."""
    told = ["## Promised 95 % intervals\n", "| | runs | inside | 95 % | better | worse |", "|---|---|---|---|---|---|"]
    done = [line for line in lines if line.promised is not None]
    told.append(_promises("all", done))
    for name in ("metric", "modality", "budget", "task"):
        values = sorted({str(line.case[name]) for line in done})
        told += [_promises(f"{name} {v}", [line for line in done if str(line.case[name]) == v]) for v in values]
    failed = [line for line in lines if line.promised is None]
    told.append(f"\n{len(failed)} runs failed" + "".join(f"; {o.case['set']}: {o.failure}" for o in failed[:5]) + "\n")
    for title, chosen in (("Intervals of numbers", True), ("Sets of labels", False)):
        some = [line for line in done if (line.case["task"] == "regression") == chosen and line.held]
        told += _single(title, some) if some else []
    outside = [line for line in done if line.verdict == "worse"]
    told += ["\n## Promised too much\n", *(_shown(line) for line in outside)]
    return "\n".join(told) + "\n"


def _promises(name: str, lines: Sequence[Line]) -> str:
    inside = sum(line.verdict == "inside" for line in lines)
    low, high = wilson(inside, len(lines))
    sides = [sum(line.verdict == side for line in lines) for side in ("better", "worse")]
    share = inside / max(1, len(lines))
    return f"| {name} | {len(lines)} | {share:.1%} | {low:.1%} to {high:.1%} | {sides[0]} | {sides[1]} |"


def _single(title: str, lines: Sequence[Line]) -> list[str]:
    """Over all rows together, over sets with equal weight, and the groups."""
    told = [
        f"\n## {title}: {len({o.case['set'] for o in lines})} sets, {len(lines)} runs\n",
        "| level | rows | held | each set counting the same | sets within 88 to 92 at 90 % |\n|---|---|---|---|---|",
    ]
    for kind in ("held", "strict"):
        for level in map(str, LEVELS):
            rows = [(o.case["set"], *getattr(o, kind)[level][:2]) for o in lines if level in getattr(o, kind)]
            if not rows:
                continue
            names = sorted({name for name, _, _ in rows})
            each = [sum(h for n, h, _ in rows if n == name) / sum(c for n, _, c in rows if n == name) for name in names]
            hits, count = sum(h for _, h, _ in rows), sum(c for _, _, c in rows)
            near = f"{sum(0.88 <= share <= 0.92 for share in each)} of {len(each)}" if level == "0.9" else ""
            empty = ", may be empty" if kind == "strict" else ""
            told.append(f"| {level}{empty} | {count:,} | {hits / count:.1%} | {sum(each) / len(each):.1%} | {near} |")
    widths = [o.held["0.9"][2] / o.usual for o in lines if o.usual]
    if widths:
        told.append(f"\nWidth at 90 % beside that without a model, median: {sorted(widths)[len(widths) // 2]:.2f}")
    measured = [(o.told, o.held["0.9"][0] / o.held["0.9"][1]) for o in lines if o.told is not None]
    if measured:
        off = sum(own - kept for own, kept in measured) / len(measured)
        told.append(f"\nThe report's own coverage at 90 % less that on test rows, mean: {off:+.3f}")
    return told + _by_group(lines)


def _by_group(lines: Sequence[Line]) -> list[str]:
    """Rows of the parts of what is said together; of all groups, how many are off by more than five points."""
    pooled: dict[str, list[float]] = {}
    off, count = 0, 0
    for line in lines:
        for name, (hits, rows) in line.groups.items():
            if name.startswith("predicted"):
                total = pooled.setdefault(name, [0, 0])
                total[0], total[1] = total[0] + hits, total[1] + rows
            low, high = wilson(hits, rows)
            count += 1
            off += high < 0.85 or (low > 0.95 and line.case["task"] == "regression")
    told = [f"\n{name}: {hits / rows:.1%} of {rows:,.0f} rows" for name, (hits, rows) in sorted(pooled.items())]
    return [*told, f"\nGroups off by more than five points beyond chance (95 %): {off} of {count}"]


def _shown(line: Line) -> str:
    assert line.promised is not None
    value, low, high = line.promised
    of = f"{line.case['set']} seed {line.case['seed']} {line.case['budget']} {line.case['metric']}"
    return (
        f"- {of}: {value:.4g} [{low:.4g}, {high:.4g}], kept {line.kept:.4g} ({line.learned:,} + {line.tested:,} rows)"
    )


def read(journal: Path) -> list[Line]:
    """All whole lines; one torn by a stop is run again."""
    found = []
    for text in journal.read_text(encoding="utf-8").splitlines() if journal.is_file() else []:
        with suppress(json.JSONDecodeError):
            found.append(Line(**json.loads(text)))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is not done yet, and print the summary."""
    given = _arguments(argv)
    if given.one:
        line = one(Case(**json.loads(given.one)), given.out.with_suffix(""))
        given.out.write_text(json.dumps(asdict(line)), encoding="utf-8")
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    journal = given.out / "results.jsonl"
    lines = read(journal)
    done = {(line.case["set"], line.case["seed"], line.case["budget"]) for line in lines}
    for case in () if given.summary else cases(given):
        if case.key in done:
            continue
        line = run(case, given.out)
        lines.append(line)
        is_torn = journal.exists() and not journal.read_bytes().endswith(b"\n")
        with journal.open("a", encoding="utf-8") as file:
            file.write(("\n" if is_torn else "") + json.dumps(asdict(line)) + "\n")
        print(f"{case.set} seed {case.seed} {case.budget}: {line.verdict} {line.failure}", flush=True)
    text = summary(lines)
    (given.out / "summary.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    def names(text: str) -> tuple[str, ...]:
        return tuple(name.strip() for name in text.split(",") if name.strip())

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", default=[], help="a folder of sets; may be repeated")
    parser.add_argument("--sets", type=names, default=())
    parser.add_argument("--modalities", type=names, default=(), help="table, text, text and table, image, audio")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seconds", type=lambda text: [float(one) for one in names(text)], default=[])
    parser.add_argument(
        "--trials", type=lambda text: [int(one) for one in names(text)], default=[], help="such budgets"
    )
    parser.add_argument("--rows", type=int, default=6_000, help="at most, to learn from and to test on")
    parser.add_argument("--out", type=Path, default=HERE / "out" / "promise")
    parser.add_argument("--summary", action="store_true", help="run nothing")
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
