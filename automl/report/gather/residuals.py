"""How far off predicted numbers are, beside what was predicted: the middle and the band of errors, the largest.

Held-out rows only. Whether errors spread wider where larger numbers are predicted is asked of the two outer thirds.
"""

from __future__ import annotations

import numpy as np

from automl.report.gather.findings import GatherInputs
from automl.report.gather.held import HeldRows, held_rows, unfit
from automl.report.sections.residuals import MissJson, ResidualBinJson, ResidualsJson, SpreadJson
from automl.scoring import chance
from automl.scoring.metrics import sample_rows

LEAST_ROWS, LEAST_IN_BIN = 50, 30
MOST_BINS = 10
POINTS = 250  # drawn one by one
LARGEST = 8
BAND = np.array((0.05, 0.5, 0.95))
ROUNDS, REDRAWN_ROWS = 200, 5_000  # redrawings that tell whether the spread grows


def gather(given: GatherInputs) -> ResidualsJson:
    """Errors are answer minus prediction: above zero where too little was predicted."""
    found: ResidualsJson = {"why_not": None, "kind": "numbers", "rows": 0, "middle": None, "half": None, "bins": [],
                            "points": [], "largest": [], "spread": None}  # fmt: skip
    if given.finish.profile.classes:
        return {**found, "kind": "classes", "why_not": "it predicts classes, whose mistakes are counted above"}
    held = held_rows(given)
    if told := unfit(held, LEAST_ROWS):
        return {**found, "why_not": told}
    off = held.y - held.said
    size = chance.quantile(np.abs(off), held.weight, np.array((0.5, 0.9)))
    found |= {"rows": len(off), "middle": float(size[0]), "half": float(size[1])}
    found["bins"] = bins(held.said, off, held.weight)
    some = sample_rows(held.said, POINTS)
    found["points"] = [[_rough(held.said[k]), _rough(off[k])] for k in some.tolist()]
    found["largest"] = [_miss(held, k) for k in np.argsort(-np.abs(off), kind="stable")[:LARGEST].tolist()]
    found["spread"] = spread(held.said, off, held.weight, held.blocks)
    return found


def bins(said: np.ndarray, off: np.ndarray, weight: np.ndarray) -> list[ResidualBinJson]:
    """The errors where about the same was predicted: their middle, and the band that holds nine of ten."""
    count = max(1, min(MOST_BINS, len(said) // LEAST_IN_BIN))
    edges = np.unique(np.quantile(said, np.arange(1, count) / count))
    bin_of = np.searchsorted(edges, said, side="right")
    found: list[ResidualBinJson] = []
    for k in np.unique(bin_of).tolist():
        own = bin_of == k
        low, middle, high = (float(value) for value in chance.quantile(off[own], weight[own], BAND))
        found.append({"said": float(np.average(said[own], weights=weight[own])), "low": low, "middle": middle,
                      "high": high, "rows": int(own.sum())})  # fmt: skip
    return found


def spread(said: np.ndarray, off: np.ndarray, weight: np.ndarray, blocks: np.ndarray | None) -> SpreadJson | None:
    """How many times wider the band is where most is predicted than where least is, with its interval over rows."""
    some = sample_rows(said, REDRAWN_ROWS)
    said, off, weight = said[some], off[some], weight[some]
    block_of = np.arange(len(some)) if blocks is None else np.unique(blocks[some], return_inverse=True)[1]
    edges = np.quantile(said, (1 / 3, 2 / 3))
    low, high = said <= edges[0], said > edges[1]
    if low.sum() < LEAST_IN_BIN or high.sum() < LEAST_IN_BIN:
        return None
    random, count = np.random.default_rng(0), int(block_of.max()) + 1

    def ratio(times: np.ndarray) -> float:
        narrow, wide = (_width(off[part], (weight * times)[part]) for part in (low, high))
        return wide / narrow if narrow > 0 else np.inf

    drawn = [ratio(np.bincount(random.integers(0, count, count), minlength=count)[block_of]) for _ in range(ROUNDS)]
    known = ratio(np.ones(len(some)))
    if not np.isfinite(known) or not np.isfinite(drawn).all() or known <= 0:
        return None
    ends = np.quantile(drawn, (0.025, 0.975))
    narrow, wide = (_width(off[part], weight[part]) for part in (low, high))
    return {"ratio": known, "low": min(known, float(ends[0])), "high": max(known, float(ends[1])),
            "below": float(edges[0]), "above": float(edges[1]), "narrow": narrow, "wide": wide}  # fmt: skip


def _width(off: np.ndarray, weight: np.ndarray) -> float:
    """Of the band that holds nine of ten errors."""
    if not weight.any():
        return 0.0
    low, high = chance.quantile(off, weight, BAND[[0, 2]])
    return float(high - low)


def _rough(value: float) -> float:
    """As far as it can be drawn."""
    return float(f"{value:.4g}")


def _miss(held: HeldRows, at: int) -> MissJson:
    return {"row": int(held.rows[at]) + 1, "answer": float(held.y[at]), "said": float(held.said[at])}
