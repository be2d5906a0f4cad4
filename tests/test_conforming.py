"""What a candidate's scores are learned from: its own held-out predictions, in time, in groups, while there is time."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from test_promise import careful, trial

from automl.ensemble.candidates import HeldOutComparison, candidates
from automl.ensemble.frontier import Limits
from automl.model import conformity
from automl.records import Trial
from automl.refit import conforming
from automl.refit.conforming import Conforming
from automl.scoring import metrics
from automl.scoring.folds import Folds, make_folds

ROWS = 300


def numbers(folds: Folds) -> tuple[HeldOutComparison, object]:
    """Two models of a number, and a constant, held out in all folds."""
    random = np.random.default_rng(0)
    y = random.normal(0, 3, ROWS)
    rows = np.concatenate([folds.held(k) for k in range(folds.count)])
    told = {0: np.zeros(len(rows)), **{k: y[rows] + random.normal(0, k, len(rows)) for k in (1, 2)}}
    metric = metrics.get("rmse")
    trials = tuple(
        done(trial(k, p, metric.error(y[rows], p), "linear" if k else "constant"), folds) for k, p in told.items()
    )
    ready = careful(np.zeros(ROWS, dtype=int), folds)
    ready = replace(ready, shared=replace(ready.shared, y=y, task="regression", outputs=1), metric=metric)
    found = HeldOutComparison(
        trials=trials, metric=metric, folds=tuple(range(folds.count)), rows=rows, y=y[rows], weight=None,
        predictions=told, blocks=None if folds.blocks is None else folds.blocks[rows],
    )  # fmt: skip
    return found, ready


def done(one: Trial, folds: Folds) -> Trial:
    """With all its folds."""
    cuts = np.cumsum([len(folds.held(k)) for k in range(folds.count)])[:-1]
    parts = enumerate(np.split(one.folds[0].predictions, cuts))
    return replace(one, folds={k: replace(one.folds[0], fold=k, predictions=part) for k, part in parts})


def test_newer_folds_count_more_where_folds_look_forward() -> None:
    """Each row half as much as one of the next newer fold; elsewhere all alike."""
    comparison, ready = numbers(make_folds(np.zeros(ROWS), "regression", count=3, seed=0, times=np.arange(ROWS)))
    weight = conforming.sample(comparison, ready).weight
    fold = ready.shared.folds.of_row[comparison.rows]
    assert weight is not None
    assert {float(weight[fold == k].min()) for k in range(3)} == {1.0, 0.5, 0.25}
    assert weight[np.argmax(comparison.rows)] == 1.0
    comparison, ready = numbers(make_folds(np.arange(ROWS), "regression", count=3, seed=0))
    assert conforming.sample(comparison, ready).weight is None


def test_rows_of_a_group_that_errs_alike_count_less() -> None:
    """Ten groups, each with an error of its own, are hardly more than ten rows."""
    groups = np.repeat(np.arange(10), ROWS // 10)
    comparison, ready = numbers(make_folds(np.arange(ROWS), "regression", count=5, seed=0, groups=groups))
    off = np.random.default_rng(1).normal(0, 3, 10)[groups[comparison.rows]]
    told = dict.fromkeys(comparison.predictions, comparison.y + off)
    comparison = replace(comparison, predictions=told)
    given = conforming.sample(comparison, ready)
    known = given.learn(conforming.blended(told[1], [told[1]], [1.0]))
    assert 9 < known.pooled.rows < 40, known.pooled.rows


def test_every_candidate_has_its_own_and_the_one_saved_whatever_the_time(tmp_path: Path) -> None:
    """The best first; without time none, but the one that is saved; of an earlier end of the run nothing is left."""
    comparison, ready = numbers(make_folds(np.arange(ROWS), "regression", count=3, seed=0))
    field = candidates(comparison, Limits(), math.inf)
    learner = Conforming(comparison, ready, tmp_path)
    learner.learn(field, math.inf)
    known = {one.name: conformity.of(tmp_path, one.name) for one in field}
    assert None not in known.values()
    bounds = {name: conformity.read(content, {"classes": []}).pooled.bound(0.9) for name, content in known.items()}
    assert len(set(bounds.values())) == len(field)
    learner.learn(field, -math.inf)
    assert {conformity.of(tmp_path, one.name) for one in field} == {None}
    learner.ensure(field[1])
    assert [conformity.of(tmp_path, one.name) is not None for one in field] == [one is field[1] for one in field]
    assert conformity.of(tmp_path, field[1].name) == known[field[1].name]


def test_of_predictions_that_are_not_finite_nothing_is_learned(tmp_path: Path) -> None:
    """A model that once said infinity is saved without scores."""
    comparison, ready = numbers(make_folds(np.arange(ROWS), "regression", count=3, seed=0))
    field = candidates(comparison, Limits(), math.inf)
    broken = {number: np.where(np.arange(ROWS) == 7, np.inf, told) for number, told in comparison.predictions.items()}
    Conforming(replace(comparison, predictions=broken), ready, tmp_path).ensure(field[0])
    assert conformity.of(tmp_path, field[0].name) is None
