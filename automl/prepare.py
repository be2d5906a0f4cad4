"""From a profiled dataset to what every trial reads: encoded columns, answers and the folds decided once."""

from __future__ import annotations

import numpy as np

from automl.modalities.table.encode import Schema, learn_schema
from automl.modalities.table.parse import to_dates, to_number
from automl.options import Options
from automl.records import Dataset, Kind, Profile
from automl.search.trial import Shared
from automl.split import choose_count, make_folds
from automl.target import encode_target


def prepare(dataset: Dataset, profile: Profile, options: Options) -> tuple[Schema, Shared]:
    """Encode the data set and decide its folds."""
    if dataset.target is None:
        raise ValueError("a data set without answers cannot be prepared for training")
    y = encode_target(dataset.target, profile)
    schema = learn_schema(dataset.frame, profile)
    count, _ = choose_count(len(y), options.budget.time_s)
    folds = make_folds(
        y,
        profile.task,
        count=count,
        seed=options.seed,
        groups=_groups(dataset, options.group_column),
        times=_times(dataset, profile, options.time_column),
    )
    raw = schema.encode(dataset.frame)
    shared = Shared(raw, schema.sizes, y, dataset.weight, folds, profile.task, profile.outputs, profile.metric)
    return schema, shared


def _groups(dataset: Dataset, column: str | None) -> np.ndarray | None:
    """A number per row, equal within a group; rows without a group are groups of their own."""
    if column is None:
        return None
    codes = dataset.frame[column].astype("category").cat.codes.to_numpy().astype(np.int64)
    lonely = codes < 0
    codes[lonely] = codes.max() + 1 + np.arange(int(lonely.sum()))
    return codes


def _times(dataset: Dataset, profile: Profile, column: str | None) -> np.ndarray | None:
    """A sortable number per row; rows without a time come first."""
    if column is None:
        return None
    known = next(c for c in profile.columns if c.name == column)
    series = dataset.frame[column]
    if known.kind is Kind.DATE:
        return to_dates(series, known).astype("datetime64[s]").astype(np.int64).astype(np.float64)
    return np.asarray(np.nan_to_num(to_number(series, known), nan=-np.inf))
