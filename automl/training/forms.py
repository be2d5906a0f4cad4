"""What training makes of blocks of a kind: their shape, how rows are changed as they are served, whether they flip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from automl.training.augment import Augment, change, shrink
from automl.training.symmetry import flip_is_harmless, sample_rows
from search_spaces.spec import Media, Shape

SOME = 500  # texts whose words are counted


@dataclass(frozen=True)
class Served:
    """How a batch is changed: by how much, how far the course is, by whose dice."""

    how: Augment
    progress: float
    generator: torch.Generator


@dataclass(frozen=True)
class FlipQuestion:
    """Whether flips teach: what the configuration says, the answers, and a seed for whom to look at."""

    setting: str
    y: np.ndarray
    is_numeric: bool
    seed: int


@dataclass(frozen=True)
class Form:
    """A kind of blocks in training."""

    shape: Callable[[Media], dict[str, Any]]  # the fields of a Shape that tell of it
    changed: Callable[[Tensor, Served], Tensor]
    flip: Callable[[Media, FlipQuestion], str]  # "always" or "never"


def form_of(block: Media) -> Form:
    """The form of a block; ValueError for a kind that no network reads."""
    if block.kind not in (known := {**FORMS, **OF_TEXTS}):
        raise ValueError(f"no network reads blocks of kind {block.kind!r}. Known kinds: {', '.join(known)}.")
    return known[block.kind]


def given(values: np.ndarray, device: torch.device | str = "cpu") -> Any:
    """Rows of a store as networks take them: texts as they are, all else as tensors on their device."""
    return values if values.dtype == object else torch.from_numpy(values).to(device)


def _usual_words(block: Media) -> int:
    some = block.values(np.arange(0, len(block), max(1, len(block) // SOME)))
    return int(np.median([len(text.split()) for text in some])) + 1 if len(some) else 1


def shape_of(block: Media, outputs: int) -> Shape:
    """What a network must know of a block."""
    return Shape((), (), outputs, **form_of(block).shape(block))


def _changed(pictures: Tensor, served: Served) -> Tensor:
    return shrink(change(pictures, served.how, served.generator), served.how.share(served.progress))


def _flip(block: Media, asked: FlipQuestion) -> str:
    """As the configuration says, or where a mirror does no harm."""
    if asked.setting != "auto":
        return asked.setting
    rows = sample_rows(len(block), asked.seed)
    is_harmless = flip_is_harmless(block.values(rows), asked.y[rows], is_numeric=asked.is_numeric)
    return "always" if is_harmless else "never"


FORMS = {
    "image": Form(lambda block: {"image": block.store.shape[1:]}, _changed, _flip),
    "audio": Form(
        lambda block: {"sound": (block.store.shape[1], block.rate)}, lambda waves, _: waves, lambda _, __: "never"
    ),
    "series": Form(lambda block: {"series": block.store.shape[1:]}, lambda series, _: series, lambda _, __: "never"),
}
OF_TEXTS = {  # for networks that split them themselves: no tokens are numbered, and so many words are usual
    "text": Form(lambda block: {"text": (0, _usual_words(block))}, lambda texts, _: texts, lambda _, __: "never")
}
