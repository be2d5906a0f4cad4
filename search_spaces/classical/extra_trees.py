"""Extremely randomised trees: split points drawn at random. Smoother than a random forest and cheaper to grow."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.classical._trees import Grove, load_grove
from search_spaces.spec import WITH_QUANTILES, Family, Float, Int, Learner, Needs, Params, Price, Space

SPACE: Space = {
    "trees": Int(100, 300, start=200),
    "max_features": Float(0.1, 1.0, start=0.6),
    "min_samples_leaf": Int(1, 20, start=2, log=True),
}

# After the extra trees in AutoGluon's portfolio of 2023.
PORTFOLIO: tuple[Params, ...] = (
    {"max_features": 0.75, "min_samples_leaf": 1, "trees": 200},
    {"max_features": 1.0, "min_samples_leaf": 4, "trees": 200},
    {"max_features": 0.3, "min_samples_leaf": 1, "trees": 200},
)


def build(params: Params) -> Learner:
    """Extremely randomised trees."""
    return Grove(params, "ExtraTrees")


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    return load_grove(parts, "ExtraTrees")


FAMILY = Family(
    name="extra_trees",
    title="extra trees",
    route="classical",
    space=SPACE,
    build=build,
    load=load,
    needs=Needs(tasks=WITH_QUANTILES, rows=(10, 1_000_000), columns=(1, 5_000), classes=200, package="sklearn"),
    portfolio=PORTFOLIO,
    price=Price(0.3, 10.0, 0.2),
    imports=("sklearn.ensemble",),
)
