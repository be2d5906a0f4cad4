"""How often intervals and sets hold the answers of held-out rows that did not teach them, and where they do not.

Half of the held-out rows learn, the other half is held against it, and the other way round, a few times over.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, cast

import numpy as np

from automl.records import Kind
from automl.refit import conforming
from automl.refit.conforming import HeldOutSample
from automl.report.gather.findings import GatherInputs
from automl.report.sections.coverage import CertainJson, GroupHeldJson, LevelHeldJson
from automl.scoring.conformal import Conformal, Said, effective, rows_needed
from automl.scoring.readout import decided

LEVELS, OF_GROUPS = (0.8, 0.9, 0.95), 0.9  # that are measured, and the one of groups
HALVINGS = 3  # whichever rows happened to learn
LEAST_ROWS = 20  # held-out rows below which nothing is told
GROUP_ROWS, MOST_GROUPS, MOST_COLUMNS = 30, 8, 40  # rows of a group that is told of, groups told of, columns looked at
PARTS = (0.25, 0.5, 0.75)  # of numbers
MOST_VALUES = 20  # of a category
SURE = 0.95  # that intervals round shares hold, and that a group marked as low is no chance among all looked at
CONFIDENCE = NormalDist()


@dataclass(frozen=True)
class HeldShares:
    """Of each held-out row, at each level: whether its answer was held, and how wide that was."""

    share: np.ndarray  # (levels, rows) 0 .. 1, over the halvings
    width: np.ndarray  # of intervals, or labels in the set
    single: np.ndarray  # sets of one label, 0 .. 1


def gather(given: GatherInputs) -> CertainJson | None:
    """Overall by level, and the groups that are held least at one of them; None where too few rows were held out."""
    finish, chosen = given.finish, given.end.chosen
    sample = conforming.sample(finish.comparison, finish.ready)
    said = conforming.said(chosen, finish.comparison, sample)
    if len(sample.y) < LEAST_ROWS or not np.isfinite(said.predictions).all():
        return None
    is_set = bool(finish.profile.classes)
    told = decided(said.predictions, chosen.readout) if is_set else said.middle
    held = _halved(sample, said, told, given.until)
    if held is None:
        return None
    known = sample.learn(said)
    weight = np.ones(len(sample.y)) if sample.weight is None else sample.weight
    found: CertainJson = {
        "kind": "set" if is_set else "interval",
        "rows": len(sample.y),
        "counted": effective(held.share[LEVELS.index(OF_GROUPS)], weight, sample.blocks),
        "usual": None if is_set else _usual(sample.y, weight),
        "highest": known.highest,
        "levels": [_level(k, level, held, sample, known) for k, level in enumerate(LEVELS)],
        "group_level": OF_GROUPS,
        "groups": [],
        "looked_at": 0,
        "notes": [],
    }  # fmt: skip
    found["groups"], found["looked_at"] = _worst(_groups(given, sample, told), held, weight, given.until)
    if sample.is_aged:
        found["notes"].append("rows of older folds count half as much as those of the next one in time")
    return found


def _halved(sample: HeldOutSample, said: Said, told: np.ndarray, until: float) -> HeldShares | None:
    """Each row held against what the other half taught, as many times as there is time for, at least once."""
    rows, times = len(sample.y), 0
    share, width, single = (np.zeros((len(LEVELS), rows)) for _ in range(3))
    for half in halves(sample.blocks, rows):
        if times and time.monotonic() >= until:
            break
        times += 1
        for seen, held in ((half, ~half), (~half, half)):
            if not seen.any() or not held.any():
                return None
            known = sample.learn(said, np.flatnonzero(seen))
            for k, level in enumerate(LEVELS):
                found = _asked(known, sample, said, told, (np.flatnonzero(held), level))
                for total, one in zip((share, width, single), found, strict=True):
                    total[k, held] += one
    return HeldShares(share / times, width / times, single / times)


def halves(blocks: np.ndarray | None, rows: int) -> Iterator[np.ndarray]:
    """A few halves of the rows, of whole blocks where these err alike."""
    of_row = np.arange(rows) if blocks is None else np.unique(blocks, return_inverse=True)[1]
    of_row = np.arange(rows) if of_row.max() == 0 else of_row
    count = int(of_row.max()) + 1
    for seed in range(HALVINGS):
        yield (np.random.default_rng(seed).permutation(count) < count // 2)[of_row]


def _asked(
    known: Conformal, sample: HeldOutSample, said: Said, told: np.ndarray, where: tuple[np.ndarray, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which of these rows are held at this level, how widely, and by one label alone."""
    rows, level = where
    y = sample.y[rows]
    if known.reach is not None:
        low, high = known.interval(said.take(rows), level)
        return (low <= y) & (y <= high), high - low, np.zeros(len(rows))
    sets = known.sets(said.predictions[rows], level)
    sets[np.arange(len(rows)), told[rows].argmax(axis=1)] = True  # as users get them
    size = sets.sum(axis=1)
    return sets[np.arange(len(rows)), y], size, size == 1


