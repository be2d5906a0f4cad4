"""What networks on series share: the last season again, a body that says what changes, and what each step is told.

What is known of a step to come is read at that step alone: a step is foretold alike whichever others are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.neural.blocks import Codes, Dropout
from search_spaces.spec import Params, Shape, WindowShape

CODE_WIDTH = 8  # numbers that a code becomes; all columns of codes together no more than WIDEST
WIDEST = 64
TOLD_WIDTH = 32  # of the layer that reads what a step is told
RECENT = 24  # newest steps of which columns known of the past alone are read


class Forecaster(nn.Module):
    """The last season, a body, and small layers for covariates; it starts as the seasonal naive forecast."""

    def __init__(self, params: Params, shape: Shape, body: Callable[[Params, WindowShape, int], Any]) -> None:
        super().__init__()
        window = shape.window or WindowShape(1, 1)
        self.horizon, self.outputs = window.horizon, shape.outputs
        self.again = window.season if window.season <= window.context else 1
        self.gate = nn.Parameter(torch.ones(window.horizon, 1))
        self.body = body(params, window, shape.outputs)
        self.dropout = Dropout(params["told_dropout"])
        width = max(1, min(CODE_WIDTH, WIDEST // max(1, len(shape.sizes))))
        self.codes = Codes(shape.sizes, width) if shape.sizes else None
        told = self.body.width + window.told + width * len(shape.sizes)
        self.told = _layers(told, shape.outputs) if window.told or shape.sizes else None
        self.recent = min(RECENT, window.context)
        self.past = _layers(self.recent * window.past, window.horizon * shape.outputs) if window.past else None

    def forward(self, history: Tensor, past: Tensor, told: Tensor, codes: Tensor) -> Tensor:
        """(rows, context), (rows, context, columns), and of each step to come numbers and codes, (rows, horizon, ...).

        -> (rows, horizon, outputs).
        """
        states: Tensor = self.body(history)
        said: Tensor = states[..., : self.outputs] + self.gate * self._naive(history)
        if self.told is not None:
            parts = [states, told]
            if self.codes is not None:
                parts.append(self.codes(codes.flatten(0, 1)).view(*codes.shape[:2], -1))
            said = said + self.told(self.dropout(torch.cat(parts, dim=2)))
        if self.past is not None:
            recent = self.past(past[:, -self.recent :].flatten(1))
            said = said + recent.view(len(history), self.horizon, self.outputs)
        return said

    def _naive(self, history: Tensor) -> Tensor:
        """The last season over and over, (rows, horizon, 1)."""
        rounds = -(-self.horizon // self.again)
        return history[:, -self.again :].repeat(1, rounds)[:, : self.horizon].unsqueeze(2)


def _layers(before: int, after: int) -> nn.Sequential:
    last = nn.Linear(TOLD_WIDTH, after)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(before, TOLD_WIDTH), nn.ReLU(), last)
