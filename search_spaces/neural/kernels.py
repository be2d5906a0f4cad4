"""Modules that look at a series through kernels of several lengths at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.spec import Params

POOLED = 3  # steps of the branch that takes the largest
EVERY = 3  # modules that a shortcut leads around


class KernelModule(nn.Module):
    """Channels are narrowed, three lengths of kernels read them, and a fourth branch takes the largest nearby."""

    def __init__(self, params: Params, channels: int) -> None:
        super().__init__()
        width, narrow = int(params["width"]), min(int(params["bottleneck"]), channels)
        lengths = [max(3, int(params["kernel"]) // part | 1) for part in (1, 2, 4)]
        self.narrow = nn.Conv1d(channels, narrow, 1, bias=False) if narrow < channels else nn.Identity()
        self.kernels = nn.ModuleList(
            nn.Conv1d(narrow, width, length, padding=length // 2, bias=False) for length in lengths
        )
        self.largest = nn.Sequential(nn.MaxPool1d(POOLED, 1, POOLED // 2), nn.Conv1d(channels, width, 1, bias=False))
        self.norm = nn.BatchNorm1d(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, channels, steps) -> (rows, 4 widths, steps)."""
        narrowed = self.narrow(x)
        read = [kernel(narrowed) for kernel in self.kernels]
        return torch.relu(self.norm(torch.cat([*read, self.largest(x)], dim=1)))


class Inception(nn.Module):
    """Modules with shortcuts, the mean over all steps, and a line; whether a step is known is a channel of its own."""

    def __init__(self, params: Params, channels: int, outputs: int) -> None:
        super().__init__()
        wide = 4 * int(params["width"])
        depth = int(params["depth"])
        self.modules_ = nn.ModuleList(KernelModule(params, channels + 1 if not at else wide) for at in range(depth))
        entries = [channels + 1, *[wide] * ((depth - 1) // EVERY)]
        self.shortcuts = nn.ModuleList(
            nn.Sequential(nn.Conv1d(entry, wide, 1, bias=False), nn.BatchNorm1d(wide))
            for entry in entries[: depth // EVERY]
        )
        self.dropout = nn.Dropout(float(params["dropout"]))
        self.head = nn.Linear(wide, outputs)

    def learn(self, x: Tensor) -> None:
        """Nothing is measured: series come on a common scale."""

    def forward(self, x: Tensor) -> Tensor:
        """(rows, channels, steps) -> (rows, outputs)."""
        is_known = ~torch.isnan(x)
        known = is_known.any(dim=1, keepdim=True).float()
        x = torch.cat([torch.where(is_known, x, 0.0), known], dim=1)
        entry = x
        for at, module in enumerate(self.modules_):
            x = module(x)
            if (at + 1) % EVERY == 0:
                x = torch.relu(x + self.shortcuts[at // EVERY](entry))
                entry = x
        weight = known / known.sum(dim=2, keepdim=True).clamp(min=1.0)
        return self.head(self.dropout((x * weight).sum(dim=2)))  # type: ignore[no-any-return]  # torch is untyped
