"""What has moved between the rows that were learned from and those to test on: by column, and all of them together."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from automl.data.taken import take
from automl.data.target import encode_target
from automl.modalities.mixture import Raw
from automl.modalities.parse import distinct
from automl.modalities.table.audit import signal
from automl.plain import as_json
from automl.records import PLAIN_KINDS, Column, Dataset, Kind, Score
from automl.refit.apart import question
from automl.report.gather.ground import AuditGround
from automl.report.sections.audit import FindingJson, MovedJson, ShiftJson
from automl.scoring import metrics
from automl.scoring.drift import Drift, Spread, cells_of, drift, labels_before, labels_now, numbers_before, spread_of

MOST_ROWS = 20_000  # of each side that are compared
APART_ROWS = 4_000  # of each side that a model tells apart
CELLS = 20
SHOWN = 20
APART = 0.6  # of the AUC, above which samples are called different


def find(ground: AuditGround) -> ShiftJson | None:
    """None without rows to test on, or where nothing can be compared."""
    held = ground.held
    if held is None or held.target is None or len(held) < 2:
        return None
    before, after = _some(ground.dataset, MOST_ROWS), _some(held, MOST_ROWS)
    moves = {
        column.name: _column(before.frame[column.name], after.frame[column.name], column)
        for column in ground.profile.columns
        if column.kind in PLAIN_KINDS and column.name in after.frame
    }
    if not moves:
        return None
    answers = _answers(ground, before, after)
    auc, low, high = _apart(ground, held)
    compared = len(moves) + 1
    ranked = sorted(moves, key=lambda name: (not moves[name].is_alarming(compared), -moves[name].effect))
    told: ShiftJson = {
        "rows": len(ground.dataset), "new_rows": len(held), "compared": compared,
        "moved": sum(one.is_alarming(compared) for one in moves.values()),
        "columns": [_json(name, moves[name], compared) for name in ranked[:SHOWN]],
        "answers": None if answers is None else _json(ground.dataset.target_name, answers, compared),
        "auc": as_json(auc), "low": as_json(low), "high": as_json(high),
        "promised": as_json(ground.promised), "test": as_json(ground.test),
        "told": _told(ground.promised, ground.test),
    }  # fmt: skip
    return told


def finding(told: ShiftJson) -> FindingJson | None:
    """The drift as one of the audit's findings; None where nothing moved."""
    moved = [one for one in told["columns"] if one["is_alarming"]]
    answers = told["answers"]
    is_apart = told["low"] is not None and told["low"] > APART
    if not moved and not is_apart and not (answers and answers["is_alarming"]):
        return None
    named = ", ".join(f"{one['column']!r} ({one['effect']:.2f})" for one in moved[:3])
    parts = [f"{told['moved']} of {told['compared'] - 1} columns have moved, most of all {named}"] if moved else []
    parts += ["the answers have moved"] if answers and answers["is_alarming"] else []
    parts += [f"a model tells both apart with roc_auc {told['auc']:.3f}"] if is_apart else []
    message = f"the test data differs from what was learned from: {'; '.join(parts)}"
    return {
        "code": "drift", "severity": "warning", "message": message, "column": None, "effect": None, "learner": "",
        "evidence": {"moved": told["moved"], "auc": told["auc"], "auc low": told["low"], "auc high": told["high"]},
        "advice": told["told"] or "ask how the test data was drawn; new rows may differ as well",
    }  # fmt: skip


def _some(dataset: Dataset, most: int) -> Dataset:
    rows = np.sort(np.random.default_rng(0).permutation(len(dataset))[:most])
    return dataset if len(rows) == len(dataset) else take(dataset, rows)


def _column(before: pd.Series, after: pd.Series, column: Column) -> Drift:
    if column.kind in (Kind.CATEGORY, Kind.STRING):
        codes = distinct(pd.concat([before.astype(object), after.astype(object)], ignore_index=True))[0]
        return _labels(codes[: len(before)], codes[len(before) :])
    return _numbers(signal(before, column), signal(after, column))


def _numbers(before: np.ndarray, after: np.ndarray) -> Drift:
    edges, old = numbers_before(before, CELLS)
    return drift(old, spread_of(cells_of(after, edges), len(edges), is_ordered=True))


def _labels(before: np.ndarray, after: np.ndarray) -> Drift:
    own, old = labels_before(before, CELLS)
    new: Spread = labels_now(after, own, (after >= 0) & ~np.isin(after, before))
    return drift(old, new)


def _answers(ground: AuditGround, before: Dataset, after: Dataset) -> Drift | None:
    assert before.target is not None
    assert after.target is not None
    old, new = (encode_target(one, ground.profile) for one in (before.target, after.target))
    return _labels(old, new) if ground.profile.classes else _numbers(old.astype(float), new.astype(float))


def _apart(ground: AuditGround, held: Dataset) -> tuple[float, float, float]:
    """How well a quick model tells which side a row is of; 0.5 where both are alike."""
    if ground.apart is None or ground.dataset.decoded:
        return math.nan, math.nan, math.nan
    sides = [_some(ground.dataset, APART_ROWS), _some(held, APART_ROWS)]
    old, new = (ground.schema.encode(side.frame) for side in sides)
    texts = tuple(np.concatenate(both) for both in zip(old.texts, new.texts, strict=True))
    both = Raw(np.vstack([old.numbers, new.numbers]), np.vstack([old.codes, new.codes]), texts)
    shared = question(ground.shared, both, np.repeat([False, True], [len(side) for side in sides]))
    said = ground.apart(shared)
    if said is None:
        return math.nan, math.nan, math.nan
    metric = metrics.get("roc_auc")
    low, high = metrics.interval(metric, shared.y, said)
    return metric.score(shared.y, said), low, high


def _json(name: str, one: Drift, compared: int) -> MovedJson:
    return {
        "column": name, "effect": one.effect, "low": one.low, "high": one.high, "beyond": one.beyond,
        "missing": one.missing, "was_missing": one.was_missing, "is_alarming": one.is_alarming(compared),
    }  # fmt: skip


def _told(promised: Score | None, test: Score | None) -> str:
    """Whether the score on the rows to test on is what was promised."""
    if promised is None or test is None:
        return ""
    if promised.low <= test.value <= promised.high:
        return "the score on the test data lies where the promise says"
    is_better = (test.value > promised.high) == test.higher_is_better
    return f"the score on the test data is {'better' if is_better else 'worse'} than promised: trust that one"
