"""A table in plain numbers, for the decision: how large, of what, and how irregular."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from automl.modalities.parse import to_number
from automl.records import PLAIN_KINDS, Column, Kind

if TYPE_CHECKING:
    import pandas as pd

FACT_ROWS = 10_000  # the shape of the numbers is measured on so many rows
FACT_COLUMNS = 200
ROUNDED = 1e-12  # a mean of reciprocals this near to nought is one of roundings


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
        "distinct": float(np.mean([min(1.0, column.unique / max(1, rows)) for column in used] or [0.0])),
        **dict(_shape(frame, used)),
    }


def _shape(frame: pd.DataFrame, used: list[Column]) -> Iterator[tuple[str, float]]:
    """How irregular the numeric columns are: unlike kurtoses, spreads, ranges and means favour trees over nets.

    These are the parts of the irregularity of McElfresh et al. 2023; columns that hang together count as irregular too.
    """
    kurtoses, spreads, ranges, harmonic, scaled = [], [], [], [], []
    for values in _numeric(frame, used):
        known = values[np.isfinite(values)]
        spread = float(known.std()) if known.size > 3 else 0.0
        if not np.isfinite(spread) or spread == 0:
            continue
        around = (values - known.mean()) / spread
        kurtoses.append(float((around[np.isfinite(values)] ** 4).mean()) - 3)
        spreads.append(spread)
        ranges.append(float(np.ptp(known)))
        harmonic.append(_harmonic(known))
        scaled.append(np.nan_to_num(around, nan=0.0, posinf=0.0, neginf=0.0))
    low, high = np.quantile(harmonic or [0.0], [0.25, 0.75])
    measured = {
        "kurtosis_std": float(np.std(kurtoses or [0.0])),
        "spread_skew": _skew(spreads),
        "range_skew": _skew(ranges),
        "harmonic_iqr": float(high - low),
        "min_eigenvalue": _least_eigenvalue(scaled),
    }
    for name, value in measured.items():
        if np.isfinite(value):
            yield name, value


def _numeric(frame: pd.DataFrame, used: list[Column]) -> Iterator[np.ndarray]:
    """The values of columns of numbers, of some columns and rows where there are very many."""
    numeric = [column for column in used if column.kind == Kind.NUMBER]
    random = np.random.default_rng(0)
    if len(numeric) > FACT_COLUMNS:
        numeric = [numeric[index] for index in np.sort(random.choice(len(numeric), FACT_COLUMNS, replace=False))]
    rows = np.arange(len(frame))
    if len(frame) > FACT_ROWS:
        rows = np.sort(random.choice(len(frame), FACT_ROWS, replace=False))
    for column in numeric:
        yield to_number(frame[column.name].iloc[rows], column).astype(np.float64)


def _harmonic(known: np.ndarray) -> float:
    """The harmonic mean; nought where a value is nought, as its limit is."""
    if (known == 0).any():
        return 0.0
    turned = float((1 / known).mean())
    return 1 / turned if abs(turned) > ROUNDED else 0.0


def _least_eigenvalue(scaled: list[np.ndarray]) -> float:
    """Of the correlations: nought where one column follows from the others, one where all stand alone."""
    if len(scaled) < 2:
        return 1.0
    table = np.stack(scaled, axis=1)
    return float(np.linalg.eigvalsh(table.T @ table / len(table))[0])


def _skew(values: list[float]) -> float:
    if len(values) < 3 or not np.std(values) > 0:
        return 0.0
    return float((((np.array(values) - np.mean(values)) / np.std(values)) ** 3).mean())
