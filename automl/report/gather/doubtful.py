"""Rows whose answers look wrong: which, how many, and whether a model gets better without having learned from them.

Advised is only what helps on held-out rows that are not doubtful themselves, beyond chance, and harms nowhere. On all
held-out rows a probability that trusts clean answers is punished by the wrong ones, so labels are compared there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from automl.plain import as_json
from automl.records import Dataset
from automl.refit.relearn import Omission
from automl.report.gather.ground import AuditGround, Without, measured
from automl.report.sections.audit import EffectJson, SuspectsJson
from automl.scoring import metrics
from automl.scoring.effects import Effect, Judged, effect
from automl.scoring.odd_answers import of_numbers
from automl.scoring.suspects import Suspects, of_classes

SHOWN = 20  # in the report; all are in the file beside it
FILE = "suspects.csv"
CHANGE = "the suspect rows"
PROBABILITIES = ("log_loss", "brier")
LONGEST = 80  # letters of what a row is called by


@dataclass(frozen=True)
class Doubtful:
    """The suspects among the held-out rows."""

    found: Suspects
    rows: np.ndarray  # of the data set, in the order of the suspects

    @property
    def change(self) -> Omission:
        """To learn without them."""
        return Omission(CHANGE, rows=np.sort(self.rows))


def find(ground: AuditGround) -> Doubtful:
    """Looked for with what was said of each row by models that did not learn from it."""
    found = _suspects(ground, ground.judged.y, ground.plain)
    return Doubtful(found, ground.rows[found.rows])


def _suspects(ground: AuditGround, y: np.ndarray, said: np.ndarray) -> Suspects:
    if ground.profile.classes:
        return of_classes(y, said)
    return of_numbers(y, said if said.ndim == 1 else said[:, said.shape[1] // 2])


def tell(ground: AuditGround, doubtful: Doubtful, without: Without | None) -> SuspectsJson:
    """How many there are, which come first, and the score with and without them."""
    found, effects = doubtful.found, _effects(ground, doubtful, without)
    told: SuspectsJson = {
        "kind": "labels" if ground.profile.classes else "answers",
        "looked_at": len(ground.rows),
        "count": len(found.rows),
        "rate": as_json(found.rate),
        "low": as_json(found.low),
        "high": as_json(found.high),
        "precision": found.precision if len(found.rows) else None,
        "why": found.why,
        "teller": ground.teller,
        "learner": ground.learner if without else "",
        "folds": without.folds if without else 0,
        "rows": as_json([row for _, row in zip(range(SHOWN), listed(ground, doubtful), strict=False)]),
        "file": None,
        "all": _as_json(effects.get("all")),
        "trusted": _as_json(effects.get("trusted")),
        "is_advised": _is_advised(effects) if effects else None,
        "advice": _advice(ground, found, effects),
    }
    return told


def listed(ground: AuditGround, doubtful: Doubtful) -> list[dict[str, Any]]:
    """Every suspect row, the surest first, as its user finds it."""
    classes = ground.profile.classes
    answers = ground.shared.y[doubtful.rows].tolist()
    rows = zip(
        doubtful.rows.tolist(), answers, doubtful.found.suggested.tolist(), doubtful.found.chance.tolist(), strict=True
    )
    return [
        {
            "row": place_of(ground.dataset, row),
            "name": _name(ground.dataset, row),
            "given": classes[int(given)] if classes else given,
            "suggested": classes[int(suggested)] if classes else suggested,
            "chance": chance,
        }
        for row, given, suggested, chance in rows
    ]


def place_of(dataset: Dataset, row: int) -> int:
    """The number of a row among those that were brought, the first being 1."""
    return 1 + (row if dataset.places is None else int(dataset.places[row]))


def _name(dataset: Dataset, row: int) -> str | None:
    """What a row of files or texts is called by: the path of its file, or how its text begins."""
    for column in dataset.decoded:
        cell = dataset.frame[column].iloc[row]
        if isinstance(cell, str):
            text = " ".join(cell.split())
            return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return None


def _effects(ground: AuditGround, doubtful: Doubtful, without: Without | None) -> Mapping[str, Effect | None]:
    if without is None:
        return {}
    shared, metric = ground.shared, ground.judged.metric
    is_trusted = ~np.isin(without.rows, doubtful.rows)
    for said in (without.before, without.after):  # what contradicts one of them only would favour the other
        is_trusted[_suspects(ground, shared.y[without.rows], said).rows] = False
    guard = metrics.get("accuracy") if metric.name in PROBABILITIES else metric
    judged = Judged(
        metric=guard,
        y=shared.y[without.rows],
        weight=None if shared.weight is None else shared.weight[without.rows],
        blocks=None if shared.folds.blocks is None else shared.folds.blocks[without.rows],
        until=ground.judged.until,
    )
    return {
        "all": measured(ground, without),
        "trusted": measured(ground, without, np.flatnonzero(is_trusted)),
        "guard": effect(judged, without.before, without.after),
    }


def _is_advised(effects: Mapping[str, Effect | None]) -> bool:
    trusted, guard = effects["trusted"], effects["guard"]
    return trusted is not None and trusted.helps and guard is not None and not guard.hurts


def _advice(ground: AuditGround, found: Suspects, effects: Mapping[str, Effect | None]) -> str:
    """What to do, in a sentence; empty where nothing is listed."""
    if not len(found.rows):
        return ""
    look = "look at the listed rows and correct those that are wrong"
    if not effects:
        return (
            f"{look}; what learning without them would change was not measured: {ground.why_none or 'no time was left'}"
        )
    if _is_advised(effects):
        return f"{look}, or leave them out: learned without them the model is better on rows that are not doubtful"
    return f"{look}; leaving them out is not advised: learned without them the model is not better beyond chance"


def _as_json(found: Effect | None) -> EffectJson | None:
    return None if found is None else effect_json(found)


def effect_json(found: Effect) -> EffectJson:
    """As report.json holds it."""
    told: EffectJson = as_json(replace(found))
    return told
