"""Convolutions over the words (Kim 2014, "Convolutional Neural Networks for Sentence Classification")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.neural.blocks import Dropout
from search_spaces.neural.text.parts import WordPool
from search_spaces.spec import Params

KERNELS = (1, 3, 5)  # words that a filter sees, in the first layer


class TextCnn(nn.Module):
    """Filters of several widths; further layers see threes, and are added to what they read."""

    def __init__(self, params: Params, width: int) -> None:
        super().__init__()
        each = max(1, params["width"] // len(KERNELS))
        inner = each * len(KERNELS)
        self.first = nn.ModuleList(nn.Conv1d(width, each, kernel, padding=kernel // 2) for kernel in KERNELS)
        self.further = nn.ModuleList(nn.Conv1d(inner, inner, 3, padding=1) for _ in range(params["depth"] - 1))
        self.dropout = Dropout(params["dropout"])
        self.pool = WordPool(params["pool"], inner)
        self.width = self.pool.width

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(texts, self.width)."""
        words = mask.unsqueeze(1)
        maps = self.dropout(x).transpose(1, 2)
        maps = nn.functional.relu(torch.cat([layer(maps) for layer in self.first], dim=1)) * words
        for layer in self.further:
            maps = (maps + nn.functional.relu(layer(self.dropout(maps)))) * words
        said: Tensor = self.pool(maps.transpose(1, 2), mask)
        return said
