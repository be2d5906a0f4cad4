"""One network for all parts of a table: a branch for its numbers and codes, one for each picture, sound and text.

What the branches say is joined before the last layers, and all of it learns together: a picture's branch is told what
the price beside it left open. While training, whole branches are silenced for some rows, so that no branch leans on
another that happens to be easier (Neverova et al. 2016, "ModDrop").
"""

from __future__ import annotations

from typing import Any

from search_spaces.neural.convnet import ARCHITECTURE
from search_spaces.neural.soundnet import AUGMENTATION as SOUNDS
from search_spaces.neural.soundnet import SPECTRUM
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

OF_TABLE: Space = {
    "width": Int(48, 384, start=160, log=True),
    "depth": Int(1, 3, start=1),
    "bins": Int(4, 48, start=24, log=True),
    "embedding": Int(2, 16, start=6, log=True),
}

OF_COLUMNS: Space = {
    # what tells of a column takes a second to learn from; to see the files themselves takes many epochs
    "seen": Choice(("numbers", "blocks", "both"), start="numbers"),
    "branch": Int(16, 128, start=48, log=True),  # numbers that each decoded column says
    "map_width": Int(8, 48, start=16, log=True),  # channels of pictures and spectrograms after the stem
    "silence": Float(0.0, 0.4, start=0.1),  # share of the rows that a branch says nothing of while training
    "dropout": Float(0.0, 0.6, start=0.2),
}

RECIPE: Space = {
    "optimizer": Choice(("adamw",), start="adamw"),
    "learning_rate": Float(3e-3, 0.1, start=2.5e-2, log=True),  # AdamW is given about a tenth of it
    "weight_decay": Float(1e-4, 0.3, start=0.03, log=True),
    "batch_scale": Float(0.5, 2.0, start=1.0, log=True),
    "steps": Int(200, 6_000, start=1_500, log=True),  # of a course that no clock ends
    "smoothing": Float(0.0, 0.2, start=0.0),
    "ema": Choice((0.0, 1.0, 2.0), start=1.0),
}

AUGMENTATION: Space = {
    "flip": Choice(("auto", "never", "always"), start="auto"),  # of pictures, as are the others
    "small": Float(0.5, 1.0, start=0.75),
    "shift": Float(0.0, 0.25, start=0.1),
    "erase": Float(0.0, 0.4, start=0.1),
}

SPACE: Space = {**OF_TABLE, **OF_COLUMNS, **RECIPE, **AUGMENTATION}

PORTFOLIO: tuple[Params, ...] = (
    {"seen": "both"},
    {"dropout": 0.4, "branch": 32, "learning_rate": 1.5e-2},  # few rows
    {"seen": "both", "map_width": 32, "branch": 96, "width": 256, "steps": 3_000},
    {"seen": "both", "silence": 0.3, "dropout": 0.4, "weight_decay": 0.1},
)


def build(params: Params, shape: Shape) -> Any:
    """The bare network: numbers, codes, then of each branch its rows as the store has them and what tells of them."""
    from search_spaces.neural.branches import Branches

    return Branches({**eyes(params), **params}, shape)


def eyes(params: Params) -> dict[str, Any]:
    """Knobs of the bodies that see maps: a small body of the usual kind."""
    usual = {**starts(ARCHITECTURE), **starts(SPECTRUM), **starts(SOUNDS)}
    return {**usual, "growth": 1.7, "resolution": 1.0, "map": {**usual, "growth": 1.7, "width": params["map_width"]}}


def cost(params: Params, shape: Shape) -> NetworkCost:
    """What the network takes for a row, without the making of spectrograms; it is small enough to be built for that."""
    import torch

    from search_spaces.neural.branches import empty_row
    from search_spaces.neural.vision.cost import cost_of

    with torch.random.fork_rng(devices=[]):
        network = build(params, shape)
    return cost_of(network, empty_row(shape))


FAMILY = Family(
    name="fused",
    title="Network of several branches",
    route="neural",
    reads=frozenset({"table", "image", "audio", "text"}),
    is_coursed=True,
    reads_all=True,
    space=SPACE,
    build=build,
    cost=cost,
    portfolio=PORTFOLIO,
    imports=TORCH,
    quick={"steps": 300},
    needs=Needs(rows=(60, 1_000_000), columns=(1, 2_000), package="torch"),
    price=Price(2.0, 30.0, cell_bytes=32.0),
    recipes=("plain",),
)
