"""What is expected of networks beside classical models before anything is tried, and the share that follows from it.

Facts are gathered here from the profile, the options and the machine; rules.py and learned.py say what they mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import search_spaces
from automl.decision import learned, rules
from automl.modalities.mixture import Prior
from automl.options import Options
from automl.records import Profile
from automl.records.choice import OF_SHARES, Gain, Rule
from search_spaces.spec import Size

YARDSTICK = "mlp"  # the network whose fits are counted
UNSURE = 0.25  # deviation of the gain that rules tell: half of 62 tables at 14 s lay within 0.1, a third beyond 0.2
UNSURE_OF_MEDIA = 0.4  # of pictures, sounds and texts, where routes differ more
# A share is the chance to win to this power. Tables come out at a chance of 0.4, and get the quarter that was measured
# for them (benchmarks/LOG.md); few rows at 0.2 and the tenth, very many at 0.27 and 15 %.
SOFTENED = 1.5
LEAST_SHARE, MOST_SHARE = 0.05, 0.95  # both routes get a look, however sure the prior
# Middle and deviation of the parts of irregularity over the 62 tables of benchmarks/LOG.md, and their weights as
# McElfresh et al. 2023 give them. Long-tailed parts are taken by their logarithm.
IRREGULARITY = {
    "min_eigenvalue": (0.34, 0.40, -0.33), "spread_skew": (1.7, 2.4, 0.23), "range_skew": (1.5, 2.5, 0.22),
    "harmonic_iqr": (1.7, 2.1, 0.21), "kurtosis_std": (2.1, 2.2, 0.21),
}  # fmt: skip
BY_LOGARITHM = ("harmonic_iqr", "kurtosis_std")


@dataclass(frozen=True)
class Setting:
    """What the facts of the data are weighed beside."""

    options: Options
    gpus: int = 0
    core_s: float | None = None  # seconds of all workers together; None where they are not counted


@dataclass(frozen=True)
class Leaning:
    """A gain, the share of networks that follows from it, and the rules behind both."""

    gain: Gain
    share: float
    rules: tuple[Rule, ...]


def expect(profile: Profile, known: Prior, setting: Setting) -> Leaning:
    """Of a table by rules or by what was learned; of other data what its kind says, which was measured, and rules."""
    if profile.decoded:
        return _of_media(profile, known, measured(profile, setting))
    gain, fired = by_rules(profile, setting)
    gain = learned.corrected(gain, profile, setting.core_s)
    return Leaning(gain, share_of(gain), (*fired, _told(gain)))


def by_rules(profile: Profile, setting: Setting) -> tuple[Gain, tuple[Rule, ...]]:
    """What rules alone say of a table, and those that fired."""
    fired = list(rules.firing("table", measured(profile, setting)))
    left = learned.left_to_tell(profile.facts)
    mean = sum(shift for shift, _ in fired)
    told = ", ".join(rule.name for _, rule in fired)
    gain = Gain(mean=mean * left, sd=UNSURE * left, source="rules", told=told)
    return gain, tuple(rule for _, rule in fired)


def _of_media(profile: Profile, known: Prior, facts: dict[str, float]) -> Leaning:
    """The share stays what trials of its kind have shown; rules move what is thought of the gain."""
    fired = {rule.name: (shift, rule) for kind in profile.decoded for shift, rule in rules.firing(kind, facts)}
    usual = min(MOST_SHARE, max(LEAST_SHARE, known.neural_share)) ** (1 / SOFTENED)
    mean = -UNSURE_OF_MEDIA * NormalDist().inv_cdf(usual) + sum(shift for shift, _ in fired.values())
    told = ", ".join([rule.name for rule in known.rules] + list(fired))
    gain = Gain(mean=mean, sd=UNSURE_OF_MEDIA, source=OF_SHARES, told=told)
    return Leaning(gain, known.neural_share, (*known.rules, *(rule for _, rule in fired.values())))


def share_of(gain: Gain) -> float:
    """What networks get of the search seconds."""
    return min(MOST_SHARE, max(LEAST_SHARE, math.pow(gain.win, SOFTENED)))


def _told(gain: Gain) -> Rule:
    """Rules or experience: which of both was followed, and what it said."""
    name = "experience" if gain.source == "learned" else "rules together"
    effect = f"networks win with a probability of {gain.win:.0%} and get {share_of(gain):.0%} of the time"
    return Rule(name, gain.told, effect, "automl/decision/learned.json" if gain.source == "learned" else "")


def measured(profile: Profile, setting: Setting) -> dict[str, float]:
    """All facts that rules may ask for; one that is not known is not there."""
    options, columns = setting.options, len(profile.used)
    found = {
        **profile.facts,
        "rows": float(profile.rows),
        "columns": float(columns),
        "columns_per_row": columns / max(1, profile.rows),
        "classes": float(len(profile.classes)),
        "gpus": float(setting.gpus),
        "is_forward": float(options.time_column is not None),
        "is_grouped": float(options.group_column is not None),
        **learned.compared(profile.facts),
    }
    if profile.class_counts:
        found["labels_a_class"] = float(min(profile.class_counts))
    if options.allowed_ms is not None:
        found["latency_ms"] = float(options.allowed_ms)
    if "log_least_error" in found:
        found["least_error"] = math.exp(found["log_least_error"])
    if setting.core_s is not None and math.isfinite(setting.core_s):
        size = Size(profile.rows, columns, profile.outputs if profile.task != "binary" else 1)
        found["looks"] = float(setting.core_s / search_spaces.get(YARDSTICK).price.fit_s(size))
    if all(name in profile.facts for name in IRREGULARITY):
        found["irregularity"] = math.fsum(
            weight * (_lowered(name, profile.facts[name]) - middle) / deviation
            for name, (middle, deviation, weight) in IRREGULARITY.items()
        )
    return found


def _lowered(name: str, value: float) -> float:
    return math.log1p(max(0.0, value)) if name in BY_LOGARITHM else value
