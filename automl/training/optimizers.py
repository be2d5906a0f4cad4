"""How weights move: AdamW, or Muon for the kernels of convolutions and AdamW for all the rest.

Muon (Jordan et al. 2024) replaces the momentum of each matrix by about the nearest orthogonal one, so that a step turns
it in all directions alike: far fewer steps to the same loss. Its steps are about as large as AdamW's at the same rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.95)
MOMENTUM = 0.9
TURNS = 4  # of the iteration: singular values come out between about 0.7 and 1.2, which is enough
POLYNOMIAL = (3.4445, -4.7750, 2.0315)  # steepest at zero, of those that keep values near one
LIKE_ADAMW = 0.2  # usual size of a step's numbers under AdamW, relative to the learning rate
TINY = 1e-7


def adamw(
    parameters: Sequence[nn.Parameter], rate: float, decay: float, paces: Mapping[nn.Parameter, float] | None = None
) -> torch.optim.AdamW:
    """AdamW that decays matrices alone: shifts and scales have nothing to lose.

    `paces`: of some parameters how fast they learn relative to the others; groups hold it as "pace".
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for parameter in parameters:
        pace = round((paces or {}).get(parameter, 1.0), 2)  # few groups
        groups.setdefault((parameter.ndim > 1, pace), []).append(parameter)
    made = [
        {"params": members, "weight_decay": decay if is_matrix else 0.0, "pace": pace, "lr": rate * pace}
        for (is_matrix, pace), members in sorted(groups.items(), key=lambda item: (not item[0][0], item[0][1]))
    ]
    return torch.optim.AdamW(made, lr=rate, betas=BETAS, fused=True)


class Muon(torch.optim.Optimizer):
    """Moves kernels that mix channels by orthogonal steps; all others are moved along by AdamW."""

    def __init__(self, parameters: Sequence[nn.Parameter], rate: float, decay: float, *, is_narrow: bool) -> None:
        kernels = [p for p in parameters if p.ndim > 2 and p.shape[1] > 1]
        super().__init__([{"params": kernels}], {"lr": rate, "weight_decay": decay})
        taken = {id(kernel) for kernel in kernels}
        self.others = adamw([p for p in parameters if id(p) not in taken], rate, decay)
        self.param_groups += self.others.param_groups
        self.is_narrow = is_narrow  # turned in bfloat16, which is enough

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Move all parameters by their gradients."""
        del closure
        rate, decay = self.param_groups[0]["lr"], self.param_groups[0]["weight_decay"]
        for kernel in self.param_groups[0]["params"]:
            if kernel.grad is None:
                continue
            state = self.state[kernel]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(kernel.grad)
            state["momentum"].lerp_(kernel.grad, 1 - MOMENTUM)
            ahead = torch.lerp(kernel.grad, state["momentum"], MOMENTUM).movedim(1, -1)  # as channels last lie
            turned = orthogonal(ahead.flatten(1), is_narrow=self.is_narrow)
            kernel.mul_(1 - rate * decay)
            step = turned.view(ahead.shape).movedim(-1, 1)
            kernel.add_(step, alpha=-rate * LIKE_ADAMW * max(turned.shape) ** 0.5)
        self.others.step()


def orthogonal(matrix: Tensor, *, is_narrow: bool = False) -> Tensor:
    """About the nearest matrix whose rows, or columns where those are fewer, are orthogonal and of length one."""
    a, b, c = POLYNOMIAL
    is_tall = matrix.shape[0] > matrix.shape[1]
    turned = matrix.T if is_tall else matrix
    turned = turned / (turned.norm() + TINY)
    turned = turned.bfloat16() if is_narrow else turned
    for _ in range(TURNS):
        square = turned @ turned.T
        turned = torch.addmm(turned, torch.addmm(square, square, square, beta=b, alpha=c), turned, beta=a)
    said: Tensor = (turned.T if is_tall else turned).to(matrix.dtype).contiguous()
    return said
