"""What is known of when networks win, as data: each rule a name, bounds on measured facts, its effect and its source.

A rule shifts what is thought of log(error of networks / error of classical models): above nought classical models are
expected to win. Shifts add up. They are rough on purpose: probes and trials of the run itself overrule them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from automl.records.choice import Rule

MC = "McElfresh et al. 2023, 'When Do Neural Nets Outperform Boosted Trees on Tabular Data?'"
GRINSZTAJN = "Grinsztajn et al. 2022, 'Why do tree-based models still outperform deep learning on tabular data?'"
TALENT = "Ye et al. 2024, 'A Closer Look at Deep Learning Methods on Tabular Datasets'"
HOUSE = "practice of this project, without a figure of its own"
LOG_TABLES = "benchmarks/LOG.md: 19 unseen tables with forced routes, classical 12.5 % and neural 11.0 % above the best"

NOUNS = {  # how a fact is told behind its value
    "rows": "rows", "columns": "columns", "columns_per_row": "columns for each row", "classes": "classes",
    "share_number": "of the columns are numbers", "share_category": "of the columns are categories",
    "max_cardinality": "values in the richest category", "kurtosis_std": "deviation of the columns' kurtoses",
    "irregularity": "irregularity", "gpus": "GPUs at hand", "looks": "fits of a network in the budget",
    "least_error": "of the variance left by the best quick model",
    "smooth_beside_steps": "log of the error of a smooth surface over that of steps",
    "line_beside_steps": "log of the error of a line over that of steps",
    "neighbors_beside_steps": "log of the error of neighbours over that of steps",
    "latency_ms": "ms allowed for a row", "labels_a_class": "files or texts for the rarest class",
    "picture_px": "pixels on the longer side", "sound_s": "seconds of sound",
    "text_characters": "characters in the middle text", "is_forward": "split by time", "is_grouped": "split by groups",
}  # fmt: skip


@dataclass(frozen=True)
class Bound:
    """A fact at or above one value and below another."""

    fact: str
    least: float = -math.inf
    below: float = math.inf

    def holds(self, facts: Mapping[str, float]) -> bool:
        """Whether the fact is known and within."""
        return self.fact in facts and self.least <= facts[self.fact] < self.below

    def told(self, facts: Mapping[str, float]) -> str:
        """The value seen, and the bounds."""
        spell = _percent if self.fact.startswith("share_") else number
        parts = [f"{spell(facts[self.fact])} {NOUNS[self.fact]}"]
        if self.least > -math.inf:
            parts.append(f"{spell(self.least)} or more")
        if self.below < math.inf:
            parts.append(f"below {spell(self.below)}")
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class PriorRule:
    """One piece of what is known."""

    name: str
    of: tuple[str, ...]  # kinds of data
    when: tuple[Bound, ...]  # all have to hold
    shift: float  # of the expected gain; nought: it is told, and something else follows from it
    effect: str
    source: str

    def fired(self, facts: Mapping[str, float]) -> Rule | None:
        """What is recorded where all bounds hold."""
        if not all(bound.holds(facts) for bound in self.when):
            return None
        return Rule(self.name, "; ".join(bound.told(facts) for bound in self.when), self.effect, self.source)


TABLE, PERCEIVED, TEXT = ("table",), ("image", "audio"), ("text",)
ANY = (*TABLE, *PERCEIVED, *TEXT)

RULES = (
    # --- how large a table is: the level that all else shifts. The shares that follow are those measured until now.
    PriorRule(
        name="few rows", of=TABLE, when=(Bound("rows", below=500),), shift=0.20,
        effect="classical first; networks overfit what so few rows tell", source=f"{LOG_TABLES}; {GRINSZTAJN}",
    ),
    PriorRule(
        name="very few rows", of=TABLE, when=(Bound("rows", below=200),), shift=0.10,
        effect="networks get a look, hardly more", source=HOUSE,
    ),
    PriorRule(
        name="table", of=TABLE, when=(Bound("rows", 500, 100_000),), shift=0.06,
        effect="classical first, networks close behind", source=LOG_TABLES,
    ),
    PriorRule(
        name="large table", of=TABLE, when=(Bound("rows", 100_000),), shift=0.15,
        effect="boosting first; networks need more seconds than there are", source=MC,
    ),
    # --- what its columns are like
    PriorRule(
        name="heavy tails", of=TABLE, when=(Bound("kurtosis_std", 1_000),), shift=0.12,
        effect="towards trees, which do not mind", source=f"{MC}: MiniBooNE, electricity, albert; elevators is against",
    ),
    PriorRule(
        name="irregular", of=TABLE, when=(Bound("irregularity", 0.75),), shift=0.06,
        effect="towards trees", source=MC,
    ),
    PriorRule(
        name="regular", of=TABLE, when=(Bound("irregularity", below=-0.75), Bound("share_number", 0.8)), shift=-0.06,
        effect="towards networks", source=MC,
    ),
    PriorRule(
        name="rich categories", of=TABLE, when=(Bound("max_cardinality", 100),), shift=0.06,
        effect="towards boosting on means of the answers", source="TabArena, BeyondArena 2025: high cardinality",
    ),
    PriorRule(
        name="mixed columns", of=TABLE, when=(Bound("share_category", 0.3, 0.8),), shift=0.03,
        effect="towards trees", source=TALENT,
    ),
    PriorRule(
        name="wide", of=TABLE, when=(Bound("columns_per_row", 0.1),), shift=0.06,
        effect="towards lines and boosting with few columns a tree", source=GRINSZTAJN,
    ),
    PriorRule(
        name="many classes", of=TABLE, when=(Bound("classes", 11),), shift=-0.05,
        effect="towards networks, whose cost does not grow with classes",
        source="benchmarks/LOG.md: letter, 26 classes, a network alone 0.058 where LightGBM has 0.078",
    ),
    # --- what quick models make of it
    PriorRule(
        name="smooth", of=TABLE, when=(Bound("smooth_beside_steps", below=-0.1),), shift=-0.10,
        effect="towards networks: a smooth surface errs less than steps", source=f"{GRINSZTAJN}: bias to smoothness",
    ),
    PriorRule(
        name="steps", of=TABLE, when=(Bound("smooth_beside_steps", 0.2), Bound("line_beside_steps", 0.2)), shift=0.10,
        effect="towards trees: steps err less than a line and a smooth surface", source=f"{GRINSZTAJN}; {TALENT}",
    ),
    PriorRule(
        name="straight", of=TABLE, when=(Bound("line_beside_steps", -0.05, 0.05), Bound("least_error", below=0.9)),
        shift=-0.03, effect="a line errs as much as steps: whatever is smooth may do", source=TALENT,
    ),
    PriorRule(
        name="noise", of=TABLE, when=(Bound("least_error", 0.9),), shift=0.0,
        effect="little is left to tell routes apart: the cheap one will do", source=MC,
    ),
    # --- how the rows are split, and what is asked of the model
    PriorRule(
        name="forward", of=TABLE, when=(Bound("is_forward", 1),), shift=0.08,
        effect="towards boosting", source="TabArena, BeyondArena 2025: trees ahead where rows are not alike",
    ),
    PriorRule(
        name="groups", of=TABLE, when=(Bound("is_grouped", 1),), shift=0.08,
        effect="towards boosting", source="TabArena, BeyondArena 2025: trees ahead where rows are not alike",
    ),
    PriorRule(
        name="latency", of=ANY, when=(Bound("latency_ms", below=20),), shift=0.05,
        effect="towards classical: fewer folds of a network fit the limit", source=HOUSE,
    ),
    # --- with what it is computed
    PriorRule(
        name="gpu", of=ANY, when=(Bound("gpus", 1),), shift=-0.14,
        effect="towards networks, which learn ten times as fast", source=HOUSE,
    ),
    PriorRule(
        name="few seconds", of=TABLE, when=(Bound("looks", below=8),), shift=0.12,
        effect="towards classical: a network would hardly finish its folds", source=LOG_TABLES,
    ),
    # --- pictures, sounds, texts: their shares are measured by kind; these move what is thought, not the shares
    PriorRule(
        name="few labels", of=(*PERCEIVED, *TEXT), when=(Bound("labels_a_class", below=50),), shift=0.15,
        effect="towards numbers and frozen encoders with a classical head", source="Tunstall et al. 2022, SetFit",
    ),
    PriorRule(
        name="small pictures", of=("image",), when=(Bound("picture_px", below=33), Bound("rows", 1_000)), shift=-0.10,
        effect="towards networks: a pass takes a moment", source="benchmarks/LOG.md: 750 hand signs, all right",
    ),
    PriorRule(
        name="large pictures", of=("image",), when=(Bound("picture_px", 128), Bound("gpus", below=1)), shift=0.10,
        effect="towards classical: without a GPU a pass takes long", source=HOUSE,
    ),
    PriorRule(
        name="few sounds", of=("audio",), when=(Bound("rows", below=500),), shift=0.10,
        effect="towards classical on spectra", source="Piczak 2015, ESC-50: 44 % by hand, 65 % by a network of 1,600",
    ),
    PriorRule(
        name="many texts", of=TEXT, when=(Bound("rows", 50_000),), shift=-0.15,
        effect="towards networks, which learn words that terms do not weigh", source="Joulin et al. 2016, fastText",
    ),
    PriorRule(
        name="long texts", of=TEXT, when=(Bound("text_characters", 1_000),), shift=0.08,
        effect="towards terms: of long texts a network reads the beginning", source=HOUSE,
    ),
)  # fmt: skip


def firing(kind: str, facts: Mapping[str, float]) -> Iterator[tuple[float, Rule]]:
    """The rules for a kind of data whose bounds hold, each with its shift."""
    for rule in RULES:
        fired = rule.fired(facts) if kind in rule.of else None
        if fired is not None:
            yield rule.shift, fired


def number(value: float) -> str:
    """A fact as one reads it."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.2g}"


def _percent(value: float) -> str:
    return f"{value:.0%}"
