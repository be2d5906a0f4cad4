"""Patches of a history as the words of a small transformer (Nie et al. 2023, "A Time Series is Worth 64 Words")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.neural.blocks import Dropout
from search_spaces.neural.text.transformer import HEAD_WIDTH, TransformerLayer
from search_spaces.spec import Params, WindowShape

MOST_PATCHES = 42  # as many as the paper's smaller network has
SHORTEST = 4  # steps of a patch


class PatchedHistory(nn.Module):
    """Overlapping pieces, each a vector with its place, and one matrix from all of them to the horizon."""

    START = 0.02  # deviation of places

    def __init__(self, params: Params, window: WindowShape, outputs: int) -> None:
        super().__init__()
        self.every = max(SHORTEST // 2, -(-window.context // MOST_PATCHES))
        self.long = 2 * self.every
        self.padded = -(-max(window.context, self.long) // self.every) * self.every - window.context
        count = (window.context + self.padded) // self.every - 1
        inner = HEAD_WIDTH * max(1, round(params["width"] / (2 * HEAD_WIDTH)))
        self.horizon, self.width = window.horizon, outputs
        self.seen = nn.Linear(self.long, inner)
        self.places = nn.Parameter(torch.randn(count, inner) * self.START)
        self.layers = nn.ModuleList(TransformerLayer(inner, params["dropout"]) for _ in range(params["depth"]))
        self.norm, self.dropout = nn.LayerNorm(inner), Dropout(params["dropout"])
        self.out = nn.Linear(count * inner, window.horizon * outputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, history: Tensor) -> Tensor:
        """(rows, context) -> (rows, horizon, outputs)."""
        whole = nn.functional.pad(history.unsqueeze(1), (self.padded, 0), mode="replicate").squeeze(1)
        states = self.seen(whole.unfold(1, self.long, self.every)) + self.places
        mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        for layer in self.layers:
            states = layer(states, mask)
        said: Tensor = self.out(self.dropout(self.norm(states).flatten(1)))
        return said.view(len(history), self.horizon, self.width)
