"""Some rows of a data set, with all that belongs to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from automl.records import Dataset


def take(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """The given rows."""
    target = None if dataset.target is None else dataset.target.iloc[rows].reset_index(drop=True)
    return replace(
        dataset,
        frame=dataset.frame.iloc[rows].reset_index(drop=True),
        target=target,
        weight=None if dataset.weight is None else dataset.weight[rows],
        decoded={name: one.take(rows) for name, one in dataset.decoded.items()},
        places=rows if dataset.places is None else dataset.places[rows],
    )
