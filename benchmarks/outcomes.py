"""From forced runs to the learned prior: facts and outcomes of tables, a Bayesian line through them, and how it did.

Everything is judged on tables whose source was left out: a table that was seen, or a structure of which another size
was seen, says nothing of the next one.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import generated
import numpy as np
import pandas as pd
import scoring
from scoring import Record
from sets import TableSet

from automl.data.profiler import outline
from automl.data.reading import load
from automl.decision import expect, landmarks, learned
from automl.decision.learned import LearnedPrior
from automl.modalities import mixture
from automl.options import Options
from automl.records import Profile
from automl.records.choice import Gain

ROUTES = ("classical", "neural")
MOST = 0.5  # of a log ratio that the line is taught: being three times as good decides no more than 1.6 times
BINS = 5  # of the calibration, with as many tables in each
STEPS = 200  # of the search for how strongly slopes are held back

Forecast = Callable[["Outcome"], Gain]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A table, what was known of it before, and how both routes did."""

    name: str
    source: str
    profile: Profile
    core_s: float
    ratio: float  # log(loss of networks / loss of classical models) on the test rows

    @property
    def facts(self) -> dict[str, float]:
        """What the line reads."""
        return learned.described(self.profile, self.core_s)

    @property
    def left(self) -> float:
        """How much there is to tell."""
        return learned.left_to_tell(self.profile.facts)

    @property
    def won(self) -> float:
        """Whether networks did: one, nought, or a half where both came out alike."""
        return 0.5 if abs(self.ratio) < scoring.TIE else float(self.ratio < 0)


# --- what was seen ---------------------------------------------------------------------------------------------------


def outcomes(records: Sequence[Record], tables: Mapping[str, TableSet], cores: int) -> tuple[list[Outcome], list[str]]:
    """A table for which both routes gave a model, and the names of the others."""
    runs: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.contestant in ROUTES and record.set in tables:
            runs[record.set][record.contestant].append(record)
    found, lost = [], []
    for name, by_route in runs.items():
        scored = {route: [r for r in by_route[route] if r.score is not None] for route in ROUTES}
        if not all(scored.values()):
            lost.append(name)
            continue
        losses = {route: _loss(scored[route]) for route in ROUTES}
        seconds = scored["classical"][0].seconds
        found.append(
            Outcome(
                name=name,
                source=source(name, tables[name]),
                profile=described(tables[name]),
                core_s=seconds * cores,
                ratio=math.log(losses["neural"] / losses["classical"]),
            )
        )
    return found, lost


def _loss(records: Sequence[Record]) -> float:
    """The mean over seeds, never below the floor."""
    floors = [scoring.FLOOR * record.constant_loss for record in records]
    return float(np.mean([max(r.loss, floor) for r, floor in zip(records, floors, strict=True)]))


def source(name: str, table: TableSet) -> str:
    """Tables of one source teach nothing new of each other: one structure at any size, the same answers twice."""
    structure = name.rpartition("_")[0]
    if structure in generated.STRUCTURES:
        return f"generated:{structure}"
    answers = pd.concat([table.answers("train"), table.answers("test")]).astype(str).sort_values()
    return "answers:" + hashlib.sha256("\n".join(answers).encode()).hexdigest()[:12]


def described(table: TableSet) -> Profile:
    """The profile of its training rows, as a run makes it."""
    options = Options.of({"target": table.target, "task": table.task})
    frame = pd.read_csv(table.train)
    frame[table.target] = table.answers("train")
    dataset = load(frame, options, decode=mixture.read)
    return landmarks.with_landmarks(dataset, outline(dataset, options))


# --- the line --------------------------------------------------------------------------------------------------------


