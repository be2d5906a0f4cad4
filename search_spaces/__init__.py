"""What could be built: one file per family of models, found through the table below.

Adding a family is one new file plus one line here; its tests come from `search_spaces.contracts`. Family files are
imported on demand, and import no heavy library until a model is built.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search_spaces.spec import Family

_FAMILIES = {
    "constant": "search_spaces.classical.constant:FAMILY",
    "linear": "search_spaces.classical.linear:FAMILY",
    "lightgbm": "search_spaces.classical.lightgbm_:FAMILY",
    "xgboost": "search_spaces.classical.xgboost_:FAMILY",
    "catboost": "search_spaces.classical.catboost_:FAMILY",
    "extra_trees": "search_spaces.classical.extra_trees:FAMILY",
    "forest": "search_spaces.classical.forest:FAMILY",
    "text_linear": "search_spaces.classical.text_linear:FAMILY",
    "rocket": "search_spaces.classical.rocket:FAMILY",
    "quant": "search_spaces.classical.quant:FAMILY",
    "neighbors": "search_spaces.classical.neighbors:FAMILY",
    "svm": "search_spaces.classical.svm:FAMILY",
    "seasonal_naive": "search_spaces.classical.seasonal_naive:FAMILY",
    "theta": "search_spaces.classical.theta:FAMILY",
    "ets": "search_spaces.classical.ets:FAMILY",
    "arima": "search_spaces.classical.arima:FAMILY",
    "consensus": "search_spaces.classical.consensus:FAMILY",
    "croston": "search_spaces.classical.croston:FAMILY",
    "lag_boosting": "search_spaces.classical.lag_boosting:FAMILY",
    "lag_linear": "search_spaces.classical.lag_linear:FAMILY",
    "mlp": "search_spaces.neural.mlp:FAMILY",
    "tabm": "search_spaces.neural.tabm:FAMILY",
    "finetuned": "search_spaces.neural.finetuned:FAMILY",
    "fused": "search_spaces.neural.fused:FAMILY",
    "convnet": "search_spaces.neural.convnet:FAMILY",
    "soundnet": "search_spaces.neural.soundnet:FAMILY",
    "inception": "search_spaces.neural.inception:FAMILY",
    "textnet": "search_spaces.neural.textnet:FAMILY",
    "forecaster": "search_spaces.neural.forecaster:FAMILY",
}


def names() -> list[str]:
    """Every family's name."""
    return list(_FAMILIES)


def get(name: str) -> Family:
    """The family of that name; ValueError for an unknown one."""
    if name not in _FAMILIES:
        raise ValueError(f"unknown family {name!r}. Known families: {', '.join(_FAMILIES)}.")
    module, attribute = _FAMILIES[name].split(":")
    family: Family = getattr(import_module(module), attribute)
    return family


def all_families() -> list[Family]:
    """Every family, in the order of `names`."""
    return [get(name) for name in _FAMILIES]
