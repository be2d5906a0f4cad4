"""Held-out rows that have a twin among the rows their model learned from, and what such rows do to the score."""

from __future__ import annotations

import numpy as np

from automl.modalities import mixture
from automl.modalities.table.repeats import row_ids
from automl.plain import as_json
from automl.report.gather.ground import AuditGround
from automl.report.sections.audit import SidesJson, TwinsJson
from automl.scoring import metrics
from automl.scoring.effects import Judged

LEAST = 30  # rows of a side, to have a score of their own


def find(ground: AuditGround) -> TwinsJson | None:
    """None where no held-out row has a twin among those that its fold learned from."""
    shared = ground.shared
    ids = mixture.alike(ground.dataset) if ground.dataset.decoded else row_ids(shared.raw)
    if ids is None or len(ids) < len(shared.y):
        return None
    has_twin = np.zeros(len(shared.y), dtype=bool)
    agrees = np.zeros(len(shared.y), dtype=bool)
    answers = np.unique(shared.y, return_inverse=True)[1].astype(np.int64)
    both = ids.astype(np.int64) * (answers.max() + 1) + answers
    for fold in range(shared.folds.each):
        held, train = shared.folds.held(fold), shared.folds.train(fold)
        has_twin[held] = np.isin(ids[held], ids[train])
        agrees[held] = np.isin(both[held], both[train])
    twin, agree = has_twin[ground.rows], agrees[ground.rows]
    if not twin.any():
        return None
    found: TwinsJson = {
        "rows": int(twin.sum()),
        "share": float(twin.mean()),
        "agreeing": int((twin & agree).sum()),
        "looked_at": len(twin),
        "with_twin": _side(ground, twin),
        "without_twin": _side(ground, ~twin),
        "told": "",
    }
    found["told"] = _told(found)
    return found


def _side(ground: AuditGround, among: np.ndarray) -> SidesJson | None:
    """The score on these rows alone."""
    rows = np.flatnonzero(among)
    if len(rows) < LEAST:
        return None
    judged: Judged = ground.judged.take(rows)
    metric, said = judged.metric, ground.said[rows]
    if metric.is_of_classes and (judged.y == judged.y[0]).all():
        return None
    value = metric.score(judged.y, said, judged.weight)
    low, high = metrics.interval(metric, judged.y, said, judged.weight, blocks=judged.blocks, until=judged.until)
    side: SidesJson = as_json(
        {
            "metric": metric.name, "value": value, "low": low, "high": high,
            "higher_is_better": metric.higher_is_better, "level": 0.95, "rows": len(rows),
        }
    )  # fmt: skip
    return side


def _told(found: TwinsJson) -> str:
    """What it means for the promised score."""
    twin, rest = found.get("with_twin"), found.get("without_twin")
    if not twin or not rest:
        return ""
    higher = twin["higher_is_better"]
    flatters = twin["low"] > rest["high"] if higher else twin["high"] < rest["low"]
    if flatters:
        return "if new rows will not repeat old ones, expect the score of rows without a twin"
    return "they do not flatter the score beyond chance"
