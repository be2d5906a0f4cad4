"""Runs contestants on tables, one after another, each in a process of its own, and says how we compare.

Set after set, so that the machine's noise hits all alike. Every result is on disk before the next one starts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import scoring
import sets
from scoring import Record
from sets import TableSet

HERE = Path(__file__).resolve().parent
VENVS = HERE / "out" / "venvs"
CORES = 2  # every contestant is held to as many, so that results from larger machines can be compared
SAMPLE_S = 0.5  # between two looks at memory
UNINSTALL = "# uninstall afterwards:"


@dataclass(frozen=True)
class Contestant:
    """A script and the interpreter that runs it."""

    name: str
    script: Path
    python: str


@dataclass(frozen=True)
class Ending:
    """How a contestant's process ended."""

    code: int
    is_killed: bool
    peak_mb: float
    wall_s: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for, then print and write the summary."""
    args = _arguments(argv)
    out: Path = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    journal = out / "results.jsonl"
    if journal.exists() and not args.resume:
        raise SystemExit(f"{str(args.out)!r} already holds results. Add --resume or give another --out.")
    tables = _tables(args, out)
    contestants = [contestant(name) for name in args.contestants]
    records = read_records(journal)
    done = {(r.set, r.contestant, r.seed, r.seconds) for r in records}
    for table in tables:
        for seed in args.seeds:
            for one in contestants:
                if (table.name, one.name, seed, args.seconds) not in done:
                    record = compete(one, table, args.seconds, seed, out)
                    append(journal, record)
                    records.append(record)
                    print(_line(record), flush=True)
    records = [record for record in records if record.seconds == args.seconds]
    if args.reference:
        records += scoring.stored(args.reference, {table.name: table.metric for table in tables})
    text = f"# Tables, {args.seconds:g} s each, {CORES} cores\n\n" + scoring.summary(records)
    (out / "summary.md").write_text(text, encoding="utf-8")
    print("\n" + text)
    return 0


def _tables(args: argparse.Namespace, out: Path) -> list[TableSet]:
    """The sets asked for, each split once."""
    if args.data is None:
        return sets.bundled(out / "sets", args.sets)
    folder = args.data.resolve()
    if (folder / "index.csv").is_file():
        return sets.from_index(folder, out / "sets", args.sets)
    return sets.from_folder(folder, args.sets)


# --- one run ---------------------------------------------------------------------------------------------------------


def compete(one: Contestant, table: TableSet, seconds: float, seed: int, out: Path) -> Record:
    """Run one contestant on one set; a failure is a result too."""
    folder = out / "runs" / table.name / f"{one.name}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "work").mkdir(parents=True)
    command = [
        one.python, str(one.script), "--train", str(table.train), "--test", str(table.test), "--target", table.target,
        "--task", table.task, "--metric", table.metric, "--seconds", f"{seconds:g}", "--seed", str(seed),
        "--out", str(folder),
    ]  # fmt: skip
    ending = run_limited(command, folder / "log.txt", limit_s=2 * seconds + 120)
    shutil.rmtree(folder / "work", ignore_errors=True)
    return judge(one.name, table, seconds, seed, folder, ending)


def judge(name: str, table: TableSet, seconds: float, seed: int, folder: Path, ending: Ending) -> Record:
    """Read what a contestant left behind and score it."""
    told: dict[str, Any] = {"error": f"ended with code {ending.code}, see log.txt"}
    if ending.is_killed:
        told["error"] = f"killed after {ending.wall_s:.0f} s"
    with suppress(FileNotFoundError):
        told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    failure = told.pop("error")
    truth = table.answers("test")
    guess = scoring.constant(table.answers("train"), table.task, len(truth))
    score = None
    try:
        score = scoring.score(table.metric, truth, pd.read_csv(folder / "predictions.csv"))
    except FileNotFoundError:
        failure = failure or "wrote no predictions.csv"
    except ValueError as problem:
        failure = failure or f"predictions cannot be scored: {problem}"
    return Record(
        set=table.name,
        contestant=name,
        seed=seed,
        seconds=seconds,
        metric=table.metric,
        constant_loss=scoring.loss(table.metric, scoring.score(table.metric, truth, guess)),
        score=score,
        failure=failure,
        peak_mb=ending.peak_mb,
        wall_s=ending.wall_s,
        **told,
    )


def run_limited(command: Sequence[str], log: Path, limit_s: float) -> Ending:
    """Run a command to its end or kill it and all it started at the limit."""
    started, peak_mb, is_killed = time.monotonic(), 0.0, False
    with log.open("wb") as sink, _started(command, sink, log.parent / "work") as (process, tree):
        while process.poll() is None:
            if time.monotonic() - started > limit_s:
                is_killed = True
                break
            with suppress(psutil.NoSuchProcess):
                tree.update(psutil.Process(process.pid).children(recursive=True))
            peak_mb = max(peak_mb, sum(map(_memory_mb, [psutil.Process(process.pid), *tree])))
            with suppress(subprocess.TimeoutExpired):
                process.wait(SAMPLE_S)
    return Ending(process.returncode, is_killed, peak_mb, time.monotonic() - started)


@contextmanager
def _started(
    command: Sequence[str], sink: Any, folder: Path
) -> Iterator[tuple[subprocess.Popen[bytes], set[psutil.Process]]]:
    """A process held to our cores; nothing of it is left afterwards, whatever happens."""
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, cwd=folder, env=environment
    )
    tree: set[psutil.Process] = set()
    try:
        with suppress(psutil.Error, AttributeError):  # not every system can pin a process
            own = psutil.Process(process.pid)
            own.cpu_affinity(own.cpu_affinity()[:CORES])
        yield process, tree
    finally:
        with suppress(psutil.NoSuchProcess):
            tree.update(psutil.Process(process.pid).children(recursive=True))
        process.kill()
        process.wait()
        for child in tree:
            with suppress(psutil.NoSuchProcess):
                child.kill()


def _memory_mb(process: psutil.Process) -> float:
    """Memory of one process, shared pages divided among their users where the system tells."""
    with suppress(psutil.Error):
        memory = process.memory_full_info()
        return float(getattr(memory, "pss", memory.rss)) / 1e6
    return 0.0


# --- contestants and their environments ------------------------------------------------------------------------------


def contestant(name: str) -> Contestant:
    """A contestant by name, with its environment made when missing."""
    scripts = {path.stem.rstrip("_"): path for path in sorted((HERE / "contestants").glob("*.py"))}
    del scripts["common"]
    if name not in scripts:
        raise SystemExit(f"unknown contestant {name!r}. Known: {', '.join(scripts)}.")
    environment = name.split("_", maxsplit=1)[0]  # presets of one library share its environment
    requirements = HERE / "requirements" / f"{environment}.txt"
    python = install(VENVS / environment, requirements) if requirements.exists() else sys.executable
    return Contestant(name, scripts[name], python)


def install(venv: Path, requirements: Path) -> str:
    """Make a virtual environment, or leave it if it was made from these very requirements."""
    stamp, wanted = venv / ".installed", requirements.read_text(encoding="utf-8")
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return str(python)
    print(f"installing {requirements.name} into {venv.name}, a few minutes ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    pip = [str(python), "-m", "pip"]
    subprocess.run([*pip, "install", "--quiet", "--requirement", str(requirements)], check=True)
    for line in wanted.splitlines():
        if line.startswith(UNINSTALL):
            subprocess.run([*pip, "uninstall", "--quiet", "--yes", line.removeprefix(UNINSTALL).strip()], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return str(python)


# --- results on disk -------------------------------------------------------------------------------------------------


def read_records(journal: Path) -> list[Record]:
    """All whole lines of results.jsonl; one torn by a crash is skipped and so run again."""
    records = []
    for line in journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []:
        with suppress(json.JSONDecodeError):
            records.append(Record(**json.loads(line)))
    return records


def append(journal: Path, record: Record) -> None:
    """Add one line and have it on disk before going on."""
    is_torn = journal.exists() and not journal.read_bytes().endswith(b"\n")
    with journal.open("a", encoding="utf-8") as file:
        file.write(("\n" if is_torn else "") + json.dumps(asdict(record)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _line(record: Record) -> str:
    shown = "no score" if record.score is None else f"{record.metric} {record.score:.5g}"
    took = "" if record.fit_s is None else f", fit {record.fit_s:.1f} s"
    failure = f", {record.failure}" if record.failure else ""
    return f"{record.set} {record.contestant} seed {record.seed}: {shown}{took}{failure}"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    def names(text: str) -> tuple[str, ...]:
        return tuple(name.strip() for name in text.split(",") if name.strip())

    def seeds(text: str) -> tuple[int, ...]:
        return tuple(int(seed) for seed in names(text))

    parser = argparse.ArgumentParser(description="compare contestants on tables")
    parser.add_argument("--data", type=Path, help="folder of data sets; without it, three from scikit-learn are used")
    parser.add_argument("--sets", type=names, default=(), help="names, comma between; default: all")
    parser.add_argument("--contestants", type=names, default=("ours", "histgb"), help="names, comma between")
    parser.add_argument("--seconds", type=float, default=60.0, help="budget of one fit")
    parser.add_argument("--seeds", type=seeds, default=(0,), help="numbers, comma between")
    parser.add_argument("--out", type=Path, default=HERE / "out" / f"tables-{datetime.now():%Y%m%d-%H%M%S}")
    parser.add_argument("--resume", action="store_true", help="go on in --out, skipping what is done")
    parser.add_argument("--reference", type=Path, help="JSON of stored scores to compare with")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
