"""What rows count: weights that came as values, or in a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.data.source import as_column
from automl.errors import InputError
from automl.messages import shown
from automl.options import Options

if TYPE_CHECKING:
    import pandas as pd


def given_weights(options: Options, rows: int) -> pd.Series | None:
    """Weights that came as values, in the order of the rows."""
    if options.weight is None or options.weight_column is not None:
        return None
    column, _ = as_column(options.weight, "weight")
    if len(column) != rows:
        raise InputError(f"weight has {len(column)} values, but the data has {rows} rows. Give one for each row.")
    return column


def weights_of(column: pd.Series, what: str) -> np.ndarray:
    """One positive finite number per row, or a refusal that shows the first value that is none."""
    import pandas as pd

    if column.dtype.kind in "Mmcb":
        raise InputError(f"{what} holds {column.dtype}, not numbers. Give a number above 0 per row.")
    weight = pd.to_numeric(column.astype(object), errors="coerce").to_numpy(dtype=np.float64)
    bad = ~(np.isfinite(weight) & (weight > 0))
    if bad.any():
        first = int(bad.argmax())
        raise InputError(
            f"{what} must be a number above 0 in every row, got {shown(str(column.iloc[first]))} "
            f"in row {column.index[first] + 1} ({bad.sum()} such rows). Mend or remove them."
        )
    return weight
