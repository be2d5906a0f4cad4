"""The best epoch by either half of the validation rows, so that each half is predicted by what the other one chose.

A network that keeps its best epoch on the very rows that it is scored on looks better than it is: much better, where
rows are few and most are told right, for some epoch errs on none of them. The model itself keeps the best by all rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

State = dict[str, Tensor]


class Halves:
    """The network's weights where the error on the even rows was least, and where it was on the odd ones."""

    def __init__(self) -> None:
        self.errors = [math.inf, math.inf]
        self.states: list[State] = [{}, {}]

    def see(self, losses: Sequence[Tensor], weights: Sequence[Tensor], network: nn.Module) -> None:
        """A look at all validation rows, in their order."""
        loss, weight = torch.cat(list(losses)), torch.cat(list(weights))
        for half in (0, 1):
            error = float((loss * weight)[half::2].sum() / weight[half::2].sum().clamp(min=1e-12))
            if error <= self.errors[half]:
                self.errors[half] = error
                self.states[half] = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @property
    def is_known(self) -> bool:
        """Whether either half has chosen."""
        return all(self.states)

    @contextmanager
    def chosen_by(self, half: int, network: nn.Module) -> Iterator[None]:
        """The network as it was when half 0, the even rows, or half 1 liked it best."""
        kept = {name: value.detach().clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.states[half])
        yield
        network.load_state_dict(kept)
