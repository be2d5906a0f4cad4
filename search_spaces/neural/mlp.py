"""A multilayer perceptron on piecewise-linear embeddings of numbers and learned vectors of categories.

The embeddings are what makes it competitive: a plain network sees a number as one slope, here it bends where the data
has its quantiles (Gorishniy et al. 2022, "On Embeddings for Numerical Features in Tabular Deep Learning").
"""

from __future__ import annotations

from typing import Any

from search_spaces.spec import TORCH, WITH_QUANTILES, Family, Float, Int, Needs, Params, Price, Shape, Space

SPACE: Space = {
    "width": Int(64, 512, start=256, log=True),
    "depth": Int(1, 5, start=2),
    "dropout": Float(0.0, 0.6, start=0.25),
    "learning_rate": Float(3e-4, 1e-2, start=5e-3, log=True),
    "weight_decay": Float(1e-6, 0.3, start=3e-2, log=True),
    "bins": Int(4, 64, start=32, log=True),
    "embedding": Int(2, 32, start=8, log=True),
    "batch_scale": Float(0.5, 4.0, start=1.0, log=True),
}

PORTFOLIO: tuple[Params, ...] = (
    {"dropout": 0.5, "bins": 8, "embedding": 4, "learning_rate": 2e-3},  # few rows, much noise
    {"dropout": 0.05, "learning_rate": 2e-3, "bins": 48, "embedding": 16},  # many rows, little noise
    {"dropout": 0.4, "depth": 3, "width": 320, "weight_decay": 0.1},
)


def build(params: Params, shape: Shape) -> Any:
    """The bare network."""
    from torch import nn

    from search_spaces.neural.blocks import Columns, Dropout, OnColumns

    columns = Columns(shape, params["embedding"])
    layers: list[nn.Module] = []
    wide = columns.width
    for _ in range(params["depth"]):
        layers += [nn.Linear(wide, params["width"]), nn.SiLU(), Dropout(params["dropout"])]
        wide = params["width"]
    return OnColumns(columns, nn.Sequential(*layers), nn.Linear(wide, shape.outputs))


FAMILY = Family(
    name="mlp",
    title="Neural network (MLP with numeric embeddings)",
    route="neural",
    space=SPACE,
    build=build,
    portfolio=PORTFOLIO,
    needs=Needs(tasks=WITH_QUANTILES, rows=(60, 1_000_000), columns=(1, 2_000), package="torch"),
    price=Price(1.5, 14.0, cell_bytes=24.0),
    imports=TORCH,
)
