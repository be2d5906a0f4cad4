"""What `automl evaluate` and `automl importance` do: a model's scores and its columns, for people or for machines."""

from __future__ import annotations

import sys
import warnings
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automl.doors.cli.streams import print_json, readable
from automl.plain import as_json as plain

if TYPE_CHECKING:
    import pandas as pd

    from automl.model.evaluate import Evaluation
    from automl.records import Score


def evaluate(given: Namespace) -> int:
    """Score a model, or those of several targets."""
    from automl.model.bundle import Bundle, load
    from automl.model.evaluate import evaluate

    model = load(given.model)
    with readable(given.data) as data:
        is_bundle = isinstance(model, Bundle)
        found = model.evaluations(data) if isinstance(model, Bundle) else {"": evaluate(model, data)}
    return tell_evaluations(found, _promised(given.model), is_bundle=is_bundle, as_json=given.json)


def tell_evaluations(
    found: Mapping[str, Evaluation], promised: Mapping[str, Score], *, is_bundle: bool, as_json: bool
) -> int:
    """The scores of a model, or of those of several targets, beside what was promised."""
    if as_json:
        told = {target: {**_plain(one), "promised": plain(promised.get(one.target))} for target, one in found.items()}
        print_json({"targets": told} if is_bundle else next(iter(told.values())))
        return 0
    notes = [note for one in found.values() for note in one.notes]
    for note in dict.fromkeys(notes):
        print(f"note: {note}", file=sys.stderr)
    print("\n\n".join(_table(one, promised.get(one.target)) for one in found.values()))
    return 0


def certain(model: Any, rows: pd.DataFrame, given: Namespace) -> pd.DataFrame:
    """The columns of --interval or --set, named after the target; what few rows do to them is a note."""
    targets = getattr(model, "targets", None) or [model.manifest["target"]]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        if given.interval is not None:
            found: pd.DataFrame = model.predict_interval(rows, given.interval)
        else:
            found = model.predict_set(rows, given.set)
    for one in dict.fromkeys(str(note.message) for note in told):
        print(f"note: {one}", file=sys.stderr)
    return found if len(targets) > 1 else found.add_prefix(f"{targets[0]}_")


def importance(given: Namespace) -> int:
    """Show which columns the model of a run rests on, or those of several targets."""
    from automl.result import BundleResult, open_run

    run = open_run(given.run)
    results = run.results if isinstance(run, BundleResult) else {"": run}
    found = {target: result.importance(given.data) for target, result in results.items()}
    if given.json:
        print_json({"targets": found} if isinstance(run, BundleResult) else found[""])
    else:
        print("\n\n".join(columns_told(target, told) for target, told in found.items()))
    return 0


def columns_told(target: str, told: dict[str, Any]) -> str:
    """Columns with what they are worth, for people."""
    from automl.report.words import decimals, fixed

    lines = [f"{target}: " if target else ""]
    lines[0] += f"how much worse {told['metric']} is when a column is shuffled, on {told['rows']:,} held-out rows"
    width = max((len(row["column"]) for row in told["columns"]), default=0)
    least = min((row["high"] - row["low"] for row in told["columns"] if row["high"] > row["low"]), default=0.0)
    places = decimals({"low": 0.0, "high": least})
    for row in told["columns"]:
        value, low, high = (fixed(row[name], places) for name in ("importance", "low", "high"))
        lines.append(f"  {row['column']:<{width}}  {value:>8}  {low} to {high}")
    for group in told.get("groups") or []:
        value, low, high = (fixed(group[name], places) for name in ("importance", "low", "high"))
        lines.append(f"say the same: {', '.join(group['columns'])}; together {value}, {low} to {high}")
    return "\n".join([*(lines if told["columns"] else []), *(f"note: {note}" for note in told["notes"])])


def _promised(place: str) -> dict[str, Score]:
    """The score that the run promised for each target; none where only the model was saved."""
    from automl.errors import InputError
    from automl.result import BundleResult, open_run

    try:
        run = open_run(place)
    except InputError:
        return {}
    return run.scores if isinstance(run, BundleResult) else {str(run.model.manifest["target"]): run.score}


def _plain(one: Evaluation) -> dict[str, Any]:
    """An evaluation for machines."""
    metrics = one.table().to_dict(orient="records")
    return {"target": one.target, "rows": one.rows, "metrics": metrics, "notes": list(one.notes)}


def _table(one: Evaluation, promised: Score | None) -> str:
    """An evaluation for people."""
    lines = [f"{one.target}: {one.rows:,} rows with answers"]
    told = [("metric", "value", "95 % interval", "better")]
    for score in one.scores:
        mark = " *" if score.metric == one.metric else ""
        told.append((f"{score.metric}{mark}", *_numbers(score), "higher" if score.higher_is_better else "lower"))
    widths = [max(len(row[k]) for row in told) for k in range(4)]
    for name, value, interval, better in told:
        lines.append(f"  {name:<{widths[0]}}  {value:>{widths[1]}}  {interval:<{widths[2]}}  {better}".rstrip())
    if promised is not None:
        value, interval = _numbers(promised)
        lines.append(f"* the metric of the run, which promised {value} [{interval}]")
    elif any(score.metric == one.metric for score in one.scores):
        lines.append("* the metric of the run")
    return "\n".join(lines)


def _numbers(score: Score) -> tuple[str, str]:
    """Value and interval, with as many decimals as chance leaves worth reading."""
    from automl.report.words import decimals, fixed

    places = decimals(plain(score))
    low, high = (fixed(end, places) for end in (score.low, score.high))
    return fixed(score.value, places), f"{low} to {high}"
