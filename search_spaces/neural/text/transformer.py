"""A small transformer that reads whole texts at once, normed before each part (Xiong et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.neural.blocks import Dropout
from search_spaces.neural.text.parts import WordPool
from search_spaces.spec import Params

HEAD_WIDTH = 32
WIDER = 2
SLOWEST = 10_000.0  # of the waves that tell places


class TransformerLayer(nn.Module):
    """Attention, then a wider layer for each word."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.heads = max(1, width // HEAD_WIDTH)
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widened, self.narrowed = nn.Linear(width, WIDER * width), nn.Linear(WIDER * width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(texts, tokens, width), of the same shape."""
        texts, tokens, width = x.shape
        asked = self.asked(self.before(x)).view(texts, tokens, 3, self.heads, width // self.heads)
        queries, keys, values = asked.permute(2, 0, 3, 1, 4)
        heard = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask[:, None, None, :])
        x = x + self.dropout(self.joined(heard.transpose(1, 2).reshape(texts, tokens, width)))
        wide = functional.gelu(self.widened(self.between(x)))
        added: Tensor = x + self.dropout(self.narrowed(wide))
        return added


class TextTransformer(nn.Module):
    """Words with their places, and layers on them."""

    def __init__(self, params: Params, width: int) -> None:
        super().__init__()
        inner = HEAD_WIDTH * max(1, round(params["width"] / HEAD_WIDTH))
        self.widened = nn.Linear(width, inner)
        self.layers = nn.ModuleList(TransformerLayer(inner, params["dropout"]) for _ in range(params["depth"]))
        self.norm = nn.LayerNorm(inner)
        self.dropout = Dropout(params["dropout"])
        self.pool = WordPool(params["pool"], inner)
        self.width = self.pool.width

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(texts, self.width)."""
        states = self.widened(x)
        states = self.dropout(states + _places(x.shape[1], states.shape[2]).to(states))
        for layer in self.layers:
            states = layer(states, mask)
        said: Tensor = self.pool(self.norm(states), mask)
        return said


def _places(tokens: int, width: int) -> Tensor:
    """Waves of every length, so that any number of places can be told (Vaswani et al. 2017)."""
    speeds = SLOWEST ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(tokens)[:, None] * speeds
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
