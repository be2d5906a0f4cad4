"""What looking for a rare class is like: how many of the marked rows are of it, and how many of it are marked.

Of two classes of which one has less than a fifth of the held-out rows. Rows that were told the same are not ranked
among each other: of a part of them its share is counted.
"""

from __future__ import annotations

import numpy as np

from automl.report.gather.findings import GatherInputs
from automl.report.gather.held import HeldRows, held_rows, unfit
from automl.report.sections.rare import MarkedJson, RareJson
from automl.scoring import chance, metrics
from automl.scoring.metrics import Redrawing

RARE = 0.2  # share of the rows
LEAST_FOUND = 20  # rows of the rare class, from which it can be told
TOP = (0.01, 0.05, 0.1)  # shares of the rows, those that look most like it
LEAST_MARKED = 10  # of the rows in such a share
POINTS = 40  # of the curve
ROUNDS = 100


def gather(given: GatherInputs) -> RareJson:
    """Of the rows that look most like the rarer class, how many are of it."""
    profile, readout = given.finish.profile, given.end.chosen.readout
    found: RareJson = {"why_not": None, "label": None, "share": None, "rows": 0, "of_class": 0, "precision": None,
                       "low": None, "high": None, "curve": [], "top": [], "chosen": None}  # fmt: skip
    if len(profile.classes) != 2:
        return {**found, "why_not": "there are not two classes"}
    held = held_rows(given)
    if why := unfit(held, 1):
        return {**found, "why_not": why}
    assert held.shares is not None
    rarer = int(np.average(held.y, weights=held.weight) < 0.5)
    is_rare, score = held.y == rarer, held.shares[:, rarer]
    share = float(np.average(is_rare, weights=held.weight))
    if share >= RARE:
        return {**found, "why_not": f"the rarer class has {share:.0%} of the rows", "share": share}
    found |= {"label": str(profile.classes[rarer]), "share": share, "rows": len(held.y),
              "of_class": int(is_rare.sum())}  # fmt: skip
    if is_rare.sum() < LEAST_FOUND:
        return {**found, "why_not": f"{int(is_rare.sum())} held-out rows of the rare class are too few"}
    redrawn = Redrawing(held.y, held.weight, held.blocks, ROUNDS)
    metric = metrics.get("average_precision", positive=rarer)
    error = metric.error(held.y, held.shares, held.weight)
    ends = redrawn.ends(metric, error, redrawn.moves(metric, [held.shares])[:, 0], 0.95)
    low, high = sorted(min(1.0, max(0.0, 1 - end)) for end in ends)
    found |= {"precision": 1 - error, "low": low, "high": high}
    found["curve"] = curve(score, is_rare, held.weight)
    found["top"] = [top(part, score, is_rare, held) for part in TOP if part * len(held.y) >= LEAST_MARKED]
    threshold = readout.threshold if rarer == 1 else 1 - readout.threshold
    found["chosen"] = _marked(held.said == rarer, is_rare, held) | {"threshold": threshold}
    return found


def curve(score: np.ndarray, is_rare: np.ndarray, weight: np.ndarray) -> list[MarkedJson]:
    """Marking ever more rows: evenly over the rows of the rare class that are found, and over those that are marked."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)  # rows that are told the same go together
    marked, hits = np.cumsum(weight[order])[ends], np.cumsum((weight * is_rare)[order])[ends]
    wanted = np.arange(1, POINTS // 2 + 1) / (POINTS // 2)
    places = np.concatenate([np.searchsorted(sums, wanted * sums[-1] * (1 - 1e-12)) for sums in (marked, hits)])
    return [
        _point(float(marked[k] / marked[-1]), float(hits[k] / marked[k]), float(hits[k] / hits[-1]))
        | {"threshold": float(score[order[ends[k]]])}
        for k in np.unique(np.minimum(places, len(ends) - 1)).tolist()
    ]


def top(part: float, score: np.ndarray, is_rare: np.ndarray, held: HeldRows) -> MarkedJson:
    """So many of the rows, those that look most like the rare class; of equals at its edge the same share each."""
    order = np.argsort(-score, kind="stable")
    reached = np.cumsum(held.weight[order])
    edge = score[order[np.searchsorted(reached, part * reached[-1] * (1 - 1e-12))]]
    above, equal = score > edge, score == edge
    left = part * reached[-1] - float(held.weight[above].sum())
    taken = above + equal * (left / float(held.weight[equal].sum()))
    return _marked(taken, is_rare, held) | {"threshold": float(edge)}


def _marked(taken: np.ndarray, is_rare: np.ndarray, held: HeldRows) -> MarkedJson:
    """Of the rows that are taken, wholly or in part, how many are of the rare class; of that class how many are."""
    weight = held.weight * taken
    some, all_rare = weight > 0, float((held.weight * is_rare).sum())
    marked = float(weight.sum()) / float(held.weight.sum())
    if not some.any():
        return _point(0.0, None, 0.0)
    blocks = held.blocks
    right = chance.share(is_rare[some], weight[some], None if blocks is None else blocks[some])
    own = chance.share(np.asarray(taken[is_rare]), held.weight[is_rare], None if blocks is None else blocks[is_rare])
    point = _point(marked, right.value, float((weight * is_rare).sum()) / all_rare)
    return point | {"low": right.low, "high": right.high, "recall_low": own.low, "recall_high": own.high,
                    "rows": float(np.sum(taken))}  # fmt: skip


def _point(marked: float, precision: float | None, recall: float) -> MarkedJson:
    return {"threshold": None, "marked": marked, "rows": None, "precision": precision, "low": None, "high": None,
            "recall": recall, "recall_low": None, "recall_high": None}  # fmt: skip
