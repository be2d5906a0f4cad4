"""Columns that the audit doubts: what the score is without each, learned again on a fold.

Measured are columns that foretell the answers all by themselves, alone and all of them together, the one that foretells
them best although no audit would call it a leak, and those that tell whose row it is or when it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from automl.explain.cells import places
from automl.plain import as_json
from automl.records import Finding
from automl.refit.relearn import Omission
from automl.report.gather.doubtful import effect_json
from automl.report.gather.ground import AuditGround, Without, measured
from automl.report.sections.audit import FindingJson
from automl.report.words import CARRIES
from automl.scoring.effects import Effect

LEAKS, HINTS = 3, 2  # columns of a sort that are done without, at most
ALONE = 0.75  # a column's own score from which on it may be what a model rests on
RESTS = 2.0  # times as large an error without a column that the score is said to rest on it
MOSTLY = 4.0  # the same, from which on it looks like an answer in disguise
HINTED = ("group_hint", "time_hint", "near_constant")
TOGETHER = "all columns that foretell the target"


@dataclass(frozen=True)
class Dropped:
    """A finding and the change that shows what it is worth."""

    finding: Finding
    change: Omission
    is_new: bool = False  # told only where the score rests on it


def choose(ground: AuditGround) -> list[Dropped]:
    """What to do without, the gravest first."""
    known = {place.name: place for place in places(ground.schema)}
    if len(known) < 2:
        return []
    leaks = [one for one in ground.audit.of("leak") if one.column in known]
    chosen = [Dropped(one, Omission(f"column {one.column}", (known[str(one.column)],))) for one in leaks[:LEAKS]]
    if 1 < len(leaks) < len(known):
        message = f"{len(leaks)} columns foretell the target: {', '.join(repr(one.column) for one in leaks[:5])}"
        told = Finding("leaks", "danger", message, None, {"columns": [one.column for one in leaks]})
        chosen.append(Dropped(told, Omission(TOGETHER, tuple(known[str(one.column)] for one in leaks))))
    if not leaks:
        chosen += _leading(ground, list(known))
    hints = [one for code in HINTED for one in ground.audit.of(code) if one.column in known]
    taken = {one.finding.column for one in chosen}
    return chosen + [
        Dropped(one, Omission(f"column {one.column}", (known[str(one.column)],)))
        for one in hints[:HINTS] if one.column not in taken
    ]  # fmt: skip


def _leading(ground: AuditGround, names: Sequence[str]) -> list[Dropped]:
    """The column that alone foretells the answers best, where that is well."""
    alone = {name: score for name, score in ground.audit.alone.items() if name in names}
    best = max(alone, key=lambda name: alone[name], default=None)
    if best is None or alone[best] < ALONE:
        return []
    message = f"the score rests on column {best!r}, which alone has {ground.audit.alone_metric} {alone[best]:.3g}"
    evidence = {"score": alone[best], "metric": ground.audit.alone_metric}
    place = next(place for place in places(ground.schema) if place.name == best)
    return [
        Dropped(Finding("rests_on", "warning", message, best, evidence), Omission(f"column {best}", (place,)), True)
    ]


def tell(ground: AuditGround, chosen: Sequence[Dropped], said: Mapping[str, Without | None]) -> list[FindingJson]:
    """Each finding with its effect and the advice that follows; what nothing rests on is no finding of its own."""
    told = []
    for one in chosen:
        found = said.get(one.change.name)
        effect = None if found is None else measured(ground, found)
        if one.is_new and (effect is None or not _is_larger(effect, RESTS)):
            continue
        row: FindingJson = as_json(one.finding)
        if one.is_new and effect is not None and _is_larger(effect, MOSTLY):
            row["severity"] = "danger"
        row["effect"] = None if effect is None else effect_json(effect)
        row["advice"] = _advice(ground, one, effect)
        row["learner"] = ground.learner if effect is not None else ""
        told.append(row)
    return told


def _is_larger(effect: Effect, times: float) -> bool:
    """Whether the error grows that much without it, beyond chance."""
    before = effect.error_before
    return effect.hurts and before - effect.gain >= times * before


def _advice(ground: AuditGround, one: Dropped, effect: Effect | None) -> str:
    what = "them" if one.change.name == TOGETHER else "it"
    if effect is None:
        return f"what the score is without {what} was not measured: {ground.why_none or 'no time was left'}"
    if _is_larger(effect, CARRIES):
        return f"if {what} cannot be known when you predict, leave {what} out, and expect the score without {what}"
    if effect.helps:
        return f"leave {what} out: the score is better without {what}"
    if effect.hurts:
        return f"keep {what} if {what} will be known when you predict: a little is lost without {what}"
    also = "" if one.finding.code != "leak" else " alone; other columns may tell the same"
    return f"leave {what} out: nothing is lost without {what}{also}"
