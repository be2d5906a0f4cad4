"""A table in plain numbers, for the decision: how large, of what, and how irregular."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from automl.modalities.table.parse import to_number
from automl.records import PLAIN_KINDS, Column, Kind

if TYPE_CHECKING:
    import pandas as pd

FACT_ROWS = 10_000  # the shape of the numbers is measured on so many rows
FACT_COLUMNS = 200


def facts(frame: pd.DataFrame, columns: Sequence[Column]) -> dict[str, float]:
    """Of its plain columns."""
    used = [column for column in columns if column.kind in PLAIN_KINDS]
    rows = len(frame)
    counts = {kind: sum(column.kind == kind for column in used) for kind in PLAIN_KINDS}
    categories = [column.unique for column in used if column.kind == Kind.CATEGORY]
    return {
        "rows": float(rows),
        "columns": float(len(used)),
        "columns_per_row": len(used) / rows,
        **{f"share_{kind}": counts[kind] / max(1, len(used)) for kind in PLAIN_KINDS},
        "max_cardinality": float(max(categories, default=0)),
        "missing": float(np.mean([column.missing for column in used] or [0.0])),
        **dict(_shape(frame, used)),
    }


def _shape(frame: pd.DataFrame, used: list[Column]) -> Iterator[tuple[str, float]]:
    """How irregular the numeric columns are: unlike kurtoses, spreads and ranges favour trees over nets."""
    numeric = [column for column in used if column.kind == Kind.NUMBER]
    random = np.random.default_rng(0)
    if len(numeric) > FACT_COLUMNS:
        numeric = [numeric[index] for index in np.sort(random.choice(len(numeric), FACT_COLUMNS, replace=False))]
    rows = np.arange(len(frame))
    if len(frame) > FACT_ROWS:
        rows = np.sort(random.choice(len(frame), FACT_ROWS, replace=False))
    kurtoses, spreads, ranges = [], [], []
    for column in numeric:
        values = to_number(frame[column.name].iloc[rows], column)
        values = values[np.isfinite(values)]
        spread = float(values.std()) if values.size > 3 else 0.0
        if not np.isfinite(spread) or spread == 0:
            continue
        kurtoses.append(float((((values - values.mean()) / spread) ** 4).mean()) - 3)
        spreads.append(spread)
        ranges.append(float(np.ptp(values)))
    measured = {
        "kurtosis_std": float(np.std(kurtoses or [0.0])),
        "spread_skew": _skew(spreads),
        "range_skew": _skew(ranges),
    }
    for name, value in measured.items():
        if np.isfinite(value):
            yield name, value


def _skew(values: list[float]) -> float:
    if len(values) < 3 or not np.std(values) > 0:
        return 0.0
    return float((((np.array(values) - np.mean(values)) / np.std(values)) ** 3).mean())
