"""A trend and what swings around it, each mapped by one matrix (Zeng et al. 2023, "Are Transformers Effective ...")."""

from __future__ import annotations

from torch import Tensor, nn

from search_spaces.spec import Params, WindowShape

SMOOTHED = 25  # steps that a trend is averaged over where there is no season: as in the paper


class LinearParts(nn.Module):
    """The moving average of a history, and the rest."""

    def __init__(self, _params: Params, window: WindowShape, outputs: int) -> None:
        super().__init__()
        over = window.season if window.season > 1 else SMOOTHED
        self.beside = min(over, window.context) // 2
        self.horizon, self.width = window.horizon, outputs
        self.trend = nn.Linear(window.context, window.horizon * outputs)
        self.rest = nn.Linear(window.context, window.horizon * outputs)
        for layer in (self.trend, self.rest):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, history: Tensor) -> Tensor:
        """(rows, context) -> (rows, horizon, outputs)."""
        beside = self.beside
        wide = nn.functional.pad(history.unsqueeze(1), (beside, beside), mode="replicate")
        trend = nn.functional.avg_pool1d(wide, 2 * beside + 1, stride=1).squeeze(1)
        said: Tensor = self.trend(trend) + self.rest(history - trend)
        return said.view(-1, self.horizon, self.width)
