"""The errors of very many groups of rows at once, under the metrics that are sums of something over rows."""

from __future__ import annotations

import numpy as np

from automl.scoring import losses
from automl.scoring.metrics import SCALED

OTHERWISE = "mae"  # is told where the metric is no such sum
NAMES = ("mase", "rmsse", "wape", "smape", "mae", "rmse")


def counted(name: str) -> str:
    """The metric that is told of groups, where a run's metric is this one."""
    return name if name in NAMES else OTHERWISE


def by_group(
    name: str, y: np.ndarray, said: np.ndarray, weight: np.ndarray | None, group: np.ndarray
) -> np.ndarray:  # fmt: skip
    """The error of each group, numbered from 0; NaN of those without rows, or without weight."""
    weight = np.ones(len(y)) if weight is None else weight
    count = int(group.max(initial=-1)) + 1
    loss, whole = _loss(name, y, said, weight)
    with np.errstate(all="ignore"):
        total, mass, sizes = (np.bincount(group, one, minlength=count) for one in (weight * loss, weight, whole))
        mean = total / np.where(sizes > 0, sizes, mass)
        found = np.sqrt(mean) if name in ("rmsse", "rmse") else mean
    return np.where(mass > 0, found, np.nan)


def _loss(name: str, y: np.ndarray, said: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row what it loses, and what the sum of all losses is divided by."""
    if name in SCALED:
        return (losses.absolute if SCALED[name] == 1 else losses.squared)(y, said), np.ones(len(y))
    if name == "wape":
        return losses.absolute(y, said), weight * np.abs(y)
    of_row = {"smape": losses.symmetric, "rmse": losses.squared}.get(name, losses.absolute)
    return of_row(y, said), weight
