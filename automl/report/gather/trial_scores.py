"""Where the scores of single trials may lie: their held-out rows redrawn, those of the best trials first.

Many trials are compared, so few rows and rounds must do for each; what is promised of a model is worked out elsewhere.
"""

from __future__ import annotations

import math
import time

import numpy as np

from automl.data.prepare import Shared
from automl.records import Trial
from automl.report.gather.findings import GatherInputs
from automl.scoring import metrics
from automl.scoring.metrics import Metric

MOST = 100  # trials
ROUNDS, ROWS = 40, 1_000  # a few milliseconds for each
SHARE = 0.25  # of the time left that this may take


def gather(given: GatherInputs) -> dict[str, tuple[float, float]]:
    """The bounds of each score by the trial's number, as text; none where the metric is a function of the user's."""
    finish, metric = given.finish, given.finish.ready.metric
    if metric.own:
        return {}
    now = time.monotonic()
    until = now + SHARE * (given.until - now) if math.isfinite(given.until) else math.inf
    scored = sorted((trial for trial in finish.trials if trial.folds), key=lambda trial: trial.error)
    found = {}
    for trial in scored[:MOST]:
        if time.monotonic() >= until:
            break
        bounds = interval(trial, metric, finish.ready.shared)
        if bounds is not None:
            found[str(trial.plan.number)] = bounds
    return found


def interval(trial: Trial, metric: Metric, shared: Shared) -> tuple[float, float] | None:
    """Round the mean over its folds, by all their rows together; None where these are not there any more."""
    folds = {k: fold for k, fold in trial.folds.items() if len(fold.predictions) == len(shared.folds.held(k))}
    if len(folds) < len(trial.folds) or not math.isfinite(trial.error):
        return None
    firsts = [k for k in folds if k < shared.folds.each] or list(folds)  # later deals are of the same rows
    rows = np.concatenate([shared.folds.held(k) for k in firsts])
    predictions = np.concatenate([folds[k].predictions for k in firsts])
    weight, blocks = (None if one is None else one[rows] for one in (shared.weight, shared.folds.blocks))
    y = shared.y[rows]
    low, high = metrics.interval(metric, y, predictions, weight, rounds=ROUNDS, most_rows=ROWS, blocks=blocks)
    value = metric.score(y, predictions, weight)
    mean = metric.to_score(trial.error)
    return (mean + low - value, mean + high - value) if math.isfinite(value) else None
