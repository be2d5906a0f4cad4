"""What a score promises: where that of a new sample of as many rows as were held out will lie, with 95 % probability.

Chance is on both sides, in the rows that were held out and in those to come, so errors under redrawn rows are compared
with each other, and as ratios: an error that three bad rows made may be a third as well as three times as large. Bounds
were tried on 66 tables, two thirds of them learned from, against the last third (benchmarks/LOG.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from automl.scoring import metrics
from automl.scoring.metrics import Metric, Redrawing

LEVEL = 0.95
MANY_ROUNDS = 40  # from which on they show the ends of a distribution themselves
UNSEEN = 0.5  # rows as bad as if they had the answer of another one, that held-out rows may have missed
BAD_LUCK = 2.0  # shape of how many they are: after 100 rows without an error, five of the next 100 may have one
STRETCH, OF_SQUARES = 1.2, 1.6  # a redrawing of few rows shows too little of a tail, and new samples may be smaller
TINY = 1e-300  # an error of zero has no logarithm
FAR = 700.0  # beyond it, an exponential is no number any more
ROOTS = ("rmse", "rmsle")  # of a mean over rows
BETTER, WORSE = 0.10, 0.05  # of the error, that a model of several folds may differ from the single ones scored


def interval(metric: Metric, predictions: np.ndarray, redrawn: Redrawing, *, error: float) -> tuple[float, float]:
    """The bounds round a score whose error is known better than from these rows alone, (low, high)."""
    y, weight = redrawn.y, redrawn.weight
    if metric.own:  # its errors may be anything: no ratios
        low, high = metrics.interval(
            metric, y, predictions, weight, level=LEVEL, blocks=redrawn.blocks, until=redrawn.until
        )
        half = math.sqrt(2) * (high - low) / 2
        return metric.to_score(error) - half, metric.to_score(error) + half
    if not math.isfinite(error):
        return metric.to_score(error), metric.to_score(error)
    power = 2 if metric.name in ROOTS else 1  # then rows add up
    bad = metric.error(_mistaken(metric, redrawn), predictions, weight)
    missed = UNSEEN / len(y) * bad**power if math.isfinite(bad) else 0.0
    stretch = OF_SQUARES if metric.name in ROOTS else STRETCH
    far = stretch * redrawn.wider(LEVEL) * _spread(metric, predictions, redrawn, missed, power)
    moved = (min(FAR, side * math.hypot(far, power * drift)) for side, drift in ((-1, BETTER), (1, WORSE)))
    least, most = ((error**power + missed) * math.exp(by) - missed for by in moved)
    least = 0.0 if least < missed else least  # less than half a bad row is no row: the best value can be had
    least, most = least ** (1 / power), max(0.0, most) ** (1 / power)
    low, high = sorted((metric.to_score(least), metric.to_score(min(metric.worst, most))))
    return low, high


def _mistaken(metric: Metric, redrawn: Redrawing) -> np.ndarray:
    """Each row with the answer of another one; where weights bring series to one scale, of another one of its series.

    The sales of a large shop in the unit of a small one are no error that a model makes.
    """
    random = np.random.default_rng(0)
    if metric.name not in metrics.SCALED or redrawn.blocks is None:
        return random.permutation(redrawn.y)
    found = np.empty_like(redrawn.y)
    found[np.argsort(redrawn.blocks, kind="stable")] = redrawn.y[
        np.lexsort((random.random(len(redrawn.y)), redrawn.blocks))
    ]
    return found


def _spread(metric: Metric, predictions: np.ndarray, redrawn: Redrawing, missed: float, power: int) -> float:
    """How far the logarithms of two errors differ in all but one of twenty cases, each on rows drawn anew."""
    moves = redrawn.moves(metric, [predictions])[:, 0]
    moves = moves[np.isfinite(moves)]
    unseen = missed * np.random.default_rng(0).gamma(BAD_LUCK, 1 / BAD_LUCK, len(moves))
    errors = np.maximum(metric.error(redrawn.y, predictions, redrawn.weight) + moves, 0.0)
    logs = np.log(errors**power + unseen + TINY)
    if len(logs) < MANY_ROUNDS:
        return NormalDist().inv_cdf((1 + LEVEL) / 2) * math.sqrt(2) * float(logs.std(ddof=1)) if len(logs) > 1 else 1.0
    return float(np.quantile(np.abs(logs[:, None] - logs[None, :]), LEVEL))


def in_order(errors: Sequence[float]) -> list[float]:
    """The errors of models ranked on all rows, so that none is promised less error than one ranked before it.

    Cross-fitted errors of neighbours differ by chance, and whoever picks the least is deceived by it: those out of
    order are taken together (isotonic regression). What is not finite stays.
    """
    blocks: list[tuple[float, int]] = []  # sum, count
    for error in errors:
        total, count = error, 1
        while blocks and math.isfinite(blocks[-1][0]) and blocks[-1][0] / blocks[-1][1] >= total / count:
            before = blocks.pop()
            total, count = before[0] + total, before[1] + count
        blocks.append((total, count))
    return [total / count for total, count in blocks for _ in range(count)]