def fit(seen: Sequence[Outcome]) -> LearnedPrior:
    """By how much rules are off: a ridge whose penalty and noise make what was seen likeliest (evidence)."""
    names = tuple(sorted({name for one in seen for name, value in one.facts.items() if math.isfinite(value)}))
    X = np.array([[one.facts.get(name, math.nan) for name in names] for one in seen])
    left = np.array([one.left for one in seen])
    y = (np.clip([one.ratio for one in seen], -MOST, MOST) - [by_rules(one).mean for one in seen]) / left
    middle = np.nanmean(X, axis=0)
    spread = np.nanstd(X, axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    Z = np.where(np.isfinite(X), (X - middle) / spread, 0.0)
    rows = np.hstack([np.ones((len(Z), 1)), Z])
    slopes, covariance, noise = _evidence(rows, y)
    return LearnedPrior(
        names=names, middle=middle, spread=spread, low=Z.min(axis=0), high=Z.max(axis=0), slopes=slopes,
        covariance=covariance, noise=noise, widening=1.0, is_used=False, figures={"tables": len(seen)},
    )  # fmt: skip


def _evidence(rows: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Slopes, their covariance and the noise; the level is hardly held back."""
    held = np.ones(rows.shape[1])
    held[0] = 1e-6
    strength, precision = 1.0, 1 / max(float(y.var()), 1e-6)
    for _ in range(STEPS):
        covariance = np.linalg.inv(np.diag(strength * held) + precision * rows.T @ rows)
        slopes = precision * covariance @ rows.T @ y
        told = len(slopes) - 1 - strength * float(np.trace(covariance[1:, 1:]))
        strength = float(np.clip(told / max(float((slopes[1:] ** 2).sum()), 1e-9), 1e-3, 1e6))
        precision = max(len(y) - told - 1, 1.0) / max(float(((y - rows @ slopes) ** 2).sum()), 1e-9)
    return slopes, covariance, precision**-0.5


def by_line(line: LearnedPrior) -> Forecast:
    """Its gain for a table."""
    return lambda one: line.correct(by_rules(one), one.facts, one.left)[0]


def by_rules(one: Outcome) -> Gain:
    """What the rules alone say."""
    return expect.by_rules(one.profile, expect.Setting(Options(target="y"), 0, one.core_s))[0]


def left_out(seen: Sequence[Outcome]) -> list[Gain]:
    """For each table the gain by a line that saw no table of its source."""
    lines = {name: fit([one for one in seen if one.source != name]) for name in {one.source for one in seen}}
    return [by_line(lines[one.source])(one) for one in seen]


# --- how it did ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How forecasts did on tables that they had not seen."""

    log_loss: float  # of the chance that networks win; 0.693 is knowing nothing
    calibration: float  # expected calibration error of that chance
    density: float  # mean log density of the log ratio: sees means and deviations
    regret: float  # mean log of the loss over the better route's, following the likelier winner
    inside: float  # share of tables whose log ratio lies within two deviations


def figures(seen: Sequence[Outcome], gains: Sequence[Gain]) -> Figures:
    """Of one gain for each table."""
    chance = np.clip([gain.win for gain in gains], 1e-6, 1 - 1e-6)
    won, ratio = np.array([one.won for one in seen]), np.array([one.ratio for one in seen])
    off = (np.clip(ratio, -MOST, MOST) - [gain.mean for gain in gains]) / [gain.sd for gain in gains]
    density = -0.5 * off**2 - np.log([gain.sd for gain in gains]) - 0.5 * math.log(2 * math.pi)
    return Figures(
        log_loss=float(-(won * np.log(chance) + (1 - won) * np.log(1 - chance)).mean()),
        calibration=calibration(chance, won),
        density=float(density.mean()),
        regret=float(np.where(chance > 0.5, np.maximum(ratio, 0), np.maximum(-ratio, 0)).mean()),
        inside=float((np.abs(off) < 2).mean()),
    )


def calibration(chance: np.ndarray, won: np.ndarray) -> float:
    """Mean distance of what was said and what came, over bins of as many tables each."""
    order = np.argsort(chance, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return float(sum(len(part) * abs(chance[part].mean() - won[part].mean()) for part in parts) / len(order))


def always(route: str, seen: Sequence[Outcome]) -> float:
    """Mean log of the loss over the better route's, with one route whatever the table."""
    sign = 1 if route == "neural" else -1
    return float(np.mean([max(sign * one.ratio, 0.0) for one in seen]))


def learn(seen: Sequence[Outcome]) -> tuple[LearnedPrior, dict[str, Any]]:
    """The line of all tables, widened so that it held on those left out; its figures, and whether it is used."""
    alone = left_out(seen)
    targets = np.clip([one.ratio for one in seen], -MOST, MOST)
    off = (targets - [gain.mean for gain in alone]) / np.array([gain.sd for gain in alone])
    widening = max(1.0, float(np.sqrt(np.mean(off**2))))
    alone = [replace(gain, sd=gain.sd * widening) for gain in alone]
    ours, rules = figures(seen, alone), figures(seen, [by_rules(one) for one in seen])
    is_used = ours.log_loss < rules.log_loss and ours.regret <= rules.regret
    told: dict[str, Any] = {
        "tables": len(seen), "sources": len({one.source for one in seen}),
        "wins_of_networks": float(sum(one.won for one in seen)),
        "judged": "each source left out in turn",
        "learned": _plain(ours), "rules": _plain(rules),
        "regret_always_classical": round(always("classical", seen), 4),
        "regret_always_neural": round(always("neural", seen), 4),
    }  # fmt: skip
    line = replace(fit(seen), widening=widening, is_used=is_used, figures=told)
    return line, told


def _plain(found: Figures) -> dict[str, float]:
    return {name: round(value, 4) for name, value in vars(found).items()}


def summary(told: Mapping[str, Any], *, is_used: bool) -> str:
    """The figures as a table."""
    names = ("log_loss", "calibration", "density", "regret", "inside")
    rows = [[who, *(f"{told[who][name]:.3f}" for name in names)] for who in ("rules", "learned")]
    rows += [[f"always {route}", "-", "-", "-", f"{told[f'regret_always_{route}']:.3f}", "-"] for route in ROUTES]
    head = (
        f"{told['tables']} tables of {told['sources']} sources, {told['judged']}; networks won on "
        f"{told['wins_of_networks']:g} (ties count half). The learned prior is {'used' if is_used else 'not used'}."
    )
    return f"{head}\n\n{scoring.markdown(['', *(name.replace('_', ' ') for name in names)], rows)}"
