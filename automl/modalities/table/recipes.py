"""How a table is presented to a model: which features are made, on which scale answers are learned. Trials choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from automl.modalities.protocol import Raw

PLAIN = "plain"
LONG_CATEGORY = 8  # labels beyond which a tree no longer finds all groups by itself
REDUCED = 32  # numbers left of what describes a block beside a table's own (STRABLE and MulTaBench, 2026: about 30)
SAMPLE = 20_000  # rows that are looked at
FEWEST = 16  # exact values up to which a tree needs no help
REPEATS = 4  # rows per exact value of a number, on average, from which it may be a key (a day, a shop, a postal code)


@dataclass(frozen=True)
class FeatureRecipe:
    """What is made beyond the columns as they are; numbers are upper limits, what says nothing is not made."""

    text_dims: int = 24  # dense numbers of a text column
    label_dims: int = 12  # dense numbers of a category whose labels are made of words
    flags: int = 40  # words of a text or of such labels that get an indicator each
    least: int = 2  # training rows of a label below which it counts as never seen
    coded: int = 0  # numbers whose exact values are also given as a category
    means: int = 0  # keys whose mean answers are given
    pairs: int = 0  # of these, pairs of columns
    groups: int = 0  # numbers compared with their mean among the rows of the same key
    sums: int = 0  # sums, differences, products and ratios of two numbers
    of_blocks: bool = False  # what it makes, a modality makes of its blocks
    reduced: int = REDUCED  # numbers that describe a block beside a table's own columns; 0: all of them
    bend: str = ""  # the scale on which answers are learned: "log", "rank" or as they are


RECIPES: Mapping[str, FeatureRecipe] = {
    PLAIN: FeatureRecipe(reduced=0),
    "reduced": FeatureRecipe(),
    "bare": FeatureRecipe(text_dims=0, label_dims=0, flags=0, reduced=0),  # nothing is learned: for the baseline
    "coded": FeatureRecipe(coded=2),
    "means": FeatureRecipe(means=12, groups=16),
    "rich": FeatureRecipe(means=20, pairs=8, groups=16, sums=12),
    "log": FeatureRecipe(bend="log"),
    "rich log": FeatureRecipe(means=20, pairs=8, groups=16, sums=12, bend="log"),
    "rank": FeatureRecipe(bend="rank"),
    "patches": FeatureRecipe(of_blocks=True),
}


def is_key(column: np.ndarray) -> bool:
    """Whether a number repeats its exact values so much that they may name something."""
    sample = column[:: max(1, len(column) // SAMPLE)]
    known = sample[~np.isnan(sample)]
    return FEWEST < len(np.unique(known)) <= len(known) / REPEATS


def useful(raw: Raw, labels: tuple[tuple[str, ...], ...], *, has_long_tail: bool = False) -> tuple[str, ...]:
    """The recipes that can make something of these columns, or of answers with a long tail."""
    has_value = any(is_key(column) for column in raw.numbers.T)
    has_key = has_value or any(len(own) > LONG_CATEGORY for own in labels)
    has_two = max(raw.numbers.shape[1], len(labels)) > 1
    makes = {
        "coded": has_value,
        "means": has_key,
        "rich": has_two,
        "log": has_long_tail,
        "rich log": has_two and has_long_tail,
        "rank": has_long_tail,
    }
    return (PLAIN, *(recipe for recipe, is_useful in makes.items() if is_useful))
