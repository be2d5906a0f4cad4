"""Some held-out rows whose answers are explained: typical ones, the least sure, the most wrong.

Each is asked of the fitted folds that did not learn from it, in a worker, while there is time. Nothing in here may end
a run: what is not known becomes a note.
"""

from __future__ import annotations

import time
from typing import Any, cast

import numpy as np

from automl.explain import background
from automl.explain.additive import Additive
from automl.explain.cells import Place, told_places
from automl.explain.held import HeldRequest, explain_held, folds_of
from automl.explain.permutation import AskedTrial
from automl.explain.readoff import LOG_ODDS
from automl.plain import as_json
from automl.refit.asking import ask_with
from automl.report.gather.findings import GatherInputs
from automl.report.gather.mistakes import Example, HeldOutPredictions, examples, held_out
from automl.report.sections.single import ExplainedRowJson, ExplanationsJson
from automl.runtime.clock import ANSWERED_S, LEAST_ASKED_S, WRITTEN_S
from automl.runtime.folder import RunFolder
from cluster.pool import Job, Status
from search_spaces.spec import OF_NUMBERS

EACH = 2  # rows of a kind
MOST_COLUMNS = 8  # that are told of a row; the others are summed
ASKED = 1_000  # questions about a row
LATER = "ask with automl explain, or result.explain(rows)"


def gather(given: GatherInputs) -> ExplanationsJson | None:
    """None of data without columns beside one that was decoded."""
    finish, chosen = given.finish, given.end.chosen
    columns = told_places(finish.ready.schema)
    if not columns:
        return None
    held = held_out(chosen, finish.comparison, len(finish.profile.classes))
    some = [*_of_kind(held, "wrong"), *_of_kind(held, "unsure"), *_typical(held)]
    found: ExplanationsJson = {
        "unit": LOG_ODDS if finish.profile.classes else finish.dataset.target_name,
        "method": "", "rows": [], "notes": [],
    }  # fmt: skip
    left = _left_s(given)
    if finish.context.interrupt.asked or left < LEAST_ASKED_S / 2:
        why = "the run was interrupted" if finish.context.interrupt.asked else "no time was left"
        found["notes"].append(f"{why}, so no single prediction was explained; {LATER}")
        return found
    told = _asked(given, _request(given, some, held, columns), left)
    if isinstance(told, str):
        found["notes"].append(told)
        return found
    found["method"] = told.method
    for at, example in enumerate(some[: len(told.said)]):
        found["rows"].append(_row(given, example, held, (told, at, columns)))
    if len(told.said) < len(some):
        found["notes"].append(f"time was left for {len(told.said)} of {len(some)} rows; {LATER}")
    return found


def _left_s(given: GatherInputs) -> float:
    """Seconds there are: where explanations are required, all that are kept for them."""
    clock = given.finish.context.clock
    until = clock.until - WRITTEN_S if given.options.explain == "required" else given.until
    return until - ANSWERED_S / 2 - time.monotonic()


def _of_kind(held: HeldOutPredictions, kind: str) -> list[Example]:
    return [example for example in examples(held) if example.kind == kind][:EACH]


def _typical(held: HeldOutPredictions) -> list[Example]:
    """Of the two most frequent classes the row that is right and as sure as most; of numbers one at either quarter."""
    if held.shares is None:
        off = np.abs(held.said - held.y)
        near = np.flatnonzero(off <= np.median(off))
        wanted = np.quantile(held.said, (0.25, 0.75))
        rows = [int(near[np.abs(held.said[near] - value).argmin()]) for value in wanted]
        return [Example(row, "typical") for row in dict.fromkeys(rows)]
    found = []
    for label in np.argsort(-np.bincount(held.y), kind="stable")[:EACH].tolist():
        right = np.flatnonzero((held.y == label) & (held.said == label))
        if len(right):
            sure = held.shares[right, label]
            found.append(Example(int(right[np.abs(sure - np.median(sure)).argmin()]), "typical"))
    return found


def _outputs(given: GatherInputs, some: list[Example], held: HeldOutPredictions) -> np.ndarray:
    """Of two classes the positive one, of more the predicted one; of quantiles the middle one."""
    profile = given.finish.profile
    if profile.task in OF_NUMBERS:
        return np.full(len(some), len(profile.levels) // 2)
    if profile.task == "binary":
        return np.full(len(some), profile.positive)
    return held.said[[example.row for example in some]].astype(np.int64)


def _request(
    given: GatherInputs, some: list[Example], held: HeldOutPredictions, columns: tuple[Place, ...]
) -> HeldRequest:
    finish, chosen = given.finish, given.end.chosen
    shared, families = finish.ready.shared, {t.plan.number: t.plan.family for t in finish.models}
    rows = finish.comparison.rows[[example.row for example in some]]
    return HeldRequest(
        path=str(finish.context.folder.path),
        members=tuple(AskedTrial(number, families[number], weight) for number, weight in chosen.weights.items()),
        readout=chosen.readout,
        rows=rows,
        fold=shared.folds.of_row[rows],
        outputs=_outputs(given, some, held),
        places=columns,
        usual=background.choose(shared.raw, shared.weight),
        is_numeric=finish.profile.task in OF_NUMBERS,
        asked=ASKED,
    )


def _asked(given: GatherInputs, wanted: HeldRequest, left_s: float) -> Additive | str:
    """What a worker found, or why that is not known."""
    context = given.finish.context
    name = f"{explain_held.__module__}:{explain_held.__name__}"
    job = Job("explanations", name, wanted, (context.ref,), soft_s=left_s, hard_s=left_s + ANSWERED_S)
    outcome = ask_with(lambda: folds_of(wanted, RunFolder(context.folder.path)), job, context)
    if outcome.status is Status.DONE:
        return cast(Additive, outcome.value)
    if outcome.status is Status.LATE:
        return f"explaining single predictions took too long; {LATER}"
    return f"how single predictions come about is not known: {outcome.error or 'the worker died'}"


def _row(
    given: GatherInputs, example: Example, held: HeldOutPredictions, found: tuple[Additive, int, tuple[Place, ...]]
) -> ExplainedRowJson:
    """A row: what was said of it, what is right, and what each column added."""
    told, at, columns = found
    finish, classes = given.finish, given.finish.profile.classes
    place = int(finish.comparison.rows[example.row])
    cells = finish.dataset.frame.iloc[place]
    order = np.argsort(-np.abs(told.values[at]), kind="stable").tolist()
    first, others = order[:MOST_COLUMNS], order[MOST_COLUMNS:]
    said, answer = held.said[example.row].item(), held.y[example.row].item()
    shares = None if held.shares is None else held.shares[example.row]
    output = int(_outputs(given, [example], held)[0])
    return {
        "name": f"row {place + 1}",
        "kind": example.kind,
        "label": classes[output] if classes else None,
        "prediction": classes[said] if classes else said,
        "answer": classes[answer] if classes else answer,
        "probability": None if shares is None else float(shares[said]),
        "base": float(told.base[at]),
        "said": float(told.said[at]),
        "columns": [
            {
                "column": columns[k].name,
                "value": _shown(cells[columns[k].name]),
                "contribution": float(told.values[at, k]),
                "error": float(told.errors[at, k]),
            }
            for k in first
        ],
        "others": len(others),
        "others_add": float(told.values[at, others].sum()),
    }


def _shown(cell: Any) -> Any:
    """A cell as plain JSON; of what is long or no plain value a short text."""
    plain = as_json(cell) if not isinstance(cell, bytes) else "(bytes)"
    return plain[:60] if isinstance(plain, str) else plain if isinstance(plain, int | float | bool | None) else "…"
