"""A large convolution per channel, then a perceptron per place (Liu et al. 2022, "A ConvNet for the 2020s").

The norm is the style's own: means over whole batches train faster on small pictures than the paper's per place.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.neural.vision.parts import (
    Skipped,
    SqueezeExcite,
    Stride,
    Style,
    conv,
    make_activation,
    make_norm,
    make_shortcut,
)

WIDER = 4
SMALL = 0.1  # scale of a branch at the start


class ConvNext(nn.Module):
    """The ConvNeXt block."""

    def __init__(self, width_in: int, width_out: int, stride: Stride, style: Style) -> None:
        super().__init__()
        branch: list[nn.Module] = [
            *(conv(width_in, width_in, style.kernel + 2, stride, width_in), make_norm(width_in, style)),
            *(nn.Conv2d(width_in, WIDER * width_in, 1), make_activation(style)),
            *(nn.Conv2d(WIDER * width_in, width_out, 1), LayerScale(width_out)),
        ]
        if style.squeeze_excite:
            branch.append(SqueezeExcite(width_out))
        shortcut = make_shortcut(width_in, width_out, stride, style)
        self.sum = Skipped(nn.Sequential(*branch), shortcut, style.drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, width_in, height, width) -> (rows, width_out, height / stride, width / stride)."""
        return self.sum(x)  # type: ignore[no-any-return]  # torch's modules are untyped


class LayerScale(nn.Module):
    """A learned scale per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((width, 1, 1), SMALL))

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        return x * self.scale.to(x.dtype)
