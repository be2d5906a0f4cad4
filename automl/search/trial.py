"""One fold of one trial, a pure function of its job and the shared data: run by a worker, on any machine.

Its seed and its rows come from the plan and the folds decided once, never from the worker.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

import search_spaces
from automl.data.counted import counted_once
from automl.data.prepare import Shared
from automl.modalities import mixture
from automl.modalities.mixture import PLAIN, FoldFeatures, FoldTraining, bend_of, learn_features, made_by
from automl.runtime.batches import hearing, tell
from automl.scoring.metrics import sample_rows
from automl.search.steps import TIMED_S
from automl.training import learners
from cluster import devices
from cluster.memory import free_mb
from cluster.pool import Grant, Partial
from search_spaces.spec import Family, Learner, Matrix, Rows, Run

ALL_ROWS = -1  # the "fold" that holds nothing out: a refit
CACHE_BYTES, CACHE_SHARE = 1_500_000_000, 1 / 16  # of encoded folds a worker keeps; of the memory that is still free
ROW_REPEATS = 3
MOST_TIMED = 256  # rows by which a batch is priced on the CPU, where those held out were predicted on a GPU
LEAST_FIT_S = 1.0  # of a fit whose preparation took longer than it should


@dataclass(frozen=True, kw_only=True)
class FoldJob:
    """Which configuration, on which fold."""

    family: str
    params: Mapping[str, Any]
    features: Mapping[str, Any]
    seed: int
    fold: int
    kept: str = ""  # where a network keeps the state of its training


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """What comes back: predictions of the held-out rows, the model as bytes, and what it cost."""

    fold: int
    predictions: np.ndarray
    parts: Mapping[str, bytes]
    features: Mapping[str, bytes]
    is_cut: bool
    fit_s: float
    batch_s: float
    row_s: float
    rounds: int | None
    notes: tuple[str, ...] = ()  # what the user should know of how it was trained


@dataclass(frozen=True)
class Encoded:
    """The two sides of a fold as matrices, and the features that made them."""

    train: Rows
    held: Rows
    features: FoldFeatures

    @property
    def nbytes(self) -> int:
        """Memory held by the matrices."""
        return sum(rows.X.numbers.nbytes + rows.X.codes.nbytes for rows in (self.train, self.held))


_cache: OrderedDict[tuple[str, int, str], Encoded] = OrderedDict()


def run_fold(grant: Grant, job: FoldJob, shared: Shared) -> FoldResult | Partial:
    """Fit one configuration on a fold's training rows and predict the rows held out."""
    began = time.monotonic()
    encoded = _encode(shared, job)
    family = search_spaces.get(job.family)
    for module in family.imports:
        import_module(module)
    learner = learners.make(family, job.params, bend_of(_recipe(job)), shared.metric, job.features.get("column", ""))
    seed = job.seed + 1 + job.fold
    started = time.monotonic()
    until = until_of_fit(grant.until, began, started)
    run = Run(shared.task, shared.outputs, shared.metric, seed, grant.threads, until, shared.levels, job.kept)
    with hearing() as notes:
        _check_gpu(grant, family)
        learner = _fitted(learner, job, encoded, run, grant)
        fit_s = time.monotonic() - started
        with learners.on_device(learner) as is_far:
            predictions, batch_s = timed(learner, encoded.held.X, grant.threads)
        if (judged := getattr(learner, "judged", None)) is not None:
            predictions = judged
        row_s = min(timed(learner, encoded.train.X.take(np.array([0])), 1)[1] / 1000 for _ in range(ROW_REPEATS))
        if is_far:  # what is told of a batch is what the saved model takes, on the CPU
            some = np.arange(min(len(encoded.train), MOST_TIMED, max(1, int(TIMED_S / max(row_s, 1e-9)))))
            batch_s = timed(learner, encoded.train.X.take(some), grant.threads)[1]
    parts, features = learner.dump(), encoded.features.dump()
    rounds = getattr(learner, "rounds_", None)
    result = FoldResult(
        fold=job.fold,
        predictions=predictions,
        parts=parts,
        features=features,
        is_cut=learner.is_cut,
        fit_s=fit_s,
        batch_s=batch_s,
        row_s=row_s,
        rounds=rounds,
        notes=tuple(notes),
    )
    return Partial(result) if learner.is_cut else result


