"""TabM: one network that speaks with several members, each almost a network of its own at a fraction of the cost.

Members share embeddings and matrices; signs of their own after the first layer and heads of their own keep them apart
(Gorishniy et al. 2024, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling"). The paper turns
the signs before the first layer: after it members are as good and that layer, the widest, is computed once for all.
"""

from __future__ import annotations

from typing import Any

from search_spaces.spec import TORCH, WITH_QUANTILES, Family, Float, Int, Needs, Params, Price, Shape, Space

SPACE: Space = {
    "members": Int(2, 32, start=8, log=True),
    "width": Int(64, 768, start=256, log=True),
    "depth": Int(2, 5, start=2),
    "dropout": Float(0.0, 0.6, start=0.15),
    "learning_rate": Float(3e-4, 2e-2, start=8e-3, log=True),
    "weight_decay": Float(1e-6, 0.3, start=3e-2, log=True),
    "bins": Int(4, 64, start=32, log=True),
    "embedding": Int(2, 32, start=8, log=True),
    "batch_scale": Float(0.5, 4.0, start=1.0, log=True),
}

PORTFOLIO: tuple[Params, ...] = (
    {"dropout": 0.5, "bins": 8, "embedding": 4, "learning_rate": 2e-3},  # few rows, much noise
    {"depth": 3, "width": 384, "learning_rate": 4e-3, "bins": 48, "embedding": 16},  # many rows, little noise
    {"members": 16, "dropout": 0.3, "weight_decay": 0.1, "bins": 16},
)


def build(params: Params, shape: Shape) -> Any:
    """The bare network."""
    from torch import nn

    from search_spaces.neural.blocks import Columns, Dropout, Heads, Members, OnColumns

    columns, width, members = Columns(shape, params["embedding"]), params["width"], params["members"]
    layers: list[nn.Module] = [nn.Linear(columns.width, width), Members(width, members)]
    for _ in range(params["depth"] - 1):
        layers += [nn.SiLU(), Dropout(params["dropout"]), nn.Linear(width, width)]
    layers += [nn.SiLU(), Dropout(params["dropout"])]
    return OnColumns(columns, nn.Sequential(*layers), Heads(width, members, shape.outputs))


FAMILY = Family(
    name="tabm",
    title="Neural network of many members (TabM)",
    route="neural",
    space=SPACE,
    build=build,
    portfolio=PORTFOLIO,
    needs=Needs(tasks=WITH_QUANTILES, rows=(60, 1_000_000), columns=(1, 2_000), package="torch"),
    price=Price(5.0, 28.0, cell_bytes=24.0),
    imports=TORCH,
)
