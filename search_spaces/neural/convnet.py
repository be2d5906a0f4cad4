"""A convolutional network on pictures, whose architecture is the space: stem, stages, blocks, widths, and its recipe.

The default is of the kind that trains fastest (ResNet-9: Page 2018, "How to Train Your ResNet"; airbench: Jordan 2024,
"94% on CIFAR-10 in 3.29 Seconds"). What helps most comes first: augmentation, then width and depth, then blocks.
"""

from __future__ import annotations

from typing import Any

from search_spaces.neural import vision
from search_spaces.spec import TORCH, Choice, Family, Float, Int, Needs, NetworkCost, Params, Price, Shape, Space

ARCHITECTURE: Space = {
    "stem": Choice(("plain", "whitened"), start="plain"),
    "map_px": Choice((16, 32, 64), start=32),  # side of the map after the stem
    "stages": Int(2, 4, start=3),
    "depth_1": Int(0, 3, start=1),  # blocks of a stage after the layer that shrinks the map
    "depth_2": Int(0, 4, start=1),
    "depth_3": Int(0, 6, start=1),
    "depth_4": Int(0, 3, start=1),
    "width": Int(8, 96, start=32, log=True),  # channels after the stem
    "growth": Float(1.0, 2.5, start=2.0),  # from stage to stage
    "block": Choice(vision.names(), start="plain"),
    "down": Choice(("pool", "block"), start="pool"),  # what shrinks the map: a pooled convolution, or a block's stride
    "kernel": Choice((3, 5), start=3),
    "activation": Choice(("relu", "gelu", "silu"), start="relu"),
    "norm": Choice(("batch", "group"), start="batch"),
    "squeeze_excite": Choice((False, True), start=False),
    "pool": Choice(("average", "max", "both"), start="max"),
    "dropout": Float(0.0, 0.5, start=0.0),
    "drop_path": Float(0.0, 0.3, start=0.0),
}

RECIPE: Space = {
    "optimizer": Choice(("muon", "adamw"), start="muon"),
    "learning_rate": Float(1e-3, 0.1, start=2.5e-2, log=True),
    "weight_decay": Float(1e-4, 1.0, start=0.05, log=True),
    "batch_scale": Float(0.5, 4.0, start=1.0, log=True),
    "steps": Int(500, 12_000, start=2_000, log=True),  # of a course that no clock ends
    "smoothing": Float(0.0, 0.3, start=0.1),  # of class labels
    "ema": Choice((0.0, 0.5, 1.0, 2.0), start=1.0),  # epochs over which weights are averaged
    "mix": Choice(("auto", "none", "mixup", "cutmix", "both"), start="auto"),  # auto: cutmix in a long course
}

AUGMENTATION: Space = {
    "resolution": Float(0.4, 1.0, start=1.0),  # share of the stored size
    "small": Float(0.5, 1.0, start=0.6),  # share of that at which training begins, to grow until it is done
    "flip": Choice(("auto", "never", "always"), start="auto"),  # left for right; auto: where it looks harmless
    "shift": Float(0.0, 0.25, start=0.125),  # share of the side
    "warp": Float(0.0, 1.0, start=0.0),  # turns, zooms and shears
    "colour": Float(0.0, 1.0, start=0.0),
    "erase": Float(0.0, 0.5, start=0.25),  # side of an erased square
}

SPACE: Space = {**ARCHITECTURE, **RECIPE, **AUGMENTATION}


def build(params: Params, shape: Shape) -> Any:
    """The bare network: (rows, height, width, channels) of bytes, or of floats on their scale -> (rows, outputs)."""
    from search_spaces.neural.vision.body import Body, BodyPlan
    from search_spaces.neural.vision.front import OnMedia, Picture

    channels, height, width = _map(params, shape)
    body = Body(params, BodyPlan(channels, (height, width), shape.outputs))
    return OnMedia(Picture(channels, params["resolution"]), body)


def cost(params: Params, shape: Shape) -> NetworkCost:
    """What the network would take for a row, without its front."""
    from search_spaces.neural.vision.body import Body, BodyPlan
    from search_spaces.neural.vision.cost import on_paper

    channels, *size = _map(params, shape)
    return on_paper(lambda: Body(params, BodyPlan(channels, (size[0], size[1]), shape.outputs)), (channels, *size))


def _map(params: Params, shape: Shape) -> tuple[int, int, int]:
    """Channels, height and width of what the body sees."""
    if shape.image is None:
        raise ValueError("a convnet reads images, but the shape has none. Give a Shape with `image` set.")
    *sides, channels = shape.image
    height, width = (max(1, round(side * params["resolution"])) for side in sides)
    return channels, height, width


PORTFOLIO: tuple[Params, ...] = (
    {"width": 12, "growth": 1.7, "map_px": 16},  # a row costs little
    {"width": 24, "small": 1.0, "stem": "whitened"},  # fine detail
    {"warp": 0.5, "colour": 0.4, "mix": "both", "dropout": 0.1, "steps": 4_000},  # few rows
    {"flip": "never", "warp": 0.3, "erase": 0.0, "smoothing": 0.05},  # signs and letters
    {"width": 48, "block": "residual", "colour": 0.3, "mix": "cutmix", "steps": 5_000},  # more of everything
    {"block": "inverted", "activation": "silu", "squeeze_excite": True, "pool": "average", "learning_rate": 0.01},
)

FAMILY = Family(
    name="convnet",
    title="Convolutional network",
    route="neural",
    reads=frozenset({"image"}),
    is_coursed=True,
    space=SPACE,
    build=build,
    cost=cost,
    portfolio=PORTFOLIO,
    imports=TORCH,
    quick={"width": 12, "growth": 1.7, "map_px": 16, "steps": 500},
    needs=Needs(rows=(40, 10_000_000), package="torch"),
    price=Price(2.0, 30.0, cell_bytes=24.0),
)
