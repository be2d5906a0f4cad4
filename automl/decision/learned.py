"""What forced runs on many tables taught: by how much rules are off on a table with such facts, and how sure that is.

A Bayesian line through a dozen facts, kept as plain JSON that `benchmarks/routing.py learn` writes. It begins at the
rules, for some dozens of tables teach no more than a correction of them. The file says how it did on tables that it
had not seen, and whether it is used: where the rules alone did better, they stay.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from automl.records import Profile
from automl.records.choice import Gain

FILE = Path(__file__).with_name("learned.json")
LEAST_ERROR = 1e-3  # of a landmark: below it nothing is left to tell apart
SHOWN, WEIGHTY = 3, 0.01  # facts that a gain names, and the part of it that each makes up at least
FARTHEST = 3.0  # deviations beyond all facts that were seen, where rules alone are asked
# Routes differ by as much as there is to tell, and still by half of that where quick models err as much as knowing
# nothing: these may have seen too little. Of 0.05 to 3 the one with which 76 tables were likeliest (benchmarks/LOG.md).
ALWAYS_LEFT = 0.5


@dataclass(frozen=True, kw_only=True)
class LearnedPrior:
    """A correction: a line with the uncertainty of its slopes, over standardised facts."""

    names: tuple[str, ...]
    middle: np.ndarray
    spread: np.ndarray
    low: np.ndarray  # the range of the facts that it learned from, standardised
    high: np.ndarray
    slopes: np.ndarray  # the first is the level
    covariance: np.ndarray
    noise: float  # deviation of what facts do not tell
    widening: float  # of the deviation, so that it held on tables left out
    is_used: bool
    figures: Mapping[str, Any]

    def correct(self, rules: Gain, facts: Mapping[str, float], left: float) -> tuple[Gain, float]:
        """What rules say, corrected where as much is `left` to tell; and how far outside the facts lie.

        A fact that is not known counts as the usual one, and one never seen so large makes unsure.
        """
        given = np.array([facts.get(name, math.nan) for name in self.names])
        known = np.isfinite(given)
        scaled = np.where(known, (np.where(known, given, 0.0) - self.middle) / self.spread, 0.0)
        inside = np.clip(scaled, self.low, self.high)
        outside = float(np.linalg.norm(scaled - inside))
        row = np.concatenate([[1.0], inside])
        # Each fact that is unknown could have been anything seen.
        unknown = float((self.slopes[1:][~known] ** 2).sum())
        sd = left * self.widening * math.sqrt(self.noise**2 + float(row @ self.covariance @ row) + unknown)
        pulls = left * self.slopes[1:] * inside
        weighty = [at for at in np.argsort(-np.abs(pulls), kind="stable")[:SHOWN] if abs(pulls[at]) >= WEIGHTY]
        told = [f"{self.names[at].replace('_', ' ')} {given[at]:.3g}" for at in weighty]
        seen = f"corrected by {self.figures['tables']} tables with known outcomes"
        words = "; ".join(part for part in (rules.told, seen, ", ".join(told)) if part)
        mean = rules.mean + left * float(row @ self.slopes)
        return Gain(mean=mean, sd=sd * math.hypot(1.0, outside), source="learned", told=words), outside

    def as_json(self) -> dict[str, Any]:
        """Plain values, read back by `from_json`."""
        arrays = ("middle", "spread", "low", "high", "slopes", "covariance")
        return {
            "figures": dict(self.figures), "is_used": self.is_used, "names": list(self.names),
            "noise": float(f"{self.noise:.5g}"), "widening": float(f"{self.widening:.5g}"),
            **{name: _rounded(getattr(self, name)) for name in arrays},
        }  # fmt: skip


def from_json(plain: Mapping[str, Any]) -> LearnedPrior:
    """What `LearnedPrior.as_json` wrote."""
    arrays = ("middle", "spread", "low", "high", "slopes", "covariance")
    return LearnedPrior(
        names=tuple(plain["names"]), noise=plain["noise"], widening=plain["widening"], is_used=plain["is_used"],
        figures=plain["figures"], **{name: np.array(plain[name], dtype=np.float64) for name in arrays},
    )  # fmt: skip


@cache
def shipped() -> LearnedPrior | None:
    """The one that came with the package; None where it was taken out."""
    return from_json(json.loads(FILE.read_text(encoding="utf-8"))) if FILE.is_file() else None


def corrected(rules: Gain, profile: Profile, core_s: float | None) -> Gain:
    """What is thought of a table; the rules alone where what was learned is not used, or knows nothing like it."""
    one = shipped()
    if one is None or not one.is_used:
        return rules
    gain, outside = one.correct(rules, described(profile, core_s), left_to_tell(profile.facts))
    return rules if outside > FARTHEST else gain


def described(profile: Profile, core_s: float | None) -> dict[str, float]:
    """The facts that the line reads: of the shape of a table, of its landmarks, and of the seconds for each cell.

    Seconds are of all cores together, None where they are not counted.
    """
    facts = profile.facts
    columns = max(1, len(profile.used))
    found = {
        "log_rows": math.log(max(1, profile.rows)),
        "share_number": facts.get("share_number", math.nan),
        "log_kurtosis": math.log1p(facts.get("kurtosis_std", math.nan)),
        "min_eigenvalue": facts.get("min_eigenvalue", math.nan),
        "log_cardinality": math.log1p(facts.get("max_cardinality", math.nan)),
        "missing": facts.get("missing", math.nan),
        "is_number": float(not profile.classes),
        "log_classes": math.log(max(1, len(profile.classes))),
        "log_imbalance": math.log(facts.get("imbalance", 1.0)),
    }
    if core_s is not None and math.isfinite(core_s) and core_s > 0:
        found["log_cell_seconds"] = math.log(core_s / (profile.rows * columns))
    return {**found, **compared(facts)}


def left_to_tell(facts: Mapping[str, float]) -> float:
    """By how much routes can differ: more than one where all of it is told, less where it looks like noise."""
    errors = [value for name, value in facts.items() if name.startswith("landmark_") and math.isfinite(value)]
    return ALWAYS_LEFT + 1 - min(1.0, *errors) if errors else 1.0


def compared(facts: Mapping[str, float]) -> dict[str, float]:
    """Landmarks beside each other: how much a smooth surface, a line and neighbours err beside steps."""
    errors = {
        name: math.log(max(LEAST_ERROR, facts[key]))
        for name in ("line", "stump", "tree", "boosted", "neighbors", "smooth")
        if (key := f"landmark_{name}") in facts
    }
    if "boosted" not in errors or "smooth" not in errors:
        return {}
    steps = errors["boosted"]
    beside = {f"{name}_beside_steps": errors[name] - steps for name in ("smooth", "line", "neighbors")}
    return {
        **beside,
        "stump_beside_tree": errors["stump"] - errors["tree"],
        "log_least_error": min(errors.values()),
    }


def _rounded(values: np.ndarray) -> Any:
    return [_rounded(row) for row in values] if values.ndim > 1 else [float(f"{value:.6g}") for value in values]
