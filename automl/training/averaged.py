"""The running average of a network's weights: steadier than the weights of any one step, and often better.

It is looked at and kept in place of the weights; training itself goes on with the weights.
"""

from __future__ import annotations

import torch
from torch import nn

EARLY = 10  # steps: the average is of few at first, however long its memory


class Averaged:
    """An average beside a network; `swap` exchanges the two."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        state = network.state_dict(keep_vars=True).values()
        self.own = [value.detach() for value in state if value.is_floating_point()]
        self.average = [value.clone() for value in self.own]
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self) -> None:
        """The network made a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (EARLY + self.steps))
        torch._foreach_lerp_(self.average, self.own, 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """The network's weights become the average, and the average the weights; once more, and all is as it was."""
        for own, average in zip(self.own, self.average, strict=True):
            kept = own.clone()
            own.copy_(average)
            average.copy_(kept)

    def forget(self) -> None:
        """Begin anew from the weights as they are."""
        for own, average in zip(self.own, self.average, strict=True):
            average.copy_(own)
        self.steps = 0
