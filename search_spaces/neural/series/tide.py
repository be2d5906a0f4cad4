"""A history as one vector, layers on it, and a few numbers of each step to come (Das et al. 2023, "TiDE")."""

from __future__ import annotations

from torch import Tensor, nn

from search_spaces.neural.blocks import Dropout
from search_spaces.spec import Params, WindowShape

TOLD = 8  # numbers of each step, beside its forecasts: what its own covariates are read together with


class ResidualBlock(nn.Module):
    """Two layers, added to what they read, and normed."""

    def __init__(self, before: int, width: int, after: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(before, width), nn.ReLU(), nn.Linear(width, after), Dropout(dropout))
        self.past = nn.Linear(before, after)
        self.norm = nn.LayerNorm(after)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, before) -> (rows, after)."""
        said: Tensor = self.norm(self.past(x) + self.layers(x))
        return said


class HistoryEncoder(nn.Module):
    """Residual layers on the whole history, beside one matrix from it to the horizon."""

    def __init__(self, params: Params, window: WindowShape, outputs: int) -> None:
        super().__init__()
        width, dropout = params["width"], params["dropout"]
        self.horizon, self.width = window.horizon, outputs + TOLD
        ends = [window.context, *(width for _ in range(params["depth"]))]
        self.encoder = nn.Sequential(*(ResidualBlock(before, width, width, dropout) for before in ends[:-1]))
        self.told = nn.Linear(width, window.horizon * TOLD)
        self.out = nn.Linear(width, window.horizon * outputs)
        self.straight = nn.Linear(window.context, window.horizon * outputs)
        for layer in (self.out, self.straight):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, history: Tensor) -> Tensor:
        """(rows, context) -> (rows, horizon, outputs and what is told)."""
        seen = self.encoder(history)
        said = (self.out(seen) + self.straight(history)).view(len(history), self.horizon, -1)
        told = self.told(seen).view(len(history), self.horizon, TOLD)
        joined: Tensor = nn.functional.pad(said, (0, TOLD)) + nn.functional.pad(told, (said.shape[2], 0))
        return joined
