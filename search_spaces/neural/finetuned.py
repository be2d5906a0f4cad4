"""A network trained before, trained further under a new head: what it saw there need not be learned here.

The head is fitted first, on what the body says as it is; then all learn, the head fastest and the first layers slowest,
which may begin later than the others or stay as they were. Body and head share one optimizer: what the head reads is
scaled up, and under AdamW that is a learning rate of its own.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from search_spaces.spec import (
    TORCH,
    Choice,
    Family,
    Float,
    Int,
    Needs,
    NetworkCost,
    Params,
    Price,
    Shape,
    Space,
    starts,
)

TUNING: Space = {
    "side": Choice(
        (0, 64, 96, 128, 160, 192, 224), start=0
    ),  # of pictures, where the encoder can be asked; 0: by theirs
    "norms": Choice(("known", "batch"), start="known"),  # spreads of maps as they were learned before, or of each batch
    "led": Choice((True, False), start=True),  # whether the head is fitted before all learn
    "fade": Float(0.05, 1.0, start=1.0, log=True),  # rate of the first layer, relative to the last one of the body
    "thaw": Float(0.0, 0.5, start=0.0),  # share of the course in which layers begin to learn, the last one first
    "frozen": Float(0.0, 0.95, start=0.0),  # share of the body's weights, from its first layer on, that stay
    "head_rate": Float(1.0, 100.0, start=10.0, log=True),  # how much faster the head learns
    "dropout": Float(0.0, 0.5, start=0.0),  # of what the head reads
}

RECIPE: Space = {
    "optimizer": Choice(("adamw",), start="adamw"),
    "learning_rate": Float(1e-4, 3e-2, start=2e-3, log=True),  # of the body; AdamW is given about a tenth of it
    "weight_decay": Float(1e-4, 0.3, start=0.02, log=True),
    "batch_scale": Float(0.25, 1.0, start=0.5, log=True),
    "steps": Int(100, 5_000, start=500, log=True),  # of a course that no clock ends
    "smoothing": Float(0.0, 0.2, start=0.05),
    "ema": Choice((0.0, 0.5, 1.0), start=0.5),
    "mix": Choice(("none", "mixup"), start="none"),
}

AUGMENTATION: Space = {
    "flip": Choice(("auto", "never", "always"), start="auto"),  # of pictures, as are the others but shift
    "shift": Float(0.0, 0.25, start=0.1),  # share of the side; of sounds, of the length
    "warp": Float(0.0, 0.6, start=0.0),
    "colour": Float(0.0, 0.6, start=0.0),
    "erase": Float(0.0, 0.4, start=0.0),
}

SPACE: Space = {**TUNING, **RECIPE, **AUGMENTATION}

PORTFOLIO: tuple[Params, ...] = (
    {"learning_rate": 8e-3, "head_rate": 3.0},  # small weights, or of another world
    {"frozen": 0.7, "learning_rate": 4e-3},  # quick, and few rows cannot spoil what was learned
    {"learning_rate": 5e-4, "warp": 0.2, "colour": 0.2, "dropout": 0.2},  # large weights
)

SMALL_PX, LARGER = 48, 2  # pictures up to that side are looked at so many times as large


def build(params: Params, shape: Shape) -> Any:
    """The bare network: rows as a store holds them -> (rows, outputs)."""
    from search_spaces.neural.tuned import Finetuned

    if shape.encoder is None:
        raise ValueError("a finetuned network goes on from an encoder, but the shape has none. Give weights='...'.")
    return Finetuned(shape.encoder.at(side_of(params, shape.image)), params, shape)


def cost(params: Params, shape: Shape) -> NetworkCost:
    """Counted on an empty row: the encoder at the size at which it looks at pictures, whatever else is chosen."""
    return _counted(replace(shape, edges=(), sizes=()), side_of(params, shape.image))


@lru_cache(maxsize=64)
def _counted(shape: Shape, side: int) -> NetworkCost:
    """Built once for each side: a large encoder takes seconds."""
    from search_spaces.neural.vision import cost as paper

    if shape.text is not None:
        import numpy as np

        text = np.array([" ".join(["word"] * shape.text[1])], dtype=object)
        return paper.cost_of(build(starts(SPACE), shape), (text,))
    row = shape.image or (shape.sound or (0, 0))[:1]
    return paper.cost(build({**starts(SPACE), "side": side}, shape), row)


def side_of(params: Params, image: tuple[int, int, int] | None) -> int:
    """Pixels of the side at which pictures are looked at; 0: whatever the encoder's is."""
    if image is None:
        return 0
    longest = max(image[:2])
    return int(params.get("side", 0) or (LARGER * longest if longest <= SMALL_PX else longest))


FAMILY = Family(
    name="finetuned",
    title="Network trained before, trained further",
    route="neural",
    reads=frozenset({"image", "audio", "text"}),
    is_coursed=True,
    goes_on=True,
    space=SPACE,
    build=build,
    cost=cost,
    portfolio=PORTFOLIO,
    imports=TORCH,
    quick={"frozen": 0.9, "steps": 100},
    needs=Needs(rows=(20, 10_000_000), package="torch"),
    price=Price(3.0, 60.0, cell_bytes=48.0),
)
