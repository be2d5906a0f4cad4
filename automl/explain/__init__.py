"""Where an answer comes from: explainers of images and sounds, one file each, found through the table below.

Adding one is a new file plus one line here; the first that can explain a model does. All speak of the same plane, the
one that the codec of the column draws. Importing this file loads none of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from automl.explain.plane import stretched
from automl.records import Drawn
from search_spaces.spec import Learner, Media

_EXPLAINERS = {  # the closer to what the model does, the earlier
    "cam": "automl.explain.cam",
    "occlusion": "automl.explain.occlusion",
}

AskModel = Callable[[int, Media], np.ndarray]  # what the model answers of row i, were these its blocks


@dataclass(frozen=True, kw_only=True)
class Question:
    """Answers of a model whose origin is asked for in one decoded column, one per row."""

    block: Media
    drawn: Drawn
    outputs: np.ndarray  # int64: of each row, which of the model's outputs
    ask: AskModel
    parts: tuple[tuple[float, Learner], ...]  # learners that read the column itself, with their share of the answer
    is_numeric: bool  # answers are numbers, so whatever changes them counts, up or down


@dataclass(frozen=True)
class Explainer:
    """A way to find the places that an answer rests on."""

    name: str
    fits: Callable[[Question], bool]
    told: Callable[[Question], str]  # what its maps show, in one sentence
    maps: Callable[[Question], Iterator[np.ndarray]]  # one per row, of any size, not below zero


@dataclass(frozen=True)
class Explained:
    """Maps of the plane, float32 in 0 .. 1, highest where the answer rests most; fewer than rows if time ran out."""

    name: str
    told: str
    maps: tuple[np.ndarray, ...]


def names() -> tuple[str, ...]:
    """Every explainer's name."""
    return tuple(_EXPLAINERS)


def get(name: str) -> Explainer:
    """The explainer of that name; ValueError for an unknown one."""
    if name not in _EXPLAINERS:
        raise ValueError(f"unknown explainer {name!r}. Known explainers: {', '.join(_EXPLAINERS)}.")
    found: Explainer = import_module(_EXPLAINERS[name]).EXPLAINER
    return found


def explain(question: Question, until: float = float("inf")) -> Explained:
    """Maps by the first explainer that fits; after `until` (time.monotonic) there come no more."""
    one = next(found for found in map(get, _EXPLAINERS) if found.fits(question))
    size = question.drawn.size(question.block)
    maps: list[np.ndarray] = []
    for raw in one.maps(question):
        maps.append(_unit(stretched(raw, size)))
        if time.monotonic() >= until:
            break
    return Explained(one.name, one.told(question), tuple(maps))


def _unit(heat: np.ndarray) -> np.ndarray:
    """From zero to one; nothing but zeros where no place matters more than rounding."""
    heat = np.maximum(np.nan_to_num(heat, nan=0.0, posinf=0.0, neginf=0.0), 0.0)
    top = float(heat.max(initial=0.0))
    return np.asarray(heat / top if top > 1e-9 else np.zeros_like(heat), dtype=np.float32)
