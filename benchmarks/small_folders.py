"""Small folders of images and sounds: does the score that a run promises hold on new files, and is its time used?

python benchmarks/small_folders.py --data FOLDER [--sets a,b] [--sizes 60,240,1000] [--draws 3] [--seconds 60] [--out D]
FOLDER holds SET/train/CLASS/FILE and SET/test/CLASS/FILE. Of each set so many files are drawn, classes in their shares,
with a seed for each draw; `automl fit` learns from them and `automl evaluate` scores the model on all test files.
Every case is one line of results.jsonl before the next begins; a case that is there already is not run again.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from media import call

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """A folder to draw."""

    name: str
    files: int
    draw: int


@dataclass(frozen=True)
class Outcome:
    """What a run promised of a folder, and what it kept."""

    name: str
    files: int
    draw: int
    seconds: float
    metric: str
    higher_is_better: bool
    promised: float
    low: float
    high: float
    kept: float
    took_s: float  # until the model was saved
    chosen: str
    trials: int
    held: int  # files on which the candidates were compared

    @property
    def verdict(self) -> str:
        """Where the score on new files lies."""
        if self.low <= self.kept <= self.high:
            return "inside"
        is_worse = self.kept < self.low if self.higher_is_better else self.kept > self.high
        return "too good" if is_worse else "too low"


def main(argv: Sequence[str] | None = None) -> int:
    """Run all that is not done yet, print each as it ends, and a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default="", help="with commas between; without it all that hold train/ and test/")
    parser.add_argument("--sizes", default="60,240,1000", help="files in a folder")
    parser.add_argument("--draws", type=int, default=3, help="folders of each size")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=HERE / "out" / "small_folders")
    given = parser.parse_args(argv)
    found = sorted(path.parent.name for path in given.data.glob("*/train") if path.is_dir())
    names = given.sets.split(",") if given.sets else found
    cases = [
        Case(name, int(size), draw) for name in names for size in given.sizes.split(",") for draw in range(given.draws)
    ]
    given.out.mkdir(parents=True, exist_ok=True)
    results = given.out / "results.jsonl"
    done = read(results)
    results.write_text("".join(json.dumps(asdict(one)) + "\n" for one in done))  # without a torn end
    for case in cases:
        key = (case.name, case.files, case.draw, given.seconds)
        if any((one.name, one.files, one.draw, one.seconds) == key for one in done):
            continue
        outcome = run(given.data / case.name, case, given.seconds, given.out)
        if outcome is None:
            print(f"{case.name} has fewer than {case.files} files", flush=True)
            continue
        with results.open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
        done.append(outcome)
        print(line(outcome), flush=True)
    print(summary(done))
    return 0


def read(results: Path) -> list[Outcome]:
    """What is done already; half a line, of a run that was ended, is not."""
    lines = results.read_text().splitlines(keepends=True) if results.exists() else []
    return [Outcome(**json.loads(text)) for text in lines if text.endswith("\n")]


def run(folder: Path, case: Case, seconds: float, out: Path) -> Outcome | None:
    """One fit on a drawn folder, scored on the test files; None where there are too few to draw from."""
    drawn = draw(folder / "train", case)
    if drawn is None:
        return None
    place = out / f"{case.name}-{case.files}-{case.draw}-{seconds:g}"
    shutil.rmtree(place, ignore_errors=True)
    for file in drawn:
        target = place / "files" / file.relative_to(folder / "train")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    command = [sys.executable, "-m", "automl"]
    budget = ["--budget", f"{seconds:g}", "--seed", str(case.draw), "--out", str(place / "run"), "--quiet"]
    started = time.monotonic()
    call([*command, "fit", str(place / "files"), *budget], seconds)
    took_s = time.monotonic() - started
    report = json.loads((place / "run" / "report.json").read_text())
    score = report["verdict"]["score"]
    scored = json.loads(call([*command, "evaluate", str(place / "run"), str(folder / "test"), "--json"], seconds))
    kept = next(one["value"] for one in scored["metrics"] if one["metric"] == score["metric"])
    return Outcome(
        case.name, case.files, case.draw, seconds, score["metric"], score["higher_is_better"],
        score["value"], score["low"], score["high"], kept, round(took_s, 1), report["verdict"]["chosen"],
        len(report["trials"]) - 1, report["arena"]["rows"],
    )  # fmt: skip


def draw(train: Path, case: Case) -> list[Path] | None:
    """Files of each class in its share, at least two; by chance, and the same whenever it is asked."""
    classes = {path: sorted(file for file in path.rglob("*") if file.is_file()) for path in sorted(train.iterdir())}
    there = sum(map(len, classes.values()))
    if there < case.files:
        return None
    chance = random.Random(f"{case.name} {case.files} {case.draw}")
    shares = {path: case.files * len(files) / there for path, files in classes.items()}
    counts = {path: min(len(files), max(2, math.floor(shares[path]))) for path, files in classes.items()}
    left = case.files - sum(counts.values())
    for path in sorted(shares, key=lambda path: counts[path] - shares[path])[: max(0, left)]:
        counts[path] += 1
    return [file for path, files in classes.items() for file in chance.sample(files, counts[path])]


def line(one: Outcome) -> str:
    """A case as it is printed."""
    return (
        f"{one.name:<14} {one.files:>5} files, draw {one.draw}: {one.metric} {one.promised:.4f} "
        f"[{one.low:.4f}, {one.high:.4f}] promised on {one.held} files, {one.kept:.4f} kept: {one.verdict}; "
        f"{one.took_s:.0f} of {one.seconds:g} s, {one.chosen}, {one.trials} trials"
    )


def summary(done: Sequence[Outcome]) -> str:
    """How often promises held, of all cases and of each size."""
    lines = ["", "| files | cases | inside | promised too good | too low | time used |", "|---|---|---|---|---|---|"]
    sizes = sorted({one.files for one in done})
    for told, some in [(f"{size:,}", [one for one in done if one.files == size]) for size in sizes] + [("all", done)]:
        verdicts = [one.verdict for one in some]
        shares = [verdicts.count(word) / max(1, len(some)) for word in ("inside", "too good", "too low")]
        used = sum(min(1.0, one.took_s / one.seconds) for one in some) / max(1, len(some))
        lines.append(f"| {told} | {len(some)} | " + " | ".join(f"{share:.0%}" for share in [*shares, used]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
