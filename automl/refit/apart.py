"""Whether rows of two samples can be told apart by a quick model: what single columns do not show, several may.

Runs in a worker, or where an audit runs.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np

import search_spaces
from automl.data.prepare import Shared
from automl.modalities.mixture import Raw
from automl.scoring.folds import make_folds
from automl.search.trial import FoldJob, FoldResult, run_fold
from cluster.pool import Grant, Partial

FAMILY = "lightgbm"
FOLDS = 3


def question(shared: Shared, both: Raw, is_new: np.ndarray) -> Shared:
    """Which sample a row is of, as something to learn."""
    y = is_new.astype(np.int64)
    seen = zlib.crc32(both.codes.tobytes(), zlib.crc32(both.numbers.tobytes()))
    return replace(
        shared, raw=both, y=y, weight=None, folds=make_folds(y, "binary", count=FOLDS, seed=0), task="binary",
        outputs=2, metric="roc_auc", levels=(), same_rows=None, key=f"{shared.key} or {seen:08x}",
    )  # fmt: skip


def quick_job(fold: int) -> FoldJob:
    """A booster that takes a moment."""
    family = search_spaces.get(FAMILY)
    return FoldJob(family=FAMILY, params={**family.configs()[0], **family.quick}, features={}, seed=0, fold=fold)


def tell_apart(grant: Grant, shared: Shared) -> np.ndarray:
    """The probability of each row to be of the second sample, by a model that did not learn from it."""
    said = np.empty((len(shared.y), shared.outputs))
    for fold in range(shared.folds.count):
        result = run_fold(grant, quick_job(fold), shared)
        found: FoldResult = result.value if isinstance(result, Partial) else result
        said[shared.folds.held(fold)] = found.predictions
    return said
