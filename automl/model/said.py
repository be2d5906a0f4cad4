"""What a model says of rows, as it is watched: by one fold model of each member, as held-out rows were asked.

A bag of folds says less extreme things than each of its models; compared with what single ones said of rows that were
held out it would seem to have moved. So each row is asked of one model of each member, in turn; where rows had been
dealt into folds several times, of one from each deal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.model.watched import Seen
from automl.scoring.readout import calibrated, decided
from search_spaces.spec import OF_NUMBERS

if TYPE_CHECKING:
    from automl.modalities.mixture import Raw
    from automl.model.predictor import Model
    from automl.records import Calibration

PREDICTION = "prediction"
MOST_NAMED = 60  # letters of a class in the name of what is watched


def alone(model: Model, raw: Raw, first: int = 0, deals: int = 1) -> np.ndarray:
    """What one fold model of each member, or of each deal, says of each row; `first`: the number of the first row."""
    turns = (first + np.arange(len(raw))) % rounds(model)
    total: Any = None
    for turn in np.unique(turns).tolist():
        rows = np.flatnonzero(turns == turn)
        said = _said(model, raw.take(rows) if len(rows) < len(raw) else raw, turn, deals)
        total = np.empty((len(raw), *said.shape[1:])) if total is None else total
        total[rows] = said
    return np.empty(0) if total is None else calibrated(np.asarray(total), model.readout)


def rounds(model: Model) -> int:
    """Fold models of the member that has most of them."""
    return max(len(member["parts"]) for member in model.manifest["members"])


def _said(model: Model, raw: Raw, turn: int, deals: int) -> np.ndarray:
    """The mixture of one fold model of each member, or of one of each deal."""
    from cluster.cores import cores

    total: Any = 0.0
    start, encoded = 0, {}
    for member in model.manifest["members"]:
        parts = model.parts[start : start + len(member["parts"])]
        start += len(parts)
        each = max(1, len(parts) // deals)  # folds of a deal
        asked = {(turn % each + deal * each) % len(parts) for deal in range(deals)}
        for part in (parts[place] for place in sorted(asked)):
            if part.features not in encoded:
                encoded[part.features] = model.features[part.features].transform(raw)
            total = total + member["weight"] / len(asked) * part.learner.predict(encoded[part.features], cores())
    return np.asarray(total)


def see(outputs: np.ndarray, task: str, classes: Sequence[Any], readout: Calibration) -> Iterator[Seen]:
    """What is watched of calibrated outputs."""
    if task not in OF_NUMBERS:
        if len(classes) == 2:
            what = f"probability of {str(classes[1])[:MOST_NAMED]}"
            yield Seen(column=PREDICTION, what=what, values=_as_read(outputs[:, 1]))
            return
        labels = decided(outputs, readout).argmax(axis=1).astype(np.int64)
        yield Seen(column=PREDICTION, what="class", kind="label", values=labels)
        yield Seen(column=PREDICTION, what="how sure it is", values=_as_read(outputs.max(axis=1)))
    elif outputs.ndim == 1:
        yield Seen(column=PREDICTION, values=_as_read(outputs))
    else:
        yield Seen(column=PREDICTION, what="middle quantile", values=_as_read(outputs[:, outputs.shape[1] // 2]))
        if outputs.shape[1] > 1:
            yield Seen(column=PREDICTION, what="width", values=_as_read(outputs[:, -1] - outputs[:, 0]))


def answers(y: np.ndarray, target: str) -> Seen:
    """The answers themselves: numbers, or places of classes."""
    if y.dtype.kind == "f":
        return Seen(column=target, values=_as_read(y))
    return Seen(column=target, kind="label", values=y.astype(np.int64))


def _as_read(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(np.float64)