def _level(k: int, level: float, held: HeldShares, sample: HeldOutSample, known: Conformal) -> LevelHeldJson:
    weight = np.ones(len(sample.y)) if sample.weight is None else sample.weight
    share = float(np.average(held.share[k], weights=weight))
    low, high = wilson(share, effective(held.share[k], weight, sample.blocks))
    width = held.width[k]
    is_wide = not np.isfinite(width).all()
    return {
        "level": level, "share": share, "low": low, "high": high,
        "width": math.inf if is_wide else float(np.average(width, weights=weight)),
        "single": float(np.average(held.single[k], weights=weight)) if known.reach is None else None,
        "needed": rows_needed(level) if level > known.highest else None,
    }  # fmt: skip


def wilson(share: float, rows: float, sure: float = SURE) -> tuple[float, float]:
    """Wilson's interval round a share of so many rows."""
    z = CONFIDENCE.inv_cdf((1 + sure) / 2)
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)


def _usual(y: np.ndarray, weight: np.ndarray) -> float:
    """The width that holds the answers at the level of groups without a model: from quantile to quantile."""
    order = np.argsort(y, kind="stable")
    mass = np.cumsum(weight[order]) / weight.sum()
    low, high = (int(np.searchsorted(mass, share)) for share in ((1 - OF_GROUPS) / 2, (1 + OF_GROUPS) / 2))
    return float(y[order[min(high, len(y) - 1)]] - y[order[low]])


# --- groups ----------------------------------------------------------------------------------------------------------


def _groups(given: GatherInputs, sample: HeldOutSample, told: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Column, group and its rows: of what is said and what is true, of the group column, of the columns as read."""
    finish = given.finish
    if finish.profile.classes:
        labels = told.argmax(axis=1)
        for name, of_row in (("predicted", labels), ("answer", sample.y)):
            for k in np.argsort(-np.bincount(of_row, minlength=told.shape[1]), kind="stable")[:MOST_VALUES].tolist():
                yield name, str(finish.profile.classes[k]), of_row == k
    else:
        yield from _in_parts("predicted", told)
    rows = finish.comparison.rows[sample.rows]
    asked = given.options.group_column
    columns = [c for c in finish.profile.columns if c.kind in (Kind.CATEGORY, Kind.BOOLEAN, Kind.NUMBER)]
    columns.sort(key=lambda column: column.name != asked)
    for column in columns[:MOST_COLUMNS]:
        if column.name not in finish.dataset.frame:
            continue
        cells = finish.dataset.frame[column.name].iloc[rows]
        if column.kind == Kind.NUMBER and column.name != asked:
            import pandas as pd

            values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            yield from _in_parts(column.name, values)
            continue
        names = cells.astype(object).where(cells.notna(), "missing").astype(str).to_numpy()
        values, counts = np.unique(names, return_counts=True)
        for value in values[np.argsort(-counts, kind="stable")][:MOST_VALUES]:
            yield column.name, str(value), names == value


def _in_parts(name: str, values: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Quarters of the numbers, and where they are missing."""
    is_known = np.isfinite(values)
    if not is_known.any():
        return
    cuts = np.unique(np.quantile(values[is_known], PARTS))
    place = np.searchsorted(cuts, values, side="left")
    for k in range(len(cuts) + 1):
        above = "" if k == 0 else f"above {cuts[k - 1]:.4g}"
        below = "" if k == len(cuts) else f"up to {cuts[k]:.4g}"
        yield name, ", ".join(end for end in (above, below) if end), is_known & (place == k)
    yield name, "missing", ~is_known


def _worst(
    groups: Iterator[tuple[str, str, np.ndarray]], held: HeldShares, weight: np.ndarray, until: float
) -> tuple[list[GroupHeldJson], int]:
    """The groups held least by what their rows can tell, and how many were looked at."""
    share = held.share[LEVELS.index(OF_GROUPS)]
    looked: list[tuple[float, dict[str, Any]]] = []
    for column, group, rows in groups:
        count = int(rows.sum())
        if count < GROUP_ROWS or count == len(share):
            continue
        mean = float(np.average(share[rows], weights=weight[rows]))
        heavy = effective(share[rows], weight[rows], None)
        off = (mean - OF_GROUPS) / math.sqrt(OF_GROUPS * (1 - OF_GROUPS) / heavy)
        low, high = wilson(mean, heavy)
        looked.append((off, {"column": column, "group": group, "rows": count, "share": mean, "low": low, "high": high}))
        if time.monotonic() >= until:
            break
    looked.sort(key=lambda one: one[0])
    clear = CONFIDENCE.inv_cdf((1 - SURE) / max(1, len(looked)))
    return [cast(GroupHeldJson, {**told, "is_low": off < clear}) for off, told in looked[:MOST_GROUPS]], len(looked)
