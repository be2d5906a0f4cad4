"""How sure single predictions are: intervals of numbers and sets of labels, by what held-out rows taught the model."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import ArtifactError, InputError, OptionError
from automl.scoring.conformal import Conformal, rows_needed
from automl.scoring.readout import decided

if TYPE_CHECKING:
    import pandas as pd

    from automl.model.predictor import Model

ENDS = ("low", "high")


def predict_interval(model: Model, data: Any, level: float) -> pd.DataFrame:
    """`Model.predict_interval`."""
    import pandas as pd

    known = _warned(numbers_known(model, level), level)
    frame = model.rows(data)
    ends = known.interval(model.said(frame), float(level))
    return pd.DataFrame(dict(zip(ENDS, ends, strict=True)), index=frame.index)


def predict_set(model: Model, data: Any, level: float, *, allow_empty: bool = False) -> pd.DataFrame:
    """`Model.predict_set`."""
    import pandas as pd

    known = _warned(labels_known(model, level), level)
    frame = model.rows(data)
    shares = np.asarray(model.outputs(frame))
    held = known.sets(shares, float(level)) if allow_empty else labels_held(model, known, shares, level)
    return pd.DataFrame(held, index=frame.index, columns=pd.Index(model.classes))


def numbers_known(model: Model, level: Any) -> Conformal:
    """What a model of numbers learned of its errors; refused where it cannot tell of this level."""
    if model.classes:
        raise InputError("predict_interval needs numbers, but this model predicts classes. Use predict_set.")
    return _known(model, "predict_interval", level)


def labels_known(model: Model, level: Any) -> Conformal:
    """The same of classes."""
    if not model.classes:
        raise InputError("predict_set needs classes, but this model predicts numbers. Use predict_interval.")
    return _known(model, "predict_set", level)


def labels_held(model: Model, known: Conformal, shares: np.ndarray, level: float) -> np.ndarray:
    """(rows, classes) bool: the labels that together hold the true one, the predicted one always among them."""
    held = known.sets(shares, float(level))
    held[np.arange(len(held)), decided(shares, model.readout).argmax(axis=1)] = True
    return held


def check_level(level: Any) -> float:
    """A share between nought and one; a percentage is answered with the share that was meant."""
    is_number = isinstance(level, int | float | np.number) and not isinstance(level, bool)
    if not is_number or not 0 < level < 1:
        meant = f" Did you mean {level / 100:g}?" if is_number and 1 < level < 100 else " Give 0.9, for instance."
        raise OptionError(f"level must be between 0 and 1, got {level!r}.{meant}")
    return float(level)


def _known(model: Model, verb: str, level: Any) -> Conformal:
    check_level(level)
    if model.conformal is None:
        raise ArtifactError(
            f"{verb} needs scores of held-out rows, which this model was saved without: it is of an older version, or "
            "of predictions that were not finite. Go on with its run (automl resume RUN --budget +10s), or fit again."
        )
    return model.conformal


def _warned(known: Conformal, level: float) -> Conformal:
    """The same; a level that asks for more rows than it saw is warned of."""
    if level > known.highest:
        warnings.warn(few_rows(known, level), stacklevel=4)
    return known


def few_rows(known: Conformal, level: float) -> str:
    """Why nothing can be left out at this level, and what would have to be."""
    told = "intervals are infinite" if known.reach is not None else "some labels are in every set"
    fewest = min((known.pooled, *known.of_class.values()), key=lambda one: one.rows)
    highest = math.floor(1e3 * known.highest) / 1e3
    return (
        f"level={level:g} needs {rows_needed(level):,} held-out rows that tell something each, there are "
        f"{fewest.rows:,.0f}: {told}. Ask for {highest:g} at most, or bring more rows."
    )
