"""What runs took until they were good, and until they had flattened: learned from their folders.

`python benchmarks/quotes.py learn FOLDER ...` writes automl/decision/quoted.json from every run below the folders;
`python benchmarks/quotes.py check FOLDER ...` says how many runs lie in the ranges that the others would have quoted.
Runs should have had one core and one route. What plenty of time would end with is not known of them, so good is asked
for more strictly than it is told, and who was still getting better late in the search is a lower bound, as is a run in
which no fold ended. The spread is that of a normal distribution of the logarithm of the seconds.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm

import search_spaces
from automl.decision import quote
from automl.decision.reached import GOOD, ends, reached
from automl.records import Column, Profile
from automl.runtime.folder import RunFolder

MARKS = ("good", "flat")
# What plenty of time takes off the error at the end of these runs: from 3 or 6 s to 12 s it was 3.4 % (median), from 60
# to 300 s 3 % on four tables (benchmarks/LOG.md, 2026-11-21). So 5 % of that are about 2 % of the end.
PLENTY = 0.03
LATE = {"good": 0.5, "flat": 0.35}  # of the search: who gets there later may not have been there yet
TASKS = ("binary", "multiclass", "regression")
SHIFT_SD = 0.2  # of what a task adds to the logarithm: few runs of each, so they are pulled to none
FACTOR_SD = 1.0  # of the logarithm of the factor, around one: prices are seconds already
FIXED_S, FIXED_SD = 2.0, 0.7  # imports and the first look, which a run cannot do without; of the logarithm
LEAST_SD = 0.3  # chance of one machine and one seed is in the runs only once


@dataclass(frozen=True, kw_only=True)
class Took:
    """A run, and the seconds after which it was as good as a mark asks; a lower bound where it may not have been."""

    name: str
    route: str
    task: str
    price_s: float
    seconds: dict[str, float]
    is_bound: dict[str, bool]
    budget_s: float


def read(folder: Path) -> Took | None:
    """A run as its folder tells it; None where it had both routes or several cores."""
    run = RunFolder(folder)
    told, decision, options = (run.read_json(f"{name}.json") for name in ("profile", "decision", "options"))
    routes = {search_spaces.get(name).route for name in decision["families"]}
    events = run.events()
    if len(routes) != 1 or any(event.get("slots", 1) > 1 for event in events):
        return None
    route = routes.pop()
    columns = tuple(Column(**{**column, "examples": ()}) for column in told["columns"])
    work = quote.work_of(Profile(**{**told, "columns": columns, "classes": tuple(told["classes"])}))
    found, until_s = ends(events)
    when = reached(found, until_s, good=GOOD - PLENTY)
    budget = json.loads(json.dumps(options["budget"]))
    seconds = {"good": until_s, "flat": until_s} if when is None else {"good": when.good_s, "flat": when.flattened_s}
    is_bound = {mark: seconds[mark] > LATE[mark] * until_s for mark in MARKS}
    return Took(
        name=_set_of(folder), route=route, task=told["task"], seconds=seconds, is_bound=is_bound,
        price_s=quote.price_s(route, decision["families"], work.size), budget_s=_seconds(budget),
    )  # fmt: skip


def _seconds(budget: Any) -> float:
    """Of a budget as options.json has it."""
    from automl.options import Budget

    return (Budget(**budget) if isinstance(budget, dict) else Budget.parse(budget)).time_s or math.inf


def _set_of(folder: Path) -> str:
    """The name of the data set: routing.py makes SET/ROUTE-SEED/run, other folders stand for themselves."""
    return folder.parents[1].name if folder.name == "run" else folder.name


def read_all(folders: Sequence[Path]) -> Iterator[Took]:
    """Every finished run below the folders."""
    for folder in folders:
        for report in sorted(folder.rglob("report.json")):
            if (report.parent / "events.jsonl").is_file() and (took := read(report.parent)) is not None:
                yield took


def fit(runs: Sequence[Took], mark: str, usual: tuple[float, float] = (FIXED_S, 1.0)) -> dict[str, Any]:
    """The likeliest (fixed + factor * price) * task, and the spread around it; bounds count as bounds.

    `usual`: fixed seconds and factor, as they are thought of before any run is seen.
    """
    logs = np.log([run.seconds[mark] for run in runs])
    bounds = np.array([run.is_bound[mark] for run in runs])
    prices = np.array([run.price_s for run in runs])
    places = np.array([TASKS.index(run.task) for run in runs])

    def unlikely(knobs: np.ndarray) -> float:
        fixed, factor, sd = np.exp(knobs[:3])
        sd = math.hypot(sd, LEAST_SD)
        missed = (logs - np.log(fixed + factor * prices) - knobs[3:][places]) / sd
        seen = np.where(bounds, norm.logsf(missed), norm.logpdf(missed) - math.log(sd))
        off = (knobs[:2] - np.log(usual)) / (FIXED_SD, FACTOR_SD)
        odd = np.square(off).sum() + np.square(knobs[3:] / SHIFT_SD).sum()
        return float(0.5 * odd - seen.sum())

    best = minimize(unlikely, np.array([0.7, 0.0, -0.5, 0, 0, 0]), method="Nelder-Mead", options={"maxiter": 4_000})
    fixed, factor, sd = np.exp(best.x[:3])
    return {
        "fixed_s": round(float(fixed), 3),
        "factor": round(float(factor), 3),
        "sd": round(math.hypot(float(sd), LEAST_SD), 3),
        "tasks": {task: round(float(shift), 3) for task, shift in zip(TASKS, best.x[3:], strict=True)},
        "largest_price_s": round(float(prices.max()), 2),
        "runs": len(runs),
        "lower_bounds": int(bounds.sum()),
    }


def fit_both(runs: Sequence[Took]) -> dict[str, dict[str, Any]]:
    """Of both marks; where most runs are bounds, flattened is thought to take as long as good."""
    good = fit(runs, "good")
    return {"good": good, "flat": fit(runs, "flat", (good["fixed_s"], good["factor"]))}


def learn(runs: Sequence[Took]) -> dict[str, Any]:
    """What quoted.json holds."""
    sets = len({run.name for run in runs})
    budgets = sorted({run.budget_s for run in runs})
    told = f"{budgets[0]:g}" if len(budgets) == 1 else f"{budgets[0]:g} to {budgets[-1]:g}"
    routes = sorted({run.route for run in runs})
    laws = {route: fit_both([run for run in runs if run.route == route]) for route in routes}
    marks = {mark: {route: laws[route][mark] for route in routes} for mark in MARKS}
    return {
        "format": 1,
        "made_by": "python benchmarks/quotes.py learn",
        "rests_on": f"{len(runs)} runs on {sets} tables, {told} s each on one core; what takes longer is carried on "
        "from them",
        "good": f"within {GOOD - PLENTY:.0%} of the error of the best single model at the end of the run, which plenty "
        f"of time would lower by {PLENTY:.0%}; a bound where it came after {LATE['good']:.0%} of the search",
        "flat": f"within 1 % of it; a bound where it came after {LATE['flat']:.0%} of the search",
        "marks": marks,
    }


def check(runs: Sequence[Took]) -> list[str]:
    """Of each mark and route: how many runs lie within, below and above the range learned without their set."""
    lines = []
    for route in sorted({run.route for run in runs}):
        mine = [run for run in runs if run.route == route]
        found: dict[str, Counter[str]] = {mark: Counter() for mark in MARKS}
        for name in sorted({run.name for run in mine}):
            laws = fit_both([run for run in mine if run.name != name])
            for run in (run for run in mine if run.name == name):
                for mark, law in laws.items():
                    found[mark][_place(run, mark, law)] += 1
        for mark, counts in found.items():
            told = ", ".join(f"{counts[place]} {place}" for place in ("within", "earlier", "later", "unknown"))
            lines.append(f"{mark:<5} {route:<10} {told}")
    return lines


def _place(run: Took, mark: str, law: dict[str, Any]) -> str:
    """Where a run lies beside the range that others tell; a bound below its end may lie anywhere above."""
    middle = math.log(law["fixed_s"] + law["factor"] * run.price_s) + law["tasks"][run.task]
    missed = (math.log(run.seconds[mark]) - middle) / law["sd"] / quote.Z
    if missed > 1:
        return "later"
    if run.is_bound[mark]:
        return "unknown"
    return "earlier" if missed < -1 else "within"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("learn", "check"))
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=quote.MEASURED)
    given = parser.parse_args()
    runs = list(read_all(given.folders))
    if not runs:
        raise SystemExit(f"error: no run of one route on one core below {', '.join(map(str, given.folders))}.")
    if given.what == "check":
        print("\n".join(check(runs)))
        return
    given.out.write_text(json.dumps(learn(runs), indent=1) + "\n", encoding="utf-8")
    print(f"{given.out}: {len(runs)} runs")


if __name__ == "__main__":
    main()