def _check_gpu(grant: Grant, family: Family) -> None:
    """A network that was planned for a GPU is not trained on a CPU without a word."""
    if grant.gpus > 0 and family.route == "neural":
        why_not = devices.why_not()
        if why_not:
            tell(f"planned for a GPU, but trained on the CPU: {why_not}")


def _fitted(learner: Learner, job: FoldJob, encoded: Encoded, run: Run, grant: Grant) -> Learner:
    """The learner, fitted: here, or by a process for each GPU where several were granted."""
    is_shown = len(encoded.held) > 0 and not job.features.get("is_blind")  # what it is compared on, it may not see
    valid, count = encoded.held if is_shown else None, round(grant.gpus)
    if count < 2 or devices.why_not():
        learner.fit(encoded.train, valid, run)
        return learner
    from automl.training.together import TeamTask, fit_together

    column, bend = job.features.get("column", ""), bend_of(_recipe(job))
    return fit_together(
        TeamTask(
            family=job.family, params=job.params, bend=bend, column=column, train=encoded.train, valid=valid, run=run
        ),
        count,
    )


def until_of_fit(until: float, began: float, started: float) -> float:
    """When a fit is asked to stop; where cold imports took most of its time, it has a second all the same.

    A booster that is cut after one round says nothing of its configuration, and that was what it was tried for.
    """
    granted_s = until - began
    return max(until, started + min(LEAST_FIT_S, granted_s)) if started - began > granted_s / 2 else until


def timed(learner: Learner, X: Matrix, threads: int) -> tuple[np.ndarray, float]:
    """Predictions and their seconds for 1,000 rows."""
    started = time.monotonic()
    predictions = learner.predict(X, threads)
    return predictions, (time.monotonic() - started) * 1000 / max(1, len(X))


def _encode(shared: Shared, job: FoldJob) -> Encoded:
    """The fold's matrices; kept, since many configurations ask for the same fold."""
    recipe = _recipe(job)
    made = json.dumps([made_by(recipe, shared.raw), job.features.get("share", 1.0)])
    is_once = shared.same_rows is not None and search_spaces.get(job.family).counts_weights
    key = (shared.key, job.fold, json.dumps([made, is_once, *shared.raw.blocks]))
    if key in _cache:
        _cache.move_to_end(key)
        return _cache[key]
    everything = np.arange(len(shared.y))
    train = everything if job.fold == ALL_ROWS else shared.folds.train(job.fold)
    if (share := float(job.features.get("share", 1.0))) < 1:
        train = train[_sampled(shared, train, share, job.fold)]
    held = everything[:0] if job.fold == ALL_ROWS else shared.folds.held(job.fold)
    weight = _some(shared.weight, train)
    training = FoldTraining(
        shared.raw.take(train), shared.y[train], shared.outputs, shared.labels, weight, seed=job.fold + 1
    )
    features, matrix = learn_features(training, recipe)
    rows = Rows(matrix, training.y, weight)
    encoded = Encoded(
        counted_once(rows, shared.same_rows[train]) if is_once and shared.same_rows is not None else rows,
        Rows(features.transform(shared.raw.take(held)), shared.y[held], _some(shared.weight, held)),
        features,
    )
    _cache[key] = encoded
    room = min(CACHE_BYTES, CACHE_SHARE * 1e6 * free_mb())
    while sum(kept.nbytes for kept in _cache.values()) > room and len(_cache) > 1:
        _cache.popitem(last=False)
    return encoded


def _sampled(shared: Shared, train: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which of the training rows are seen where some must do: of series over time the newest, else a fair part."""
    panel = mixture.panel(shared.raw)
    if panel is not None:
        return mixture.newest_share(panel, train, share)
    return sample_rows(shared.y[train], max(1, round(share * len(train))), seed=seed)


def _recipe(job: FoldJob) -> str:
    return str(job.features.get("recipe", PLAIN))


def _some(weight: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if weight is None else weight[rows]
