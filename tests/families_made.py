"""Families as tests ask for them: where their library is, with a configuration, for a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import search_spaces
from automl.scoring import metrics
from search_spaces.spec import Family, Run


def family_of(name: str) -> Family:
    family = search_spaces.get(name)
    if family.needs.package is not None:
        pytest.importorskip(family.needs.package)
    return family


def config_of(family: Family, **changed: object) -> dict[str, object]:
    return {**family.configs()[0], **changed}


def a_run(task: str = "binary", **changed: object) -> Run:
    return replace(
        Run(task=task, classes={"binary": 2, "multiclass": 3}.get(task, 1), metric="rmse", seed=0), **changed
    )


def error_of(task: str, y: np.ndarray, predicted: np.ndarray) -> float:
    if task == "regression":
        return float(np.mean((y - predicted) ** 2))
    if task == "quantile":
        return metrics.get("pinball", (0.1, 0.5, 0.9)).error(y, predicted)
    return float(-np.mean(np.log(predicted[np.arange(len(y)), y] + 1e-9)))
