"""Blocks that each see the history at one rate and speak at one (Challu et al. 2023, "N-HiTS")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.neural.blocks import Dropout
from search_spaces.spec import Params, WindowShape

RATES = (8, 2, 1)  # steps that a block sees as one, the slowest first
SPARSER = 2  # steps of the horizon that one of its numbers stands for, relative to these


class RateBlock(nn.Module):
    """A pooled history, some layers, and a few numbers that are drawn out to the whole history and horizon."""

    def __init__(self, params: Params, window: WindowShape, outputs: int, rate: int) -> None:
        super().__init__()
        rate = max(1, min(rate, window.context // 4, max(1, window.horizon // 2)))
        sparse = 1 if rate == 1 else SPARSER * rate
        self.pool = nn.MaxPool1d(rate, ceil_mode=True)
        self.context, self.horizon, self.outputs = window.context, window.horizon, outputs
        self.behind, self.ahead = _knots(window.context, rate), _knots(window.horizon, sparse)
        layers: list[nn.Module] = []
        width = -(-window.context // rate)
        for _ in range(params["depth"]):
            layers += [nn.Linear(width, params["width"]), nn.ReLU(), Dropout(params["dropout"])]
            width = params["width"]
        self.layers = nn.Sequential(*layers)
        self.back, self.out = nn.Linear(width, self.behind), nn.Linear(width, self.ahead * outputs)
        for layer in (self.back, self.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """What of the history it explains, (rows, context), and what it adds, (rows, horizon, outputs)."""
        seen = self.layers(self.pool(history.unsqueeze(1)).squeeze(1))
        explained = _drawn_out(self.back(seen).unsqueeze(1), self.context).squeeze(1)
        added = _drawn_out(self.out(seen).view(len(seen), self.outputs, self.ahead), self.horizon)
        return explained, added.transpose(1, 2)


class RateStack(nn.Module):
    """One block for each rate; each sees what the slower ones left."""

    def __init__(self, params: Params, window: WindowShape, outputs: int) -> None:
        super().__init__()
        self.width = outputs
        self.blocks = nn.ModuleList(RateBlock(params, window, outputs, rate) for rate in RATES)

    def forward(self, history: Tensor) -> Tensor:
        """(rows, context) -> (rows, horizon, outputs)."""
        said: list[Tensor] = []
        for block in self.blocks:
            explained, added = block(history)
            history = history - explained
            said.append(added)
        return torch.stack(said).sum(dim=0)


def _knots(steps: int, every: int) -> int:
    return max(1, -(-steps // every))


def _drawn_out(knots: Tensor, steps: int) -> Tensor:
    """(rows, channels, knots) -> (rows, channels, steps), straight between the knots."""
    if knots.shape[2] == steps:
        return knots
    return nn.functional.interpolate(knots, size=steps, mode="linear")
