"""A network of kernels of several lengths on series that are rows (InceptionTime: Ismail Fawaz et al. 2020).

Behind kernels with a ridge on data sets of usual size; with many rows it sees what fixed kernels cannot.
"""

from __future__ import annotations

from typing import Any

from search_spaces.neural.convnet import RECIPE
from search_spaces.spec import TORCH, Choice, Family, Float, Int, Needs, NetworkCost, Params, Price, Shape, Space

SPACE: Space = {
    **RECIPE,
    "mix": Choice(("none", "mixup"), start="none"),
    "depth": Int(1, 9, start=6),  # modules of kernels; every third is added to what came in before
    "width": Int(8, 64, start=32, log=True),  # filters of each length
    "kernel": Choice((11, 21, 41), start=41),  # the longest one; the others are a half and a quarter of it
    "bottleneck": Int(8, 64, start=32, log=True),  # channels that the kernels read
    "dropout": Float(0.0, 0.5, start=0.1),
}

PORTFOLIO: tuple[Params, ...] = (
    {"depth": 3, "width": 16, "kernel": 21, "bottleneck": 16},  # a row costs little
    {"mix": "mixup", "dropout": 0.3, "steps": 4_000},  # few rows
)


def build(params: Params, shape: Shape) -> Any:
    """The bare network: series (rows, channels, steps), NaN where nothing is known -> (rows, outputs)."""
    from search_spaces.neural.kernels import Inception

    return Inception(params, _series(shape)[0], shape.outputs)


def cost(params: Params, shape: Shape) -> NetworkCost:
    """What the network would take for a row."""
    from search_spaces.neural.vision.cost import on_paper

    return on_paper(lambda: build(params, shape), _series(shape))


def _series(shape: Shape) -> tuple[int, int]:
    if shape.series is None:
        raise ValueError("an inception reads series, but the shape has none. Give a Shape with `series` set.")
    return shape.series


FAMILY = Family(
    name="inception",
    title="Network of kernels of several lengths",
    route="neural",
    reads=frozenset({"series"}),
    is_coursed=True,
    space=SPACE,
    build=build,
    cost=cost,
    portfolio=PORTFOLIO,
    imports=TORCH,
    quick={"depth": 2, "width": 8, "kernel": 21, "bottleneck": 8, "steps": 500},
    needs=Needs(rows=(40, 10_000_000), package="torch"),
    price=Price(2.0, 60.0, cell_bytes=200.0),
)
