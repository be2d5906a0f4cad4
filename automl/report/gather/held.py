"""The held-out rows that findings look at: answers, what the chosen model says, weights, rows that err alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from automl.ensemble.blend import deal
from automl.ensemble.calibrate import calibrated_apart
from automl.report.gather.findings import GatherInputs
from automl.report.gather.mistakes import held_out
from automl.scoring.metrics import sample_rows

MOST_ROWS = 50_000  # more would tell the same
MOST_CELLS, LEAST_ROWS = 2_000_000, 1_000  # of many classes fewer rows


@dataclass(frozen=True, kw_only=True)
class HeldRows:
    """Held-out rows, and what the chosen model said of them before it learned from them."""

    rows: np.ndarray  # of the data set
    y: np.ndarray  # class numbers, or values
    said: np.ndarray  # class numbers, or values: of quantiles the middle one
    shares: np.ndarray | None  # (rows, classes) probabilities, of classes only
    levels: np.ndarray | None  # (rows, levels), of quantiles only
    weight: np.ndarray
    blocks: np.ndarray | None  # a number per row, equal for rows that err alike


def held_rows(given: GatherInputs, most: int = MOST_ROWS) -> HeldRows:
    """At most so many of the rows on which candidates were scored, spread evenly over the answers."""
    whole, chosen, profile = given.finish.comparison, given.end.chosen, given.finish.profile
    some = sample_rows(whole.y, min(most, max(LEAST_ROWS, MOST_CELLS // profile.outputs)))
    comparison = replace(
        whole,
        rows=whole.rows[some],
        y=whole.y[some],
        weight=None if whole.weight is None else np.asarray(whole.weight, dtype=np.float64)[some],
        predictions={number: whole.predictions[number][some] for number in chosen.weights},
        blocks=None if whole.blocks is None else np.unique(whole.blocks[some], return_inverse=True)[1],
    )
    told = held_out(chosen, comparison, len(profile.classes))
    blocks = comparison.blocks
    return HeldRows(
        rows=comparison.rows,
        y=told.y,
        said=told.said,
        shares=told.shares,
        levels=np.asarray(sum(w * comparison.predictions[k] for k, w in chosen.weights.items()))
        if profile.levels
        else None,
        weight=np.ones(len(some)) if comparison.weight is None or not comparison.weight.any() else comparison.weight,
        blocks=blocks if blocks is not None and int(blocks.max()) > 0 else None,
    )


def unfit(held: HeldRows, least: int) -> str:
    """Why nothing can be counted on these rows; empty where it can."""
    if len(held.y) < least:
        return f"{len(held.y)} held-out rows are too few; from {least} on it is"
    told = held.said if held.shares is None else held.shares
    return "" if np.isfinite(told).all() else "not all predictions are numbers"


def shares_apart(given: GatherInputs, held: HeldRows) -> np.ndarray:
    """The probabilities by calibrations that did not learn on the row itself, where the chosen model is calibrated."""
    assert held.shares is not None
    chosen, whole = given.end.chosen, given.finish.comparison
    if not chosen.readout.log_loss_gain:
        return held.shares
    place = np.full(int(whole.rows.max()) + 1, -1)
    place[whole.rows] = np.arange(len(whole.rows))
    some = place[held.rows]
    raw = np.asarray(sum(w * whole.predictions[number][some] for number, w in chosen.weights.items()))
    parts = deal(whole.metric, held.y, np.ones(1), blocks=held.blocks)
    return calibrated_apart(held.y, raw, parts, held.weight)
