"""Saved parts of small models, and changes of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

import search_spaces
from automl.training import learners
from search_spaces import checked
from search_spaces.spec import Matrix, Rows, Run, starts

Parts = Mapping[str, bytes]
TASKS = {"binary": 2, "multiclass": 3, "regression": 1, "quantile": 3}


def rows(task: str, seed: int = 0) -> Rows:
    """A small table with gaps and two categories."""
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(120, 3)).astype(np.float32)
    codes = np.column_stack([random.integers(0, 5, 120), random.integers(0, 40, 120)]).astype(np.int32)
    y: Any = numbers[:, 0] + random.normal(size=120)
    numbers[::7, 1] = np.nan
    if task in ("binary", "multiclass"):
        y = np.searchsorted([0.0] if task == "binary" else [-0.5, 0.5], y)
    return Rows(Matrix(numbers, codes, (5, 40)), y)


@lru_cache
def saved(family: str, task: str) -> tuple[Parts, np.ndarray]:
    """A fitted member as bytes, and what it answers."""
    levels = (0.1, 0.5, 0.9) if task == "quantile" else ()
    run = Run(task, TASKS[task], "rmse", seed=1, levels=levels)  # type: ignore[arg-type]
    found = search_spaces.get(family)
    few = {"rounds": 3, "trees": 4, "width": 16, "members": 2}
    learner = learners.make(found, {**starts(found.space), **few})
    learner.fit(rows(task), None, run)
    return learner.dump(), learner.predict(rows(task).X)


def read(family: str, parts: Parts) -> Any:
    return learners.load(search_spaces.get(family), parts)


def changed(parts: Parts, name: str, **arrays: Callable[[np.ndarray], Any]) -> Parts:
    """The same with other arrays in one archive."""
    known = checked.arrays(parts[name])
    buffer = io.BytesIO()
    np.savez(buffer, **{key: arrays.get(key, lambda same: same)(array) for key, array in known.items()})
    return {**parts, name: buffer.getvalue()}


def at(place: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    """An array with another number at a place."""

    def change(array: np.ndarray) -> np.ndarray:
        made = array.copy()
        made[place] = value
        return made

    return change
