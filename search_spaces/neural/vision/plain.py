"""A convolution, a pool where the map shrinks, norm and activation: what the fastest known networks are made of.

Pooling after a whole convolution, instead of striding it, loses less on small pictures.
"""

from __future__ import annotations

from torch import nn

from search_spaces.neural.vision.parts import SqueezeExcite, Stride, Style, conv, make_activation, make_norm


class Plain(nn.Sequential):
    """One convolution."""

    def __init__(self, width_in: int, width_out: int, stride: Stride, style: Style) -> None:
        layers: list[nn.Module] = [conv(width_in, width_out, style.kernel)]
        if stride != (1, 1):
            layers.append(nn.MaxPool2d(stride, ceil_mode=True))
        layers += [make_norm(width_out, style), make_activation(style)]
        if style.squeeze_excite:
            layers.append(SqueezeExcite(width_out))
        super().__init__(*layers)
