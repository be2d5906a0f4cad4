"""What a network costs, counted before it is trained: parameters, and the work of one row.

Convolutions and matrices are counted by hooks in one pass over an empty row. On torch's "meta" device nothing is
computed and no weight takes memory, so a network that would never fit is counted in milliseconds, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.spec import NetworkCost

PER_PRODUCT = 2  # operations: a product and a sum


def on_paper(make: Callable[[], nn.Module], input_shape: Sequence[int]) -> NetworkCost:
    """Count what `make` would build, for a row of floats of this shape, without building it."""
    with torch.device("meta"):
        network = make()
    return cost(network, input_shape, torch.float32)


def cost(network: nn.Module, input_shape: Sequence[int], dtype: torch.dtype = torch.uint8) -> NetworkCost:
    """Count on a row of zeros of this shape, without the row axis; the network is left as it was."""
    return cost_of(network, (torch.zeros(1, *input_shape, dtype=dtype, device=_device(network)),))


def cost_of(network: nn.Module, row: Sequence[Any]) -> NetworkCost:
    """Count on one row, given as each of its inputs; the network is left as it was."""
    flops, values = 0, 0

    def count(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        nonlocal flops, values
        del inputs
        weight = module.weight
        assert isinstance(weight, Tensor)
        flops += PER_PRODUCT * output.numel() * weight[0].numel()
        values += output.numel()

    heavy = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Conv1d | nn.Linear)]
    hooks = [module.register_forward_hook(count) for module in heavy]
    was_training = network.training
    try:
        with torch.inference_mode():
            network.eval()(*row)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return NetworkCost(sum(parameter.numel() for parameter in network.parameters()), flops, values, len(heavy))


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
