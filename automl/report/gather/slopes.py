"""The coefficients of a line in the chosen model: of its heaviest one, over the folds that were fitted."""

from __future__ import annotations

import numpy as np

import search_spaces
from automl.explain import background
from automl.explain.cells import places
from automl.explain.paths import AskedPart
from automl.explain.slopes import slopes
from automl.modalities.mixture import load_features
from automl.report.gather.findings import GatherInputs
from automl.report.sections.slopes import SlopesJson
from automl.runtime.folder import RunFolder
from automl.training import learners

LINES = ("linear",)  # families whose members are lines
LOOKED_AT = 500  # rows over which additions spread
MOST_COLUMNS = 200  # that are told, the steepest first


def gather(given: GatherInputs) -> SlopesJson | None:
    """None where no member is a line."""
    finish, chosen, columns = given.finish, given.end.chosen, places(given.finish.ready.schema)
    trials = {trial.plan.number: trial for trial in finish.models}
    lines = [number for number in chosen.weights if trials[number].plan.family in LINES]
    if not lines or not columns:
        return None
    heaviest = trials[max(lines, key=lambda number: chosen.weights[number])]
    shared = finish.ready.shared
    rows = np.unique(np.linspace(0, len(shared.y) - 1, LOOKED_AT).astype(np.int64))
    folds = [_fold(finish.context.folder, heaviest.plan.number, heaviest.plan.family, k) for k in heaviest.folds]
    usual = background.choose(shared.raw, shared.weight)
    found = slopes(shared.raw.take(rows), usual, columns, folds)
    if not found:
        return None
    classes, is_bent = finish.profile.classes, hasattr(folds[0].learner, "bend")
    scale = "log-odds" if classes else "a bent scale of the answers" if is_bent else "the answers' own unit"
    return {
        "model": f"{heaviest.plan.family} #{heaviest.plan.number}",
        "weight": chosen.weights[heaviest.plan.number],
        "folds": len(folds),
        "scale": scale,
        "columns": [
            {
                "column": one.column, "coefficient": one.coefficient, "low": one.low, "high": one.high,
                "label": str(classes[one.output]) if len(classes) > 2 else None,
            }
            for one in found[:MOST_COLUMNS]
        ],
    }  # fmt: skip


def _fold(folder: RunFolder, number: int, family: str, fold: int) -> AskedPart:
    learner, features = (folder.read_parts(number, fold, group) for group in ("learner", "features"))
    return AskedPart(load_features(features), learners.load(search_spaces.get(family), learner), 1.0)
