"""The choice between routes: collects forced runs, learns the prior from them, and scores what a run then chooses.

    python benchmarks/routing.py collect --data FOLDER --generated --seconds 14 --out OUT
    python benchmarks/routing.py learn --results OUT/many OUT/generated --data FOLDER OUT/generated/tables --cores 2
    python benchmarks/routing.py score --data FOLDER --sets a,b --seconds 60 --seeds 0,1 --out OUT

`learn` writes automl/decision/learned.json with its figures. `score` goes on where it stopped when it is run again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import arms
import generated
import outcomes
import sets
import tables
from scoring import Record
from sets import TableSet

from automl.decision import learned

HERE = Path(__file__).resolve().parent


def main(argv: Sequence[str] | None = None) -> int:
    """One of the three."""
    args = _arguments(argv)
    return {"collect": collect, "learn": learn, "score": score}[args.command](args)


def collect(args: argparse.Namespace) -> int:
    """Short, equal, forced runs over all tables, by the machinery of tables.py."""
    jobs = [(folder, args.out / folder.name) for folder in args.data]
    if args.generated:
        place = args.out / "generated"
        generated.write(place / "tables")
        jobs.append((place / "tables", place))
    for folder, out in jobs:
        asked = ["--data", str(folder), "--contestants", ",".join(outcomes.ROUTES), "--seconds", f"{args.seconds:g}"]
        tables.main([*asked, "--seeds", args.seeds, "--out", str(out), "--resume"])
    return 0


def learn(args: argparse.Namespace) -> int:
    """The prior from all results, judged with each source left out, and written where the package reads it."""
    if len(args.results) != len(args.data):
        raise SystemExit(f"--results names {len(args.results)} and --data {len(args.data)}. Give the data of each.")
    by_data: dict[Path, list[Record]] = {}
    for results, data in zip(args.results, args.data, strict=True):
        journal = results / "results.jsonl" if results.is_dir() else results
        by_data.setdefault(data.resolve(), []).extend(tables.read_records(journal))
    seen: list[outcomes.Outcome] = []
    for data, records in by_data.items():
        found, lost = outcomes.outcomes(records, _sets(data, records, args.out / "sets"), args.cores)
        print(f"{data.name}: {len(found)} tables, without a model of both routes: {', '.join(lost) or 'none'}")
        seen += found
    line, told = outcomes.learn(seen)
    print("\n" + outcomes.summary(told, is_used=line.is_used))
    pulls = sorted(zip(line.names, line.slopes[1:], strict=True), key=lambda pair: -abs(pair[1]))
    print("\n" + ", ".join(f"{name} {slope:+.3f}" for name, slope in pulls))
    args.to.write_text(json.dumps(line.as_json(), indent=1) + "\n", encoding="utf-8")
    return 0


def _sets(data: Path, records: Sequence[Record], out: Path) -> dict[str, TableSet]:
    """The sets that were run, split as they were then."""
    names = tuple(dict.fromkeys(record.set for record in records))
    is_listed = (data / "index.csv").is_file()
    found = sets.from_index(data, out, names) if is_listed else sets.from_folder(data, names)
    return {table.name: table for table in found}


def score(args: argparse.Namespace) -> int:
    """Every arm and the automatic choice on every set and seed, then what the choice was worth."""
    args.out.mkdir(parents=True, exist_ok=True)
    journal = args.out / "results.jsonl"
    places = arms.places(args.data[0], args.out, args.sets)
    records = tables.read_records(journal)
    done = {(r.set, r.contestant, r.seed, r.seconds) for r in records}
    for place in places:
        for seed in map(int, args.seeds.split(",")):
            for arm in (*place.arms, arms.AUTO):
                if (place.name, arm, seed, args.seconds) not in done:
                    record = place.run(arm, args.seconds, seed, args.out)
                    tables.append(journal, record)
                    records.append(record)
                    shown = "no score" if record.score is None else f"{record.metric} {record.score:.5g}"
                    print(f"{record.set} {arm} seed {seed}: {shown} {record.failure or ''}", flush=True)
    asked = {place.name: place for place in places}
    picked = [r for r in records if r.seconds == args.seconds and r.set in asked]
    text = f"# The choice between routes, {args.seconds:g} s\n\n" + arms.summary(picked, asked, args.out)
    (args.out / "summary.md").write_text(text, encoding="utf-8")
    print("\n" + text)
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    out = HERE / "out" / "routing"
    one = commands.add_parser("collect", help="forced runs over tables")
    one.add_argument("--data", type=Path, nargs="*", default=[], help="folders of data sets")
    one.add_argument("--generated", action="store_true", help="tables of known structure too")
    one.add_argument("--seconds", type=float, default=20.0)
    one.add_argument("--seeds", default="0", help="numbers, comma between")
    one.add_argument("--out", type=Path, default=out / "collected")
    one = commands.add_parser("learn", help="the prior from such runs")
    one.add_argument("--results", type=Path, nargs="+", required=True, help="folders with results.jsonl, or such files")
    one.add_argument("--data", type=Path, nargs="+", required=True, help="their sets, in the same order")
    one.add_argument("--cores", type=int, default=tables.CORES, help="that each run was held to")
    one.add_argument("--out", type=Path, default=out / "learned")
    one.add_argument("--to", type=Path, default=learned.FILE)
    one = commands.add_parser("score", help="all arms beside the automatic choice")
    one.add_argument("--data", type=Path, nargs=1, required=True, help="folder of data sets")
    one.add_argument("--sets", type=lambda text: tuple(text.split(",")), default=(), help="names, comma between")
    one.add_argument("--seconds", type=float, default=60.0)
    one.add_argument("--seeds", default="0", help="numbers, comma between")
    one.add_argument("--out", type=Path, default=out / "scored")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
