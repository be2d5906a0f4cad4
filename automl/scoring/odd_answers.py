"""Numbers that look wrong: answers far from held-out predictions, beyond what the tail of the other misses explains.

Misses are measured against their usual size at answers of that height, since large answers are missed by more. Real
answers have heavy tails, so the tail is taken to fall as slowly as a power does, as its body shows; listed is only
what is beyond the distance at which few such misses are to be expected.
"""

from __future__ import annotations

import math

import numpy as np

from automl.scoring.suspects import Suspects

LEAST_ROWS = 200
BINS = 10  # of predictions, in each of which the usual miss is taken
BODY, TAIL = 0.75, 0.95  # quantiles of the misses between which the fall of the tail is read
EXPECTED = 0.2  # of those listed, that may be no more than a heavy tail
SLOWEST, FASTEST = 1.0, 5.0  # powers of the fall; a faster one would take few rows at their word
LEAST, MOST = 5, 0.1  # listed rows, the latter as a share of all


def of_numbers(y: np.ndarray, said: np.ndarray) -> Suspects:
    """Answers that look wrong, with what the model would have said; `said`: of rows that it did not learn from."""
    none, nan = np.empty(0, dtype=np.int64), math.nan
    missed = np.abs(y - said)
    if len(y) < LEAST_ROWS or not np.isfinite(missed).all() or not (missed > 0).any():
        return Suspects(none, said[none], np.empty(0), nan, nan, nan, "too few rows to tell odd answers from hard rows")
    far = missed / _usual(said, missed)
    order = np.argsort(-far, kind="stable")
    fell = far[order]
    body, edge = np.quantile(far, [BODY, TAIL])
    if edge <= 0 or body <= 0:
        return Suspects(none, said[none], np.empty(0), 0.0, 0.0, nan, "most answers are met exactly")
    power = _power(float(body), float(edge))
    expected = len(y) * (1 - TAIL) * (np.maximum(fell, edge) / edge) ** -power
    count = np.arange(1, len(fell) + 1)
    falsely = np.minimum(1.0, expected / count)
    able = np.flatnonzero((falsely <= EXPECTED) & (fell > edge) & (count <= MOST * len(y)) & (count >= LEAST))
    listed = order[: int(able.max()) + 1] if able.size else none
    extra = max(0.0, float((count - expected)[: int(able.max()) + 1].max())) if able.size else 0.0
    rate = extra / len(y)
    half = 1.96 * math.sqrt(max(len(listed), 1)) / len(y)
    why = "" if len(listed) else "the largest misses are no larger than the tail of the others explains"
    chance = np.minimum(1.0, 1 - falsely[: len(listed)])
    return Suspects(listed, said[listed], chance, rate, max(0.0, rate - half), min(1.0, rate + half), why)


def _usual(said: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """The median miss of rows with predictions of about this height, never far below that of all."""
    overall = float(np.median(missed)) or float(missed.mean())
    cuts = np.unique(np.quantile(said, np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(cuts, said)
    medians = np.array([np.median(missed[bins == one]) if (bins == one).any() else 0.0 for one in range(len(cuts) + 1)])
    return np.asarray(np.maximum(medians[bins], 0.25 * overall))


def _power(body: float, edge: float) -> float:
    """How fast the share of larger misses falls with their size, from the body of the tail alone."""
    fallen = math.log((1 - BODY) / (1 - TAIL))
    known = math.log(edge / body) if edge > body else 0.0
    return min(FASTEST, max(SLOWEST, fallen / known)) if known > 0 else FASTEST
